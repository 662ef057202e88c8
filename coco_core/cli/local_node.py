"""One node process of a network on this machine, as whoever started it sees it: by what it announces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trio

from coco_core.node import LEDGER_FOLDER

LOG_FILE: Final = "node.log"


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
