"""JSON-RPC 2.0 framing: a body to calls, answers to a body (jsonrpc.org/specification).

Knows nothing of Ethereum. A bad call inside a batch is answered in its place; only a body that is
no JSON, or no request at all, is answered as a whole. Nesting is bounded by orjson itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import orjson

from coco_ethereum.limits import RPC_BATCH_CALLS_MAX
from coco_ethereum.rpc.errors import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RPCError

ID = str | int | float | None


@attrs.frozen(slots=True)
class RPCCall:
    """One request of a body: to be answered unless it is a notification."""

    id: ID
    method: str
    params: Sequence[object]
    notification: bool = False


@attrs.frozen(slots=True)
class BadCall:
    """An element of a body that is no request."""

    id: ID
    error: RPCError


@attrs.frozen(slots=True)
class Body:
    """A parsed body; ``batch`` tells whether the answer is a list."""

    calls: tuple[RPCCall | BadCall, ...]
    batch: bool


def parse(body: bytes) -> Body:
    """Parse a body; raises RPCError for what cannot be answered call by call."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RPCError(PARSE_ERROR, f"parse error: {error}") from error
    if not isinstance(message, list):
        return Body((_parse_call(message),), batch=False)
    if not message:
        raise RPCError(INVALID_REQUEST, "empty batch")
    if len(message) > RPC_BATCH_CALLS_MAX:
        raise RPCError(INVALID_REQUEST, f"batch too large: at most {RPC_BATCH_CALLS_MAX} calls")
    return Body(tuple(map(_parse_call, message)), batch=True)


def _parse_call(message: object) -> RPCCall | BadCall:
    if not isinstance(message, dict):
        return BadCall(None, RPCError(INVALID_REQUEST, "invalid request"))
    call_id = message.get("id")
    if isinstance(call_id, dict | list | bool):
        return BadCall(None, RPCError(INVALID_REQUEST, "invalid request: id must be a string or a number"))
    method = message.get("method")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        return BadCall(call_id, RPCError(INVALID_REQUEST, "invalid request"))
    params = message.get("params")
    if params is None:
        params = []
    if not isinstance(params, list):
        return BadCall(call_id, RPCError(INVALID_PARAMS, "non-array args"))
    return RPCCall(call_id, method, params, notification="id" not in message)


def result(call_id: ID, value: object) -> bytes:
    """Return a successful answer."""
    return orjson.dumps({"jsonrpc": "2.0", "id": call_id, "result": value})


def failure(call_id: ID, error: RPCError) -> bytes:
    """Return an answer that is an error."""
    return orjson.dumps({"jsonrpc": "2.0", "id": call_id, "error": error.as_json()})


def join(answers: Sequence[bytes], *, batch: bool) -> bytes:
    """Return the body of a response; empty when nothing asked for an answer."""
    if not answers:
        return b""
    return b"[" + b",".join(answers) + b"]" if batch else answers[0]
