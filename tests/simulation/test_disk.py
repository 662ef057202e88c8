"""The simulated disk keeps what was synced, and of the write under way only a beginning."""

from __future__ import annotations

from coco_core.consensus import Entry
from coco_core.replica.effects import Persist
from coco_core.testing.simulation.disk import SimulatedDisk


def entries(first: int, last: int, term: int = 2) -> tuple[Entry, ...]:
    return tuple(Entry(term, index, b"%04d" % index, True) for index in range(first, last + 1))


def written(disk: SimulatedDisk, *effects: Persist) -> Entry | None:
    for effect in effects:
        disk.put(effect)
    assert disk.begin()
    return disk.complete()


def test_one_write_at_a_time_and_all_that_waits_is_the_next() -> None:
    disk = SimulatedDisk([])
    disk.put(Persist(None, entries(1, 2)))
    assert disk.begin()
    disk.put(Persist(None, entries(3, 3)))
    disk.put(Persist(2, entries(3, 4, term=3)))
    assert not disk.begin()
    assert not disk.entries
    assert disk.complete() == entries(2, 2)[0]
    assert len(disk.entries) == 2
    assert disk.begin()
    assert disk.complete() == entries(4, 4, term=3)[0]
    assert [entry.term for entry in disk.entries] == [2, 2, 3, 3]
    assert not disk.begin()


def test_a_crash_keeps_what_was_synced_and_nothing_that_waited() -> None:
    disk = SimulatedDisk([])
    written(disk, Persist(None, entries(1, 3)))
    disk.put(Persist(None, entries(4, 5)))
    disk.crash(0.9)
    assert disk.entries == list(entries(1, 3))
    assert not disk.torn


def test_a_crash_tears_the_write_under_way() -> None:
    disk = SimulatedDisk([])
    written(disk, Persist(None, entries(1, 3)))
    disk.put(Persist(2, entries(3, 5, term=3)))
    assert disk.begin()
    disk.crash(0.5)
    assert disk.entries == [*entries(1, 2), *entries(3, 3, term=3)]
    assert disk.torn == b"00"
    assert disk.file()[1].endswith(b"000300")
    assert disk.offset_of(3) == len(disk.file()[1]) - 6


def test_what_waits_to_be_cut_is_neither_reported_nor_reached() -> None:
    disk = SimulatedDisk([])
    disk.put(Persist(None, entries(1, 5)))
    assert disk.begin()
    disk.put(Persist(2, entries(3, 4, term=3)))
    assert disk.complete() == entries(2, 2)[0]
    assert disk.reaches(2)
    assert not disk.reaches(4)
    assert disk.begin()
    assert not disk.reaches(4)
    assert disk.complete() == entries(4, 4, term=3)[0]
    assert disk.reaches(4)
    assert not disk.reaches(5)
