"""Messages as JSON, the way Sawtooth's REST interface shows them. Knows no route.

Names are the fields' own, defaults are included, 64-bit numbers are strings and bytes are base64, as
protobuf's JSON mapping says; headers are shown decoded.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from coco_core.adapter import HTTPResponse
from coco_sawtooth import messages
from coco_sawtooth.rest.errors import RestError

JSON: TypeAlias = Any
_CONTENT_TYPE = "application/json; charset=utf-8"
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS


def response(content: dict[str, JSON], status: int = 200) -> HTTPResponse:
    """Return an answer of JSON, indented and sorted."""
    return HTTPResponse(
        status=status, body=orjson.dumps(content, option=_OPTIONS), content_type=_CONTENT_TYPE
    )


def failure(error: RestError) -> HTTPResponse:
    """Return the answer that tells of an error."""
    problem = error.problem
    body = {"error": {"code": problem.code, "title": problem.title, "message": error.message}}
    return response(body, problem.status)


def plain(message: Message) -> dict[str, JSON]:
    """Return a message as it is."""
    return MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)


def block(message: messages.Block) -> dict[str, JSON]:
    """Return a block with its headers decoded."""
    return {
        "header": plain(messages.BlockHeader.FromString(message.header)),
        "header_signature": message.header_signature,
        "batches": [batch(each) for each in message.batches],
    }


def batch(message: messages.Batch) -> dict[str, JSON]:
    """Return a batch with its headers decoded."""
    return {
        "header": plain(messages.BatchHeader.FromString(message.header)),
        "header_signature": message.header_signature,
        "trace": message.trace,
        "transactions": [transaction(each) for each in message.transactions],
    }


def transaction(message: messages.Transaction) -> dict[str, JSON]:
    """Return a transaction with its header decoded."""
    shown = plain(message)
    shown["header"] = plain(messages.TransactionHeader.FromString(message.header))
    return shown


def short(message: Message) -> dict[str, JSON]:
    """Return a status or receipt: what names something is called ``id``, empty strings are left out."""
    shown: dict[str, JSON] = _shortened(plain(message))
    return shown


def _shortened(value: JSON) -> JSON:
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if isinstance(value, dict):
        return {
            "id" if key.endswith("id") else key: _shortened(each)
            for key, each in value.items()
            if not isinstance(each, str) or each
        }
    return value
