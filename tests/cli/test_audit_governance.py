"""``coco ledger audit`` judges governance too, constitutions evaluated in a process of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coco_core.governance.consortium import constitution_writes
from coco_core.testing import Consortium
from coco_core.testing.governed_ledger import GovernedLedger
from coco_core.testing.members import Signatory

Coco = Callable[..., Any]

NETWORK = Consortium.of(4)
MEMBERS = tuple(Signatory.make(name) for name in ("alice", "bob", "carol"))


@pytest.fixture
def story() -> GovernedLedger:
    """A ledger whose members changed it: one proposal accepted by a ballot that is a text."""
    ledger = GovernedLedger(NETWORK, MEMBERS)
    user = {"name": "set_user", "args": {"cert": MEMBERS[0].certificate}}
    name = ledger.propose(ledger.alice, user)
    ledger.vote(ledger.alice, name)
    assert ledger.vote(ledger.bob, name, "def vote(proposal, proposer):\n    return True\n") == "Accepted"
    return ledger


def written(ledger: GovernedLedger, folder: Path) -> Path:
    name, data = ledger.file
    (folder / name).write_bytes(data)
    return folder


def test_what_governed_is_told(coco: Coco, story: GovernedLedger, tmp_path: Path) -> None:
    ran = coco("ledger", "audit", written(story, tmp_path))
    assert (ran.status, ran.err) == (0, "")
    assert "ballots: 2" in ran.out
    fields = json.loads(coco("ledger", "audit", tmp_path, "--json").out)
    assert fields["proposals"] == {"Accepted": 1}
    assert (fields["governance_changes"], fields["founded_by"], fields["ballots"]) == (3, 2, 2)
    assert fields["members"] == {one.member_id: "Active" for one in MEMBERS}
    (constitution,) = fields["constitutions"]
    assert (constitution["from"], constitution["to"]) == (2, story.seqno)


def test_a_lie_about_governance_exits_1(coco: Coco, story: GovernedLedger, tmp_path: Path) -> None:
    seqno = story.place(constitution_writes("def validate(p): return None"))
    ran = coco("ledger", "audit", written(story, tmp_path))
    assert (ran.status, ran.out) == (1, "")
    assert f"seqno {seqno}: [governance-cause]" in ran.err
    assert len(ran.err.splitlines()) == 1
