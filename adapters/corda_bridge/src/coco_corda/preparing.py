"""From descriptions to jobs: what each transaction of a batch needs to be verified, and when it can be.

Knows what the ledger holds and what earlier transactions of the same batch make; executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from coco_corda import records, rejections, wire
from coco_corda.commit import Claim, TimeWindow
from coco_corda.limits import STATES_MAX, STATES_MAX_BYTES
from coco_corda.payloads import Submission
from coco_corda.refs import HASH_SIZE, StateRef, sha256
from coco_corda.requests import RequestSignatureError, verify_submission
from coco_corda.terms import Terms, domain
from coco_corda.verification import Broken, Failure, Job, Refused
from coco_core.adapter import ReadView, Rejected
from coco_core.errors import AdapterError, MalformedError

_NS: int = 10**9


@attrs.define(kw_only=True, eq=False)
class Prepared:
    """One transaction on its way."""

    submission: Submission
    claim: Claim | None = None
    description: wire.Description | None = None
    fate: wire.Verified | Rejected | None = None
    """What verification came to; None while it is not verified. A claim on states that are gone has one, too:
    whoever decides finds the conflict."""
    states_bytes: int = 0
    """Of all states that it uses, once they were looked for."""
    states: Sequence[records.State] = ()
    """Of its inputs, in their order."""
    is_party: bool = False
    """Whether somebody signed it, or asked for it, who participates in each state that it uses."""


@attrs.frozen(kw_only=True)
class _Code:
    """What transactions with the same attachments have in common."""

    domain: bytes
    trusted: Sequence[bytes]
    jars: Mapping[bytes, bytes] = attrs.field(repr=False)


class Preparing:
    """The transactions of one part of a batch."""

    def __init__(self, state: ReadView, terms: Terms, notary_key: bytes) -> None:
        """Verify on ``state`` under ``terms`` for the notary of ``notary_key``."""
        self._state = state
        self._terms = terms
        self._notary_key = notary_key
        self._taken: list[Prepared] = []
        self._makers: dict[bytes, Prepared] = {}
        """Transactions of this part by identifier: their outputs may be used by others of it."""
        self._waiting: list[int] = []
        self._code: dict[tuple[bytes, ...], _Code] = {}

    def take(self, submission: Submission, description: wire.Description | Failure) -> Prepared:
        """Take the next transaction."""
        taken = Prepared(submission=submission)
        self._taken.append(taken)
        if isinstance(description, Failure):
            taken.fate = _fate(description)
            return taken
        taken.description = description
        taken.fate = self._checked(taken, description)
        if taken.fate is None:
            self._waiting.append(len(self._taken) - 1)
            self._makers.setdefault(description.tx_id, taken)
        return taken

    def _checked(self, taken: Prepared, description: wire.Description) -> Rejected | None:
        """Check what needs no contract; note the claim."""
        refs = len(description.inputs) + len(description.references)
        if len(description.tx_id) != HASH_SIZE or refs >= STATES_MAX:
            return rejections.invalid(
                "IllegalArgumentException", f"an unknown hash, or {STATES_MAX} states and more"
            )
        try:
            taken.claim = _claim(description)
        except MalformedError as error:
            # Corda's classes hold hashes of other lengths and indices below 0.
            return rejections.invalid("IllegalArgumentException", str(error))
        if records.receipt_of(self._state, description.tx_id) is not None:
            # Whoever decides finds the receipt.
            return rejections.committed_before(b"")
        proof = taken.submission.proof
        if proof is not None:
            try:
                verify_submission(proof, taken.submission.stx, self._notary_key)
            except RequestSignatureError as error:
                return rejections.request_signature(str(error))
        params_hash = description.network_parameters_hash
        if params_hash not in self._terms.network_parameters:
            return rejections.invalid(
                "TransactionResolutionException.UnknownParametersException"
                if params_hash
                else "IllegalArgumentException",
                "the consortium did not agree on the network parameters it names"
                if params_hash
                else "it names no network parameters",
            )
        return None

    def ready(self) -> list[tuple[int, Job]]:
        """Return what can be verified now, with what that takes; others wait or are refused."""
        ready: list[tuple[int, Job]] = []
        waiting: list[int] = []
        states_bytes = 0
        # What is found here counts from the next call on, so that all of one call are independent.
        for index in self._waiting:
            taken = self._taken[index]
            if states_bytes >= STATES_MAX_BYTES or any(self._makes(ref) for ref in _refs(taken)):
                waiting.append(index)
                continue
            job = self._job(taken)
            if isinstance(job, Job):
                ready.append((index, job))
                states_bytes += taken.states_bytes
            else:
                taken.fate = job
        stuck = waiting and len(waiting) == len(self._waiting) and not ready
        self._waiting = waiting
        if stuck:
            # Each is named by a hash of what it uses, so no two can use each other's outputs.
            raise AdapterError("transactions wait for each other")
        if not ready and self._waiting:
            return self.ready()
        return ready

    def verified(self, index: int, result: wire.Verified | Failure) -> None:
        """Take note of what verification of one came to."""
        taken = self._taken[index]
        if isinstance(result, Refused) and not taken.is_party:
            # States come from the ledger, whoever names them; contracts say in words what is in them.
            taken.fate = rejections.refused_in_short(result)
            return
        if isinstance(result, Failure):
            taken.fate = _fate(result)
            return
        description = taken.description
        if description is None:
            raise AdapterError("a transaction was verified unread")
        told = [sha256(each.state) for each in result.outputs]
        if result.tx_id != description.tx_id or told != list(description.output_hashes):
            # Contract code that took its JVM over answers what it likes, but for its own transaction only:
            # what this one is, and makes, was read where no code of contracts runs.
            taken.fate = rejections.general("the JVM that executed it answered for another transaction")
            return
        taken.fate = result
        # The same transaction may have come before with signatures missing.
        self._makers[description.tx_id] = taken

    def _makes(self, ref: StateRef) -> bool:
        maker = self._makers.get(ref.tx_id)
        return maker is not None and maker.fate is None

    def _job(self, taken: Prepared) -> Job | Rejected:
        claim, description = taken.claim, taken.description
        if claim is None or description is None:
            raise AdapterError("a transaction is to be verified unread")
        found: list[records.State] = []
        taken.states_bytes = 0
        for ref in _refs(taken):
            state = self._find(ref)
            if state is None:
                return rejections.unresolved(ref)
            taken.states_bytes += len(state.output)
            if taken.states_bytes > STATES_MAX_BYTES:
                # What is packed well costs whoever made it nothing, and this node all of it.
                return rejections.invalid(
                    "IllegalArgumentException", f"the states it uses have more than {STATES_MAX_BYTES} bytes"
                )
            found.append(state)
        taken.states = found[: len(claim.inputs)]
        signers = {sha256(key) for key in description.signed_by}
        if taken.submission.proof is not None:
            signers.add(sha256(taken.submission.proof.key))
        # Signatures are checked before any contract sees a state.
        taken.is_party = not any(signers.isdisjoint(each.participants) for each in found)
        params = {description.network_parameters_hash, *(each.params_hash for each in found)}
        code = self._code_of(tuple(description.attachments))
        request = wire.Verify(
            stx=taken.submission.stx,
            states=[
                wire.ResolvedState(
                    ref=wire.StateRef(tx_id=ref.tx_id, index=ref.index),
                    state=state.output,
                    network_parameters_hash=state.params_hash,
                )
                for ref, state in zip(_refs(taken), found, strict=True)
            ],
            signatures=wire.Verify.ALL_EXCEPT_NOTARY,
            trusted_attachments=code.trusted,
            notary_key=self._notary_key,
        )
        return Job(
            request=request,
            domain=code.domain,
            attachments=code.jars,
            parameters=_present((each, records.parameters(self._state, each)) for each in params),
        )

    def _code_of(self, attachments: tuple[bytes, ...]) -> _Code:
        """Return what transactions with these attachments run; most of a batch have the same."""
        known = self._code.get(attachments)
        if known is not None:
            return known
        infos = {
            digest: info
            for digest in attachments
            if (info := records.attachment_info(self._state, digest)) is not None
        }
        found = self._code[attachments] = _Code(
            domain=domain(infos),
            trusted=[digest for digest, info in infos.items() if self._terms.trusts(digest, info)],
            jars=_present((each, records.attachment(self._state, each)) for each in infos),
        )
        return found

    def _find(self, ref: StateRef) -> records.State | None:
        """Return a state of the ledger, or one that a verified transaction of this part makes."""
        found = records.state_of(self._state, ref)
        if found is not None:
            return found
        maker = self._makers.get(ref.tx_id)
        if maker is None or not isinstance(maker.fate, wire.Verified) or maker.description is None:
            return None
        outputs = maker.fate.outputs
        if ref.index >= len(outputs):
            return None
        return state_made(outputs[ref.index], maker.description.network_parameters_hash)


def state_made(output: wire.OutputState, params_hash: bytes) -> records.State:
    """Return an output as it is kept."""
    participants = sorted({sha256(key) for key in output.participants})
    return records.State(params_hash=params_hash, participants=tuple(participants), output=output.state)


def _present(items: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, bytes]:
    return {key: value for key, value in items if value is not None}


def _refs(taken: Prepared) -> list[StateRef]:
    return [] if taken.claim is None else [*taken.claim.inputs, *taken.claim.references]


def _claim(description: wire.Description) -> Claim:
    window = None
    if description.HasField("time_window"):
        told = description.time_window
        window = TimeWindow(_instant(told, "from"), _instant(told, "until"))
    return Claim(
        tx_id=description.tx_id,
        inputs=[StateRef(each.tx_id, each.index) for each in description.inputs],
        references=[StateRef(each.tx_id, each.index) for each in description.references],
        time_window=window,
    )


def _instant(window: wire.TimeWindow, name: str) -> int | None:
    # One of the two is a keyword of Python's.
    if not window.HasField(name):
        return None
    instant = getattr(window, name)
    return int(instant.seconds) * _NS + int(instant.nanos)


def _fate(failure: Failure) -> Rejected:
    if isinstance(failure, Refused):
        return rejections.refused(failure)
    if isinstance(failure, Broken):
        return rejections.general(failure.message)
    return rejections.no_verifier(failure.message)
