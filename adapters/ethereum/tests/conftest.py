"""Fixtures for every test of the Ethereum adapter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Third-party data kept beside the checkout; without it the test is skipped and says so."""
    path = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared"))
    if not (path / "data").is_dir():
        pytest.skip("no shared third-party data beside the checkout (COCO_SHARED names another place)")
    return path


@pytest.fixture(scope="session")
def full() -> bool:
    """Whether to run whole suites instead of samples: COCO_FULL=1, for minutes to an hour."""
    return os.environ.get("COCO_FULL") == "1"
