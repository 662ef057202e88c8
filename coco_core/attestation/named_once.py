"""A policy's JSON names every field once: readers of JSON take the last, and forget what the first denied."""

from __future__ import annotations

import json
from typing import Any


def check_named_once(data: bytes) -> None:
    """Check that no object in JSON names a field twice; raises ValueError saying which, and for no JSON."""
    try:
        json.loads(data, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:64]!r} is said twice")
        found[name] = value
    return found
