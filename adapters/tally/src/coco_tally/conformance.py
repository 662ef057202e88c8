"""What the framework's conformance kit has to be told: samples of the tally's transactions.

``coco adapters check`` finds it by its entry point. Needs the extra ``testing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coco_core.adapter import HTTPRequest, ReadView
from coco_core.testing.conformance import Configured, LedgerHarness, get, post

from coco_tally.adapter import COUNTERS, NAME
from coco_tally.transactions import add


class TallyHarness(LedgerHarness):
    """What the kit has to be told of this ledger."""

    name = NAME

    def genesis(self) -> Mapping[str, Any]:
        """Begin with a counter."""
        return {"counters": {"begun": 1}}

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return genesis configurations that must be refused, each under the name of the faulty field."""
        return {"counters": {"counters": {"begun": "one"}}}

    def valid(self, number: int) -> bytes:
        """Return a transaction that is applied once, to a counter that all share: twice would show."""
        return add(f"valid-{number}", "shared", number + 1)

    def rejected(self, number: int) -> bytes:
        """Return one that is refused: its counter has too long a name."""
        return add(f"rejected-{number}", "x" * 21, 1)

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two transactions of one ID."""
        return add(f"conflict-{number}", "shared", 1_000), add(f"conflict-{number}", "shared", 2_000)

    def malformed(self) -> Sequence[bytes]:
        """Return what is no transaction."""
        return [b"nonsense", b"add", b"add a b", b"\xff\xfe", b"add a b +1 c", b"add a b 1e3"]

    def observe(self, view: ReadView) -> Any:
        """Return what users see whenever it happened: all counters, no blocks."""
        return dict(view.items(COUNTERS))

    def configured(self) -> Configured:
        """Let nobody add more than 5, and somebody try."""
        return Configured(values={"largest": 5}, payload=add("large", "shared", 6))

    def questions(self) -> Sequence[HTTPRequest]:
        """Return requests whose answers change with what is committed of ``valid``."""
        return [get("/shared"), get("/")]

    def submission(self, payload: bytes) -> HTTPRequest:
        """Return the request by which a client submits ``payload``."""
        return post("/", payload, "text/plain")
