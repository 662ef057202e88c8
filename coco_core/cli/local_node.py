"""A node as a process of this machine: started from settings, watched by what it announces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import trio

from coco_core.errors import OperatorError
from coco_core.node import LEDGER_FOLDER

SETTINGS_FILE, LOG_FILE = "settings.json", "node.log"


class LocalNode:
    """One node process."""

    def __init__(self, index: int, folder: Path) -> None:
        """Keep everything of the node under ``folder``."""
        self.index = index
        self.folder = folder
        self.process: trio.Process | None = None
        self.info: dict[str, Any] = {}
        self.role = ""
        self.view = 0
        """The view in which it has that role."""
        self.waiting = trio.Event()
        """Whether it asked to join and waits to be let in."""
        self.recovering = trio.Event()
        """Whether it found a lost service's ledger and waits for members' shares."""
        self.listening = trio.Event()
        self.opening = trio.Event()
        """Whether it takes part in a service that its members have not opened yet."""
        self.opened = trio.Event()
        self.ended = trio.Event()

    @property
    def ledger_folder(self) -> Path:
        """Where its ledger chunks are."""
        return self.folder / LEDGER_FOLDER

    @property
    def pid(self) -> int:
        """The operating system's number for the process."""
        return self.process.pid if self.process is not None else 0

    async def start(
        self,
        nursery: trio.Nursery,
        settings: Mapping[str, Any] | Path,
        *,
        command: Sequence[str] = ("node", "run"),
        options: Sequence[str] = ("--with-parent",),
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run ``settings``, or those in a file, in a process of its own, and note what it announces.

        ``before`` is what its command line is put behind, ``environment`` what its variables are beside this
        process's own.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = settings if isinstance(settings, Path) else self.folder / SETTINGS_FILE
        if not isinstance(settings, Path):
            path.write_text(json.dumps(settings, indent=2))
        with (self.folder / LOG_FILE).open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [*before, sys.executable, "-m", "coco_core", *command, str(path), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(environment or {})},
                # Ctrl-C goes to this process, which then stops the nodes in order.
                start_new_session=True,
            )
        nursery.start_soon(self._read_events, self.process)

    async def _read_events(self, process: trio.Process) -> None:
        buffer = b""
        if process.stdout is not None:
            async for data in process.stdout:
                *lines, buffer = (buffer + bytes(data)).split(b"\n")
                for line in lines:
                    self.note(read_event(line))
        await process.wait()
        self.ended.set()

    def last_words(self) -> str:
        """Return the last plain line of its log: why it ended."""
        lines = (self.folder / LOG_FILE).read_text(errors="replace").strip().splitlines()
        plain = [line for line in lines if line.startswith("coco: ")]
        return (plain or lines or ["no message"])[-1].removeprefix("coco: ")

    def note(self, event: Mapping[str, Any]) -> None:
        """Take note of an event the process announced."""
        match event.get("event"):
            case "waiting":
                self.info = dict(event)
                self.waiting.set()
            case "recovering":
                self.info = dict(event)
                self.recovering.set()
            case "listening":
                self.info = dict(event)
                self.listening.set()
            case "role":
                self.role, self.view = str(event["role"]), int(event["view"])
            case "opening":
                self.opening.set()
            case "open":
                self.opened.set()


async def reached(nodes: Sequence[LocalNode], event: trio.Event) -> None:
    """Wait for ``event``, or raise OperatorError if one of ``nodes`` ends first."""
    async with trio.open_nursery() as nursery:

        async def watch(node: LocalNode) -> None:
            await node.ended.wait()
            raise OperatorError(f"node {node.index}: {node.last_words()}")

        for node in nodes:
            nursery.start_soon(watch, node)
        await event.wait()
        nursery.cancel_scope.cancel()


def read_event(line: bytes) -> Mapping[str, Any]:
    """Return what a node announced in a line; nothing for a line that is no event.

    Ledgers, and what they load, may write to the node's standard output too.
    """
    try:
        event: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}
