"""All that can happen to a node: from peers, clients, the disk, the clock and adapters."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_core.adapter import BatchResult, Caller, Fetched
from coco_core.base import NodeID
from coco_core.ledger import Snapshot


@attrs.frozen(slots=True)
class Ticked:
    """One tick interval has passed; ``time_ms`` is the host's Unix time in milliseconds."""

    time_ms: int


@attrs.frozen(slots=True)
class PeerSent:
    """An authenticated peer sent one message of the node-to-node channel."""

    sender: NodeID
    message: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(slots=True)
class PeerLost:
    """The channel to a peer broke: what it had not answered may never be answered."""

    peer: NodeID


@attrs.frozen(slots=True)
class Submitted:
    """A front end on this node hands in native transactions; ``ticket`` names the answer."""

    ticket: int
    adapter: str
    payloads: Sequence[bytes]
    caller: Caller


@attrs.frozen(slots=True)
class BatchExecuted:
    """An adapter finished the batch of effect ``Execute``; ``randomness`` is for the next one."""

    number: int
    result: BatchResult | Exception
    time_ms: int
    randomness: bytes
    fetched: tuple[Fetched, ...] = ()
    """What systems outside answered meanwhile, in order; known to the shell, not told by the adapter."""


@attrs.frozen(slots=True)
class LogPersisted:
    """Entries up to ``index``, the last of which has ``term``, are durable."""

    index: int
    term: int


@attrs.frozen(slots=True)
class HandOver:
    """The operator asks this node to give leadership away before it stops."""


@attrs.frozen(slots=True)
class DiskFull:
    """Whether this node's disk takes no more: while it does not, the node takes no requests either."""

    full: bool


@attrs.frozen(slots=True)
class SnapshotTaken:
    """The snapshot at ``seqno`` stands on the disk; ``digest`` is None when that did not work out."""

    seqno: int
    digest: bytes | None


@attrs.frozen(slots=True)
class SnapshotProven:
    """The snapshot at ``seqno`` stands on the disk with its proof, to be offered to others."""

    seqno: int


@attrs.frozen(slots=True)
class SnapshotLoaded:
    """The snapshot a peer sent is judged; ``snapshot`` is None when it is not to be used."""

    seqno: int
    snapshot: Snapshot | None = attrs.field(repr=False)


Event = (
    Ticked
    | PeerSent
    | PeerLost
    | Submitted
    | BatchExecuted
    | LogPersisted
    | HandOver
    | DiskFull
    | SnapshotTaken
    | SnapshotProven
    | SnapshotLoaded
)
