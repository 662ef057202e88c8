"""What the front ends need of the world they must not know: threads, tasks, time, the log.

``coco_sawtooth.shell`` has the real ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

import attrs

T = TypeVar("T")
Task = Callable[[], Awaitable[None]]


class Worker(Protocol):
    """Runs a piece of work away from the event loop and returns its result."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Run ``work``; raises BusyError when too much waits to be run already."""
        ...


class Pulse(Protocol):
    """Wakes those who wait for something to change, and nobody else."""

    def beat(self, changed: Iterable[bytes]) -> None:
        """Wake everybody who waits for one of these keys."""
        ...

    def beat_all(self) -> None:
        """Wake everybody: anything may have changed."""
        ...

    def wait(self, keys: Iterable[bytes], until: float) -> Awaitable[bool]:
        """Wait until one of the keys changes; return False when ``until``, a time of ``now``, came first."""
        ...

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        ...


@attrs.frozen(kw_only=True)
class Outside:
    """The world as the front ends see it."""

    worker: Worker
    pulse: Pulse
    start: Callable[[Task], Callable[[], None]]
    """Runs a task beside everything else; what it returns ends that. Faults of the task are reported."""
    beside: Callable[[Task, Task], Awaitable[None]]
    """Runs the first task, and the second while the first lasts."""
    report: Callable[[Exception], None]
    """Tells the operator of a fault that is not the client's."""
