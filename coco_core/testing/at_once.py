"""Coroutines of adapters where there is no time to wait: on a table, and in a simulation."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from coco_core.adapter import BatchResult
from coco_core.testing.stage import SafetyError

Result = TypeVar("Result")


def run_at_once(execution: Any) -> BatchResult:
    """Return the result of an execution that never waits; raises SafetyError when it does."""
    result: BatchResult = finish(execution)
    return result


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine of an adapter returns that never waits; raises SafetyError when it does."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    coroutine.close()
    raise SafetyError("the adapter waits for something; a cluster has no time for that")
