"""The queue and the waiting room by themselves."""

import pytest

from coco_core.adapter import Committed, NotCommitted, Rejected, Request
from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import BusyError
from coco_core.replica.chain import ViewHistory
from coco_core.replica.messages import NOWHERE
from coco_core.replica.submission import Fate, Forwarded, Group, RequestQueue, Waiting


def views(*places: str) -> ViewHistory:
    history = ViewHistory()
    for text in places:
        history.extend(TxID.parse(text))
    return history


def decided(ticket: int, *fates: Fate, basis: str = "") -> Group:
    return Group(ticket, "tally", None, list(fates), 0, basis=TxID.parse(basis) if basis else NOWHERE)


def placed(text: str) -> Committed:
    return Committed(TxID.parse(text), b"")


def push(queue: RequestQueue, ticket: int, *payloads: bytes, adapter: str = "tally") -> Group:
    group = Group(ticket, adapter, None, [None] * len(payloads), len(payloads))
    queue.push(group, [Request(payload) for payload in payloads])
    return group


def test_queue_takes_runs_of_one_ledger() -> None:
    queue = RequestQueue()
    push(queue, 1, b"a", b"b")
    push(queue, 2, b"c", adapter="other")
    push(queue, 3, b"d")
    runs = [[item.request.payload for item in queue.take()] for _ in range(3)]
    assert runs == [[b"a", b"b"], [b"c"], [b"d"]]
    assert queue.take() == []


def test_queue_takes_one_request_however_large() -> None:
    queue = RequestQueue()
    push(queue, 1, b"large", b"x")
    assert [item.request.payload for item in queue.take(bytes_max=2)] == [b"large"]


def test_queue_counts_what_comes_back() -> None:
    queue = RequestQueue(requests_max=3, bytes_max=6)
    push(queue, 1, b"aa", b"bb")
    taken = queue.take()
    push(queue, 2, b"cc")
    queue.push_back(taken)
    with pytest.raises(BusyError):
        push(queue, 3, b"")
    assert [item.request.payload for item in queue.clear()] == [b"aa", b"bb", b"cc"]
    push(queue, 4, b"123456")
    with pytest.raises(BusyError):
        push(queue, 5, b"7")
    assert len(queue) == 1


def test_requests_put_back_singly_are_batches_of_one_until_they_are_through() -> None:
    queue = RequestQueue()
    push(queue, 1, b"a", b"b")
    taken = queue.take()
    push(queue, 2, b"c", b"d")
    queue.push_back_singly(taken)
    assert [[item.request.payload for item in queue.take()] for _ in range(3)] == [
        [b"a"],
        [b"b"],
        [b"c", b"d"],
    ]
    queue.push_back_singly(taken)
    queue.clear()
    push(queue, 3, b"e", b"f")
    assert len(queue.take()) == 2


def test_forwarded_requests_are_bounded_with_those_that_wait_for_their_commit() -> None:
    forwarded = Forwarded(requests_max=4, bytes_max=10)
    first = Group(1, "tally", None, [None, None], 2, size_bytes=4)
    forwarded.add(first, waiting=2)
    for requests, size_bytes, waiting in ((1, 1, 2), (3, 1, 0), (1, 7, 0)):
        with pytest.raises(BusyError, match="send again later"):
            forwarded.add(Group(2, "tally", None, [None] * requests, requests, size_bytes), waiting=waiting)
    assert len(forwarded) == 1
    forwarded.remove(first)
    forwarded.add(Group(2, "tally", None, [None] * 4, 4, size_bytes=10), waiting=0)
    assert (forwarded.get(1), [group.ticket for group in forwarded.all()]) == (None, [2])


def test_waiting_counts_requests() -> None:
    waiting = Waiting()
    waiting.add(decided(1, placed("2.1"), placed("2.2")))
    waiting.add(decided(2, placed("2.5")))
    assert waiting.requests == 3
    waiting.resolve(TxID(2, 3), views("2.1", "2.2", "2.3"))
    assert waiting.requests == 1


def test_request_is_decided_once() -> None:
    group = Group(1, "tally", None, [None, None], 2)
    assert not group.decide(1, Rejected("no", "no"))
    with pytest.raises(BrokenInvariantError, match="decided twice"):
        group.decide(1, NotCommitted("no"))
    assert group.decide(0, NotCommitted("no"))
    assert group.all_fates() == [NotCommitted("no"), Rejected("no", "no")]


def resolved(waiting: Waiting, committed: str, history: ViewHistory) -> dict[int, list[str]]:
    groups = waiting.resolve(TxID.parse(committed), history)
    return {group.ticket: [type(fate).__name__ for fate in group.all_fates()] for group in groups}


def test_groups_wait_for_their_newest_place() -> None:
    waiting = Waiting()
    history = views("2.1")
    waiting.add(decided(1, placed("2.9"), placed("2.3")))
    waiting.add(decided(2, placed("2.5")))
    waiting.add(decided(3, Rejected("no", "no")))
    assert resolved(waiting, "2.2", history) == {3: ["Rejected"]}
    assert resolved(waiting, "2.6", history) == {2: ["Committed"]}
    assert len(waiting) == 1
    assert resolved(waiting, "2.9", history) == {1: ["Committed", "Committed"]}
    assert resolved(waiting, "2.9", history) == {}


def test_lost_places_are_told_when_a_later_view_commits() -> None:
    waiting = Waiting()
    waiting.add(decided(1, placed("2.3"), placed("2.7"), Rejected("no", "no")))
    waiting.add(decided(2, placed("2.9")))
    waiting.add(decided(3, placed("3.8")))
    assert resolved(waiting, "3.6", views("2.1", "3.5")) == {
        1: ["Committed", "NotCommitted", "Rejected"],
        2: ["NotCommitted"],
    }
    assert len(waiting) == 1
    assert resolved(waiting, "3.8", views("2.1", "3.5")) == {3: ["Committed"]}


def test_place_taken_by_another_view() -> None:
    waiting = Waiting()
    waiting.add(decided(1, placed("2.5")))
    assert resolved(waiting, "3.9", views("2.1", "3.5")) == {1: ["NotCommitted"]}


def test_refusals_wait_for_the_state_they_are_about() -> None:
    waiting = Waiting()
    waiting.add(decided(1, Rejected("no", "no"), basis="2.4"))
    waiting.add(decided(2, Rejected("no", "no"), basis="2.6"))
    waiting.add(decided(3, NotCommitted("no"), Rejected("no", "no"), basis="2.9"))
    assert resolved(waiting, "2.4", views("2.1")) == {1: ["Rejected"]}
    assert resolved(waiting, "4.7", views("2.1", "4.5")) == {
        2: ["NotCommitted"],
        3: ["NotCommitted", "NotCommitted"],
    }
