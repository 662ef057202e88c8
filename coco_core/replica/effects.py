"""All a node can ask of its shell. Effects are carried out in the order of the list.

``Persist`` may complete in the background (then ``LogPersisted`` comes back), because no message
sent before that promises what the disk does not hold; everything else is done before the next event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from coco_core.adapter import Batch, Committed, NotCommitted, Rejected
from coco_core.base import NodeID, TxID
from coco_core.consensus import Entry, Leadership
from coco_core.kv import View


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
    """Have ``adapter`` execute ``batch`` over ``view``; answer with BatchExecuted of ``number``."""

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


Effect = Persist | SendToPeer | Execute | AdapterFailed | Answer | BatchCommitted | RoleChanged
