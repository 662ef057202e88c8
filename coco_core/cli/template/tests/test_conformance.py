"""The framework's conformance kit: what every ledger promises."""

from __future__ import annotations

from coco_core.testing.conformance import LedgerAdapterTests

from coco_untitled.conformance import UntitledHarness


class TestUntitled(LedgerAdapterTests):
    """Every standard test; one that cannot hold is overridden with a reason (``overridden``)."""

    harness = UntitledHarness()
