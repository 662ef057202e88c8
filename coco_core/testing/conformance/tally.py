"""Tally as the conformance kit needs it: how short a harness can be."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coco_core.adapter import AdapterPlugin, HTTPRequest, ReadView
from coco_core.testing.conformance.harness import Asking, Configured, LedgerHarness, get, post
from coco_core.testing.nemesis.injected import write_modules
from coco_core.testing.nemesis.tally_plugin import TallyPlugin
from coco_core.testing.tally import COUNTERS, add, quote


class TallyHarness(LedgerHarness):
    """Samples of Tally; conflicts are two transactions of one ID."""

    name = "tally"

    def plugin(self) -> AdapterPlugin:
        """Return Tally's plugin, which no distribution registers here."""
        return TallyPlugin()

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Have node processes find Tally as an installed adapter."""
        write_modules(folder / "modules")
        inherited = os.environ.get("PYTHONPATH", "")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "modules"), inherited]))}

    def genesis(self) -> Mapping[str, Any]:
        """Begin with one counter."""
        return {"counters": {"begun": 1}}

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return counters that are none."""
        return {"counters": {"counters": {"begun": "one"}}}

    def valid(self, number: int) -> bytes:
        """Add to a counter that all share, so that what happens twice shows."""
        return add(f"valid-{number}", "shared", number + 1)

    def rejected(self, number: int) -> bytes:
        """Return a transaction whose counter has too long a name."""
        return add(f"rejected-{number}", "x" * 21, 1)

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two that use one ID."""
        return add(f"conflict-{number}", "shared", 1_000), add(f"conflict-{number}", "shared", 2_000)

    def malformed(self) -> Sequence[bytes]:
        """Return what is no line of Tally's."""
        return [b"nonsense", b"add", b"add a b", b"\xff\xfe", b"add a b +1 c", b"add a b 1e3"]

    def observe(self, view: ReadView) -> Any:
        """Return all counters."""
        return dict(view.items(COUNTERS))

    def configured(self) -> Configured:
        """Let nobody add more than 5, and somebody do."""
        return Configured(values={"largest": 5}, payload=add("large", "shared", 6))

    def asks(self) -> Asking:
        """Add a number that somebody quotes."""
        payload = quote("asked", "shared", "https://rates.example/now")
        return Asking(payload=payload, answer=b"7", another=b"8")

    def questions(self) -> Sequence[HTTPRequest]:
        """Ask for the counter."""
        return [get("/shared")]

    def submission(self, payload: bytes) -> HTTPRequest:
        """Post the line."""
        return post("/", payload, "text/plain")
