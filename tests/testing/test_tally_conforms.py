"""The kit judges Tally, and Tally the kit: the smallest adapter passes every standard test."""

from __future__ import annotations

from coco_core.testing.conformance import LedgerAdapterTests
from coco_core.testing.conformance.tally import TallyHarness


class TestTally(LedgerAdapterTests):
    harness = TallyHarness()
