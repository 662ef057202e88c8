"""Fixtures for every test of the platforms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def samples() -> Path:
    """Evidence made by real hardware, published by others; without it the test is skipped and says so."""
    beside = Path(os.environ.get("COCO_SHARED", ROOT.parent / "shared")) / "data" / "tee-evidence"
    path = Path(os.environ.get("COCO_TEE_EVIDENCE", beside))
    if not path.is_dir():
        pytest.skip("no published TEE evidence beside the checkout (COCO_TEE_EVIDENCE names another place)")
    return path
