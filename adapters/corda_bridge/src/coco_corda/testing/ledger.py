"""Corda's ledger in one process: what tests and benchmarks do with it."""

from __future__ import annotations

from collections.abc import Sequence

from coco_corda import records
from coco_corda.payloads import Payload, Submission, encode
from coco_core.adapter import Applied, Outcome, Request
from coco_core.testing import Sandbox


class Ledger(Sandbox):
    """One that takes transactions, jars and parameters."""

    async def execute(self, *requests: bytes | Payload) -> Sequence[Outcome]:
        """Execute requests together and commit; bytes are transactions. Return their fates."""
        payloads = [Submission(stx=each) if isinstance(each, bytes) else each for each in requests]
        result = await self.speculate([Request(encode(each)) for each in payloads])
        self.commit()
        return result.outcomes

    def receipt(self, outcome: Outcome) -> records.Receipt:
        """Return the receipt of what was applied."""
        if not isinstance(outcome, Applied):
            raise TypeError(f"not applied: {outcome}")
        return records.Receipt.unpack(outcome.receipt)
