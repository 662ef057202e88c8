"""Sawtooth's REST interface as the node's HTTP server sees it: a request in, its answer, or a conversation.

Answers are made when they are awaited, so those of one connection come one after another: a client that sends
batches on one connection sees them taken in that order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from coco_core.adapter import (
    HTTPRequest,
    HTTPResponse,
    LedgerService,
    PendingResponse,
    WebSocket,
    WebSocketAnswer,
)
from coco_sawtooth.intake import Intake
from coco_sawtooth.outside import Outside
from coco_sawtooth.queries import Reading, RefusedError
from coco_sawtooth.rest import errors
from coco_sawtooth.rest.calls import Call
from coco_sawtooth.rest.errors import RestError
from coco_sawtooth.rest.rendering import failure
from coco_sawtooth.rest.routes import ROUTES, Handler
from coco_sawtooth.rest.targets import Target, read


class RestServer:
    """An HTTPHandler that serves every route, and ``/subscriptions`` by WebSocket."""

    def __init__(
        self,
        service: LedgerService,
        intake: Intake,
        outside: Outside,
        subscriptions: Callable[[WebSocket], Awaitable[None]],
    ) -> None:
        """Answer from the chain of ``service``; batches go to ``intake``."""
        self._service = service
        self._intake = intake
        self._outside = outside
        self._subscriptions = subscriptions

    def accept(self, request: HTTPRequest) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        """Begin one request."""
        target = read(request)
        if target.path == "/subscriptions":
            return WebSocketAnswer(converse=self._subscriptions)
        method = "GET" if request.method == "HEAD" else request.method
        handler, item = _route(method, target.path)
        if handler is None:
            return _no_route(target)
        call = Call(
            request=request,
            target=target,
            item=item,
            reading=self._reading,
            intake=self._intake,
            outside=self._outside,
        )
        return lambda: self._answer(handler, call)

    def _reading(self) -> Reading:
        return Reading(self._service.view(), self._service.view, self._service.status().node_id)

    async def _answer(self, handler: Handler, call: Call) -> HTTPResponse:
        try:
            return await handler(call)
        except RestError as error:
            return failure(error)
        except RefusedError as refused:
            problem = errors.NOT_READY if refused.status == "NOT_READY" else errors.UNKNOWN_FAULT
            return failure(RestError(problem))
        except Exception as fault:  # noqa: BLE001 - the client is told that there is one, the log which
            self._outside.report(fault)
            return failure(RestError(errors.UNKNOWN_FAULT))


def _route(method: str, path: str) -> tuple[Handler | None, str]:
    handler = ROUTES.get((method, path))
    if handler is not None:
        return handler, ""
    folder, _, item = path.rpartition("/")
    return (ROUTES.get((method, f"{folder}/*")) if item else None), item


def _no_route(target: Target) -> HTTPResponse:
    """Say that there is nothing under a path, or nothing with this method."""
    folder, _, item = target.path.rpartition("/")
    known = (target.path, f"{folder}/*" if item else "")
    allowed = sorted({method for method, path in ROUTES if path in known})
    text = "405: Method Not Allowed" if allowed else "404: Not Found"
    return HTTPResponse(
        status=405 if allowed else 404,
        body=text.encode(),
        content_type="text/plain; charset=utf-8",
        headers={"allow": ",".join(allowed)} if allowed else {},
    )
