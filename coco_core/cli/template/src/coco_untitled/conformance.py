"""What the framework's conformance kit has to be told: samples of this ledger's transactions.

``coco adapters check`` finds it by its entry point. Needs the extra ``testing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coco_core.adapter import HTTPRequest, ReadView
from coco_core.testing.conformance import LedgerHarness, get, post

from coco_untitled.adapter import NAME, RECORDS


class UntitledHarness(LedgerHarness):
    """What the kit has to be told of this ledger."""

    name = NAME

    def genesis(self) -> Mapping[str, Any]:
        """Begin with a record, so that there is something to refuse."""
        return {"records": {"taken": "from the start"}}

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return genesis configurations that must be refused, each under the name of the faulty field."""
        return {"records": {"records": {"No Name": "x"}}}

    def valid(self, number: int) -> bytes:
        """Return a transaction that is applied once, whatever was before."""
        return f"valid-{number} {number}".encode()

    def rejected(self, number: int) -> bytes:
        """Return a well-formed transaction that is refused."""
        return f"taken {number}".encode()

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two transactions of which either may be applied, but not both."""
        return f"conflict-{number} one".encode(), f"conflict-{number} other".encode()

    def malformed(self) -> Sequence[bytes]:
        """Return what is no transaction."""
        return [b"name", b" value", b"No Name", b"name \xff", b"x" * 65 + b" value"]

    def observe(self, view: ReadView) -> Any:
        """Return what users see whenever it happened: each name and its value."""
        return {name: record.split(b" ", 1)[1] for name, record in view.items(RECORDS)}

    def questions(self) -> Sequence[HTTPRequest]:
        """Return requests whose answers change with what is committed of ``valid``."""
        return [get("/")]

    def submission(self, payload: bytes) -> HTTPRequest:
        """Return the request by which a client submits ``payload``."""
        return post("/", payload, "text/plain")
