"""What clients are answered, as JSON, in the form that the adapter's page describes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from coco_corda import records, rejections
from coco_corda.refs import hash_text
from coco_corda.supplying import PART_KEPT
from coco_core.adapter import (
    Committed,
    HTTPResponse,
    NotCommitted,
    Rejected,
    TxID,
    transaction_ids,
)

JSON = dict[str, Any]


class RefusedError(Exception):
    """A request is answered with ``status`` and why."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.more = more


def answer(
    body: JSON | list[JSON], status: int = 200, headers: Mapping[str, str] | None = None
) -> HTTPResponse:
    """Return JSON."""
    return HTTPResponse(status=status, body=orjson.dumps(body), headers=headers or {})


def octets(body: bytes) -> HTTPResponse:
    """Return bytes."""
    return HTTPResponse(body=body, content_type="application/octet-stream")


def refusal(error: RefusedError) -> HTTPResponse:
    """Return why a request is refused."""
    return answer({"error": {"message": str(error)}, **error.more}, error.status)


def text64(data: bytes) -> str:
    """Return bytes as JSON has them."""
    return base64.b64encode(data).decode()


def receipt(packed: bytes, notary_key: bytes, txid: TxID | None) -> JSON:
    """Return a receipt."""
    found = records.Receipt.unpack(packed)
    told: JSON = {
        "txId": hash_text(found.tx_id),
        "status": "notarised" if found.is_notarised else "recorded",
        "time": found.time_ms,
    }
    if txid is not None:
        told["transaction"] = str(txid)
    if found.is_notarised:
        told["signature"] = {
            "bytes": text64(found.signature),
            "by": text64(notary_key),
            "platformVersion": found.platform_version,
            "schemeNumberID": found.scheme,
        }
    return told


Fate = Committed | Rejected | NotCommitted


def told_of_transaction(fate: Fate, notary_key: bytes) -> tuple[int, JSON]:
    """Return the status and the JSON for what became of a transaction."""
    if isinstance(fate, Committed):
        return 200, receipt(fate.receipt, notary_key, fate.txid)
    if isinstance(fate, Rejected) and fate.code == rejections.COMMITTED_BEFORE:
        return 200, receipt(fate.data, notary_key, None)
    return told_of_failure(fate)


def told_of_supply(fates: Sequence[Fate], name: str) -> tuple[int, JSON]:
    """Return the status and the JSON for what became of parameters, or of a jar, perhaps in parts."""
    for fate in fates:
        if isinstance(fate, Committed) and fate.receipt != PART_KEPT:
            return 200, {name: hash_text(fate.receipt), "transaction": str(fate.txid)}
        if isinstance(fate, Rejected) and fate.code == rejections.COMMITTED_BEFORE:
            return 200, {name: hash_text(fate.data)}
        if not isinstance(fate, Committed):
            return told_of_failure(fate)
    return 503, {"error": {"message": "somebody else brought parts of it meanwhile"}, "retry": True}


def told_of_failure(fate: Rejected | NotCommitted) -> tuple[int, JSON]:
    """Return the status and the JSON for what was not committed."""
    if isinstance(fate, NotCommitted):
        return 503, {"error": {"message": fate.reason}, "retry": True}
    if fate.code == rejections.MALFORMED:
        return 400, {"error": {"message": fate.message}}
    if not fate.data:
        return 422, {"error": {"message": fate.message, "type": fate.code}}
    error = {"error": orjson.loads(fate.data)}
    if fate.code == rejections.NO_VERIFIER:
        return 503, {**error, "retry": True}
    return 422, error


def committed_at(fates: Sequence[Fate]) -> dict[str, str]:
    """Return the header with the places of transactions in the ledger."""
    return transaction_ids(fate.txid if isinstance(fate, Committed) else None for fate in fates)
