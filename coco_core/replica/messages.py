"""The node-to-node channel's messages: one kind byte, then the body.

========= ========= ==========================================================================
kind      direction body
========= ========= ==========================================================================
``C``     any       a message of the consensus engine, opaque here
``F``     to primary CBOR ``[ticket, adapter, [payload…], caller kind, caller identity]``
``A``     to backup  CBOR ``[ticket, [outcome…], view, seqno]``, the place being that of the state
                    they were decided over; outcome = ``[0, view, seqno, receipt]``,
                    ``[1, code, message, data]`` (rejected) or ``[2, reason]`` (not committed)
``S``     to backup  CBOR ``[view, seqno, evidence, leader view, size]``: a snapshot is offered
``G``     to primary CBOR ``[seqno, offset]``: the part of it that is wanted next
``D``     to backup  CBOR ``[seqno, offset, bytes]``: that part
``Q``     any       empty: whoever heard of no primary for long asks who takes part
``N``     any       CBOR ``[seqno, {node ID: host:port}]``: the answer, as agreed up to seqno
``R``     any       empty: the answer that the asker does not any more, and may end
========= ========= ==========================================================================

The channel authenticates the sender; this file checks form and bounds and raises PeerError.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import Caller, Committed, NotCommitted, Rejected
from coco_core.base import NodeID, TxID, limits, split_address
from coco_core.errors import PeerError
from coco_core.wire import cbor

CONSENSUS: Final = ord("C")
FORWARD: Final = ord("F")
ANSWER: Final = ord("A")
SNAPSHOT_OFFER: Final = ord("S")
SNAPSHOT_REQUEST: Final = ord("G")
SNAPSHOT_PART: Final = ord("D")
MEMBERS_NOTICE: Final = ord("N")
MEMBERSHIP_QUESTION: Final = b"Q"
RETIREMENT_NOTICE: Final = b"R"

_INTEGER_LIMIT: Final = 2**63
_SNAPSHOT_FILE_MAX_BYTES: Final = limits.SNAPSHOT_SIZE_MAX_BYTES + limits.RECEIPT_SIZE_MAX_BYTES

_NODE_ID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)

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


@attrs.frozen(slots=True)
class SnapshotOffer:
    """The primary can serve a backup from a snapshot only."""

    place: TxID
    """Of the signature entry whose state it holds."""
    evidence: int
    """Seqno of the entry that proves it."""
    leader_term: int
    size: int
    """Bytes, the proof included."""


@attrs.frozen(slots=True)
class SnapshotRequest:
    """A backup wants the part from ``offset`` on; at the end it only says that it is still at work."""

    seqno: int
    offset: int


@attrs.frozen(slots=True)
class SnapshotPart:
    """A part of a snapshot."""

    seqno: int
    offset: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(slots=True)
class MembersNotice:
    """Who takes part, or is about to, as agreed up to ``seqno``."""

    seqno: int
    nodes: Mapping[NodeID, str]
    """``host:port`` of the node-to-node interface of each."""


class MembershipQuestion(enum.Enum):
    """The two messages without a body."""

    ASKED = "Q"
    RETIRED = "R"


Message = (
    bytes
    | Forward
    | ForwardAnswer
    | SnapshotOffer
    | SnapshotRequest
    | SnapshotPart
    | MembersNotice
    | MembershipQuestion
)
"""What a channel message holds; ``bytes`` is a message of the consensus engine."""


def encode_snapshot_offer(offer: SnapshotOffer) -> bytes:
    """Return the channel message for an offer."""
    place = offer.place
    return b"S" + cbor.encode([place.view, place.seqno, offer.evidence, offer.leader_term, offer.size])


def encode_snapshot_request(request: SnapshotRequest) -> bytes:
    """Return the channel message for a request."""
    return b"G" + cbor.encode([request.seqno, request.offset])


def encode_snapshot_part(part: SnapshotPart) -> bytes:
    """Return the channel message for a part."""
    return b"D" + cbor.encode([part.seqno, part.offset, part.data])


def encode_members_notice(notice: MembersNotice) -> bytes:
    """Return the channel message for a notice."""
    return b"N" + cbor.encode([notice.seqno, dict(notice.nodes)])


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


def decode(message: bytes) -> Message:
    """Return what is inside; raises PeerError for anything else."""
    if not message:
        raise PeerError("empty message on the node channel")
    kind, body = message[0], message[1:]
    if kind == CONSENSUS:
        return body
    if message in _BARE:
        return _BARE[message]
    reader = _READERS.get(kind)
    if reader is None:
        raise PeerError(f"unknown message kind {kind:#04x} on the node channel")
    value = cbor.decode(body, error=PeerError)
    try:
        _types((value, list))
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


def _snapshot_offer(value: Any) -> SnapshotOffer:
    view, seqno, evidence, leader_term, size = value
    _naturals(evidence, leader_term, size)
    place = _place(view, seqno)
    if (
        not 0 < place.view <= leader_term
        or not 0 < place.seqno < evidence
        or not 0 < size <= _SNAPSHOT_FILE_MAX_BYTES
    ):
        raise ValueError(f"a snapshot of {size} bytes at {place}, proved at {evidence}, by {leader_term}")
    return SnapshotOffer(place, evidence, leader_term, size)


def _snapshot_request(value: Any) -> SnapshotRequest:
    seqno, offset = value
    _naturals(seqno, offset)
    return SnapshotRequest(seqno, offset)


def _snapshot_part(value: Any) -> SnapshotPart:
    seqno, offset, data = value
    _naturals(seqno, offset)
    _types((data, bytes))
    if not 0 < len(data) <= limits.SNAPSHOT_PART_MAX_BYTES:
        raise ValueError(f"a part of {len(data)} bytes")
    return SnapshotPart(seqno, offset, data)


def _members_notice(value: Any) -> MembersNotice:
    seqno, nodes = value
    _naturals(seqno)
    _types((nodes, dict))
    if not 0 < len(nodes) <= 2 * limits.NODES_MAX:  # Members, and as many on their way in.
        raise ValueError(f"{len(nodes)} members")
    for node, address in nodes.items():
        _types((node, str), (address, str))
        if not _NODE_ID.fullmatch(node):
            raise ValueError(f"{node[:70]!r} is no node ID")
        split_address(address)
    return MembersNotice(seqno, {NodeID(node): address for node, address in nodes.items()})


def _fate(value: Any) -> Fate:
    _types((value, list))
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
    _naturals(view, seqno)
    return TxID(view, seqno)


def _naturals(*values: Any) -> None:
    _types(*((value, int) for value in values))
    if not 0 <= min(values) <= max(values) < _INTEGER_LIMIT:
        raise ValueError(f"{min(values)} to {max(values)} are not all places or sizes")


def _types(*pairs: tuple[object, type]) -> None:
    for value, expected in pairs:
        if type(value) is not expected:
            raise TypeError(f"{type(value).__name__} where {expected.__name__} belongs")


_READERS: Final[Mapping[int, Callable[[Any], Message]]] = {
    FORWARD: _forward,
    ANSWER: _answer,
    SNAPSHOT_OFFER: _snapshot_offer,
    SNAPSHOT_REQUEST: _snapshot_request,
    SNAPSHOT_PART: _snapshot_part,
    MEMBERS_NOTICE: _members_notice,
}
_BARE: Final = {
    MEMBERSHIP_QUESTION: MembershipQuestion.ASKED,
    RETIREMENT_NOTICE: MembershipQuestion.RETIRED,
}
