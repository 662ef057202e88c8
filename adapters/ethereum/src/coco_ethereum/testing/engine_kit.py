"""The tests every EVM engine must pass.

Subclass with a fixture ``engine``::

    class TestMyEngine(EvmEngineTests):
        @pytest.fixture
        def engine(self) -> EvmEngine:
            return MyEngine()

They know the contract in ``coco_ethereum.engine`` only. Where an engine does not support a fork, its
tests are skipped and say so.
"""

from __future__ import annotations

import pytest

from coco_ethereum.engine import FORKS, EvmEngine
from coco_ethereum.testing.kit_calls import CallTests, DelegationTests, EnvironmentTests
from coco_ethereum.testing.kit_contracts import (
    CreationTests,
    DestructionTests,
    FailureTests,
    LogTests,
    StorageTests,
)
from coco_ethereum.testing.kit_roots import BrokenStateTests, RootTests
from coco_ethereum.testing.kit_validity import ValidityTests
from coco_ethereum.testing.kit_value import BlockTests, ValueTests
from coco_ethereum.testing.world import World


class EvmEngineTests(
    ValueTests,
    BlockTests,
    ValidityTests,
    CreationTests,
    StorageTests,
    FailureTests,
    LogTests,
    DestructionTests,
    EnvironmentTests,
    CallTests,
    DelegationTests,
    RootTests,
    BrokenStateTests,
):
    """Judges an engine; the subclass gives the fixture ``engine``."""

    @pytest.fixture
    def world(self, engine: EvmEngine) -> World:
        """A small chain run by the engine."""
        return World(engine)

    def test_an_engine_says_what_it_is(self, engine: EvmEngine) -> None:
        assert engine.name
        assert engine.version
        assert engine.forks
        assert [fork for fork in FORKS if fork in engine.forks] == list(engine.forks)
