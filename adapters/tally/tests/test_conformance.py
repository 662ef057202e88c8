"""The framework's conformance kit: what every ledger promises."""

from __future__ import annotations

from coco_core.testing.conformance import LedgerAdapterTests

from coco_tally.conformance import TallyHarness


class TestTally(LedgerAdapterTests):
    """Every standard test; one that cannot hold is overridden with a reason (``overridden``)."""

    harness = TallyHarness()
