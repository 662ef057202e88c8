"""From a request to its answer: the bounded queue on the primary, and waiting for commit anywhere.

A *group* is everything one front end submitted in one call. Its requests stay together in the
queue and get one answer. Two ways lead to that answer: on the node where it was submitted, once
every member's fate is certain **there**; on the primary for a backup's group, as soon as all were
executed, because the backup sees the commit for itself.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from itertools import takewhile

import attrs

from coco_core.adapter import Committed, NotCommitted, Request
from coco_core.base import NodeID, TxID, invariant, limits
from coco_core.errors import BusyError, MalformedError
from coco_core.replica.messages import NOWHERE, Fate
from coco_core.replica.views import ViewHistory


@attrs.define(slots=True, eq=False)
class Group:
    """One submission: ``peer`` is the backup that forwarded it, None for a front end of this node."""

    ticket: int
    adapter: str
    peer: NodeID | None
    fates: list[Fate | None]
    undecided: int
    size_bytes: int = 0
    """Of a forwarded group: its payloads together."""
    due: int = 0
    """Of a forwarded group: the tick at which it is given up."""
    basis: TxID = NOWHERE
    """The newest entry of the state its requests were decided over, not committed perhaps: a refusal
    stands only if that state does. ``0.0`` when no state was asked."""

    def decide(self, index: int, fate: Fate) -> bool:
        """Note what became of request ``index``; return whether all are decided now."""
        invariant(self.fates[index] is None, f"request {index} of ticket {self.ticket} decided twice")
        self.fates[index] = fate
        self.undecided -= 1
        return not self.undecided

    def all_fates(self) -> list[Fate]:
        """Return every fate, once all are decided."""
        return [fate for fate in self.fates if fate is not None]


@attrs.frozen(slots=True)
class Queued:
    """One request in line: member ``index`` of ``group``."""

    group: Group
    index: int
    request: Request


class RequestQueue:
    """What waits for a batch on the primary; bounded in number and bytes."""

    def __init__(
        self,
        requests_max: int = limits.QUEUE_REQUESTS_MAX,
        bytes_max: int = limits.QUEUE_PAYLOAD_MAX_BYTES,
    ) -> None:
        """Start empty with the given bounds."""
        self._items: deque[Queued] = deque()
        self._bytes = 0
        self._singly = 0
        self._requests_max = requests_max
        self._bytes_max = bytes_max

    def __len__(self) -> int:
        """Return the number of requests waiting."""
        return len(self._items)

    def push(self, group: Group, requests: Sequence[Request]) -> None:
        """Queue all requests of a group or none; raises BusyError beyond the bounds."""
        size = sum(len(request.payload) for request in requests)
        if len(self._items) + len(requests) > self._requests_max or self._bytes + size > self._bytes_max:
            raise BusyError(f"the queue holds {len(self._items)} requests and is full: send again later")
        self._items.extend(Queued(group, index, request) for index, request in enumerate(requests))
        self._bytes += size

    def push_back(self, items: Sequence[Queued]) -> None:
        """Put requests an adapter deferred first in line again; they were counted once already."""
        self._items.extendleft(reversed(items))
        self._bytes += sum(len(item.request.payload) for item in items)

    def push_back_singly(self, items: Sequence[Queued]) -> None:
        """Put the requests of a failed batch first in line again, each to be a batch of its own."""
        self.push_back(items)
        self._singly += len(items)

    def take(
        self,
        requests_max: int = limits.BATCH_REQUESTS_MAX,
        bytes_max: int = limits.BATCH_PAYLOAD_MAX_BYTES,
    ) -> list[Queued]:
        """Take the next batch: the longest run for one adapter within the bounds, at least one."""
        if self._singly:
            self._singly -= 1
            requests_max = 1
        taken: list[Queued] = []
        size = 0
        while self._items and len(taken) < requests_max:
            item = self._items[0]
            size += len(item.request.payload)
            if taken and (size > bytes_max or item.group.adapter != taken[0].group.adapter):
                break
            taken.append(self._items.popleft())
            self._bytes -= len(item.request.payload)
        return taken

    def clear(self) -> list[Queued]:
        """Take everything out."""
        items = list(self._items)
        self._items.clear()
        self._bytes = 0
        self._singly = 0
        return items


class Forwarded:
    """Groups this backup sent to the primary and has no answer to yet; bounded in number and bytes."""

    def __init__(
        self,
        requests_max: int = limits.QUEUE_REQUESTS_MAX,
        bytes_max: int = limits.FORWARDED_PAYLOAD_MAX_BYTES,
    ) -> None:
        """Start with none and the given bounds."""
        self._groups: dict[int, Group] = {}
        self._ticks = 0
        self._requests = 0
        self._bytes = 0
        self._requests_max = requests_max
        self._bytes_max = bytes_max

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self._groups)

    def add(self, group: Group, waiting: int) -> None:
        """Remember a group about to be sent; raises BusyError beyond the bounds.

        ``waiting`` requests are answered already and wait for this node to see their commit: they
        count too, or a backup that lags behind would take ever more.
        """
        requests = self._requests + waiting
        if (
            requests + len(group.fates) > self._requests_max
            or self._bytes + group.size_bytes > self._bytes_max
        ):
            raise BusyError(f"{requests} requests wait for the primary: send again later")
        group.due = self._ticks + limits.FORWARDED_DEADLINE_TICKS
        self._groups[group.ticket] = group
        self._requests += len(group.fates)
        self._bytes += group.size_bytes

    def get(self, ticket: int) -> Group | None:
        """Return the group of ``ticket`` if it still waits for its answer."""
        return self._groups.get(ticket)

    def remove(self, group: Group) -> None:
        """Forget a group that is answered or given up."""
        del self._groups[group.ticket]
        self._requests -= len(group.fates)
        self._bytes -= group.size_bytes

    def tick(self) -> list[Group]:
        """Let one tick pass and return the groups that have waited too long.

        An answer can be lost while the connection the group went out on stays sound, and a primary
        may hang without losing its lead: without an end, such groups would fill the bounds for ever.
        """
        self._ticks += 1
        return list(takewhile(lambda group: group.due <= self._ticks, self._groups.values()))

    def all(self) -> list[Group]:
        """Return every group, oldest first."""
        return list(self._groups.values())


class Waiting:
    """Groups of this node's front ends whose requests have a place but are not committed here yet."""

    def __init__(self) -> None:
        """Start with nothing to wait for."""
        self._heap: list[tuple[int, int, Group]] = []
        self.requests = 0
        """How many requests its groups have together."""
        self._oldest_view: int | None = None

    def __len__(self) -> int:
        """Return the number of groups waiting."""
        return len(self._heap)

    def add(self, group: Group) -> None:
        """Wait until every place in ``group``, and the state it was refused over, is decided."""
        places = _places(group)
        self.requests += len(group.fates)
        heapq.heappush(self._heap, (max((place.seqno for place in places), default=0), group.ticket, group))
        views = [place.view for place in places]
        if self._oldest_view is not None:
            views.append(self._oldest_view)
        self._oldest_view = min(views, default=None)

    def resolve(self, committed: TxID, views: ViewHistory) -> list[Group]:
        """Return the groups whose fate is certain at ``committed``, with final fates.

        A place ``(view, seqno)`` is certain once seqno is committed (then the views must be equal)
        or once a later view has committed anything: then nothing of the older view can come after.
        """
        done: list[Group] = []
        while self._heap and self._heap[0][0] <= committed.seqno:
            done.append(heapq.heappop(self._heap)[2])
        if self._oldest_view is not None and self._oldest_view < committed.view:
            # Everything still here is beyond the commit, so places of older views are gone.
            done += [entry[2] for entry in self._heap if _lost(entry[2], committed)]
            self._heap = [entry for entry in self._heap if not _lost(entry[2], committed)]
            heapq.heapify(self._heap)
            self._oldest_view = committed.view if self._heap else None
        for group in done:
            self.requests -= len(group.fates)
            group.fates = [_final(fate, group.basis, committed, views) for fate in group.all_fates()]
        return done


def check_payloads(payloads: Sequence[bytes]) -> None:
    """Raise MalformedError for an empty submission or a payload beyond the bound."""
    if not payloads:
        raise MalformedError("nothing submitted")
    for payload in payloads:
        if len(payload) > limits.PAYLOAD_SIZE_MAX_BYTES:
            raise MalformedError(
                f"payload of {len(payload)} bytes exceeds the bound of {limits.PAYLOAD_SIZE_MAX_BYTES} bytes"
            )


def _places(group: Group) -> list[TxID]:
    """Return every place that the group's answer depends on."""
    places = [fate.txid for fate in group.all_fates() if isinstance(fate, Committed)]
    return [*places, group.basis] if group.basis.seqno else places


def _lost(group: Group, committed: TxID) -> bool:
    """Tell whether the group's newest place is of a view that ended before reaching it."""
    return any(place.view < committed.view and place.seqno > committed.seqno for place in _places(group))


def _final(fate: Fate, basis: TxID, committed: TxID, views: ViewHistory) -> Fate:
    if isinstance(fate, NotCommitted):
        return fate
    place = fate.txid if isinstance(fate, Committed) else basis
    if not place.seqno or (place.seqno <= committed.seqno and views.at(place.seqno) == place.view):
        return fate
    if isinstance(fate, Committed):
        return NotCommitted(f"transaction {place} was dropped when view {committed.view} began")
    return NotCommitted(f"the state it was refused over was dropped when view {committed.view} began")
