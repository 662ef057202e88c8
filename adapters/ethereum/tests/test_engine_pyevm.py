"""The reference engine meets the contract."""

from __future__ import annotations

import pytest

from coco_core.errors import IntegrityError
from coco_ethereum.engine import EvmEngine
from coco_ethereum.engines import load
from coco_ethereum.testing import EvmEngineTests, World
from coco_ethereum.testing.world import BOB


class TestPyEvm(EvmEngineTests):
    """The kit over py-evm."""

    @pytest.fixture
    def engine(self) -> EvmEngine:
        return load("py-evm")

    def test_wei_beyond_256_bits_break_integrity(self, world: World) -> None:
        world.put(BOB, balance=2**256 - 1)
        with pytest.raises(IntegrityError, match="256 bits"):
            world.send(to=BOB, value=1)
