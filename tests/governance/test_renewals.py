"""Leases renewed by vouchers: who may come in whose place, what is refused, and what ends a renewal."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from coco_core.adapter import ANONYMOUS, Applied, Batch, Outcome, Rejected, Request
from coco_core.base import NodeID, limits
from coco_core.crypto import SignatureError, service_id
from coco_core.errors import MemberError
from coco_core.governance import (
    ACTIVE,
    RETIRED,
    VOTE,
    VOUCHED,
    Administration,
    LeasePolicy,
    MembershipChange,
    StarlarkRuntime,
    Voucher,
    change_writes,
    divided,
    founding_writes,
    join_payload,
    lapsed_writes,
    lapses,
    lease_policy_writes,
    lease_writes,
    node_writes,
    policy_writes,
    quarantine_due,
    read_admissions,
    read_change,
    read_lease_policy,
    read_nodes,
    read_renewals,
    unfit_writes,
    voucher_from_json,
    voucher_to_json,
)
from coco_core.governance.consortium import member_writes
from coco_core.governance.decision import Decision
from coco_core.governance.epochs import wanted_epoch
from coco_core.governance.renewals import RENEWAL
from coco_core.kv import Store, View, Writes, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.at_once import run_at_once
from coco_core.testing.consortium import ADMISSION, POLICY
from coco_core.testing.members import NOW_MS, Signatory

NETWORK = Consortium.of(7)
OTHER = Consortium.of(1, first_key=5000)
ALICE = Signatory.make("alice")
LEASE_S = 100
HALF_MS = NOW_MS + LEASE_S * 1000 // 2
END_MS = NOW_MS + LEASE_S * 1000
ADMINISTRATION = Administration(
    ADMISSION,
    NETWORK.service.key,
    runtime=StarlarkRuntime(),
    secrets=NETWORK.secrets,
    entropy=bytes,
)


def name(number: int) -> NodeID:
    return NETWORK.identities[number].node_id


def named(network: Consortium = NETWORK) -> str:
    return service_id(network.service.certificate)


def voucher(old: int, fresh: int, **changes: Any) -> Voucher:
    made = Voucher.sign(NETWORK.identities[old].key, changes.pop("service", named()), name(fresh))
    return attrs.evolve(made, **changes)


def owned(node: int, owner: str, data: Any = None) -> Writes:
    return {
        maps.NODE_OWNERS: {name(node).encode(): json.dumps({"member_id": owner, "node_data": data}).encode()}
    }


def tables(*changes: Writes, policy: LeasePolicy | None = None) -> View:
    """Return the tables of a service of three with leases, the first owned by Alice, with ``changes``."""
    store = Store()
    founding = founding_writes(NETWORK.first(3).values(), NETWORK.service.certificate)
    merge(founding, policy_writes(POLICY))
    merge(founding, lease_policy_writes(policy or LeasePolicy(lease_s=LEASE_S, renewal=VOUCHED)))
    merge(founding, lease_writes([name(number) for number in range(3)], LEASE_S, NOW_MS))
    merge(founding, member_writes(ALICE.member(status=ACTIVE)))
    merge(founding, owned(0, ALICE.member_id, "its data"))
    for seqno, writes in enumerate((founding, *changes), 1):
        store.append(seqno, writes)
        store.commit(seqno)
    return store.view()


def ask(
    view: View, fresh: int, word: Voucher | None, time_ms: int = HALF_MS, *, asked: int = 1, **changes: Any
) -> Outcome:
    node = attrs.evolve(NETWORK.joiner(fresh), **changes)
    payload = join_payload(node, NETWORK.proof(fresh, asked), word)
    batch = Batch(
        requests=(Request(payload, ANONYMOUS),),
        view=2,
        first_seqno=9,
        time_ms=time_ms,
        randomness=bytes(32),
    )
    (outcome,) = run_at_once(ADMINISTRATION.execute(batch, view)).outcomes
    return outcome


def asked(view: View, old: int, fresh: int, time_ms: int = HALF_MS) -> View:
    """Return the tables behind a renewal that began."""
    outcome = ask(view, fresh, voucher(old, fresh), time_ms)
    assert isinstance(outcome, Applied), outcome
    return view.over(outcome.writes)


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "applied"


# ── vouchers ─────────────────────────────────────────────────────────────────────────────────────


def test_a_voucher_is_good_for_one_service_and_one_fresh_node() -> None:
    key = NETWORK.identities[0].key.public
    word = voucher_from_json(voucher_to_json(voucher(0, 3)))
    word.check(key, named(), name(3))
    for holder, service, fresh in (
        (NETWORK.identities[1].key.public, named(), name(3)),
        (key, named(OTHER), name(3)),
        (key, named(), name(4)),
    ):
        with pytest.raises(SignatureError):
            word.check(holder, service, fresh)


@pytest.mark.parametrize(
    "changes",
    [{"replaces": 1}, {"replaces": None}, {"signature": 1}, {"signature": "!"}, {"signature": "A" * 1024}],
)
def test_what_is_no_voucher(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        voucher_from_json(voucher_to_json(voucher(0, 3)) | changes)
    with pytest.raises(KeyError):
        voucher_from_json({})


# ── who comes in whose place ─────────────────────────────────────────────────────────────────────


def test_a_fresh_node_takes_the_place_of_who_vouches_for_it() -> None:
    view = asked(tables(), 0, 3)
    assert read_change(view) == MembershipChange((name(3),), (name(0),), RENEWAL)
    assert read_nodes(view)[name(3)].status == "Pending"
    recorded = read_admissions(view)[name(3)].voucher
    assert recorded is not None
    recorded.check(NETWORK.identities[0].key.public, named(), name(3))
    assert view.get(maps.NODE_OWNERS, name(3).encode()) == view.get(maps.NODE_OWNERS, name(0).encode())
    assert read_renewals(view)[name(3)].replaces == name(0)


def test_several_share_one_change_which_members_may_have_begun() -> None:
    waiting = node_writes([NETWORK.joiner(5)])
    begun = MembershipChange((name(5),), (), "proposal 1")
    view = asked(asked(tables(waiting, change_writes(begun)), 0, 3), 1, 4)
    change = MembershipChange((name(5), name(3), name(4)), (name(0), name(1)), "proposal 1")
    assert read_change(view) == change
    assert view.get(maps.NODE_OWNERS, name(4).encode()) is None


def test_who_waits_for_a_vote_takes_no_place_from_who_renews() -> None:
    many = Consortium.of(limits.PENDING_NODES_MAX, first_key=9000)
    waiting = node_writes(
        attrs.evolve(many.joiner(number), peer_address=f"127.0.0.1:{8000 + number}")
        for number in range(limits.PENDING_NODES_MAX)
    )
    view = tables(waiting)
    assert code(ask(view, 3, None)) == "too-many-pending"
    asked(view, 0, 3)


def test_nothing_is_renewed_without_the_policy() -> None:
    view = tables(policy=LeasePolicy(lease_s=LEASE_S))
    assert code(ask(view, 3, voucher(0, 3))) == "voucher"
    assert code(ask(view, 3, None)) == "applied"


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [(HALF_MS - 1, "lease"), (HALF_MS, "applied"), (END_MS - 1, "applied"), (END_MS, "lease")],
)
def test_a_lease_is_renewed_in_its_second_half(time_ms: int, expected: str) -> None:
    assert code(ask(tables(), 3, voucher(0, 3), time_ms)) == expected


def test_who_has_no_lease_renews_none() -> None:
    assert code(ask(tables(lease_writes([name(0)], None, 0)), 3, voucher(0, 3))) == "lease"


FORGED = {
    "for another fresh node": voucher(0, 4),
    "for another service": voucher(0, 3, service=named(OTHER)),
    "by another node": voucher(1, 3, replaces=name(0)),
    "by who is unknown": voucher(5, 3),
    "by the fresh node": voucher(3, 3),
    "by nobody": Voucher(replaces=NodeID("x" * 10_000), signature=b""),
    "unsigned": voucher(0, 3, signature=b""),
    "signed otherwise": voucher(0, 3, signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
}


@pytest.mark.parametrize("word", FORGED.values(), ids=FORGED)
def test_a_voucher_that_is_none(word: Voucher) -> None:
    outcome = ask(tables(), 3, word)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "voucher"
    assert len(outcome.message) < 500


@pytest.mark.parametrize("status", ["Pending", RETIRED])
def test_only_who_is_trusted_vouches(status: str) -> None:
    old = attrs.evolve(NETWORK.nodes[name(0)], status=status)
    assert code(ask(tables(node_writes([old])), 3, voucher(0, 3))) == "voucher"


def test_who_is_leaving_does_not_vouch() -> None:
    leaving = change_writes(MembershipChange((), (name(0),), "proposal 1"))
    assert code(ask(tables(leaving), 3, voucher(0, 3))) == "voucher"


def test_one_renewal_of_a_node_at_a_time() -> None:
    view = asked(tables(), 0, 3)
    assert code(ask(view, 4, voucher(0, 4))) == "voucher"
    assert code(ask(view, 3, voucher(0, 3))) == "duplicate"


def test_a_node_whose_owner_left_is_not_renewed() -> None:
    assert code(ask(tables(owned(0, "ab" * 32)), 3, voucher(0, 3))) == "voucher"


def test_the_fresh_node_is_judged_as_any() -> None:
    assert code(ask(tables(), 3, voucher(0, 3), measurement="ab" * 32)) == "measurement"
    nothing_allowed: Writes = {
        maps.CODE_MEASUREMENTS: {key: None for key, _ in tables().items(maps.CODE_MEASUREMENTS)}
    }
    assert code(ask(tables(nothing_allowed), 3, voucher(0, 3))) == "measurement"


@pytest.mark.parametrize("word", [None, [], "x", {}, {"replaces": "a", "signature": "!"}])
def test_a_malformed_voucher_in_a_transaction(word: Any) -> None:
    value = json.loads(join_payload(NETWORK.joiner(3), NETWORK.proof(3)))
    value["join"]["voucher"] = word
    batch = Batch(
        requests=(Request(json.dumps(value).encode(), ANONYMOUS),),
        view=2,
        first_seqno=9,
        time_ms=HALF_MS,
        randomness=bytes(32),
    )
    (outcome,) = run_at_once(ADMINISTRATION.execute(batch, tables())).outcomes
    assert code(outcome) == "malformed"


def test_a_renewal_waits_for_no_other() -> None:
    waiting = node_writes([NETWORK.joiner(5)])
    begun = MembershipChange((name(5),), (name(2),), "proposal 1")
    view = asked(asked(tables(waiting, change_writes(begun)), 0, 3), 1, 4)
    change = read_change(view)
    assert change is not None
    assert divided(view, change, [], HALF_MS) == (change, None)
    assert divided(view, change, [name(4)], HALF_MS) == (
        MembershipChange((name(5), name(3)), (name(2), name(0)), "proposal 1"),
        MembershipChange((name(4),), (name(1),), "proposal 1"),
    )


def test_a_renewal_waits_for_nobody_whom_members_let_in() -> None:
    waiting = node_writes([NETWORK.joiner(5)])
    begun = MembershipChange((name(5),), (name(2),), "proposal 1")
    view = asked(asked(tables(waiting, change_writes(begun)), 0, 3), 1, 4)
    change = read_change(view)
    assert change is not None
    assert divided(view, change, [name(5)], HALF_MS) == (
        MembershipChange((name(3), name(4)), (name(0), name(1)), "proposal 1"),
        begun,
    )
    assert divided(view, change, [name(4), name(5)], HALF_MS) == (
        MembershipChange((name(3),), (name(0),), "proposal 1"),
        MembershipChange((name(5), name(4)), (name(2), name(1)), "proposal 1"),
    )


# ── what ends a renewal ──────────────────────────────────────────────────────────────────────────


def test_a_renewal_that_takes_too_long_is_taken_back() -> None:
    view = asked(asked(tables(), 0, 3), 1, 4, HALF_MS + 10_000)
    quarter_ms = LEASE_S * 1000 // 4
    assert lapses(view) == {name(3): HALF_MS + quarter_ms, name(4): HALF_MS + 10_000 + quarter_ms}
    assert lapsed_writes(view, HALF_MS + quarter_ms - 1) is None
    writes = lapsed_writes(view, HALF_MS + quarter_ms)
    assert writes is not None
    view = view.over(writes)
    assert read_change(view) == MembershipChange((name(4),), (name(1),), RENEWAL)
    assert name(3) not in read_nodes(view)
    assert wanted_epoch(view) == "an addition was cancelled"
    again = asked(view, 0, 5, END_MS - 1)
    assert lapses(again)[name(5)] == END_MS


def test_whose_renewal_lapses_with_its_lease_is_quarantined() -> None:
    view = asked(tables(lease_writes([name(2)], 2 * LEASE_S, NOW_MS)), 0, 3, END_MS - 1)
    writes = lapsed_writes(view, END_MS)
    assert writes is not None
    view = view.over(writes)
    assert read_change(view) is None
    due = quarantine_due(view, END_MS)
    assert due is not None
    change = read_change(view.over(due))
    assert change is not None
    assert set(change.remove) == {name(0), name(1)}


def test_a_renewal_of_no_lease_is_taken_back_at_once() -> None:
    view = asked(tables(), 0, 3)
    view = view.over(lease_writes([name(0)], None, 0))
    assert lapsed_writes(view, HALF_MS) is not None


def test_whose_fresh_node_is_unfit_stays() -> None:
    view = asked(tables(), 0, 3)
    view = view.over({maps.CODE_MEASUREMENTS: {key: None for key, _ in view.items(maps.CODE_MEASUREMENTS)}})
    writes = unfit_writes(view)
    assert writes is not None
    view = view.over(writes)
    assert read_change(view) is None
    assert name(3) not in read_nodes(view)


def decided(view: View, add: list[int], remove: list[int]) -> View:
    decision = Decision(
        base=view,
        proposal_id="1",
        proposer=ALICE.member_id,
        time_ms=HALF_MS,
        deal=lambda *_: {},
        begin_epoch=lambda *_: {},
        renew=lambda *_: "",
    )
    decision.change_nodes([name(number) for number in add], [name(number) for number in remove])
    return view.over(decision.writes)


def test_members_send_the_fresh_node_away_and_the_old_one_stays() -> None:
    view = decided(asked(tables(), 0, 3), [], [3])
    assert read_change(view) is None
    assert name(3) not in read_nodes(view)
    assert wanted_epoch(view) is not None


def test_members_send_the_old_node_away_and_the_fresh_one_goes_with_it() -> None:
    view = decided(asked(tables(), 0, 3), [], [0])
    assert read_change(view) == MembershipChange((), (name(0),), RENEWAL)
    assert name(3) not in read_nodes(view)
    assert code(ask(view, 4, voucher(0, 4))) == "voucher"
    with pytest.raises(MemberError, match="nothing to remove"):
        decided(view, [], [0])


def test_members_have_another_node_take_its_place() -> None:
    view = tables(node_writes([NETWORK.joiner(5)]))
    view = decided(asked(view, 0, 3), [5], [0])
    assert read_change(view) == MembershipChange((name(5),), (name(0),), RENEWAL)
    assert read_renewals(view) == {}


# ── the policy ───────────────────────────────────────────────────────────────────────────────────


def test_the_policy_is_read_as_it_was_written() -> None:
    for policy in (LeasePolicy(), LeasePolicy(lease_s=3), LeasePolicy(lease_s=3, renewal=VOUCHED)):
        assert read_lease_policy(Store().view().over(lease_policy_writes(policy))) == policy
    old: Writes = {maps.LEASE_POLICY: {maps.SINGLETON_KEY: b'{"lease_s": 3}'}}
    assert read_lease_policy(Store().view().over(old)) == LeasePolicy(lease_s=3, renewal=VOTE)
