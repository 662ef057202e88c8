"""Snapshots as the replica sees them: which are made, proven and sent, and the one that arrives.

The laws:

* The state at a snapshot point is the same bytes on every node. So each makes its own snapshot there; the
  primary writes its digest into the ledger, and a node whose own digest differs must stop.
* Only a *proven* snapshot, one whose digest is in a signed, agreed entry, is offered to others.
* A snapshot travels in parts, each asked for by the receiver, so consensus is never held up behind it.
  Both sides give up on silence; the leader then offers again.

Keeps books and says what to send; must not know files, state or consensus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs

from coco_core.base import NodeID, TxID, limits
from coco_core.consensus import SendSnapshot
from coco_core.errors import IntegrityError, OperatorError, PeerError
from coco_core.replica.effects import Effect, LoadSnapshot, SendToPeer, StoreSnapshotPart
from coco_core.replica.messages import (
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    encode_snapshot_offer,
    encode_snapshot_part,
    encode_snapshot_request,
)


class SnapshotReader(Protocol):
    """Where proven snapshots are read from; may block for a read of the disk."""

    def look(self, seqno: int) -> tuple[int, int]:
        """Return the seqno of its evidence and the size in bytes of the proven snapshot at ``seqno``.

        Raises OperatorError when there is none.
        """
        ...

    def read(self, seqno: int, offset: int, max_bytes: int) -> bytes:
        """Return bytes of the proven snapshot at ``seqno``; raises OperatorError without one."""
        ...


@attrs.define
class _Outgoing:
    """A snapshot on its way to one peer."""

    seqno: int
    size: int = 0
    idle_ticks: int = 0


@attrs.define
class _Incoming:
    """A snapshot on its way to this node."""

    offer: SnapshotOffer
    sender: NodeID
    offset: int = 0
    idle_ticks: int = 0
    """Since a part was asked for."""
    silent_ticks: int = 0
    """Since the sender was heard of."""

    @property
    def complete(self) -> bool:
        return self.offset == self.offer.size


class Snapshots:
    """The books of one node."""

    def __init__(self, reader: SnapshotReader) -> None:
        """Serve peers from ``reader``."""
        self._reader = reader
        self._digests: dict[int, bytes] = {}
        """Of snapshots this node made that are not proven yet, by seqno."""
        self._evidence: dict[int, tuple[TxID, bytes]] = {}
        """What the ledger says of snapshots this node is still making, by seqno."""
        self._making: int | None = None
        self._begins = 0
        """Where the ledger of this node begins."""
        self._outgoing: dict[NodeID, _Outgoing] = {}
        self._incoming: _Incoming | None = None

    def statistics(self) -> Mapping[str, int]:
        """Return sizes for operators."""
        return {
            "snapshots_unproven": len(self._digests),
            "snapshots_sending": len(self._outgoing),
            "snapshot_received_bytes": self._incoming.offset if self._incoming is not None else 0,
        }

    # ── made here ────────────────────────────────────────────────────────────────────────────────

    def begin(self, seqno: int) -> bool:
        """Note that a snapshot at ``seqno`` is to be made; return False while another one is."""
        if self._making is not None:
            return False
        self._making = seqno
        return True

    def taken(self, seqno: int, digest: bytes | None) -> None:
        """Note that making one ended, with its digest or without."""
        self._making = None
        if digest is None or seqno < self._begins:
            self._evidence.pop(seqno, None)
        else:
            self._digests = {seqno: digest}

    def began_anew(self, seqno: int) -> None:
        """Note that the ledger of this node now begins at ``seqno``: what is from before has no proof."""
        self._begins = seqno
        self._evidence.clear()
        self._digests.clear()

    def recorded(self, seqno: int, place: TxID, digest: bytes) -> None:
        """Note agreed evidence at ``place`` for the snapshot at ``seqno``, if this node has it."""
        if seqno == self._making or seqno in self._digests:
            self._evidence = {seqno: (place, digest)}

    def provable(self) -> tuple[int, TxID] | None:
        """Return, once, a snapshot of this node and the place of its evidence.

        Raises IntegrityError when this node's state there is not what the ledger says it is.
        """
        for seqno, own in self._digests.items():
            if seqno not in self._evidence:
                continue
            place, digest = self._evidence.pop(seqno)
            if own != digest:
                raise IntegrityError(
                    f"state at {seqno} has digest {own.hex()[:16]}… here, {digest.hex()[:16]}… in the ledger"
                )
            return seqno, place
        return None

    def proven(self, seqno: int) -> None:
        """Note that the snapshot at ``seqno`` stands on the disk with its proof."""
        self._digests = {other: digest for other, digest in self._digests.items() if other > seqno}

    def unrecorded(self, newest_recorded: int) -> tuple[int, bytes] | None:
        """Return place and digest of a snapshot the ledger should be told of."""
        return next((item for item in self._digests.items() if item[0] > newest_recorded), None)

    # ── sent ─────────────────────────────────────────────────────────────────────────────────────

    def offer(self, send: SendSnapshot) -> list[Effect]:
        """Offer the snapshot that consensus names; one that is gone is given up with the next tick."""
        outgoing = self._outgoing[send.to] = _Outgoing(send.index)
        try:
            evidence, outgoing.size = self._reader.look(send.index)
        except OperatorError:
            outgoing.idle_ticks = limits.SNAPSHOT_IDLE_MAX_TICKS
            return []
        offer = SnapshotOffer(TxID(send.term, send.index), evidence, send.leader_term, outgoing.size)
        return [SendToPeer(send.to, encode_snapshot_offer(offer))]

    def requested(self, peer: NodeID, request: SnapshotRequest) -> list[Effect]:
        """Send the part a peer asks for; what it was not offered, or offered long ago, it is not sent."""
        outgoing = self._outgoing.get(peer)
        if outgoing is None or outgoing.seqno != request.seqno:
            return []
        outgoing.idle_ticks = 0
        if request.offset >= outgoing.size:
            return []  # It has everything and is at work on it.
        try:
            data = self._reader.read(request.seqno, request.offset, limits.SNAPSHOT_PART_MAX_BYTES)
        except OperatorError:
            outgoing.idle_ticks = limits.SNAPSHOT_IDLE_MAX_TICKS
            return []
        part = SnapshotPart(request.seqno, request.offset, data)
        return [SendToPeer(peer, encode_snapshot_part(part))]

    def lost(self, peer: NodeID) -> bool:
        """Give up what was being sent to ``peer``; return whether there was anything."""
        return self._outgoing.pop(peer, None) is not None

    def finished(self, peer: NodeID) -> None:
        """Note that ``peer`` needs no snapshot any more."""
        self._outgoing.pop(peer, None)

    @property
    def receivers(self) -> tuple[NodeID, ...]:
        """To whom a snapshot is on its way."""
        return tuple(self._outgoing)

    # ── received ─────────────────────────────────────────────────────────────────────────────────

    def offered(self, sender: NodeID, offer: SnapshotOffer, committed: int) -> list[Effect]:
        """Begin, or go on, to fetch what a leader offers, if it is ahead of what is committed here."""
        incoming = self._incoming
        if offer.place.seqno <= committed:
            return []
        if incoming is not None:
            if offer.leader_term < incoming.offer.leader_term or incoming.complete:
                return []
            if attrs.evolve(offer, leader_term=incoming.offer.leader_term) == incoming.offer:
                # The same bytes everywhere: go on where the other sender stopped.
                incoming.offer, incoming.sender, incoming.silent_ticks = offer, sender, 0
                return self._ask()
        self._incoming = _Incoming(offer, sender)
        return self._ask()

    def arrived(self, sender: NodeID, part: SnapshotPart) -> list[Effect]:
        """Take the next part; anything else is late or repeated, and left."""
        incoming = self._incoming
        if (
            incoming is None
            or sender != incoming.sender
            or (part.seqno, part.offset) != (incoming.offer.place.seqno, incoming.offset)
            or incoming.complete
        ):
            return []
        if part.offset + len(part.data) > incoming.offer.size:
            raise PeerError(f"snapshot {part.seqno} is longer than the {incoming.offer.size} bytes offered")
        effects: list[Effect] = [StoreSnapshotPart(part.seqno, part.offset, part.data)]
        incoming.offset += len(part.data)
        incoming.silent_ticks = 0
        whole = incoming.offset == incoming.offer.size
        return (
            [*effects, LoadSnapshot(part.seqno, incoming.offer.evidence)] if whole else effects + self._ask()
        )

    def loaded(self, seqno: int) -> SnapshotOffer | None:
        """Note that the shell has judged the snapshot at ``seqno``; return the offer it came with."""
        incoming = self._incoming
        if incoming is None or incoming.offer.place.seqno != seqno:
            return None
        self._incoming = None
        return incoming.offer

    def _ask(self) -> list[Effect]:
        incoming = self._incoming
        if incoming is None:
            return []
        incoming.idle_ticks = 0
        request = SnapshotRequest(incoming.offer.place.seqno, incoming.offset)
        return [SendToPeer(incoming.sender, encode_snapshot_request(request))]

    # ── time ─────────────────────────────────────────────────────────────────────────────────────

    def tick(self, committed: int) -> tuple[list[Effect], list[NodeID]]:
        """Let one tick pass; return what is asked for again, and the peers given up.

        What arrives is of no use once as much is ``committed``: the log served after all.
        """
        silent: list[NodeID] = []
        for peer, outgoing in list(self._outgoing.items()):
            outgoing.idle_ticks += 1
            if outgoing.idle_ticks > limits.SNAPSHOT_IDLE_MAX_TICKS:
                silent.append(peer)
                del self._outgoing[peer]
        incoming = self._incoming
        if incoming is None:
            return [], silent
        if not incoming.complete:
            if incoming.offer.place.seqno <= committed:
                self._incoming = None
                return [], silent
            incoming.silent_ticks += 1
        incoming.idle_ticks += 1
        again = incoming.idle_ticks >= limits.SNAPSHOT_ASK_AGAIN_TICKS
        # What is there is kept for the next offer: it may be of the same bytes.
        given_up = incoming.silent_ticks > limits.SNAPSHOT_IDLE_MAX_TICKS
        return (self._ask() if again and not given_up else []), silent
