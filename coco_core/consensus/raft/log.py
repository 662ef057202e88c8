"""The replicated log as one node sees it: what is held, durable, committable and agreed.

The laws:

* ``commit_index`` never goes back, and nothing at or below it is ever truncated.
* Only entries both agreed and durable leave memory; they are read back through ``LogReader``. So an
  uncommitted entry never needs the disk.
* The term of every index is known from *runs* (where each term begins), not from entries, so memory
  grows with elections and not with the ledger. Below the place the log was started from, terms are
  read back, but for the newest snapshot's, whose entry may be gone.

Knows entries and places; must not know roles, peers or messages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

import attrs

from coco_core.base import invariant
from coco_core.consensus.contract import EntriesCompactedError, Entry, LogReader
from coco_core.errors import IntegrityError


@attrs.frozen(slots=True, kw_only=True)
class LogStart:
    """Where a log begins that is not empty: everything up to ``last_index`` is durable and readable.

    ``committables`` are the ascending indexes of the committable entries above ``committed_index``.
    ``agreed_term`` is a term in which it was known that ``committed_index`` is agreed: that of the node
    the log or snapshot came from, at least that of the entry. A node must not follow earlier leaders.
    """

    last_index: int = 0
    last_term: int = 0
    committed_index: int = 0
    agreed_term: int = 0
    committables: tuple[int, ...] = ()


class Log:
    """The entries of one node. Every method is constant or logarithmic but for the entries it moves."""

    __slots__ = (
        "_cache_bytes",
        "_cache_max_bytes",
        "_committables",
        "_entries",
        "_first_index",
        "_floor",
        "_reader",
        "_run_starts",
        "_run_terms",
        "commit_index",
        "last_index",
        "last_term",
        "persisted_index",
        "snapshot_index",
        "snapshot_term",
    )

    def __init__(self, start: LogStart, reader: LogReader, cache_max_bytes: int) -> None:
        """Begin at ``start``; ``cache_max_bytes`` bounds what is agreed, durable and still in memory."""
        invariant(0 <= start.committed_index <= start.last_index, "a log is agreed at most to its end")
        bounds = (start.committed_index, *start.committables, start.last_index + 1)
        invariant(list(bounds) == sorted(set(bounds)), "committable places ascend above the agreed ones")
        self.last_index = start.last_index
        self.last_term = start.last_term
        self.commit_index = start.committed_index
        self.persisted_index = start.last_index
        self._reader = reader
        self._cache_max_bytes = cache_max_bytes
        self._cache_bytes = 0
        self._entries: list[Entry] = []
        self._first_index = start.last_index + 1
        self._committables = list(start.committables)
        self._run_starts = [start.last_index]
        self._run_terms = [start.last_term]
        self.snapshot_index = 0
        self.snapshot_term = 0
        self._floor = 0

    @property
    def cache_bytes(self) -> int:
        """Return the size of the data held in memory."""
        return self._cache_bytes

    @property
    def first_held(self) -> int:
        """Return the lowest index in memory; entries below are read back from storage."""
        return self._first_index

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def term_at(self, index: int) -> int | None:
        """Return the term of the entry at ``index`` (0 for index 0), or None beyond the end."""
        if index > self.last_index:
            return None
        run = bisect_right(self._run_starts, index) - 1
        if run >= 0:
            return self._run_terms[run]
        if index == self.snapshot_index:
            return self.snapshot_term
        return self._read_back(index, index, 1)[0].term if index else 0

    def holds(self, index: int, term: int) -> bool:
        """Return whether the entry at ``index`` is the one of ``term``.

        What is agreed is the same in every log, so it is held whatever is asked.
        """
        return index <= self.commit_index or self.term_at(index) == term

    def has(self, entry: Entry) -> bool:
        """Return whether the log has ``entry``, as far as it can tell without reading what is agreed."""
        if entry.index <= self.commit_index and entry.index < self._run_starts[0]:
            return True
        return self.term_at(entry.index) == entry.term

    def last_committable(self, at_most: int) -> int:
        """Return the highest committable index not above ``at_most``, at least the agreed index."""
        position = bisect_right(self._committables, at_most)
        return self._committables[position - 1] if position else self.commit_index

    def hint(self, index: int, term: int) -> int:
        """Return the highest place not above ``index`` whose term is at most ``term``.

        Whoever compares two logs can skip the places above: entries of a later term than the other
        log had at a place cannot be in it there or below (Raft §5.3, the accelerated backup). Terms
        below the place the log was started from are not looked up.
        """
        index = min(index, self.last_index)
        run = bisect_right(self._run_starts, index) - 1
        while run >= 0 and self._run_terms[run] > term:
            index = self._run_starts[run] - 1
            run -= 1
        return index

    def entries_from(self, first_index: int, max_bytes: int, max_count: int) -> tuple[Entry, ...]:
        """Return consecutive entries from ``first_index``, at least one, within the bounds.

        Raises IntegrityError when older entries cannot be read back.
        """
        invariant(1 <= first_index <= self.last_index, "only entries the log holds are read")
        if first_index < self._first_index:
            last_index = min(self._first_index - 1, first_index + max_count - 1)
            return tuple(self._read_back(first_index, last_index, max_bytes))
        begin = first_index - self._first_index
        entries = self._entries[begin : begin + max_count]
        sizes = [len(entry.data) for entry in entries]
        if sum(sizes) > max_bytes:
            del entries[max(1, bisect_right(list(accumulate(sizes)), max_bytes)) :]
        return tuple(entries)

    def _read_back(self, first_index: int, last_index: int, max_bytes: int) -> Sequence[Entry]:
        if first_index <= self._floor:
            # Storage may not have come to putting the old log aside, and that need not be what was agreed.
            raise EntriesCompactedError(f"entry {first_index} is replaced by the snapshot at {self._floor}")
        entries = self._reader.read(first_index, last_index, max_bytes)
        indexes = [entry.index for entry in entries]
        if not indexes or indexes != list(range(first_index, first_index + len(indexes))):
            raise IntegrityError(f"storage returned entries {indexes[:3]}… where {first_index} was asked for")
        if indexes[-1] > last_index:
            raise IntegrityError(f"storage returned entry {indexes[-1]} beyond {last_index}")
        return entries

    # ── changing ─────────────────────────────────────────────────────────────────────────────────

    def append(self, entries: Sequence[Entry]) -> None:
        """Add ``entries``, which continue the log."""
        if not entries:
            return
        first, last = entries[0], entries[-1]
        invariant(first.index == self.last_index + 1, "entries continue the log")
        invariant(last.index == self.last_index + len(entries), "entries have no gap")
        if last.term != self.last_term:
            self._append_runs(entries)
        self._committables += [entry.index for entry in entries if entry.committable]
        self._cache_bytes += sum([len(entry.data) for entry in entries])
        self._entries += entries
        self.last_index = last.index

    def _append_runs(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.term != self.last_term:
                self._run_starts.append(entry.index)
                self._run_terms.append(entry.term)
                self.last_term = entry.term

    def truncate_after(self, index: int) -> None:
        """Forget every entry above ``index``; raises IntegrityError if one of them is agreed."""
        if index < self.commit_index:
            raise IntegrityError(
                f"entries after {index} cannot be replaced: agreed up to {self.commit_index}"
            )
        term = self.term_at(index)
        invariant(term is not None, "a log is cut where it holds something")
        keep = bisect_right(self._run_starts, index)
        del self._run_starts[keep:], self._run_terms[keep:]
        if not keep:
            self._run_starts, self._run_terms = [index], [term or 0]
        del self._committables[bisect_right(self._committables, index) :]
        cut = max(0, index + 1 - self._first_index)
        self._cache_bytes -= sum([len(entry.data) for entry in self._entries[cut:]])
        del self._entries[cut:]
        self._first_index = min(self._first_index, index + 1)
        self.last_index = index
        self.last_term = self._run_terms[-1]
        self.persisted_index = min(self.persisted_index, index)

    def persisted(self, index: int, term: int) -> bool:
        """Note that entries up to ``index`` of ``term`` are durable; return whether that is news.

        A report of an entry that was truncated since is none: another term stands there, or nothing.
        """
        if index <= self.persisted_index or self.term_at(index) != term:
            return False
        self.persisted_index = index
        self._evict()
        return True

    def commit(self, index: int) -> bool:
        """Note that everything up to ``index`` is agreed; return whether that is news."""
        if index <= self.commit_index:
            return False
        position = bisect_left(self._committables, index)
        invariant(
            self._committables[position : position + 1] == [index], "only a committable entry is agreed last"
        )
        del self._committables[: position + 1]
        self.commit_index = index
        self._evict()
        return True

    def note_snapshot(self, index: int, term: int) -> None:
        """Note that agreed state at ``index`` of ``term`` is durable: entries up to there may be gone."""
        if index > self.snapshot_index:
            self.snapshot_index, self.snapshot_term = index, term

    def install(self, index: int, term: int) -> None:
        """Begin anew behind the agreed, durable ``index`` of ``term``; what the log held is forgotten."""
        invariant(index > self.commit_index, "what is agreed never goes back")
        self.last_index = self.commit_index = self.persisted_index = index
        self.last_term = term
        self.note_snapshot(index, term)
        self._entries, self._committables, self._cache_bytes = [], [], 0
        self._first_index = index + 1
        self._floor = index
        self._run_starts, self._run_terms = [index], [term]

    def _evict(self) -> None:
        """Drop the oldest entries that are agreed and durable while the cache is over its bound."""
        evictable = min(self.commit_index, self.persisted_index) + 1 - self._first_index
        count = 0
        while self._cache_bytes > self._cache_max_bytes and count < evictable:
            self._cache_bytes -= len(self._entries[count].data)
            count += 1
        if count:
            del self._entries[:count]
            self._first_index += count
