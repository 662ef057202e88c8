"""Refusals in Corda's own words: each ``NotaryError`` as a code for programs, a text, and its details.

Details are JSON; what they hold is on the adapter's page (README, Refusals).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from coco_corda.commit import Conflict, OutOfTime
from coco_corda.limits import CONSUMED_TOLD_MAX, MESSAGE_MAX_CHARS, TYPE_MAX_CHARS
from coco_corda.refs import StateRef, hash_text
from coco_corda.verification import Refused
from coco_core.adapter import Rejected

COMMITTED_BEFORE: Final = "committed-before"
MALFORMED: Final = "malformed"
NO_VERIFIER: Final = "no-verifier"
NOT_TRUSTED: Final = "not-trusted"

_TYPES: Final = {
    "conflict": "NotaryError.Conflict",
    "time-window-invalid": "NotaryError.TimeWindowInvalid",
    "transaction-invalid": "NotaryError.TransactionInvalid",
    "request-signature-invalid": "NotaryError.RequestSignatureInvalid",
    "general": "NotaryError.General",
    NO_VERIFIER: "NotaryError.General",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS_NS: Final = 200 * 366 * 86_400 * 10**9


def committed_before(receipt: bytes) -> Rejected:
    """Return the refusal of what is committed already: its client is answered with the receipt."""
    return Rejected(COMMITTED_BEFORE, "this transaction is committed already", receipt)


def malformed(message: str) -> Rejected:
    """Return the refusal of what is no request."""
    return Rejected(MALFORMED, message)


def not_trusted(message: str) -> Rejected:
    """Return the refusal of an attachment or of parameters that the consortium did not agree on."""
    return Rejected(NOT_TRUSTED, message)


def conflict(verdict: Conflict) -> Rejected:
    """Return ``NotaryError.Conflict``; by which transactions states were used up is not told."""
    told = list(verdict.consumed.items())[:CONSUMED_TOLD_MAX]
    consumed = {
        str(ref): {"hashOfTransactionId": hash_text(each.tx_id_hash), "type": each.consumed_as.value}
        for ref, each in told
    }
    message = f"{len(verdict.consumed)} of its states are used up by another transaction"
    return _notary_error("conflict", message, txId=hash_text(verdict.tx_id), consumedStates=consumed)


def out_of_time(verdict: OutOfTime) -> Rejected:
    """Return ``NotaryError.TimeWindowInvalid``."""
    window = verdict.time_window
    told = {"from": _time(window.start_ns), "until": _time(window.end_ns)}
    now = _time(verdict.now_ns)
    message = f"its time window does not hold {now}"
    return _notary_error("time-window-invalid", message, currentTime=now, txTimeWindow=told)


def invalid(cause: str, message: str) -> Rejected:
    """Return ``NotaryError.TransactionInvalid`` for a cause of our own finding, in Corda's name for it."""
    return _notary_error(
        "transaction-invalid", message, cause=cause, causes=[{"type": cause, "message": message}]
    )


def unresolved(ref: StateRef) -> Rejected:
    """Return the refusal of who uses a state that this ledger does not have."""
    return invalid("TransactionResolutionException", f"{ref} is not on this ledger")


def refused(verdict: Refused) -> Rejected:
    """Return ``NotaryError.TransactionInvalid`` as Corda's own code found it."""
    causes = [
        {"type": each.class_name[:TYPE_MAX_CHARS], "message": each.message[:MESSAGE_MAX_CHARS]}
        for each in verdict.causes
    ]
    kind = verdict.kind[:TYPE_MAX_CHARS]
    message = next((each["message"] for each in causes if each["message"]), kind)
    return _notary_error("transaction-invalid", message, cause=kind, causes=causes)


def refused_in_short(verdict: Refused) -> Rejected:
    """Return ``refused`` without anything that contract code may have put into words."""
    message = "why is told to whoever signs and participates in each state that it uses"
    kind = verdict.kind[:TYPE_MAX_CHARS]
    return _notary_error("transaction-invalid", message, cause=kind, causes=[])


def request_signature(message: str) -> Rejected:
    """Return ``NotaryError.RequestSignatureInvalid``."""
    return _notary_error("request-signature-invalid", message)


def general(message: str) -> Rejected:
    """Return ``NotaryError.General``: contract code that cannot be executed."""
    return _notary_error("general", message)


def no_verifier(message: str) -> Rejected:
    """Return the refusal of everything by a node that has no JVM."""
    return _notary_error(NO_VERIFIER, message)


def _notary_error(code: str, message: str, **details: Any) -> Rejected:
    text = message[:MESSAGE_MAX_CHARS]
    return Rejected(code, text, orjson.dumps({"type": _TYPES[code], "message": text, **details}))


def _time(ns: int | None) -> str | None:
    """Return a time as ISO 8601, None for none; times far away as the nearest that can be written."""
    if ns is None:
        return None
    near = max(-_YEARS_NS, min(ns, _YEARS_NS))
    return (_EPOCH + timedelta(microseconds=near // 1000)).isoformat().replace("+00:00", "Z")
