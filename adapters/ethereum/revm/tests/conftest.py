"""What every test of the native engine uses; all are skipped where it is not built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("coco_ethereum_revm", reason="the native engine is not built (make revm)")

from coco_ethereum.engines.revm import RevmEngine
from coco_ethereum.testing import World

CHECKOUT = Path(__file__).resolve().parents[4]


@pytest.fixture
def engine() -> RevmEngine:
    """The engine under test."""
    return RevmEngine()


@pytest.fixture
def world(engine: RevmEngine) -> World:
    """A small chain run by it."""
    return World(engine)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party data kept beside the checkout; without it the test is skipped and says so."""
    path = Path(os.environ.get("COCO_SHARED", CHECKOUT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("no shared third-party data beside the checkout (COCO_SHARED names another place)")
    return path
