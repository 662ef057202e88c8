"""The reference engine meets the contract."""

from __future__ import annotations

import pytest

from coco_ethereum.engine import EvmEngine
from coco_ethereum.engines import load
from coco_ethereum.testing import EvmEngineTests


class TestPyEvm(EvmEngineTests):
    """The kit over py-evm."""

    @pytest.fixture
    def engine(self) -> EvmEngine:
        return load("py-evm")
