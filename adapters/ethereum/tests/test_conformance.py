"""Ethereum keeps the framework's contract for ledgers."""

from __future__ import annotations

from coco_core.testing.conformance import LedgerAdapterTests
from coco_ethereum.testing.conformance import EthereumHarness


class TestEthereum(LedgerAdapterTests):
    harness = EthereumHarness()
