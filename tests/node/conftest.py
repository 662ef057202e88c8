"""Keys, listeners and TLS for tests on loopback."""

from __future__ import annotations

import pytest

from coco_core.testing import Consortium


@pytest.fixture(scope="session")
def consortium() -> Consortium:
    return Consortium.of(3)
