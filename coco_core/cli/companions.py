"""Processes beside nodes, without which a ledger executes nothing: started, watched, and ended in time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from coco_core.adapter import Companion
from coco_core.errors import OperatorError

LOG_FILE = "companions.log"


@asynccontextmanager
async def companions(beside: Mapping[Path, Sequence[Companion]]) -> AsyncIterator[None]:
    """Run the processes named, by the folder of the node whose they are, and kill them on the way out.

    What they print goes into a file of that folder. Raises OperatorError when one cannot be started, or ends
    before it is killed; whoever is inside is cancelled then.
    """
    started: list[tuple[trio.Process, str, Path]] = []
    ended: list[OperatorError] = []
    try:
        for folder, wanted in beside.items():
            for each in wanted:
                log = folder / LOG_FILE
                started.append((await _start(each, log), " ".join(each.command), log))
        async with trio.open_nursery() as nursery:

            async def watch(process: trio.Process, name: str, log: Path) -> None:
                await process.wait()
                ended.append(OperatorError(f"{name} ended: {_last_line(log)}"))
                nursery.cancel_scope.cancel()

            for one in started:
                nursery.start_soon(watch, *one)
            yield
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            for process, _, _ in started:
                process.kill()
                await process.wait()
    if ended:
        raise ended[0]


async def _start(companion: Companion, log: Path) -> trio.Process:
    environment = None if companion.environment is None else dict(companion.environment)
    with log.open("ab") as output:
        try:
            return await trio.lowlevel.open_process(
                list(companion.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                # Ctrl-C goes to this process, which then ends them.
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            reason = error.strerror or error
            raise OperatorError(f"{companion.command[0]} cannot be started: {reason}") from error


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
