"""Asking to join: the founder admits the founding set, any node of a running service passes later ones on.

A node that asks while the service runs is recorded as pending, and asks again until an operator decided.
Transport only; the rules are the replica's.
"""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Mapping, Sequence

import trio

from coco_core.adapter import ANONYMOUS, HTTPResponse, NotCommitted, PendingResponse, Rejected
from coco_core.attestation import Verdict
from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey
from coco_core.errors import AttestationError, BusyError, MalformedError, OperatorError
from coco_core.governance import (
    ADMINISTRATION,
    PENDING,
    RETIRED,
    TRUSTED,
    Admission,
    JoinRequest,
    NodeRecord,
    admit,
    encode_join_request,
    join_payload,
    read_change,
    read_join_request,
    read_nodes,
)
from coco_core.node.clock import unix_ms
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets
from coco_core.node.settings import Address, Joining
from coco_core.node.tls import service_client_context
from coco_core.replica import Welcome, encode_welcome
from coco_core.wire.http import MessageReader, render_request

JOIN_TARGET = "/node/join"
WAITING = "the node is known, and waits for an operator to let it in"


class FoundingAdmissions:
    """The founder's side: collects joiners until the founding set is complete."""

    def __init__(self, wanted: int, rules: Admission) -> None:
        """Admit ``wanted`` nodes whose evidence ``rules`` accept."""
        self._wanted = wanted
        self._rules = rules
        self._admitted: dict[NodeID, tuple[JoinRequest, Verdict]] = {}
        self._complete = trio.Event()
        self._welcomes: dict[NodeID, bytes] = {}
        self._welcomed = trio.Event()
        if not wanted:
            self._complete.set()

    def accept(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Judge one join request; an admitted node's answer comes when the set is complete."""
        try:
            request = read_join_request(body)
            verdict = admit(request, self._rules.verifiers, self._rules.policy, unix_ms() // 1000)
        except AttestationError as error:
            return _text(403, f"not admitted: {error}")
        if request.node_id not in self._admitted:
            self._forget_predecessor(request.peer_address)
            if len(self._admitted) >= self._wanted:
                return _text(503, "the founding set is complete, and the service not open yet: ask again")
            self._admitted[request.node_id] = (request, verdict)
            if len(self._admitted) == self._wanted:
                self._complete.set()

        async def answer() -> HTTPResponse:
            await self._welcomed.wait()
            welcome = self._welcomes.get(request.node_id)
            if welcome is None:
                return _text(409, f"another node joined at {request.peer_address} since")
            return HTTPResponse(body=welcome)

        return answer

    def _forget_predecessor(self, peer_address: str) -> None:
        """While the set is not complete, free the place of a node whose address a new one asks with.

        A joiner that restarts has a new key; its place must not stay with the one that is gone.
        """
        if not self._complete.is_set():
            for node_id, (request, _) in list(self._admitted.items()):
                if request.peer_address == peer_address:
                    del self._admitted[node_id]

    async def complete(self) -> Sequence[tuple[JoinRequest, Verdict]]:
        """Return the admitted nodes once all came; raises OperatorError when they do not in time."""
        with trio.move_on_after(limits.JOIN_TIMEOUT_MS / 1000):
            await self._complete.wait()
            return list(self._admitted.values())
        raise OperatorError(
            f"only {len(self._admitted)} of {self._wanted} joining nodes came "
            f"within {limits.JOIN_TIMEOUT_MS} ms"
        )

    def welcome(self, welcomes: Mapping[NodeID, bytes]) -> None:
        """Let every admitted node have its welcome."""
        self._welcomes = dict(welcomes)
        self._welcomed.set()


class RunningAdmissions:
    """A running node's side: records who asks, and welcomes whom an operator let in."""

    def __init__(
        self,
        driver: Driver,
        tickets: Tickets,
        rules: Admission,
        endorse: Callable[[JoinRequest], str],
        welcome: Callable[[str], Welcome],
    ) -> None:
        """Judge by ``rules``; ``endorse`` makes certificates, ``welcome`` what is handed over with one."""
        self._driver = driver
        self._tickets = tickets
        self._rules = rules
        self._endorse = endorse
        self._welcome = welcome

    def accept(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Answer one join request: 200 with the welcome, 202 while the node must wait, or a refusal."""
        try:
            request = read_join_request(body)
            verdict = admit(request, self._rules.verifiers, self._rules.policy, unix_ms() // 1000)
        except AttestationError as error:
            return _text(403, f"not admitted: {error}")
        view = self._driver.replica.chain.store.view()
        known = read_nodes(view).get(request.node_id)
        if known is None:
            return self._record(request, verdict)
        change = read_change(view)
        if known.status == TRUSTED or (change is not None and known.node_id in change.add):
            welcome = self._welcome(known.certificate)
            return HTTPResponse(body=encode_welcome(welcome, request.encryption_key))
        if known.status == RETIRED:
            return _text(410, "this node was removed: start it anew to ask with another key")
        return _text(202, WAITING)

    def _record(self, request: JoinRequest, verdict: Verdict) -> HTTPResponse | PendingResponse:
        record = NodeRecord(
            node_id=request.node_id,
            certificate=self._endorse(request),
            peer_address=request.peer_address,
            encryption_key=request.encryption_key.pem,
            measurement=verdict.measurement,
            evidence=request.evidence,
            status=PENDING,
        )
        try:
            submission = self._tickets.submit(self._driver, ADMINISTRATION, [join_payload(record)], ANONYMOUS)
        except BusyError as error:
            return _text(503, str(error))

        async def answer() -> HTTPResponse:
            (fate,) = await submission.wait()
            match fate:
                case Rejected() if fate.code != "known-node":
                    return _text(403, f"{fate.code}: {fate.message}")
                case NotCommitted():
                    return _text(503, fate.reason)
            return _text(202, WAITING)

        return answer


async def ask_to_join(
    joining: Joining, request: JoinRequest, key: PrivateKey, waiting: Callable[[], None]
) -> bytes:
    """Return the service's welcome, asking its nodes in turn; ``waiting`` is called once, if it takes a word.

    Raises AttestationError at once when a node refuses, is not of the expected service or not known by the
    host it is asked at; OperatorError when none can be reached for JOIN_TIMEOUT_MS.
    """
    body = encode_join_request(request, key)
    try:
        context = service_client_context(joining.service_certificate)
    except ssl.SSLError as error:
        raise OperatorError(f"the service certificate cannot be used: {error}") from error
    reason = "no attempt was made"
    answered = trio.current_time()
    told = False
    for target in itertools.cycle(joining.targets):
        left_s = answered + limits.JOIN_TIMEOUT_MS / 1000 - trio.current_time()
        if left_s <= 0:
            break
        try:
            # Each in its turn: one that hangs must not use up the time of all.
            with trio.fail_after(min(left_s, limits.JOIN_TIMEOUT_MS / 1000 / len(joining.targets))):
                status, answer = await _post(target, context, body)
        except trio.TooSlowError:
            reason = "no answer in time"
            continue
        except (OSError, trio.BrokenResourceError, MalformedError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, ssl.SSLCertVerificationError):
                # No later attempt would find another service there.
                raise AttestationError(
                    f"{target} is not the service to join: {cause.verify_message}"
                ) from error
            reason = str(cause)
        else:
            if status == 200:
                return answer
            reason = f"{target} answered {status}: {answer[:500].decode(errors='replace').strip()}"
            if status not in (202, 503):
                raise AttestationError(reason)
            if status == 202:
                answered = trio.current_time()
                if not told:
                    waiting()
                    told = True
        await trio.sleep(limits.JOIN_RETRY_MS / 1000)
    raise OperatorError(f"cannot join at {', '.join(map(str, joining.targets))}: {reason}")


async def _post(target: Address, context: ssl.SSLContext, body: bytes) -> tuple[int, bytes]:
    stream = await trio.open_ssl_over_tcp_stream(
        target.host, target.port, ssl_context=context, https_compatible=True
    )
    async with stream:
        await stream.send_all(render_request("POST", JOIN_TARGET, str(target), body, "application/json"))
        reader = MessageReader(requests=False, body_max_bytes=limits.WELCOME_SIZE_MAX_BYTES)
        while data := await stream.receive_some():
            for message in reader.feed(bytes(data)):
                return message.status, message.body
    raise OSError("the founder closed the connection without an answer")


def _text(status: int, message: str) -> HTTPResponse:
    return HTTPResponse(status=status, body=f"{message}\n".encode(), content_type="text/plain")
