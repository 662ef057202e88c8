"""What became of load, per transaction: when it was sent, answered and committed, and figures of that."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import attrs
import trio

from coco_core.adapter import TxID


@attrs.define(kw_only=True)
class LoadResult:
    """What happened, per transaction in order of sending; times in seconds of one monotonic clock."""

    started_at: float = 0.0
    ended_at: float = 0.0
    sent_at: list[float] = attrs.field(factory=list)
    answered_at: list[float] = attrs.field(factory=list)
    """When the node said what became of it: 0 before."""
    places: list[TxID | None] = attrs.field(factory=list)
    """None for a transaction refused, or known already when it was sent again; of a ledger whose answers do
    not tell places, for every one."""
    refused: list[str] = attrs.field(factory=list)
    resent_requests: int = 0
    commits: list[list[tuple[float, int]]] = attrs.field(factory=list)
    """Per node: when it reported which committed seqno."""
    reported: trio.Event = attrs.field(factory=trio.Event, repr=False)
    """Set, and replaced, whenever a node reported a commit or was lost."""
    lost: set[int] = attrs.field(factory=set)
    """Nodes that cannot be reached at the moment: nobody waits for their commits."""

    @property
    def all_committed(self) -> bool:
        """Whether every transaction sent is: without a place only if it was known when sent again."""
        placed = all(place is not None for place in self.places)
        return not self.refused and (placed or self.resent_requests > 0)

    def note(self) -> None:
        """Wake who waits for a change of commits or lost nodes."""
        self.reported.set()
        self.reported = trio.Event()

    def answers(self) -> list[float]:
        """Return the seconds until each transaction was answered, whatever the answer."""
        times = zip(self.sent_at, self.answered_at, strict=True)
        return [answered - sent for sent, answered in times if answered]

    def latencies(self, nodes: int) -> list[float]:
        """Return the seconds until ``nodes`` nodes had committed, of every transaction so many reported.

        Transactions that fewer nodes reported are left out: their number belongs beside the figure.
        """
        watches = [([seqno for _, seqno in seen], [at for at, _ in seen]) for seen in self.commits]
        found: list[float] = []
        for sent, place in zip(self.sent_at, self.places, strict=True):
            if place is None:
                continue
            times = sorted(
                at[position]
                for seqnos, at in watches
                if (position := bisect_left(seqnos, place.seqno)) < len(seqnos)
            )
            if len(times) >= nodes:
                found.append(times[nodes - 1] - sent)
        return found


def percentiles_ms(seconds: Sequence[float]) -> Mapping[str, float] | None:
    """Return p50, p95, p99 and mean in milliseconds; None when there is nothing to tell them of."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    pick = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _SHARES}
    pick["mean"] = sum(ordered) / len(ordered)
    return {name: round(value * 1000, 2) for name, value in pick.items()}


_SHARES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
