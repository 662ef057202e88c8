"""Epochs that an auditor looks at: as the rules say, or handed out to others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.base import limits
from coco_core.governance import begin_epoch, read_service_info
from coco_core.kv import Writes, maps

Governed = Callable[..., Any]


def test_an_epoch_begun_with_something_else(governed: Governed) -> None:
    ledger = governed()
    ledger.place(begun(ledger))
    assert ledger.audit().epochs == 2
    seqno = ledger.place({**begun(ledger), maps.KEY_POLICY: {maps.SINGLETON_KEY: b'{"epoch_ms": 0}'}})
    ledger.refused("ledger-epoch", seqno)


@pytest.mark.parametrize("lie", ["nobody", "one too few", "one too many"])
def test_an_epoch_handed_out_to_others(governed: Governed, lie: str) -> None:
    ledger = governed()
    writes = begun(ledger)
    ((key, row),) = writes[maps.LEDGER_SECRETS].items()
    copies = json.loads(row or b"")
    if lie == "nobody":
        del writes[maps.LEDGER_SECRETS]
    elif lie == "one too few":
        copies.popitem()
    else:
        copies[ledger.network.joiner(3).node_id] = "AAAA"
    if lie != "nobody":
        writes[maps.LEDGER_SECRETS] = {key: json.dumps(copies).encode()}
    seqno = ledger.place(writes)
    ledger.refused("ledger-epoch", seqno)


def test_members_leave_epochs_for_recoveries(governed: Governed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one a lost service could not be recovered any more; what needs one fails until then."""
    ledger = governed()
    opening = {"next_service_identity": read_service_info(ledger.council.view)["cert"]}
    leaves = {"name": "remove_member", "args": {"member_id": ledger.carol.member_id}}
    assert ledger.decide({"name": "transition_service_to_open", "args": opening}) == "Accepted"
    monkeypatch.setattr(limits, "DECIDED_EPOCHS_MAX", 2)
    assert ledger.decide({"name": "trigger_ledger_rekey", "args": {}}) == "Accepted"
    assert ledger.decide({"name": "trigger_ledger_rekey", "args": {}}) == "Failed"
    assert ledger.decide(leaves) == "Failed"
    ledger.place(begun(ledger))
    assert ledger.audit().epochs == 3


def begun(ledger: Any) -> Writes:
    """Return what begins an epoch now."""
    place = ledger.seqno + 1
    return begin_epoch(ledger.council.view, bytes, seqno=place, time_ms=ledger.now_ms, reason="time")
