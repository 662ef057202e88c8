"""HTTP/1.1 to a node on trio: one connection, requests pipelined, answers in order, identity pinned.

A client that knows the service certificate believes no other: the node's certificate must be issued
by it. Errors: ConnectionLostError when the connection ends before an answer, AnswerError for a refusal,
MalformedAnswerError for what no node answers.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson
import trio

from coco_core.base import limits
from coco_core.crypto import Certificate, read_certificate_der
from coco_core.errors import CallerError, CocoError, PeerError
from coco_core.wire.http import HTTPMessageError, Message, MessageReader, render_request

_RECEIVE_BYTES = 256 * 1024
_RESPONSE_MAX_BYTES = 256 * limits.MIB
_Value = TypeVar("_Value")
_ENDED = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError, HTTPMessageError)


class ConnectionLostError(CocoError):
    """The connection ended before the node answered: whether the request took effect is not known."""


class AnswerError(CallerError):
    """The node answered with an HTTP error; the message holds its text."""


class MalformedAnswerError(PeerError):
    """Who answered took the request, and then said what no node says: it is none, or a faulty one."""


def pinned_context(service_certificate: str) -> ssl.SSLContext:
    """Return a TLS context that accepts only nodes endorsed by this service certificate (PEM)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=service_certificate)
    return context


def read_answer(source: str, body: bytes) -> Any:
    """Return the JSON that ``source`` answered a request it took with; raises MalformedAnswerError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        told = body[:100].decode(errors="replace").strip()
        raise MalformedAnswerError(f"{source} did not answer in JSON: {told!r}") from error


def any_context() -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate: for whoever judges the evidence in it instead."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def fetch_certificate(address: str, tls: ssl.SSLContext | None = None) -> Certificate:
    """Return the certificate of the node at ``host:port``, whoever issued it unless ``tls`` says by whom.

    Whoever answers holds its key: TLS shows that. Raises ConnectionLostError, AttestationError.
    """
    async with await Connection.open(address, tls or any_context()) as connection:
        return read_certificate_der(connection.peer_certificate)


class Connection:
    """One open connection to ``host:port``."""

    def __init__(self, stream: trio.abc.Stream, host: str) -> None:
        """Speak HTTP over ``stream``."""
        self._stream = stream
        self.host = host
        """``host:port``."""
        self._reader = MessageReader(requests=False, body_max_bytes=_RESPONSE_MAX_BYTES)
        self._ready: deque[Message] = deque()

    @classmethod
    async def open(cls, address: str, tls: ssl.SSLContext | None) -> Self:
        """Connect to ``host:port``, with TLS unless ``tls`` is None; raises ConnectionLostError."""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        try:
            raw = await trio.open_tcp_stream(host, int(port))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is None:
                return cls(raw, address)
            stream = trio.SSLStream(raw, tls, server_hostname=host, https_compatible=True)
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(raw)
                raise
            return cls(stream, address)
        except _ENDED as error:
            raise ConnectionLostError(f"cannot connect to {address}: {error.__cause__ or error}") from error

    @property
    def peer_certificate(self) -> bytes:
        """The certificate (DER) of who answers; empty without TLS."""
        if isinstance(self._stream, trio.SSLStream):
            return self._stream.getpeercert(binary_form=True) or b""
        return b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close without waiting for the peer."""
        await trio.aclose_forcefully(self._stream)

    async def send(
        self, method: str, target: str, body: bytes = b"", content_type: str = "application/json"
    ) -> None:
        """Send one request; its answer comes from ``receive``, in the order of sending."""
        data = render_request(method, target, self.host, body, content_type)
        try:
            await self._stream.send_all(data)
        except _ENDED as error:
            raise ConnectionLostError(f"connection to {self.host} broke: {error}") from error

    async def receive(self) -> Message:
        """Return the next answer."""
        while not self._ready:
            try:
                data = await self._stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    raise ConnectionLostError(f"{self.host} closed the connection")
                self._ready.extend(self._reader.feed(bytes(data)))
            except _ENDED as error:
                raise ConnectionLostError(f"connection to {self.host} broke: {error}") from error
        return self._ready.popleft()

    async def request(self, method: str, target: str, body: bytes = b"") -> Message:
        """Send one request and return its answer; raises AnswerError for an HTTP error status."""
        await self.send(method, target, body)
        answer = await self.receive()
        if answer.status >= 400:
            text = answer.body[:500].decode(errors="replace").strip()
            raise AnswerError(f"{self.host}{target} answered {answer.status}: {text}")
        return answer


class NodeClient:
    """An operator's view of one node; MalformedAnswerError when what answers is none."""

    def __init__(self, connection: Connection) -> None:
        """Ask over ``connection``, made to the node's operator interface."""
        self._connection = connection

    async def health(self) -> dict[str, Any]:
        """Return role, view, positions and queue sizes."""
        return await self._get("/node/health")

    async def committed_after(self, seqno: int) -> tuple[int, int]:
        """Return committed ``(view, seqno)``, waiting a while for one beyond ``seqno``."""
        answer = await self._get(f"/node/commit?after={seqno}")
        return self._field(answer, "view", int), self._field(answer, "seqno", int)

    async def transaction_status(self, transaction_id: str) -> str:
        """Return Unknown, Pending, Committed or Invalid."""
        answer = await self._get(f"/node/tx?transaction_id={transaction_id}")
        return self._field(answer, "status", str)

    async def receipt(self, transaction_id: str, *, cose: bool = False) -> bytes:
        """Return the receipt of a committed transaction."""
        form = "cose" if cose else "json"
        target = f"/node/receipt?transaction_id={transaction_id}&format={form}"
        return (await self._connection.request("GET", target)).body

    async def resources(self) -> dict[str, Any]:
        """Return what the node holds in memory, per map, and the processor time it used."""
        return await self._get("/node/resources")

    async def network(self) -> dict[str, Any]:
        """Return nodes, ledgers and the service certificate."""
        return await self._get("/node/network")

    async def refusals(self) -> list[dict[str, Any]]:
        """Return the nodes this one refused to admit lately, the oldest first."""
        return self._field(await self._get("/node/refusals"), "refusals", list)

    async def change_members(self, add: Sequence[str], remove: Sequence[str]) -> str:
        """As an operator, ask for members to come and go in one change; return where that stands.

        The change is made once those who come have caught up. Raises AnswerError with the service's reason.
        """
        body = json.dumps({"add": list(add), "remove": list(remove)}).encode()
        return await self._post("/node/members", body)

    async def cancel_change(self) -> str:
        """As an operator, take the change under way back; return where that stands."""
        return await self._post("/node/members/cancel", b"")

    async def _post(self, target: str, body: bytes) -> str:
        return self._field(await self._ask("POST", target, body), "transaction_id", str)

    async def _get(self, target: str) -> dict[str, Any]:
        return await self._ask("GET", target)

    async def _ask(self, method: str, target: str, body: bytes = b"") -> dict[str, Any]:
        answer = await self._connection.request(method, target, body)
        value = read_answer(f"{self._connection.host}{target}", answer.body)
        if not isinstance(value, dict):
            raise MalformedAnswerError(f"{self._connection.host}{target} answered {value!r:.100}")
        return value

    def _field(self, answer: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
        value = answer.get(name)
        if type(value) is not kind:
            raise MalformedAnswerError(f"{self._connection.host} answered {name} {value!r:.100}")
        return value
