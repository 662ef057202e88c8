"""Fixtures for every test of the core."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party data kept beside the checkout; without it the test is skipped and says so."""
    path = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("no shared third-party data beside the checkout (COCO_SHARED names another place)")
    return path
