"""Coroutines of adapters where there is no time to wait: on a table, and in a simulation."""

from __future__ import annotations

from typing import Any

from coco_core.adapter import BatchResult
from coco_core.testing.stage import SafetyError


def run_at_once(execution: Any) -> BatchResult:
    """Run an adapter's coroutine that never waits; raises SafetyError when it does."""
    try:
        execution.send(None)
    except StopIteration as done:
        result: BatchResult = done.value
        return result
    execution.close()
    raise SafetyError("the adapter waits for something; a cluster has no time for that")
