"""What JSON-RPC needs of the world it must not know: threads, turns, time, commits, the log.

``coco_ethereum.shell`` has the real ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

import attrs

T = TypeVar("T")


class Worker(Protocol):
    """Runs a piece of work away from the event loop and returns its result."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Run ``work``; raises BusyError when too much waits to be run already."""
        ...


class Commits(Protocol):
    """Tells of accounts that commits change, and of the time."""

    def wait(self, keys: Collection[bytes], until: float) -> Awaitable[bool]:
        """Wait until a commit changes one of the accounts; return False when ``until`` came first."""
        ...

    def now(self) -> float:
        """Return the time in seconds of the clock ``until`` is of."""
        ...


@attrs.frozen(kw_only=True)
class Outside:
    """The world as a server of JSON-RPC sees it."""

    worker: Worker
    pause: Callable[[], Awaitable[None]]
    """Gives the event loop to others between the calls of a long body."""
    commits: Commits
    report: Callable[[Exception], None]
    """Tells the operator of a fault that is not the client's."""
