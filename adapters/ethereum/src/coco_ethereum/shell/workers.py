"""Worker threads and turns: neither an EVM at work nor a long body may stop the node's event loop.

Knows trio and nothing of Ethereum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def let_others_run() -> None:
    """Give every other task of the event loop a turn."""
    await trio.lowlevel.checkpoint()


async def run_in_worker(work: Callable[[], T]) -> T:
    """Run ``work`` in a worker thread and return its result; what it raises is raised here.

    Not abandoned on cancellation: an execution over the node's state is always waited for, so that
    no two ever overlap and nothing reads state the node has let go of.
    """
    return await trio.to_thread.run_sync(work, abandon_on_cancel=False)
