"""What a lying primary does to nodes and to changes of members, each named by rule and seqno."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.crypto import read_certificate
from coco_core.governance import (
    TRUSTED,
    MembershipChange,
    admission_writes,
    change_writes,
    forgetting_writes,
    node_writes,
    policy_writes,
    read_nodes,
)
from coco_core.kv import Writes, maps, merge
from coco_core.testing.consortium import POLICY

Governed = Callable[..., Any]


def test_first_nodes_are_judged_again(governed: Governed) -> None:
    network = governed().network
    records = network.admissions(network.first(3), 1_000)
    honest = governed(also=admission_writes(records))
    honest.audit()
    name = network.identities[1].node_id
    record = records[name]
    for forged, message in (
        (attrs.evolve(record, measurement="ab" * 32), "the verdict is another than recorded"),
        (attrs.evolve(record, policy="ab" * 32), "it was judged by another policy"),
        (attrs.evolve(record, proof=records[network.identities[2].node_id].proof), "of another node"),
    ):
        ledger = governed(also=admission_writes({**records, name: forged}))
        # Found where founding ends: it is not signed before.
        assert message in str(ledger.refused("node-join", 2))


def test_for_production_nothing_is_missing_of_the_first_nodes(governed: Governed) -> None:
    ledger = governed(also=policy_writes(attrs.evolve(POLICY, production=True)))
    assert "nothing tells why the first node" in str(ledger.refused("node-join", 2))


def test_a_node_trusted_without_a_change(governed: Governed) -> None:
    ledger = governed()
    node = ledger.network.joiner(3)
    ledger.place(ledger.joining(node))
    seqno = ledger.place(node_writes([attrs.evolve(node, status=TRUSTED)]))
    ledger.refused("node-membership", seqno)


def test_a_node_that_comes_in_trusted(governed: Governed) -> None:
    ledger = governed()
    node = attrs.evolve(ledger.network.joiner(3), status=TRUSTED)
    seqno = ledger.place(ledger.joining(node))
    ledger.refused("node-join", seqno)


def test_a_node_whose_certificate_lasts_longer_than_members_allow(governed: Governed) -> None:
    ledger = governed()
    honest = ledger.network.joiner(3)
    lasting = attrs.evolve(honest, certificate=ledger.network.nodes[honest.node_id].certificate)
    fault = ledger.refused("node-join", ledger.place(ledger.joining(lasting)))
    assert "members allow 365 days" in str(fault)
    ledger = governed()
    shorter = {"maximum_node_certificate_validity_days": 30}
    ledger.decide({"name": "set_service_configuration", "args": shorter})
    ledger.refused("node-join", ledger.place(ledger.joining(honest)))


def test_a_change_begun_by_nobody(governed: Governed) -> None:
    ledger = governed()
    node = ledger.network.joiner(3)
    ledger.place(ledger.joining(node))
    operator = read_certificate(ledger.network.operator).fingerprint
    seqno = ledger.place(change_writes(MembershipChange((node.node_id,), (), operator)))
    ledger.refused("node-membership", seqno)


def _nothing_waits(ledger: Any) -> Writes:
    return change_writes(None)


def _stranger(ledger: Any) -> Writes:
    return change_writes(MembershipChange((), (ledger.network.identities[1].node_id,), "ab" * 32))


def _trusted_again(ledger: Any) -> Writes:
    operator = read_certificate(ledger.network.operator).fingerprint
    return change_writes(MembershipChange((ledger.network.identities[1].node_id,), (), operator))


def _forgotten(ledger: Any) -> Writes:
    return forgetting_writes([ledger.network.identities[1].node_id])


def _ended(ledger: Any) -> Writes:
    node = ledger.network.identities[1].node_id
    record = read_nodes(ledger.council.view)[node]
    return node_writes([attrs.evolve(record, retired_committed=True)])


def _moved(ledger: Any) -> Writes:
    node = ledger.network.identities[1].node_id
    record = read_nodes(ledger.council.view)[node]
    return node_writes([attrs.evolve(record, peer_address="127.0.0.1:1")])


@pytest.mark.parametrize("lie", [_nothing_waits, _stranger, _trusted_again, _forgotten, _ended, _moved])
def test_what_operators_cannot_have_asked_for(governed: Governed, lie: Callable[[Any], Writes]) -> None:
    ledger = governed(None)
    seqno = ledger.place(lie(ledger))
    ledger.refused("node-membership", seqno)


def test_a_change_made_otherwise_than_it_was_asked_for(governed: Governed) -> None:
    ledger = governed(None)
    operator = read_certificate(ledger.network.operator).fingerprint
    one, other = ledger.network.joiner(3), ledger.network.joiner(4)
    for node in (one, other):
        ledger.place(ledger.joining(node))
    ledger.place(change_writes(MembershipChange((one.node_id,), (), operator)))
    writes = node_writes([attrs.evolve(other, status=TRUSTED)])
    merge(writes, change_writes(None))
    seqno = ledger.place(writes)
    ledger.refused("node-membership", seqno)


def test_a_joiner_that_pushes_somebody_else_out(governed: Governed) -> None:
    ledger = governed()
    one, other = ledger.network.joiner(3), ledger.network.joiner(4)
    ledger.place(ledger.joining(one))
    writes = ledger.joining(other)
    merge(writes, forgetting_writes([one.node_id]))
    seqno = ledger.place(writes)
    ledger.refused("node-join", seqno)


def test_a_joiner_that_ended_before_it_began(governed: Governed) -> None:
    ledger = governed()
    forged = attrs.evolve(ledger.network.joiner(3), retired_committed=True)
    seqno = ledger.place(node_writes([forged]))
    ledger.refused("node-join", seqno)


def test_two_joiners_in_one_entry(governed: Governed) -> None:
    ledger = governed()
    seqno = ledger.place(node_writes([ledger.network.joiner(3), ledger.network.joiner(4)]))
    ledger.refused("node-join", seqno)


def _no_admission(ledger: Any, writes: Writes) -> None:
    del writes[maps.ADMISSIONS]


def _row(ledger: Any, writes: Writes, change: Callable[[dict[str, Any]], object]) -> None:
    (name,) = writes[maps.ADMISSIONS]
    row = json.loads(writes[maps.ADMISSIONS][name] or b"")
    change(row)
    writes[maps.ADMISSIONS][name] = json.dumps(row).encode()


def _other_verdict(ledger: Any, writes: Writes) -> None:
    _row(ledger, writes, lambda row: row["verdict"].update(measurement="ab" * 32))


def _other_policy(ledger: Any, writes: Writes) -> None:
    _row(ledger, writes, lambda row: row.update(policy="ab" * 32))


def _other_verifier(ledger: Any, writes: Writes) -> None:
    _row(ledger, writes, lambda row: row["transcript"].update(verifier="ab" * 32))


def _other_code(ledger: Any, writes: Writes) -> None:
    node = attrs.evolve(ledger.network.joiner(3), measurement="ab" * 32)
    writes.update(node_writes([node]))


def _other_encryption_key(ledger: Any, writes: Writes) -> None:
    key = ledger.network.joiner(4).encryption_key
    writes.update(node_writes([attrs.evolve(ledger.network.joiner(3), encryption_key=key)]))


@pytest.mark.parametrize(
    "lie",
    [_no_admission, _other_verdict, _other_policy, _other_verifier, _other_code, _other_encryption_key],
)
def test_a_joiner_whose_admission_does_not_hold(
    governed: Governed, lie: Callable[[Any, Writes], None]
) -> None:
    ledger = governed()
    writes = ledger.joining(ledger.network.joiner(3))
    lie(ledger, writes)
    ledger.refused("node-join", ledger.place(writes))


def test_a_joiner_judged_at_another_time(governed: Governed) -> None:
    ledger = governed()
    writes = ledger.joining(ledger.network.joiner(3))
    _row(ledger, writes, lambda row: row.update(judged_at=1))
    ledger.refused("governance-time", ledger.place(writes))


def test_who_may_not_come_in_any_more_is_left_out(governed: Governed) -> None:
    ledger = governed(None)
    operator = read_certificate(ledger.network.operator).fingerprint
    node = ledger.network.joiner(3)
    ledger.place(ledger.joining(node))
    ledger.place(change_writes(MembershipChange((node.node_id,), (), operator)))
    writes = change_writes(None)
    merge(writes, forgetting_writes([node.node_id]))
    ledger.refused("node-membership", ledger.place(writes))
