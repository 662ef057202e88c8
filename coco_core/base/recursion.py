"""How deep calls may nest in this process, whatever libraries ask for."""

from __future__ import annotations

import sys

from coco_core.base import limits


def bound_recursion() -> None:
    """Take back what a library raised Python's recursion limit to beyond RECURSION_MAX.

    Until Python 3.12 what reads nested values in C (``json``, ``repr``) recurses as far as that limit says,
    and beyond some 60 000 levels its stack overflows: whoever sends nested input would end the process.
    """
    if sys.getrecursionlimit() > limits.RECURSION_MAX:
        sys.setrecursionlimit(limits.RECURSION_MAX)
