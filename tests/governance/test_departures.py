"""Who left is told why when it comes again: it was removed, or its lease ran out."""

from __future__ import annotations

import attrs
import pytest

from coco_core.governance import (
    PENDING,
    RETIRED,
    TRUSTED,
    RefusedError,
    departure_writes,
    lease_writes,
    quarantined,
    read_leases,
    refuse_departed,
)
from coco_core.kv import Store, View, Writes, maps
from coco_core.testing import Consortium

NETWORK = Consortium.of(2)
FIRST, SECOND = (one.node_id for one in NETWORK.identities[:2])
NOW_MS = 1_700_000_000_000
ENDS_MS = NOW_MS + 60_000


def tables(writes: Writes) -> View:
    store = Store()
    store.append(1, writes)
    return store.head()


LEASED = tables(lease_writes([FIRST], 60, NOW_MS))


def refusal(view: View, status: str, time_ms: int) -> str | None:
    node = attrs.evolve(NETWORK.nodes[FIRST], status=status)
    try:
        refuse_departed(view, node, time_ms)
    except RefusedError as error:
        return error.code
    return None


def test_removal_ends_a_lease_that_holds() -> None:
    assert departure_writes(LEASED, [FIRST, SECOND], ENDS_MS - 1) == {maps.LEASES: {FIRST.encode(): None}}
    after = LEASED.over(departure_writes(LEASED, [FIRST, SECOND], ENDS_MS - 1))
    assert read_leases(after) == {}
    assert not quarantined(after, FIRST)
    assert refusal(after, RETIRED, ENDS_MS) == "retired"


def test_lease_that_ran_out_stays_and_tells_why() -> None:
    assert departure_writes(LEASED, [FIRST], ENDS_MS) == {}
    assert quarantined(LEASED, FIRST)
    assert refusal(LEASED, RETIRED, ENDS_MS) == "lease_ran_out"
    # Whatever clock the node that is asked has: the ledger said so.
    assert refusal(LEASED, RETIRED, NOW_MS) == "lease_ran_out"


@pytest.mark.parametrize(
    ("status", "time_ms", "code"),
    [
        (TRUSTED, ENDS_MS - 1, None),
        (TRUSTED, ENDS_MS, "lease_ran_out"),
        (PENDING, ENDS_MS, None),
    ],
)
def test_who_has_not_left_yet(status: str, time_ms: int, code: str | None) -> None:
    assert refusal(LEASED, status, time_ms) == code
    assert refusal(tables({}), status, time_ms) is None
