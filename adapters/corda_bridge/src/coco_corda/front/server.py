"""The routes of the adapter's page: what is asked of the ledger, and of states by their participants.

Knows requests, answers and committed state; sockets, TLS and who may come at all are the node's.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson

from coco_corda import records
from coco_corda.front.answers import (
    JSON,
    Fate,
    RefusedError,
    answer,
    committed_at,
    octets,
    receipt,
    refusal,
    told_of_supply,
    told_of_transaction,
)
from coco_corda.front.calls import Call
from coco_corda.front.outside import Outside
from coco_corda.front.reading import Reading
from coco_corda.front.updates import Updates
from coco_corda.front.vaults import Vaults
from coco_corda.payloads import Parameters, Payload, Submission, encode, parts_of
from coco_corda.refs import hash_text
from coco_corda.requests import Desk, RequestSignatureError
from coco_corda.terms import Terms
from coco_corda.verification import Failure, Refused, Unavailable, Verifier
from coco_core.adapter import (
    CommittedBatch,
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    PendingResponse,
    ReadView,
    WebSocketAnswer,
)
from coco_core.errors import BusyError, MalformedError

_LENGTH: Final = struct.Struct(">I")
_BATCH_MAX: Final = 500
_GROUPS_MAX: Final = 16
_OUTPUTS_MAX: Final = 1_000

_Handler = Callable[[Call], Awaitable[HTTPResponse]]
_Accepted = HTTPResponse | PendingResponse | WebSocketAnswer


class FrontEnd:
    """The ledger's HTTP port, on every node."""

    def __init__(self, verifier: Verifier, outside: Outside, *, runs: str) -> None:
        """Tear off with ``verifier``; ``runs`` says in a few words what executes contract code here."""
        self._verifier = verifier
        self._outside = outside
        self._runs = runs
        self._vaults = Vaults()
        self._desk = Desk(self._vaults.knows)

    async def serve(self, service: LedgerService) -> None:
        """Serve until cancelled."""
        parts = (self._vaults, self._desk, self._verifier, self._outside, self._runs)
        await service.serve_http(_Server(service, *parts))

    def committed(self, batch: CommittedBatch) -> None:
        """Follow a committed batch."""
        self._vaults.committed(batch)
        self._outside.beat()

    def restored(self, view: ReadView) -> None:
        """Begin with a state."""
        self._vaults.restored(view)
        self._outside.beat()


class _Server:
    def __init__(
        self,
        service: LedgerService,
        vaults: Vaults,
        desk: Desk,
        verifier: Verifier,
        outside: Outside,
        runs: str,
    ) -> None:
        self._service = service
        self._reading = Reading(service, vaults)
        self._updates = Updates(self._reading, vaults, outside)
        self._desk = desk
        self._verifier = verifier
        self._outside = outside
        self._runs = runs

    def accept(self, request: HTTPRequest) -> _Accepted:
        """Begin one request (see adapter.HTTPHandler)."""
        try:
            call = Call.read(request)
            if request.method == "POST":
                return self._post(call)
            if request.method != "GET":
                raise RefusedError(405, "expected GET or POST")
            return self._get(call)
        except RefusedError as error:
            return refusal(error)
        except BusyError as error:
            return refusal(RefusedError(503, str(error), retry=True))

    # --- what is submitted -----------------------------------------------------------------------------

    def _post(self, call: Call) -> _Accepted:
        body = call.request.body
        match call.parts:
            case ("transactions",):
                return self._transaction(call, body)
            case ("transactions", "many"):
                return self._transactions(call, body)
            case ("attachments",):
                return self._supply(call, _parts(body), "id")
            case ("parameters",):
                return self._supply(call, [Parameters(body)], "hash")
            case ("filtered",):
                return _pending(lambda: self._filtered(call, body))
            case _:
                raise RefusedError(404, "there is nothing under this path")

    def _transaction(self, call: Call, body: bytes) -> PendingResponse:
        notary_key = self._reading.notary_key()
        proof = call.proof(notary_key)
        if proof is not None:
            try:
                self._desk.check(proof, self._outside.now_ms())
            except RequestSignatureError as error:
                told = {"type": "NotaryError.RequestSignatureInvalid", "message": str(error)}
                raise RefusedError(422, str(error), error=told) from None
        submission = self._submit(call, [Submission(stx=body, proof=proof)])

        async def fate() -> HTTPResponse:
            (one,) = fates = await submission()
            status, told = told_of_transaction(one, notary_key)
            return answer(told, status, committed_at(fates))

        return fate

    def _transactions(self, call: Call, body: bytes) -> PendingResponse:
        notary_key = self._reading.notary_key()
        submission = self._submit(call, [Submission(stx=each) for each in _split(body)])

        async def fates() -> HTTPResponse:
            found = await submission()
            told = [told_of_transaction(each, notary_key) for each in found]
            return answer([{**each, "code": status} for status, each in told], 200, committed_at(found))

        return fates

    def _supply(self, call: Call, payloads: Sequence[Payload], name: str) -> PendingResponse:
        submission = self._submit(call, payloads)

        async def fate() -> HTTPResponse:
            status, told = told_of_supply(await submission(), name)
            return answer(told, status)

        return fate

    def _submit(self, call: Call, payloads: Sequence[Payload]) -> Callable[[], Awaitable[Sequence[Fate]]]:
        try:
            submission = self._service.submit([encode(each) for each in payloads], caller=call.request.caller)
        except MalformedError as error:
            raise RefusedError(413, str(error)) from None

        return submission.wait

    # --- what is read ----------------------------------------------------------------------------------

    def _get(self, call: Call) -> _Accepted:
        match call.parts:
            case ("notary",):
                return answer(self._notary())
            case ("transactions", text):
                return self._receipt(call.digest(text))
            case ("transactions", text, "signed"):
                kept = self._reading.transaction(call.digest(text), self._participant(call))
                return octets(kept.stx)
            case ("transactions", text, "filtered"):
                kept = self._reading.transaction(call.digest(text), self._participant(call))
                return _pending(lambda: self._filtered(call, kept.stx))
            case ("states",):
                return self._states(call)
            case ("states", text):
                return answer(self._reading.state(call.ref(text), self._participant(call)))
            case ("status",):
                return answer(self._reading.statuses([call.ref(each) for each in call.query.get("ref", [])]))
            case ("updates",):
                participant = self._participant(call)
                return self._updates.accept(call, participant)
            case ("attachments", text):
                return octets(self._reading.blob(records.ATTACHMENT, call.digest(text)))
            case ("parameters", text):
                return octets(self._reading.blob(records.PARAMS, call.digest(text)))
            case _:
                raise RefusedError(404, "there is nothing under this path")

    def _participant(self, call: Call) -> bytes:
        return call.participant(self._desk, self._reading.notary_key(), self._outside.now_ms())

    def _notary(self) -> JSON:
        view = self._service.view()
        terms = Terms.of(view, self._service.configuration())
        identity = orjson.loads(view.get(records.NOTARY, records.IDENTITY) or b"{}")
        known = [each for each in terms.network_parameters if records.parameters(view, each) is not None]
        return {
            **identity,
            "scheme": "EDDSA_ED25519_SHA512",
            "keeps": terms.keeps,
            "parameters": sorted(map(hash_text, known)),
            "trustedAttachments": sorted(map(hash_text, terms.trusted_attachments)),
            "trustedSigners": sorted(map(hash_text, terms.trusted_signers)),
            "runs": self._runs,
        }

    def _receipt(self, tx_id: bytes) -> HTTPResponse:
        packed = records.receipt_of(self._service.view(), tx_id)
        if packed is None:
            raise RefusedError(404, "no transaction of this ID is committed here")
        return answer(receipt(packed, self._reading.notary_key(), None))

    def _states(self, call: Call) -> HTTPResponse:
        participant = self._participant(call)
        after = call.text("after")
        return answer(self._reading.page(participant, call.ref(after).key if after else b"", call))

    async def _filtered(self, call: Call, stx: bytes) -> HTTPResponse:
        groups, outputs = call.numbers("groups", _GROUPS_MAX), call.numbers("outputs", _OUTPUTS_MAX)
        found = await self._verifier.tear_off(stx, groups, outputs)
        if isinstance(found, Unavailable):
            raise RefusedError(503, found.message, retry=True)
        if isinstance(found, Failure):
            message = found.kind if isinstance(found, Refused) else found.message
            raise RefusedError(400, f"it cannot be shown in part: {message}")
        return octets(found)


def _pending(handle: Callable[[], Awaitable[HTTPResponse]]) -> PendingResponse:
    """Return ``handle`` with its refusals as answers."""

    async def handled() -> HTTPResponse:
        try:
            return await handle()
        except RefusedError as error:
            return refusal(error)

    return handled


def _parts(jar: bytes) -> Sequence[Payload]:
    """Return what brings a jar; raises RefusedError."""
    try:
        return parts_of(jar)
    except MalformedError as error:
        raise RefusedError(413, str(error)) from None


def _split(body: bytes) -> list[bytes]:
    """Return the transactions of a body, each behind its length in 4 bytes; raises RefusedError."""
    found: list[bytes] = []
    at = 0
    while at < len(body):
        begin = at + _LENGTH.size
        end = begin + int.from_bytes(body[at:begin])
        if end > len(body) or begin > len(body) or len(found) == _BATCH_MAX:
            raise RefusedError(400, f"expected {_BATCH_MAX} transactions at most, each behind its length")
        found.append(body[begin:end])
        at = end
    if not found:
        raise RefusedError(400, "there is no transaction in it")
    return found
