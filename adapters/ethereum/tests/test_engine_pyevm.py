"""The reference engine meets the contract."""

from __future__ import annotations

import pytest

from coco_ethereum.engine import EvmEngine, Executed
from coco_ethereum.engines import load
from coco_ethereum.testing import EvmEngineTests, World
from coco_ethereum.testing.world import ALICE, BOB, CAROL, COINBASE, ETHER


class TestPyEvm(EvmEngineTests):
    """The kit over py-evm."""

    @pytest.fixture
    def engine(self) -> EvmEngine:
        return load("py-evm")

    def test_wei_beyond_256_bits_fail_the_transaction_alone(self, world: World) -> None:
        """No genesis of ours allows such state; if it came about, the chain must go on."""
        world.put(BOB, balance=2**256 - 1)
        refused, fine = world.run(world.sign(value=1), world.sign(nonce=1, to=CAROL, value=1)).results
        assert isinstance(refused, Executed)
        assert isinstance(fine, Executed)
        assert (refused.status, refused.gas_used, fine.status) == (0, 100_000, 1)
        assert world.account(BOB).balance == 2**256 - 1
        assert world.account(ALICE).balance < ETHER

    def test_a_fee_beyond_256_bits_is_lost(self, world: World) -> None:
        world.put(COINBASE, balance=2**256 - 1)
        assert world.send(to=BOB, value=1).status == 1
        assert world.account(COINBASE).balance == 2**256 - 1
