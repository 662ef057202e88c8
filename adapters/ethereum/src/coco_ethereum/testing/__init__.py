"""Tests for others to run: the kit for EVM engines and the small chain it is written with."""

from coco_ethereum.testing.engine_kit import EvmEngineTests
from coco_ethereum.testing.world import World

__all__ = ["EvmEngineTests", "World"]
