"""Fixtures for every test of the Sawtooth adapter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party data kept beside the checkout; without it the test is skipped and says so."""
    path = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared"))
    if not (path / "data" / "sawtooth").is_dir():
        pytest.skip("no shared third-party data beside the checkout (COCO_SHARED names another place)")
    return path
