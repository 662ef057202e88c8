"""How long epochs of ledger secrets may last by a key policy: for ever, or within bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.base import limits
from coco_core.errors import MemberError
from coco_core.governance.actions import plan
from coco_core.kv import maps

Governed = Callable[..., Any]


def set_key_policy(epoch_s: Any) -> dict[str, Any]:
    return {"name": "set_key_policy", "args": {"epoch_s": epoch_s}}


@pytest.mark.parametrize("epoch_s", [0, limits.EPOCH_MIN_S, limits.LEASE_MAX_S])
def test_for_ever_or_within_bounds(governed: Governed, epoch_s: int) -> None:
    ledger = governed()
    assert ledger.decide(set_key_policy(epoch_s)) == "Accepted"
    value = ledger.council.view.get(maps.KEY_POLICY, maps.SINGLETON_KEY)
    assert json.loads(value) == {"epoch_ms": epoch_s * 1000}
    ledger.audit()


@pytest.mark.parametrize(
    "epoch_s", [1, -1, limits.EPOCH_MIN_S - 1, limits.LEASE_MAX_S + 1, False, True, None, "3600", 0.0]
)
def test_what_is_no_length_of_an_epoch(epoch_s: Any) -> None:
    with pytest.raises(MemberError, match="'epoch_s', unless it is 0, must be a whole number from 3600"):
        plan([set_key_policy(epoch_s)])
