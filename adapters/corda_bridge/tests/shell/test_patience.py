"""How long is waited: a process that waited for a processor has longer, one that slept or ran has not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from coco_corda.limits import DEADLINE_STRETCH_MAX
from coco_corda.shell import patience as patience_module
from coco_corda.shell.patience import Patience, waited_ns

DEADLINE_S = 10


@pytest.fixture
def clock() -> MockClock:
    return MockClock()


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """What the system says of threads, as a test lets it."""
    told = {1: 7 * 10**9, 2: 0}
    monkeypatch.setattr(patience_module, "waited_ns", lambda _: dict(told))
    return told


def first_wait(patience: Patience, clock: MockClock) -> None:
    """Wait once; what threads waited from then on is known."""
    clock.jump(patience.left_s())
    assert patience.left_s() > 0


def passes(patience: Patience, clock: MockClock) -> float:
    """Wait as whoever asks does; return how long it was since the clock began."""
    while (left_s := patience.left_s()) > 0:
        clock.jump(left_s)
    return trio.current_time()


async def test_who_sleeps_or_runs_has_the_deadline(clock: MockClock, waited: dict[int, int]) -> None:
    assert passes(Patience(1, DEADLINE_S * 1000), clock) == pytest.approx(DEADLINE_S, abs=0.1)


async def test_time_waited_for_a_processor_is_given_back(clock: MockClock, waited: dict[int, int]) -> None:
    patience = Patience(1, DEADLINE_S * 1000)
    first_wait(patience, clock)
    waited[1] += 4 * 10**9
    waited[3] = 2 * 10**9
    del waited[2]
    assert passes(patience, clock) == pytest.approx(DEADLINE_S + 6, abs=0.1)


async def test_it_ends_however_long_threads_say_that_they_waited(
    clock: MockClock, waited: dict[int, int]
) -> None:
    patience = Patience(1, DEADLINE_S * 1000)
    first_wait(patience, clock)
    waited[1] += 10**15
    assert passes(patience, clock) == pytest.approx(DEADLINE_S * DEADLINE_STRETCH_MAX, abs=0.1)


async def test_a_deadline_shorter_than_the_first_wait_holds(clock: MockClock, waited: dict[int, int]) -> None:
    assert passes(Patience(1, 100), clock) == pytest.approx(0.1, abs=0.01)


@pytest.fixture
def busy() -> Iterator[list[int]]:
    """Processes that run for ever on one processor."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system does not let processes be put on one processor")
    processor = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, [{processor}])\nwhile True: pass"
    started = [subprocess.Popen([sys.executable, "-I", "-S", "-c", program]) for _ in range(2)]
    yield [each.pid for each in started]
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists() or not Path("/proc/thread-self/children").exists(),
    reason="the system does not say how long threads waited",
)
def test_the_system_says_how_long_processes_waited(busy: list[int]) -> None:
    """Two that want one processor wait in turn, and their parent is asked for them, too."""
    before = waited_ns(os.getpid())
    assert set(busy) <= before.keys(), "children are counted"
    while True:
        now = waited_ns(os.getpid())
        if all(now[pid] > before[pid] + 10**6 for pid in busy):
            break
