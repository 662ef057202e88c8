"""What processors ask of a transaction's context, answered (``tp_state_handlers`` of Sawtooth 1.2.6).

A context nobody knows (any longer) reads as empty and takes nothing, as Sawtooth has it: the SDKs tell their
handlers so. Which context a processor may use is for the caller to find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from google.protobuf.message import DecodeError

from coco_sawtooth.contexts import Context, TooMuchError, UnauthorizedError
from coco_sawtooth.messages import (
    MessageType,
    TpEventAddRequest,
    TpEventAddResponse,
    TpReceiptAddDataRequest,
    TpReceiptAddDataResponse,
    TpStateDeleteRequest,
    TpStateDeleteResponse,
    TpStateEntry,
    TpStateGetRequest,
    TpStateGetResponse,
    TpStateSetRequest,
    TpStateSetResponse,
)
from coco_sawtooth.processors.jobs import Attempt

Find = Callable[[str], Attempt | None]
"""Finds the attempt that works with the context of an identifier."""


def _get(request: TpStateGetRequest, context: Context | None) -> bytes:
    response = TpStateGetResponse(status=TpStateGetResponse.OK)
    if context is not None:
        values = context.get(request.addresses)
        response.entries.extend(map(_entry, request.addresses, values))
    return response.SerializeToString()


def _entry(address: str, data: bytes) -> TpStateEntry:
    return TpStateEntry(address=address, data=data)


def _set(request: TpStateSetRequest, context: Context | None) -> bytes:
    response = TpStateSetResponse(status=TpStateSetResponse.OK)
    if context is not None:
        entries = [(entry.address, entry.data) for entry in request.entries]
        context.set(entries)
        response.addresses.extend(address for address, _ in entries)
    return response.SerializeToString()


def _delete(request: TpStateDeleteRequest, context: Context | None) -> bytes:
    if context is not None:
        context.delete(request.addresses)
    response = TpStateDeleteResponse(addresses=request.addresses, status=TpStateDeleteResponse.OK)
    return response.SerializeToString()


def _add_event(request: TpEventAddRequest, context: Context | None) -> bytes:
    if context is None:
        return _NO_EVENT
    context.add_event(request.event)
    return TpEventAddResponse(status=TpEventAddResponse.OK).SerializeToString()


def _add_receipt_data(request: TpReceiptAddDataRequest, context: Context | None) -> bytes:
    if context is None:
        return _NO_DATA
    context.add_receipt_data(request.data)
    return TpReceiptAddDataResponse(status=TpReceiptAddDataResponse.OK).SerializeToString()


_NO_EVENT: Final = TpEventAddResponse(status=TpEventAddResponse.ERROR).SerializeToString()
_NO_DATA: Final = TpReceiptAddDataResponse(status=TpReceiptAddDataResponse.ERROR).SerializeToString()


@attrs.frozen
class StateMessage:
    """How a kind of request is answered."""

    request: Any
    """The class of its message."""
    answer_type: int
    answer: Callable[[Any, Context | None], bytes]
    refusal: bytes
    """The answer to what cannot be read, or may not be done."""


STATE_MESSAGES: Final[Mapping[int, StateMessage]] = {
    MessageType.TP_STATE_GET_REQUEST: StateMessage(
        TpStateGetRequest,
        MessageType.TP_STATE_GET_RESPONSE,
        _get,
        TpStateGetResponse(status=TpStateGetResponse.AUTHORIZATION_ERROR).SerializeToString(),
    ),
    MessageType.TP_STATE_SET_REQUEST: StateMessage(
        TpStateSetRequest,
        MessageType.TP_STATE_SET_RESPONSE,
        _set,
        TpStateSetResponse(status=TpStateSetResponse.AUTHORIZATION_ERROR).SerializeToString(),
    ),
    MessageType.TP_STATE_DELETE_REQUEST: StateMessage(
        TpStateDeleteRequest,
        MessageType.TP_STATE_DELETE_RESPONSE,
        _delete,
        TpStateDeleteResponse(status=TpStateDeleteResponse.AUTHORIZATION_ERROR).SerializeToString(),
    ),
    MessageType.TP_RECEIPT_ADD_DATA_REQUEST: StateMessage(
        TpReceiptAddDataRequest, MessageType.TP_RECEIPT_ADD_DATA_RESPONSE, _add_receipt_data, _NO_DATA
    ),
    MessageType.TP_EVENT_ADD_REQUEST: StateMessage(
        TpEventAddRequest, MessageType.TP_EVENT_ADD_RESPONSE, _add_event, _NO_EVENT
    ),
}


def answer_state(message_type: int, content: bytes, find: Find) -> tuple[int, bytes]:
    """Return kind and content of the answer to a request of ``STATE_MESSAGES``.

    A transaction that writes too much is invalid whatever its processor makes of the refusal.
    """
    known = STATE_MESSAGES[message_type]
    try:
        request = known.request.FromString(content)
    except DecodeError:
        return known.answer_type, known.refusal
    attempt = find(request.context_id)
    context = None if attempt is None or attempt.job is None else attempt.job.context
    try:
        return known.answer_type, known.answer(request, context)
    except UnauthorizedError:
        return known.answer_type, known.refusal
    except TooMuchError as error:
        if attempt is not None:
            attempt.fault = str(error)
        return known.answer_type, known.refusal
