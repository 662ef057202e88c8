"""Fixtures for every test of the Corda adapter: the real JVM, or a skip that says what is missing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coco_corda.adapter import CordaAdapter
from coco_corda.plugin import adapter
from coco_corda.shell import Workers, find_launch
from coco_corda.testing import Ledger, Samples, find_samples

STATES = 20


@pytest.fixture(scope="session")
def samples() -> Samples:
    """Real transactions of R3's finance contracts."""
    found = find_samples()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """JVM workers, the same for all tests: they hold no state."""
    launch = find_launch({"verify_seconds": 60})
    if isinstance(launch, str):
        pytest.skip(launch)
    pool = Workers(launch)
    yield pool
    pool.close()


@pytest.fixture
def corda(workers: Workers) -> CordaAdapter:
    return adapter(workers, keeps=False)


@pytest.fixture
def ledger(corda: CordaAdapter, samples: Samples) -> Ledger:
    """A ledger with a few of Alice's states."""
    return Ledger(corda, samples.genesis(STATES))


@pytest.fixture
def corda_with_forged(corda: CordaAdapter, samples: Samples) -> Ledger:
    """A ledger where the state that ``left-0`` wants holds what another one does."""
    config = samples.genesis(2)
    config["states"][0]["state"] = config["states"][1]["state"]
    return Ledger(corda, config)
