"""Processes beside nodes, without which a ledger executes nothing: started, watched, and ended in time.

Each runs behind ``leash``, so that none outlives this process, however this one ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from coco_core.adapter import Companion
from coco_core.cli import leash
from coco_core.errors import OperatorError

LEASH: Final = (sys.executable, "-I", "-S", str(Path(leash.__file__).resolve()))
"""Starts what its standard input says, and kills it, with all it started, when that closes."""


def log_file(number: int) -> str:
    """Return the name of the file, in its node's folder, of what companion ``number`` (from 1) prints."""
    return f"companion-{number}.log"


def order(companion: Companion) -> bytes:
    """Return what tells a leash to run ``companion``."""
    environment = None if companion.environment is None else dict(companion.environment)
    return json.dumps({"command": list(companion.command), "environment": environment}).encode() + b"\n"


def last_line(log: Path) -> str:
    """Return the last line of what a process printed."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


@asynccontextmanager
async def companions(beside: Mapping[Path, Sequence[Companion]]) -> AsyncIterator[None]:
    """Run the processes named, by the folder of the node whose they are, and kill them on the way out.

    What one prints goes into a file of that folder (``log_file``). What they start is killed with them, and
    all of it too when this process is gone. Raises OperatorError when one cannot be started, or ends before
    it is killed; whoever is inside is cancelled then.
    """
    started: list[tuple[trio.Process, str, Path]] = []
    ended: list[OperatorError] = []
    try:
        for folder, wanted in beside.items():
            for number, each in enumerate(wanted, 1):
                log = folder / log_file(number)
                started.append((await _open(log), " ".join(each.command), log))
                await _start(started[-1][0], each)
        async with trio.open_nursery() as nursery:

            async def watch(process: trio.Process, name: str, log: Path) -> None:
                await process.wait()
                # Whatever killed the leash may have left what it held. The number is not another's yet.
                _kill(process)
                ended.append(OperatorError(f"{name} ended: {last_line(log)}"))
                nursery.cancel_scope.cancel()

            for one in started:
                nursery.start_soon(watch, *one)
            yield
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            for process, _, _ in started:
                await _end(process)
    if ended:
        raise ended[0]


async def _open(log: Path) -> trio.Process:
    """Start a leash."""
    with log.open("ab") as output:
        return await trio.lowlevel.open_process(
            list(LEASH),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            # Ctrl-C goes to this process, which then ends them.
            start_new_session=os.name == "posix",
        )


async def _start(process: trio.Process, companion: Companion) -> None:
    """Have a leash run ``companion``; raises OperatorError when that cannot be started."""
    if process.stdin is None or process.stdout is None:
        raise OperatorError(f"{companion.command[0]} cannot be started: no pipes")
    reason = b""
    try:
        await process.stdin.send_all(order(companion))
        async for data in process.stdout:
            reason += bytes(data)
    except trio.BrokenResourceError:
        reason = b"what starts it ended"
    if reason:
        said = reason.decode(errors="replace").strip()
        raise OperatorError(f"{companion.command[0]} cannot be started: {said}")


async def _end(process: trio.Process) -> None:
    """Kill a leash and what it holds, unless it ended itself."""
    if process.returncode is None:
        _kill(process)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            # Where there are no groups it kills what it holds now.
            await stream.aclose()
    await process.wait()


def _kill(process: trio.Process) -> None:
    """Kill the group that ``process`` leads (POSIX only), if any of it is left."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
