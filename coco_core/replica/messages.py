"""The node-to-node channel's messages: one kind byte, then the body.

========= ========= ==========================================================================
kind      direction body
========= ========= ==========================================================================
``C``     any       a message of the consensus engine, opaque here
``F``     to primary CBOR ``[ticket, adapter, [payload…], caller kind, caller identity]``
``A``     to backup  CBOR ``[ticket, [outcome…], view, seqno]``, the place being that of the state
                    they were decided over; outcome = ``[0, view, seqno, receipt]``,
                    ``[1, code, message, data]`` (rejected) or ``[2, reason]`` (not committed)
========= ========= ==========================================================================

The channel authenticates the sender; this file checks form and bounds and raises PeerError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import Caller, Committed, NotCommitted, Rejected
from coco_core.base import TxID, limits
from coco_core.errors import PeerError
from coco_core.wire import cbor

CONSENSUS: Final = ord("C")
FORWARD: Final = ord("F")
ANSWER: Final = ord("A")

NOWHERE: Final = TxID(0, 0)
"""The place before the first entry, which is always committed."""

Fate = Committed | Rejected | NotCommitted


@attrs.frozen(slots=True)
class Forward:
    """A backup hands requests of its client to the primary."""

    ticket: int
    adapter: str
    payloads: Sequence[bytes]
    caller: Caller


@attrs.frozen(slots=True)
class ForwardAnswer:
    """What became of a forward at the primary; commit is for the backup to see for itself."""

    ticket: int
    fates: Sequence[Fate]
    basis: TxID = NOWHERE
    """The newest entry of the state they were decided over; a refusal stands if that is committed."""


def encode_consensus(message: bytes) -> bytes:
    """Return the channel message that carries a consensus message."""
    return b"C" + message


def encode_forward(forward: Forward) -> bytes:
    """Return the channel message for a forward."""
    caller = forward.caller
    body = [forward.ticket, forward.adapter, list(forward.payloads), caller.kind, caller.identity]
    return b"F" + cbor.encode(body)


def encode_answer(answer: ForwardAnswer) -> bytes:
    """Return the channel message for the answer to a forward.

    Receipts too large for one message are not sent: the backup's client is told to look for itself.
    """
    fates = [_encode_fate(fate) for fate in answer.fates]
    message = b"A" + cbor.encode([answer.ticket, fates, answer.basis.view, answer.basis.seqno])
    if len(message) <= limits.MESSAGE_SIZE_MAX_BYTES:
        return message
    unknown = NotCommitted("the receipts are too large to be passed on; ask what became of the requests")
    return encode_answer(attrs.evolve(answer, fates=[unknown] * len(answer.fates)))


def decode(message: bytes) -> bytes | Forward | ForwardAnswer:
    """Return the consensus message, forward or answer inside; raises PeerError for anything else."""
    if not message:
        raise PeerError("empty message on the node channel")
    kind, body = message[0], message[1:]
    if kind == CONSENSUS:
        return body
    if kind not in (FORWARD, ANSWER):
        raise PeerError(f"unknown message kind {kind:#04x} on the node channel")
    value = cbor.decode(body, error=PeerError)
    reader: Callable[[Any], Forward | ForwardAnswer] = _forward if kind == FORWARD else _answer
    try:
        return reader(value)
    except (TypeError, ValueError) as error:
        raise PeerError(f"node channel: malformed {chr(kind)} message: {error}") from error


def _encode_fate(fate: Fate) -> list[Any]:
    if isinstance(fate, Committed):
        return [0, fate.txid.view, fate.txid.seqno, fate.receipt]
    if isinstance(fate, Rejected):
        return [1, fate.code, fate.message, fate.data]
    return [2, fate.reason]


def _forward(value: Any) -> Forward:
    ticket, adapter, payloads, kind, identity = value
    _types((ticket, int), (adapter, str), (payloads, list), (kind, str), (identity, str))
    if not 0 < len(payloads) <= limits.QUEUE_REQUESTS_MAX:
        raise ValueError(f"{len(payloads)} payloads")
    for payload in payloads:
        _types((payload, bytes))
        if len(payload) > limits.PAYLOAD_SIZE_MAX_BYTES:
            raise ValueError(f"payload of {len(payload)} bytes")
    return Forward(ticket, adapter, payloads, Caller(kind=kind, identity=identity))


def _answer(value: Any) -> ForwardAnswer:
    ticket, fates, view, seqno = value
    _types((ticket, int), (fates, list))
    return ForwardAnswer(ticket, [_fate(fate) for fate in fates], _place(view, seqno))


def _fate(value: Any) -> Fate:
    kind, *rest = value
    _types((kind, int))
    if kind == 0:
        view, seqno, receipt = rest
        _types((receipt, bytes))
        return Committed(_place(view, seqno), receipt)
    if kind == 1:
        code, message, data = rest
        _types((code, str), (message, str), (data, bytes))
        return Rejected(code, message, data)
    if kind == 2:
        (reason,) = rest
        _types((reason, str))
        return NotCommitted(reason)
    raise ValueError(f"outcome kind {kind!r}")


def _place(view: Any, seqno: Any) -> TxID:
    _types((view, int), (seqno, int))
    if view < 0 or seqno < 0:
        raise ValueError(f"place {view}.{seqno}")
    return TxID(view, seqno)


def _types(*pairs: tuple[object, type]) -> None:
    for value, expected in pairs:
        if type(value) is not expected:
            raise TypeError(f"{type(value).__name__} where {expected.__name__} belongs")
