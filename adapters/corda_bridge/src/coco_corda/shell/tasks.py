"""Tasks beside execution. Knows trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import trio

T = TypeVar("T")


async def run_ahead(
    makers: Iterable[Callable[[], Awaitable[T]]], use: Callable[[T], Awaitable[None]]
) -> None:
    """Give ``use`` what each of ``makers`` returns, in order; the next one makes while it is used.

    Raises what either raises.
    """
    send, receive = trio.open_memory_channel[T](0)

    async def make() -> None:
        async with send:
            for maker in makers:
                await send.send(await maker())

    try:
        async with trio.open_nursery() as nursery, receive:
            nursery.start_soon(make)
            async for made in receive:
                await use(made)
    except ExceptionGroup as group:
        # Two tasks are no business of the caller's.
        raise group.exceptions[0] from None


async def run_together(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run tasks side by side until cancelled; when one fails, all end."""
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
        nursery.start_soon(trio.sleep_forever)
