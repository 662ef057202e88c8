"""Tasks beside execution. Knows trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio


async def run_together(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run tasks side by side until cancelled; when one fails, all end."""
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
        nursery.start_soon(trio.sleep_forever)
