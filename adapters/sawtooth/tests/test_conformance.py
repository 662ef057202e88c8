"""Sawtooth keeps the framework's contract for ledgers."""

from __future__ import annotations

from coco_core.testing.conformance import LedgerAdapterTests
from coco_sawtooth.testing.conformance import SawtoothHarness


class TestSawtooth(LedgerAdapterTests):
    harness = SawtoothHarness()
