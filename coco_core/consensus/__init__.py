"""Who leads, and which entries are agreed. Pure: events in, effects out, entries are opaque bytes.

This room must not know what an entry means, what time it is, or how messages travel.
"""

from coco_core.consensus.contract import (
    Consensus,
    Effects,
    EntriesCompactedError,
    Entry,
    Event,
    Leadership,
    LogReader,
    Membership,
    Persisted,
    Proposed,
    Received,
    Reconfigured,
    Role,
    Send,
    SendSnapshot,
    SnapshotAvailable,
    SnapshotFailed,
    SnapshotReceived,
    Status,
    Tick,
    TransferRequested,
)

__all__ = [
    "Consensus",
    "Effects",
    "EntriesCompactedError",
    "Entry",
    "Event",
    "Leadership",
    "LogReader",
    "Membership",
    "Persisted",
    "Proposed",
    "Received",
    "Reconfigured",
    "Role",
    "Send",
    "SendSnapshot",
    "SnapshotAvailable",
    "SnapshotFailed",
    "SnapshotReceived",
    "Status",
    "Tick",
    "TransferRequested",
]
