"""A wall clock that can be set wrong: copied as ``sitecustomize.py`` for node processes of a nemesis run.

The eight bytes of the file named by ``COCO_NEMESIS_CLOCK`` are nanoseconds to add, shared memory with whoever
moves the clock. Monotonic clocks stay right. Must import nothing but the standard library, for it runs
before everything else in a node.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

VARIABLE = "COCO_NEMESIS_CLOCK"
OFFSET = struct.Struct("<q")


def shift(path: str) -> None:
    """Add what the file at ``path`` says, at every reading, to the time this process is told."""
    with open(path, "r+b") as file:
        offset = mmap.mmap(file.fileno(), OFFSET.size)
    real_time_ns = time.time_ns

    def time_ns() -> int:
        return real_time_ns() + int(OFFSET.unpack_from(offset)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if VARIABLE in os.environ:
    shift(os.environ[VARIABLE])
