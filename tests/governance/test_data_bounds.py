"""What proposals attach to members and nodes stays within what a constitution can be asked with."""

from __future__ import annotations

import datetime
import json
from typing import Any

import attrs
import pytest

from coco_core.adapter import Applied, Outcome
from coco_core.base import NodeID, limits
from coco_core.crypto import Curve, PrivateKey, read_certificate, self_signed
from coco_core.errors import MemberError
from coco_core.governance import (
    ACTIVE,
    RETIRED,
    Administration,
    Member,
    StarlarkRuntime,
    check_members_data,
    founding_writes,
    node_writes,
    read_consortium,
    shipped_constitution,
)
from coco_core.governance.proposal_tables import service_state
from coco_core.kv import Writes, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import NOW_MS, Council, Signatory

NETWORK = Consortium.of(3)
ALICE, BOB = (Signatory.make(name) for name in ("alice", "bob"))
FIRST, SECOND = (one.node_id for one in NETWORK.identities[:2])


def council(*others: Member, also: Writes | None = None) -> Council:
    administration = Administration(
        ADMISSION,
        NETWORK.service.key,
        runtime=StarlarkRuntime(),
        secrets=NETWORK.secrets,
        entropy=bytes,
    )
    tables: Writes = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    merge(tables, also if also is not None else {})
    members = [ALICE.member(status=ACTIVE, encryption_key=None), *others]
    return Council.of(administration, tables, members, shipped_constitution("majority"))


def answer(outcome: Outcome) -> Any:
    assert isinstance(outcome, Applied), outcome
    return json.loads(outcome.receipt)


def decided(place: Council, *actions: dict[str, Any]) -> Any:
    proposal = answer(place.propose(ALICE, *actions))["proposalId"]
    return answer(place.vote(ALICE, proposal))


def member_data(member: Signatory, data: Any) -> dict[str, Any]:
    return {"name": "set_member_data", "args": {"member_id": member.member_id, "member_data": data}}


def node_data(node: NodeID, data: Any) -> dict[str, Any]:
    return {"name": "set_node_data", "args": {"node_id": node, "node_data": data}}


def code(number: int) -> dict[str, Any]:
    return {"name": "add_code_measurement", "args": {"platform": "snp", "measurement": f"{number:064x}"}}


def test_data_of_all_members_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MEMBERS_DATA_TOTAL_MAX_BYTES", 100)
    place = council(BOB.member(encryption_key=None))
    assert decided(place, member_data(ALICE, "x" * 80))["proposalState"] == "Accepted"
    said = decided(place, member_data(BOB, "y" * 20))
    assert said["proposalState"] == "Failed"
    assert "the data of all members together is 104 bytes, more than 100" in said["failure"]
    named = {"name": "set_member", "args": {"cert": BOB.certificate, "member_data": "y" * 20}}
    assert decided(place, named)["proposalState"] == "Failed"
    assert read_consortium(place.view)[BOB.member_id].data is None
    # What makes room comes first.
    room = [member_data(ALICE, ""), member_data(BOB, "y" * 20)]
    assert decided(place, *room)["proposalState"] == "Accepted"


def test_data_of_all_nodes_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NODES_DATA_TOTAL_MAX_BYTES", 100)
    place = council()
    assert decided(place, node_data(FIRST, "x" * 90))["proposalState"] == "Accepted"
    said = decided(place, node_data(SECOND, "y" * 90))
    assert said["proposalState"] == "Failed"
    assert "the data of all nodes together is" in said["failure"]
    assert decided(place, node_data(FIRST, "z" * 90))["proposalState"] == "Accepted"
    # Who is gone takes its data along.
    place.write(node_writes([attrs.evolve(NETWORK.nodes[FIRST], status=RETIRED)]))
    assert decided(place, node_data(SECOND, "y" * 90))["proposalState"] == "Accepted"
    seen: Any = service_state(place.view, "")
    assert (seen["nodes"][FIRST]["node_data"], seen["nodes"][SECOND]["node_data"]) == (None, "y" * 90)


def test_so_many_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CODE_MEASUREMENTS_MAX", 2)
    place = council()
    assert decided(place, code(1), code(2), code(1))["proposalState"] == "Accepted"
    assert "allowed already" in decided(place, code(3))["failure"]


def test_founders_data() -> None:
    one = ALICE.member(data="x" * 60_000)
    check_members_data([one] * 34)
    with pytest.raises(MemberError, match="all members together"):
        check_members_data([one] * 35)


def test_service_with_all_the_data_it_may_have_is_governed_still() -> None:
    """As many members, nodes' data and measurements as may be, and the largest proposal: it is decided."""
    at = datetime.datetime.fromtimestamp(NOW_MS / 1000, datetime.UTC)
    days = datetime.timedelta(days=365)
    key = PrivateKey.generate(Curve.P256)
    share = limits.MEMBERS_DATA_TOTAL_MAX_BYTES // (limits.MEMBERS_MAX - 1) - 2
    others = [
        Member(
            certificate=self_signed(key, f"m{number}", not_before=at - days, not_after=at + days),
            data="x" * share,
        )
        for number in range(limits.MEMBERS_MAX - 1)
    ]
    check_members_data(others)
    # Twice: who renews a lease has the data of the old node, too.
    half = "x" * limits.NODES_DATA_TOTAL_MAX_BYTES
    owned = {
        node.encode(): json.dumps({"member_id": None, "node_data": half}).encode() for node in (FIRST, SECOND)
    }
    allowed = {f"SNP:{number:0128x}".encode(): b"{}" for number in range(limits.CODE_MEASUREMENTS_MAX)}
    place = council(*others, also={maps.NODE_OWNERS: dict(owned), maps.CODE_MEASUREMENTS: dict(allowed)})
    user = {"name": "set_user", "args": {"cert": BOB.certificate, "user_data": [1e9] * 4_000}}
    said = decided(place, *[user] * 8)
    assert said["proposalState"] == "Accepted"
    assert place.view.get(maps.USERS_CERTS, read_certificate(BOB.certificate).fingerprint.encode())
