"""A simulated disk: writes take time, and a crash keeps only what was synced, perhaps with a torn tail.

As on a real node one write is under way at a time, and everything queued meanwhile is the next. Must not
know replicas or time: the world says when a write completes.
"""

from __future__ import annotations

from coco_core.consensus import Entry
from coco_core.ledger import IN_PROGRESS_HEADER
from coco_core.replica.effects import Persist
from coco_core.testing.cluster import ClusterDisk


class SimulatedDisk(ClusterDisk):
    """``entries`` are durable; ``pending`` waits for the next write; ``writing`` is under way."""

    def __init__(self) -> None:
        """Begin empty, with space left."""
        super().__init__()
        self.writing: list[Persist] = []
        self.full = False
        self.slow = False
        self.torn = b""
        """What a crash left of an entry after the last whole one."""

    def begin(self) -> bool:
        """Start the next write if none is under way; return whether one was started."""
        if self.writing or not self.pending:
            return False
        self.writing, self.pending = self.pending, []
        return True

    def complete(self) -> Entry | None:
        """End the write under way; return its newest entry, as ``node.driver`` reports it."""
        queued, self.pending = self.pending, self.writing
        newest = next((effect.entries[-1] for effect in reversed(self.pending) if effect.entries), None)
        self.write()
        self.writing, self.pending = [], queued
        return newest

    def crash(self, fraction: float) -> None:
        """Lose everything but what is durable and the first ``fraction`` of the write under way."""
        left = int(fraction * sum(len(entry.data) for effect in self.writing for entry in effect.entries))
        for effect in self.writing:
            if effect.truncate_after is not None:
                del self.entries[effect.truncate_after :]
            for entry in effect.entries:
                if len(entry.data) > left:
                    self.torn = entry.data[:left]
                    break
                left -= len(entry.data)
                self.entries.append(entry)
            if self.torn or left == 0:
                break
        self.writing, self.pending = [], []

    def file(self) -> tuple[str, bytes]:
        """Return the ledger as one chunk in progress, for the auditor."""
        name, data = super().file()
        return name, data + self.torn

    def offset_of(self, index: int) -> int:
        """Return where the entry at ``index`` begins in ``file()``."""
        return len(IN_PROGRESS_HEADER) + sum(len(entry.data) for entry in self.entries[: index - 1])
