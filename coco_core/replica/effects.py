"""All a node can ask of its shell. Effects are carried out in the order of the list.

``Persist`` may complete in the background (then ``LogPersisted`` comes back), because no message
sent before that promises what the disk does not hold; so may ``TakeSnapshot``, ``ProveSnapshot`` and
``LoadSnapshot``, each answered by an event. Everything else is done before the next event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from coco_core.adapter import Batch, Committed, NotCommitted, Rejected
from coco_core.base import NodeID, TxID
from coco_core.consensus import Entry, Leadership
from coco_core.kv import Pinned, View
from coco_core.ledger import Snapshot, SnapshotPlace
from coco_core.replica.history import ReceiptPlan


@attrs.frozen(slots=True)
class Persist:
    """Drop everything after ``truncate_after`` if set, then store ``entries`` durably, in order."""

    truncate_after: int | None
    entries: tuple[Entry, ...] = attrs.field(repr=lambda entries: f"<{len(entries)} entries>")


@attrs.frozen(slots=True)
class SendToPeer:
    """One message on the node-to-node channel; it may be lost."""

    to: NodeID
    message: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(slots=True)
class Execute:
    """Have ``adapter`` execute ``batch`` over ``view``; answer with BatchExecuted of ``number``.

    What is for ADMINISTRATION the replica's own ``administration`` executes, over all maps.
    """

    number: int
    adapter: str
    batch: Batch
    view: View


@attrs.frozen(slots=True)
class AdapterFailed:
    """``adapter`` raised, or broke its contract, over a batch of ``requests``: for the log only.

    ``reason`` may quote what other clients sent, so that no client may read it.
    """

    adapter: str
    requests: int
    reason: str


@attrs.frozen(slots=True)
class Answer:
    """The fate of everything submitted under ``ticket``, one value per payload."""

    ticket: int
    outcomes: Sequence[Committed | Rejected | NotCommitted]


@attrs.frozen(slots=True)
class BatchCommitted:
    """Everything up to ``txid`` (a signature entry) is committed and applied here."""

    txid: TxID
    writes: Mapping[str, Mapping[bytes, bytes | None]] = attrs.field(repr=False)


@attrs.frozen(slots=True)
class RoleChanged:
    """Role, view or known primary changed."""

    leadership: Leadership


@attrs.frozen(slots=True)
class Channel:
    """The way to one other node."""

    address: str
    """``host:port`` of its node-to-node interface."""
    leaving: bool = False
    """Whether it was removed and may end any time: it is told so when it asks, and not looked for."""


@attrs.frozen(slots=True)
class PeersChanged:
    """Who may talk to this node on the node-to-node channel, from now on; this node left out.

    Sent before any message to one of them. Who is retired, but may still ask whether it is, is among them.
    """

    peers: Mapping[NodeID, Channel] = attrs.field(repr=lambda peers: f"<{len(peers)} peers>")


@attrs.frozen(slots=True)
class Retired:
    """This node was removed, and nobody needs it any more: it may end."""


@attrs.frozen(slots=True)
class TakeSnapshot:
    """Write down the state ``pinned`` holds, as the snapshot at ``place``; answer with SnapshotTaken."""

    place: SnapshotPlace
    pinned: Pinned = attrs.field(repr=False)


@attrs.frozen(slots=True)
class ProveSnapshot:
    """Attach to the snapshot at ``seqno`` the receipt of its ``evidence``; answer with SnapshotProven."""

    seqno: int
    evidence: ReceiptPlan


@attrs.frozen(slots=True)
class StoreSnapshotPart:
    """Keep a part of the snapshot at ``seqno`` that a peer sends; part 0 begins it anew."""

    seqno: int
    offset: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(slots=True)
class LoadSnapshot:
    """The snapshot at ``seqno`` has arrived whole: make it durable, judge it, answer with SnapshotLoaded.

    ``evidence`` is the seqno of the entry that is said to prove it. A node that lacks a secret for a sound
    one (MissingSecretsError) must stop: no other will do.
    """

    seqno: int
    evidence: int


@attrs.frozen(slots=True)
class InstallSnapshot:
    """The ledger of this node now begins behind ``snapshot``: what the disk holds before it is history.

    In order with ``Persist``; what was reported as persisted before means nothing any more.
    """

    snapshot: Snapshot = attrs.field(repr=False)


Effect = (
    Persist
    | SendToPeer
    | Execute
    | AdapterFailed
    | Answer
    | BatchCommitted
    | RoleChanged
    | PeersChanged
    | Retired
    | TakeSnapshot
    | ProveSnapshot
    | StoreSnapshotPart
    | LoadSnapshot
    | InstallSnapshot
)
