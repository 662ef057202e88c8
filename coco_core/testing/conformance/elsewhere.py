"""The same batches executed in another process: later, on a host of another name, with sets in another order.

Run as a program it prints what the adapter of a harness writes, as digests; what nodes may differ in is made
to differ before anything of the adapter is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import trio

from coco_core.adapter import Applied, BatchResult, Rejected, Writes
from coco_core.testing.conformance.harness import LedgerHarness
from coco_core.testing.conformance.marking import Nonconformity
from coco_core.testing.conformance.pipeline import Pipeline

Digests = list[tuple[str, str]]
"""What it is of, and the digest, in order."""

_LATER_S: Final = 400 * 24 * 3600
_HOST: Final = "another-host.invalid"


async def digests_here(harness: LedgerHarness) -> Digests:
    """Return digests of what the adapter writes for a few batches."""
    found: Digests = []
    async with Pipeline.open(harness, 1) as pipeline:
        await pipeline.send(harness.valid(0), harness.conflict(0)[0])
        batches: Sequence[Sequence[bytes]] = (
            [harness.valid(1), harness.rejected(0), harness.valid(2), *harness.conflict(1)],
            [harness.rejected(1), *harness.malformed(), harness.valid(3)],
        )
        for number, payloads in enumerate(batches):
            result = await pipeline.aside(*payloads)
            found += _digests(f"batch {number}", result)
    return found


async def digests_elsewhere(harness: LedgerHarness) -> Digests:
    """Return the same as another process comes to it."""
    (found,) = await all_elsewhere([harness])
    return found


async def all_elsewhere(harnesses: Sequence[LedgerHarness]) -> list[Digests]:
    """Return what one other process comes to, for each of ``harnesses``."""
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = await trio.run_process(
        [sys.executable, "-W", "ignore", "-m", __name__],
        stdin=json.dumps([_place(harness) for harness in harnesses]).encode(),
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip().splitlines()
        raise Nonconformity(f"executing in another process failed: {' / '.join(text[-3:])}")
    return [[(what, digest) for what, digest in found] for found in json.loads(done.stdout)]


def _place(harness: LedgerHarness) -> list[Any]:
    kind = type(harness)
    return [inspect.getfile(kind), kind.__module__, kind.__qualname__, list(harness.arguments)]


def _digests(batch: str, result: BatchResult) -> Digests:
    found: Digests = []
    for number, outcome in enumerate(result.outcomes):
        where = f"{batch}, request {number}"
        found.append((where, type(outcome).__name__))
        if isinstance(outcome, Applied):
            found += _digests_of_writes(where, outcome.writes)
            found.append((f"{where}: receipt", hashlib.sha256(outcome.receipt).hexdigest()))
            found.append((f"{where}: claims", outcome.claims.hex()))
        elif isinstance(outcome, Rejected):
            found.append((f"{where}: code", outcome.code))
    return [*found, *_digests_of_writes(f"{batch}, closing", result.closing)]


def _digests_of_writes(where: str, writes: Writes) -> Digests:
    found: Digests = []
    for name in sorted(writes):
        digest = hashlib.sha256()
        for key, value in sorted(writes[name].items()):
            for part in (key, b"-" if value is None else b"+" + value):
                digest.update(len(part).to_bytes(8) + part)
        found.append((f"{where}: writes to {name}", digest.hexdigest()))
    return found


def _move() -> None:
    """Be at another time and place; only what is imported from now on believes it without fail."""
    real_time, real_time_ns = time.time, time.time_ns
    time.time = lambda: real_time() + _LATER_S
    time.time_ns = lambda: real_time_ns() + _LATER_S * 10**9
    socket.gethostname = lambda: _HOST


def _harness(path: str, module: str, name: str, arguments: Sequence[str]) -> LedgerHarness:
    """Return the harness of that name, from its file if its module cannot be imported by name."""
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(module, path)
        if spec is None or spec.loader is None:
            raise
        found = importlib.util.module_from_spec(spec)
        sys.modules[module] = found
        spec.loader.exec_module(found)
    for part in name.split("."):
        found = getattr(found, part)
    made: LedgerHarness = found(*arguments)
    return made


async def _all(harnesses: Sequence[LedgerHarness]) -> list[Digests]:
    return [await digests_here(harness) for harness in harnesses]


def main() -> None:
    """Print the digests for the harnesses that are named on standard input."""
    _move()
    harnesses = [_harness(*place) for place in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(trio.run(_all, harnesses)))


if __name__ == "__main__":
    main()
