"""Sawtooth's ledger in one process: what tests do with it, and how they read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from coco_core.adapter import Deferred, LedgerAdapter, Outcome, Request
from coco_core.errors import AdapterError
from coco_core.testing import Sandbox
from coco_sawtooth import messages, records
from coco_sawtooth.records import Block

BATCH_INTERVAL_MS: Final = 1_000


class Ledger(Sandbox):
    """One that takes Sawtooth's batches; each core batch is a block, a second after the one before."""

    def __init__(self, adapter: LedgerAdapter, config: Mapping[str, Any]) -> None:
        """Begin a ledger from the genesis ``config``."""
        super().__init__(adapter, config, interval_ms=BATCH_INTERVAL_MS)

    async def execute(self, *batches: messages.Batch | bytes) -> list[Outcome]:
        """Execute batches together, again those that are deferred, and commit; return their fates."""
        raw = [each if isinstance(each, bytes) else each.SerializeToString() for each in batches]
        outcomes: list[Outcome] = []
        while len(outcomes) < len(raw):
            found = await self.attempt(raw[len(outcomes) :])
            outcomes += [each for each in found if not isinstance(each, Deferred)]
            self.commit()
        return outcomes

    async def attempt(self, raw: Sequence[bytes]) -> Sequence[Outcome]:
        """Execute batches as one of the core's, and leave what they wrote uncommitted."""
        return (await self.speculate([Request(each) for each in raw])).outcomes

    @property
    def head(self) -> Block:
        """The newest committed block."""
        found = records.head(self.view())
        if found is None:
            raise AdapterError("there is no block")
        return found

    def value(self, address: str) -> bytes | None:
        """Return the committed value of an address."""
        return records.state_value(self.view(), address)

    def state(self) -> dict[bytes, bytes]:
        """Return all committed state."""
        return dict(self.view().items(records.STATE))
