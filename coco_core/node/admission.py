"""Forming the founding set: the founder admits, a joiner asks. Transport only; rules are the replica's."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

import trio

from coco_core.adapter import HTTPResponse, PendingResponse
from coco_core.attestation import Policy, Verdict, Verifier
from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey
from coco_core.errors import AttestationError, MalformedError, OperatorError
from coco_core.node.clock import unix_ms
from coco_core.node.settings import Address, Joining
from coco_core.node.tls import service_client_context
from coco_core.replica import JoinRequest, admit, encode_join_request, read_join_request
from coco_core.wire.http import MessageReader, render_request

JOIN_TARGET = "/node/join"


class Admissions:
    """The founder's side: collects joiners until the founding set is complete."""

    def __init__(self, wanted: int, verifiers: Mapping[str, Verifier], policy: Policy) -> None:
        """Admit ``wanted`` nodes whose evidence ``policy`` accepts."""
        self._wanted = wanted
        self._verifiers = verifiers
        self._policy = policy
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
            verdict = admit(request, self._verifiers, self._policy, unix_ms() // 1000)
        except AttestationError as error:
            return _text(403, f"not admitted: {error}")
        if request.node_id not in self._admitted:
            self._forget_predecessor(request.peer_address)
            if len(self._admitted) >= self._wanted:
                return _text(409, "the founding set is complete; later nodes join by governance")
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


async def ask_to_join(joining: Joining, request: JoinRequest, key: PrivateKey) -> bytes:
    """Return the founder's welcome, trying until JOIN_TIMEOUT_MS.

    Raises AttestationError at once when the founder refuses, is not of the expected service or not
    known by the host it is asked at; OperatorError when it cannot be reached.
    """
    body = encode_join_request(request, key)
    try:
        context = service_client_context(joining.service_certificate)
    except ssl.SSLError as error:
        raise OperatorError(f"the service certificate cannot be used: {error}") from error
    reason = "no attempt was made"
    with trio.move_on_after(limits.JOIN_TIMEOUT_MS / 1000):
        while True:
            try:
                return await _post(joining.target, context, body)
            except (OSError, trio.BrokenResourceError, MalformedError) as error:
                cause = error.__cause__ or error
                if isinstance(cause, ssl.SSLCertVerificationError):
                    # No later attempt would find another founder there.
                    raise AttestationError(
                        f"{joining.target} is not the service to join: {cause.verify_message}"
                    ) from error
                reason = str(cause)
            await trio.sleep(limits.JOIN_RETRY_MS / 1000)
    raise OperatorError(f"cannot join at {joining.target}: {reason}")


async def _post(target: Address, context: ssl.SSLContext, body: bytes) -> bytes:
    stream = await trio.open_ssl_over_tcp_stream(
        target.host, target.port, ssl_context=context, https_compatible=True
    )
    async with stream:
        await stream.send_all(render_request("POST", JOIN_TARGET, str(target), body, "application/json"))
        reader = MessageReader(requests=False, body_max_bytes=limits.WELCOME_SIZE_MAX_BYTES)
        while data := await stream.receive_some():
            for message in reader.feed(bytes(data)):
                if message.status != 200:
                    text = message.body[:500].decode(errors="replace").strip()
                    raise AttestationError(f"{target} answered {message.status}: {text}")
                return message.body
    raise OSError("the founder closed the connection without an answer")


def _text(status: int, message: str) -> HTTPResponse:
    return HTTPResponse(status=status, body=f"{message}\n".encode(), content_type="text/plain")
