"""HTTP as an adapter sees it: values in, values out. Sockets, TLS and limits are the node's.

A handler works in two steps, so that requests pipelined on one connection keep their order without
waiting for each other's commit: ``accept`` is called in order of arrival and does what must be in
order (parse, submit); what it returns is awaited later, and answers are written in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import attrs

from coco_core.adapter.caller import ANONYMOUS, Caller


@attrs.frozen(kw_only=True)
class HTTPRequest:
    """One request: ``target`` as sent, header names in lower case, the whole body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    peer_certificate: bytes | None = attrs.field(default=None, repr=False)
    """The certificate (DER) that the client presented and the listener's TLS believed; None without one."""
    caller: Caller = ANONYMOUS
    """Who asks, as the consortium's tables tell; hand it on with what is submitted for this request."""


@attrs.frozen(kw_only=True)
class HTTPResponse:
    """One answer; the node adds Content-Length and connection headers."""

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=lambda data: f"<{len(data)} bytes>")
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)


PendingResponse = Callable[[], Awaitable[HTTPResponse]]


class HTTPHandler(Protocol):
    """An adapter's front end on HTTP."""

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse:
        """Begin one request: answer at once, or return what to await for the answer.

        Must not block. An exception is answered with status 500 and logged; the connection stays.
        """
        ...
