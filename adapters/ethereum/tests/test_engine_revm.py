"""The native engine meets the contract, where it is installed."""

from __future__ import annotations

import pytest

from coco_ethereum.engine import EvmEngine
from coco_ethereum.engines import load
from coco_ethereum.testing import EvmEngineTests


class TestRevm(EvmEngineTests):
    """The kit over revm."""

    @pytest.fixture
    def engine(self) -> EvmEngine:
        pytest.importorskip("coco_ethereum_revm", reason="the native engine is not installed (make revm)")
        return load("revm")
