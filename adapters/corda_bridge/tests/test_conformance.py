"""The Corda adapter keeps the contract, as the framework's kit sees it."""

from __future__ import annotations

import pytest

from coco_corda.shell import find_launch
from coco_corda.testing import find_samples
from coco_corda.testing.conformance import CordaHarness
from coco_core.testing.conformance import LedgerAdapterTests

MISSING = find_launch({}) if isinstance(find_launch({}), str) else find_samples(1)

if isinstance(MISSING, str):

    @pytest.mark.skip(reason=MISSING)
    def test_conformance() -> None:
        """There is no JVM here to judge with."""

else:

    class TestConformance(LedgerAdapterTests):
        harness = CordaHarness()
