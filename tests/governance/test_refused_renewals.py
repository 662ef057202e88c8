"""What members' vote against a fresh node means for the lease it came to renew."""

from __future__ import annotations

from typing import Any

import pytest

from coco_core.adapter import ANONYMOUS, Applied, Batch, Outcome, Rejected, Request
from coco_core.base import NodeID
from coco_core.crypto import service_id
from coco_core.governance import (
    ACTIVE,
    VOUCHED,
    Administration,
    LeasePolicy,
    StarlarkRuntime,
    Voucher,
    founding_writes,
    join_payload,
    lease_policy_writes,
    lease_writes,
    node_writes,
    policy_writes,
    read_leases,
    read_nodes,
)
from coco_core.governance.actions import carry_out, plan
from coco_core.governance.consortium import member_writes
from coco_core.governance.decision import Decision
from coco_core.kv import Store, View, merge
from coco_core.testing import Consortium
from coco_core.testing.at_once import run_at_once
from coco_core.testing.consortium import ADMISSION, POLICY
from coco_core.testing.members import NOW_MS, Signatory

NETWORK = Consortium.of(6)
ALICE = Signatory.make("alice")
LEASE_S = 100
HALF_MS, END_MS = NOW_MS + LEASE_S * 500, NOW_MS + LEASE_S * 1000
ADMINISTRATION = Administration(
    ADMISSION,
    NETWORK.service.key,
    runtime=StarlarkRuntime(),
    secrets=NETWORK.secrets,
    entropy=bytes,
)


def name(number: int) -> NodeID:
    return NETWORK.identities[number].node_id


def voucher(old: int, fresh: int) -> Voucher:
    return Voucher.sign(NETWORK.identities[old].key, service_id(NETWORK.service.certificate), name(fresh))


def ask(view: View, fresh: int, word: Voucher, time_ms: int = HALF_MS) -> Outcome:
    payload = join_payload(NETWORK.joiner(fresh), NETWORK.proof(fresh, 1), word)
    batch = Batch(
        requests=(Request(payload, ANONYMOUS),),
        view=2,
        first_seqno=9,
        time_ms=time_ms,
        randomness=bytes(32),
    )
    (outcome,) = run_at_once(ADMINISTRATION.execute(batch, view)).outcomes
    return outcome


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "applied"


def renewing() -> View:
    """Return the tables of a service of three with leases: node 3 comes for node 0, and node 5 waits."""
    first = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    merge(first, node_writes([NETWORK.joiner(5)]))
    merge(first, policy_writes(POLICY))
    merge(first, lease_policy_writes(LeasePolicy(lease_s=LEASE_S, renewal=VOUCHED)))
    merge(first, lease_writes([name(number) for number in range(3)], LEASE_S, NOW_MS))
    merge(first, member_writes(ALICE.member(status=ACTIVE)))
    store = Store()
    store.append(1, first)
    outcome = ask(store.head(), 3, voucher(0, 3))
    assert isinstance(outcome, Applied), outcome
    return store.head().over(outcome.writes)


def acted(view: View, actions: list[Any]) -> View:
    """Return the tables behind a proposal of these actions that was accepted."""
    decision = Decision(
        base=view,
        proposal_id="1",
        proposer=ALICE.member_id,
        time_ms=HALF_MS,
        deal=lambda *_: {},
        begin_epoch=lambda *_: {},
        renew=lambda *_: "",
    )
    carry_out(plan(actions), decision)
    return view.over(decision.writes)


REFUSING = {
    "remove_node": [{"name": "remove_node", "args": {"node_id": name(3)}}],
    "replace_node": [{"name": "replace_node", "args": {"node_id": name(5), "replaces": name(3)}}],
}


@pytest.mark.parametrize("actions", REFUSING.values(), ids=REFUSING)
def test_who_was_voted_out_does_not_come_back_by_the_same_voucher(actions: list[Any]) -> None:
    view = acted(renewing(), actions)
    assert name(3) not in read_nodes(view)
    assert read_leases(view)[name(0)].renewal_refused
    assert not read_leases(view)[name(1)].renewal_refused
    assert code(ask(view, 3, voucher(0, 3), END_MS - 1)) == "retired"
    assert code(ask(view, 4, voucher(0, 4), END_MS - 1)) == "voucher"
    assert code(ask(view, 4, voucher(1, 4))) == "applied"


def test_a_new_lease_may_be_renewed_though_the_one_before_was_not_to_be() -> None:
    view = acted(renewing(), REFUSING["remove_node"])
    policy = {"name": "set_lease_policy", "args": {"lease_s": LEASE_S, "renewal": VOUCHED}}
    view = acted(view, [policy])
    assert code(ask(view, 4, voucher(0, 4), HALF_MS + LEASE_S * 1000 // 2)) == "applied"


def test_code_that_is_not_allowed_any_more_says_nothing_of_the_old_node() -> None:
    view = renewing()
    node = read_nodes(view)[name(3)]
    args = {"platform": node.evidence.format, "measurement": node.measurement}
    view = acted(view, [{"name": "remove_code_measurement", "args": args}])
    assert name(3) not in read_nodes(view)
    view = acted(view, [{"name": "add_code_measurement", "args": args}])
    assert code(ask(view, 4, voucher(0, 4))) == "applied"
