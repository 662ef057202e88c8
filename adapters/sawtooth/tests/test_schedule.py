"""The schedule: what overlaps waits, what does not runs at once, with the result of running in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_sawtooth.addresses import overlap
from coco_sawtooth.schedule import GATE, Schedule

A, B = "1cf126" + "aa" * 32, "1cf126" + "bb" * 32
NAMESPACE = "1cf126"


def drain(schedule: Schedule) -> list[tuple[int, int]]:
    """Return what may run now; gates open by themselves."""
    found = []
    while (node := schedule.ready()) is not None:
        if node.position == GATE:
            schedule.finish(node, valid=True)
        else:
            found.append(node)
    return found


def places(nodes):
    return [(node.batch, node.position) for node in nodes]


def test_what_does_not_overlap_runs_at_once():
    schedule = Schedule()
    schedule.add([([A], [A]), ([B], [B])])
    schedule.add([(["5b7349"], ["5b7349"])])
    assert places(drain(schedule)) == [(0, 0), (0, 1), (1, 0)]


def test_readers_do_not_wait_for_each_other():
    schedule = Schedule()
    schedule.add([([A], []), ([NAMESPACE], []), ([""], [])])
    assert len(drain(schedule)) == 3


def test_inside_a_batch_the_next_waits_until_the_one_before_is_done():
    schedule = Schedule()
    schedule.add([([A], [A]), ([A], [A])])
    [first] = drain(schedule)
    assert schedule.finish(first, valid=True) == []
    [second] = drain(schedule)
    assert schedule.finish(second, valid=True) == [0]


def test_another_batch_waits_until_the_whole_one_is_decided():
    schedule = Schedule()
    schedule.add([([A], [A]), ([B], [B])])
    schedule.add([([A], [A])])
    first, second = drain(schedule)
    schedule.finish(first, valid=True)
    assert drain(schedule) == []
    assert schedule.finish(second, valid=True) == [0]
    assert places(drain(schedule)) == [(1, 0)]


def test_prefixes_overlap_with_what_is_below_and_above_them():
    for earlier, later in ((A, NAMESPACE), (NAMESPACE, A), ("", A), (A, ""), ("1c", NAMESPACE)):
        schedule = Schedule()
        schedule.add([([], [earlier])])
        schedule.add([([later], [])])
        schedule.add([([], [later])])
        assert places(drain(schedule)) == [(0, 0)]


def test_a_writer_waits_for_earlier_readers():
    schedule = Schedule()
    schedule.add([([NAMESPACE], [])])
    schedule.add([([], [A])])
    [reader] = drain(schedule)
    schedule.finish(reader, valid=True)
    assert places(drain(schedule)) == [(1, 0)]


def test_the_first_failure_in_order_is_the_one_that_counts():
    schedule = Schedule()
    schedule.add([([A], [A]), ([B], [B]), ([B], [B])])
    first, second = drain(schedule)
    assert schedule.finish(second, valid=False) == []
    assert drain(schedule) == []
    assert schedule.finish(first, valid=False) == [0]
    assert schedule.failed_at(0) == 0


def test_what_follows_a_failure_is_skipped_and_late_results_are_ignored():
    schedule = Schedule()
    schedule.add([([A], [A]), ([B], [B]), ([A], [A])])
    schedule.add([([A, B], [A, B])])
    first, second = drain(schedule)
    assert schedule.finish(first, valid=False) == [0]
    assert places(drain(schedule)) == [(1, 0)]
    assert schedule.finish(second, valid=True) == []


def test_a_skipped_transaction_hands_on_what_it_waited_for():
    schedule = Schedule()
    schedule.add([([A], [A])])
    # Its second transaction would have waited for the first batch; its first one fails.
    schedule.add([([B], [B]), ([A], [A])])
    schedule.add([([A], [A])])
    slow, failing = drain(schedule)
    assert schedule.finish(failing, valid=False) == [1]
    assert drain(schedule) == []
    assert schedule.finish(slow, valid=True) == [0]
    assert places(drain(schedule)) == [(2, 0)]


def test_a_gate_waits_for_what_it_reads_and_for_named_batches():
    schedule = Schedule()
    schedule.add([([], ["000000" + "cc" * 32])], gate_reads=["000000"])
    schedule.add([([B], [B])], gate_reads=["000000"])
    schedule.add([([A], [A])], after=[0])
    [setting] = drain(schedule)
    schedule.finish(setting, valid=True)
    assert sorted(places(drain(schedule))) == [(1, 0), (2, 0)]


def test_what_was_let_pass_and_not_begun_is_skipped_too():
    schedule = Schedule()
    schedule.add([([A], [A]), ([B], [B]), ([B], [B])])
    schedule.add([([B], [B])])
    gate = schedule.ready()
    schedule.finish(gate, valid=True)
    first = schedule.ready()
    while first.position == GATE:
        schedule.finish(first, valid=True)
        first = schedule.ready()
    assert schedule.finish(first, valid=False) == [0]
    assert places(drain(schedule)) == [(1, 0)]


def test_who_reads_everything_again_waits_for_what_is_new():
    """More places than are looked at one by one, read by who writes there too and by who does not."""
    for outputs in ([], ["1cf126" + "ff" * 32]):
        schedule = Schedule()
        places_written = [f"1cf126{number:064x}" for number in range(40)]
        schedule.add([([], [place]) for place in places_written])
        schedule.add([([NAMESPACE], outputs)])
        schedule.add([([], [A])])
        schedule.add([([NAMESPACE], outputs)])
        writers = drain(schedule)
        assert len(writers) == 40
        for node in writers:
            schedule.finish(node, valid=True)
        for number in (1, 2, 3):
            [only] = drain(schedule)
            assert schedule.finish(only, valid=True) == [number]


def test_a_batch_may_be_added_behind_what_is_done():
    schedule = Schedule()
    schedule.add([([A], [A])])
    [first] = drain(schedule)
    schedule.finish(first, valid=True)
    schedule.add([([A], [A]), ([A], [A])], after=[0])
    assert places(drain(schedule)) == [(1, 0)]


def test_a_failed_gate_skips_its_batch():
    schedule = Schedule()
    schedule.add([([A], [A])])
    schedule.add([([A], [A])])
    gates = [schedule.ready(), schedule.ready()]
    assert schedule.finish(gates[0], valid=False) == [0]
    schedule.finish(gates[1], valid=True)
    assert places(drain(schedule)) == [(1, 0)]


def test_thousands_that_read_all_and_write_apart_are_no_square():
    schedule = Schedule()
    schedule.add([([NAMESPACE], [f"1cf126{number:064x}"]) for number in range(3_000)])
    done = 0
    while found := drain(schedule):
        assert len(found) == 1
        schedule.finish(found[0], valid=True)
        done += 1
    assert done == 3_000


PREFIXES = st.sampled_from(["", "1c", "1cf1", "1cf2", "1cf1aa", "1cf1ab", "2d", "2d00", "2d01"])
TRANSACTION = st.tuples(
    st.lists(PREFIXES, max_size=2), st.lists(PREFIXES, max_size=2), st.booleans() | st.just(True)
)
BATCHES = st.lists(st.lists(TRANSACTION, min_size=1, max_size=5), min_size=1, max_size=7)


def serial(batches):
    """Return per batch where it fails, and what it wrote, running everything in order."""
    state: dict[str, tuple] = {}
    fates = []
    for number, batch in enumerate(batches):
        writes: dict[str, tuple] = {}
        failed = None
        for position, (inputs, outputs, good) in enumerate(batch):
            if not good:
                failed = position
                break
            writes.update(effects(state | writes, number, position, inputs, outputs))
        fates.append(failed)
        if failed is None:
            state |= writes
    return fates, state


def effects(state, number, position, inputs, outputs):
    """Return what a transaction writes: all it can read, under every place it may write."""
    read = tuple(sorted((k, v) for k, v in state.items() if any(k.startswith(p) for p in inputs)))
    return {f"{output}#": (number, position, hash(read)) for output in outputs}


def begin_some(schedule, chosen):
    """Begin some of what may run, as many as chance has it, and one at least."""
    found = []
    while (node := schedule.ready()) is not None:
        if node.position == GATE:
            schedule.finish(node, valid=True)
            continue
        found.append(node)
        if chosen.random() < 0.3:
            break
    return found


@given(batches=BATCHES, late=st.integers(0, 7), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=400, deadline=None)
def test_any_order_the_schedule_allows_gives_the_serial_result(batches, late, seed):
    check_serial(batches, late, seed)


def check_serial(batches, late, seed):
    """Run batches in an order drawn from ``seed`` and compare with running them one after the other."""
    chosen = random.Random(seed)
    schedule = Schedule()
    waiting = [[(inputs, outputs) for inputs, outputs, _ in batch] for batch in batches]
    while len(waiting) > late:
        schedule.add(waiting.pop(0))
    state: dict[str, tuple] = {}
    writes: list[dict] = [{} for _ in batches]
    fates: list[int | str | None] = ["open"] * len(batches)
    running: list = begin_some(schedule, chosen)
    while running or waiting:
        if waiting and (not running or chosen.random() < 0.3):
            schedule.add(waiting.pop(0))
            running += begin_some(schedule, chosen)
            continue
        for one in running:
            for other in running:
                assert one is other or not conflict(batches, one, other)
        node = running.pop(chosen.randrange(len(running)))
        inputs, outputs, good = batches[node.batch][node.position]
        if good and fates[node.batch] == "open":
            before = state | writes[node.batch]
            writes[node.batch].update(effects(before, node.batch, node.position, inputs, outputs))
        for number in schedule.finish(node, valid=good):
            fates[number] = schedule.failed_at(number)
            if fates[number] is None:
                state |= writes[number]
        running += begin_some(schedule, chosen)
        running = [each for each in running if fates[each.batch] == "open"]
    assert (fates, state) == serial(batches)


@pytest.mark.parametrize("wide", [1, 2, 16])
@given(batches=BATCHES, late=st.integers(0, 7), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_what_is_remembered_of_wide_reads_changes_nothing(wide, batches, late, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coco_sawtooth.schedule.WIDE", wide)
        check_serial(batches, late, seed)


def conflict(batches, one, other):
    """Whether two that run at once overlap, where that would matter."""
    (in_one, out_one, _), (in_other, out_other, _) = (
        batches[node.batch][node.position] for node in (one, other)
    )
    pairs = [(a, b) for a in out_one for b in (*in_other, *out_other)] + [
        (a, b) for a in out_other for b in in_one
    ]
    return any(overlap(a, b) for a, b in pairs)
