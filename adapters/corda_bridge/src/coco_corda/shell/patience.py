"""How long a worker may take, by the time that it had: a busy machine's is not held against a transaction.

Linux says of each thread how long it waited for a processor (``schedstat``: nanoseconds that it ran, and that
it waited). So much longer a worker may take, to a bound: hostile code may have as many waiting threads as it
likes. Where no system says it, time is time.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import trio

from coco_corda.limits import DEADLINE_STRETCH_MAX

_NS: Final = 1e9
_FIRST_S: Final = 0.25
_STEP_S: Final = 0.05
"""The least that is waited more."""


class Patience:
    """Waiting for one answer of a process."""

    def __init__(self, pid: int, deadline_ms: int) -> None:
        """Begin to wait for the process ``pid`` and its children: for ``deadline_ms`` that they have."""
        self._pid = pid
        self._deadline_s: Final = deadline_ms / 1000
        self._began_s: Final = trio.current_time()
        self._waited_before: dict[int, int] | None = None

    def left_s(self) -> float:
        """Return how long to wait now; 0 once it had its time.

        The first wait is short and asks nobody: nearly every answer comes within it.
        """
        passed_s = trio.current_time() - self._began_s
        if passed_s < min(_FIRST_S, self._deadline_s):
            return min(_FIRST_S, self._deadline_s) - passed_s
        now = waited_ns(self._pid)
        if self._waited_before is None:
            self._waited_before = now
        before = self._waited_before
        waited_s = sum(max(0, ns - before.get(thread, 0)) for thread, ns in now.items()) / _NS
        most_s = min(self._deadline_s + waited_s, DEADLINE_STRETCH_MAX * self._deadline_s)
        return 0.0 if most_s <= passed_s else max(most_s - passed_s, _STEP_S)


def waited_ns(pid: int) -> dict[int, int]:
    """Return how long each thread of a process and of its children waited for a processor, if known."""
    found: dict[int, int] = {}
    for process in (pid, *_children(pid)):
        # Threads, and a process, may end while they are counted.
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    found[int(thread.name)] = int(thread.joinpath("schedstat").read_text().split()[1])
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []
