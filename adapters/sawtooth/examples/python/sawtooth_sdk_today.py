"""What the sawtooth-sdk wheel of 2022 takes for granted and newer Pythons no longer have.

Imported at the start of the interpreter that runs processors (a ``.pth`` file beside the SDK says so),
so the SDK itself stays as it was published. Needed from Python 3.9 on; checked on 3.11.
"""

from __future__ import annotations

import asyncio
import functools
import os
import types
from typing import Any

# Its generated messages are of before protobuf 4, which only the portable implementation still accepts.
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")


def _coroutine(function: Any) -> Any:
    """Return a coroutine function made of a generator function, as ``asyncio.coroutine`` did."""
    awaitable = types.coroutine(function)

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await awaitable(*args, **kwargs)

    return run


class _Task(asyncio.Task):
    """``asyncio.Task`` with the class method that became a function of the module."""

    all_tasks = staticmethod(asyncio.all_tasks)


class _Queue(asyncio.Queue):
    """``asyncio.Queue`` that still takes the loop it is used in, and does not need it."""

    def __init__(self, maxsize: int = 0, *, loop: object = None) -> None:
        super().__init__(maxsize)


if not hasattr(asyncio, "coroutine"):
    asyncio.coroutine = _coroutine
if not hasattr(asyncio.Task, "all_tasks"):
    asyncio.Task = _Task
try:
    asyncio.Queue(loop=None)
except TypeError:
    asyncio.Queue = _Queue
