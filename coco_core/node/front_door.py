"""A port for clients, from when there is a certificate to show; whoever serves there comes later.

A client that is told to wait tries again; one whose connection is taken and not answered does not know why.
"""

from __future__ import annotations

from typing import Final

import orjson
import trio

from coco_core.adapter import HTTPHandler, HTTPRequest, HTTPResponse, PendingResponse, WebSocketAnswer

_RETRY_AFTER_S: Final = "1"
_REASON: Final = "not open here yet: wait until its members open it, or this node has caught up"


class FrontDoor:
    """An HTTPHandler that hands requests to another, once there is one."""

    def __init__(self) -> None:
        """Serve nobody yet."""
        self._handler: HTTPHandler | None = None
        self.opened = trio.Event()
        """Set once somebody serves here."""

    def open(self, handler: HTTPHandler) -> None:
        """Hand requests to ``handler`` from now on."""
        self._handler = handler
        self.opened.set()

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        """Return what the handler answers, or 503 while there is none."""
        if self._handler is not None:
            return self._handler.accept(request)
        body = orjson.dumps({"error": _REASON})
        return HTTPResponse(status=503, headers={"retry-after": _RETRY_AFTER_S}, body=body)
