"""Which view each seqno was ordered in: a few runs, however long the ledger is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from coco_core.base import TxID, invariant

ViewRuns = tuple[tuple[int, int], ...]
"""``(view, first seqno in it)``, ascending."""


class ViewHistory:
    """Which view each seqno was ordered in, as runs."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        """Start with ``runs`` of view and first seqno, ascending."""
        self._starts: list[int] = []
        self._views: list[int] = []
        for view, first_seqno in runs:
            self.extend(TxID(view, first_seqno))

    def extend(self, txid: TxID) -> None:
        """Note that ``txid`` is the newest entry."""
        if not self._views or self._views[-1] != txid.view:
            invariant(not self._views or txid.view > self._views[-1], "views only grow along the ledger")
            self._starts.append(txid.seqno)
            self._views.append(txid.view)

    def truncate(self, seqno: int) -> None:
        """Forget every entry after ``seqno``."""
        while self._starts and self._starts[-1] > seqno:
            self._starts.pop()
            self._views.pop()

    def at(self, seqno: int) -> int:
        """Return the view of ``seqno``, 0 when there is no such entry."""
        run = bisect_right(self._starts, seqno)
        return self._views[run - 1] if run else 0

    def runs(self, seqno: int) -> ViewRuns:
        """Return the runs that begin at ``seqno`` or before."""
        count = bisect_right(self._starts, seqno)
        return tuple(zip(self._views[:count], self._starts[:count], strict=True))
