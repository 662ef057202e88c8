"""What the front end needs of the world. Whoever runs it brings it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol


class Outside(Protocol):
    """Time, and waiting."""

    def now_ms(self) -> int:
        """Return this machine's time, milliseconds of Unix time."""
        ...

    def beat(self) -> None:
        """Wake everybody who waits: something was committed."""
        ...

    def wait(self, seconds: float) -> Awaitable[bool]:
        """Wait for the next beat; return False when ``seconds`` passed without one."""
        ...

    def beside(
        self, task: Callable[[], Awaitable[None]], meanwhile: Callable[[], Awaitable[None]]
    ) -> Awaitable[None]:
        """Run two tasks until either ends or raises WebSocketClosedError."""
        ...
