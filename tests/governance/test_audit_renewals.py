"""What an auditor says of leases renewed by vouchers, and of a primary that lies about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.crypto import service_id
from coco_core.governance import (
    RETIRED,
    TRUSTED,
    VOTE,
    VOUCHED,
    MembershipChange,
    Voucher,
    change_writes,
    departure_writes,
    divided,
    forgetting_writes,
    lapsed_writes,
    lease_writes,
    node_writes,
    quarantine_due,
    read_admissions,
    read_change,
    read_leases,
    read_nodes,
    want_epoch,
)
from coco_core.governance.admission import admission_writes
from coco_core.governance.epochs import ADDITION_CANCELLED, MEMBERS_CHANGED
from coco_core.governance.leases import QUARANTINE
from coco_core.governance.renewals import RENEWAL
from coco_core.kv import Writes, maps, merge

Governed = Callable[..., Any]

LEASE_S = 1000
ALLOWING = """
def validate(proposal):
    return None
def resolve(proposal, proposer, votes, members):
    return "Accepted"
def apply(proposal):
    return proposal["actions"]
"""


@pytest.fixture
def leased(governed: Governed) -> Callable[..., Any]:
    """Return how a ledger begins whose nodes' leases are in their second half."""

    def begin(renewal: str | None = VOUCHED) -> Any:
        ledger = governed(ALLOWING)
        args = {"lease_s": LEASE_S, **({} if renewal is None else {"renewal": renewal})}
        ledger.propose(ledger.alice, {"name": "set_lease_policy", "args": args})
        ledger.now_ms += LEASE_S * 1000 * 6 // 10
        ledger.place({})
        return ledger

    return begin


def name(ledger: Any, number: int) -> Any:
    return ledger.network.identities[number].node_id


def renewing(ledger: Any, signer: int = 1, old: int = 1, fresh: int = 3) -> Writes:
    """Return the writes by which ``fresh`` begins to come for ``old``, with a voucher of ``signer``."""
    service = service_id(ledger.network.service.certificate)
    word = Voucher.sign(ledger.network.identities[signer].key, service, name(ledger, fresh))
    word = attrs.evolve(word, replaces=name(ledger, old))
    writes: Writes = ledger.joining(ledger.network.joiner(fresh))
    record = read_admissions(ledger.council.view.over(writes))[name(ledger, fresh)]
    merge(writes, admission_writes({name(ledger, fresh): attrs.evolve(record, voucher=word)}))
    merge(writes, begun(ledger, old, fresh))
    return writes


def begun(ledger: Any, old: int = 1, fresh: int = 3, by: str = RENEWAL) -> Writes:
    return change_writes(MembershipChange((name(ledger, fresh),), (name(ledger, old),), by))


def made(ledger: Any, slow: tuple[str, ...] = (), time_ms: int | None = None) -> Writes:
    """Return the writes that make the change under way without ``slow``, with leases that begin by it."""
    view = ledger.council.view
    under_way, nodes = read_change(view), read_nodes(view)
    assert under_way is not None
    change, rest = divided(view, under_way, slow, ledger.now_ms if time_ms is None else time_ms)
    writes = node_writes([attrs.evolve(nodes[one], status=TRUSTED) for one in change.add])
    merge(writes, node_writes([attrs.evolve(nodes[one], status=RETIRED) for one in change.remove]))
    merge(writes, change_writes(rest))
    merge(writes, want_epoch(MEMBERS_CHANGED))
    merge(writes, departure_writes(view, change.remove, ledger.now_ms))
    merge(writes, lease_writes(change.add, LEASE_S, ledger.now_ms))
    return writes


def test_a_lease_is_renewed_by_a_voucher(leased: Governed) -> None:
    ledger = leased()
    ledger.place(renewing(ledger))
    ledger.place(made(ledger))
    assert ledger.audit().changes == 3


def two_renewals(ledger: Any) -> None:
    ledger.place(renewing(ledger))
    writes = renewing(ledger, signer=2, old=2, fresh=4)
    add, remove = (name(ledger, 3), name(ledger, 4)), (name(ledger, 1), name(ledger, 2))
    writes.update(change_writes(MembershipChange(add, remove, RENEWAL)))
    ledger.place(writes)


def test_one_renewal_does_not_wait_for_another(leased: Governed) -> None:
    ledger = leased()
    two_renewals(ledger)
    ledger.place(made(ledger, slow=(name(ledger, 4),)))
    assert read_change(ledger.council.view) == MembershipChange(
        (name(ledger, 4),), (name(ledger, 2),), RENEWAL
    )
    ledger.place(made(ledger))
    assert ledger.audit().changes == 5


@pytest.mark.parametrize("late", [True, False])
def test_whose_lease_ran_out_waits_for_nobody_whom_members_let_in(leased: Governed, late: bool) -> None:
    ledger = leased()
    end_ms = read_leases(ledger.council.view)[name(ledger, 1)].until_ms
    ledger.place(renewing(ledger, signer=0, old=0, fresh=4))
    ledger.place(made(ledger))
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    let_in = {"name": "transition_node_to_trusted", "args": {"node_id": name(ledger, 3)}}
    goes = {"name": "remove_node", "args": {"node_id": name(ledger, 1)}}
    ledger.propose(ledger.alice, let_in, *([] if late else [goes]))
    if late:
        ledger.now_ms = end_ms
        ledger.place({})
        due = quarantine_due(ledger.council.view, ledger.now_ms)
        assert due is not None
        ledger.place(due)
    seqno = ledger.place(made(ledger, slow=(name(ledger, 3),), time_ms=end_ms))
    if late:
        change = read_change(ledger.council.view)
        assert change is not None
        assert (change.add, change.remove) == ((name(ledger, 3),), ())
        ledger.audit()
    else:
        ledger.refused("node-membership", seqno)


def test_a_part_of_a_change_that_is_not_what_was_asked_for(leased: Governed) -> None:
    ledger = leased()
    two_renewals(ledger)
    writes = made(ledger, slow=(name(ledger, 4),))
    writes.update(change_writes(MembershipChange((name(ledger, 4),), (), RENEWAL)))
    ledger.refused("node-membership", ledger.place(writes))


def test_a_part_of_a_change_that_members_asked_for(leased: Governed) -> None:
    ledger = leased()
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    names = {"node_id": name(ledger, 3), "replaces": name(ledger, 1)}
    ledger.propose(ledger.alice, {"name": "replace_node", "args": names})
    writes = node_writes([attrs.evolve(ledger.network.nodes[name(ledger, 1)], status=RETIRED)])
    merge(writes, change_writes(MembershipChange((name(ledger, 3),), (), "a proposal")))
    merge(writes, want_epoch(MEMBERS_CHANGED))
    merge(writes, departure_writes(ledger.council.view, [name(ledger, 1)], ledger.now_ms))
    ledger.refused("node-membership", ledger.place(writes))


def test_a_renewal_that_took_too_long_is_taken_back_not_earlier(leased: Governed) -> None:
    ledger = leased()
    ledger.place(renewing(ledger))
    writes = lapsed_writes(ledger.council.view, ledger.now_ms + LEASE_S * 1000 // 4)
    assert writes is not None
    ledger.now_ms += LEASE_S * 1000 // 4
    ledger.place(writes)
    assert ledger.audit().changes == 3
    early = leased()
    early.place(renewing(early))
    early.now_ms += LEASE_S * 1000 // 8
    early.refused("node-membership", early.place(writes))


def test_who_was_voted_out_comes_again_without_a_vote(leased: Governed) -> None:
    ledger = leased()
    ledger.place(renewing(ledger))
    ledger.propose(ledger.alice, {"name": "remove_node", "args": {"node_id": name(ledger, 3)}})
    ledger.audit()
    ledger.refused("node-join", ledger.place(renewing(ledger)))


def test_a_change_without_a_voucher(leased: Governed) -> None:
    ledger = leased()
    writes = ledger.joining(ledger.network.joiner(3))
    merge(writes, begun(ledger))
    ledger.refused("node-join", ledger.place(writes))


def test_a_change_behind_a_join_without_a_voucher(leased: Governed) -> None:
    ledger = leased()
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    ledger.refused("node-membership", ledger.place(begun(ledger)))


def test_a_voucher_by_another_node(leased: Governed) -> None:
    ledger = leased()
    ledger.refused("node-join", ledger.place(renewing(ledger, signer=2)))


@pytest.mark.parametrize("renewal", [VOTE, None])
def test_a_voucher_that_the_policy_does_not_allow(leased: Governed, renewal: str | None) -> None:
    ledger = leased(renewal)
    ledger.refused("node-join", ledger.place(renewing(ledger)))


def test_a_policy_that_came_later(leased: Governed) -> None:
    ledger = leased(VOTE)
    seqno = ledger.place(renewing(ledger))
    args = {"lease_s": LEASE_S, "renewal": VOUCHED}
    ledger.propose(ledger.alice, {"name": "set_lease_policy", "args": args})
    ledger.refused("node-join", seqno)


def test_a_lease_that_has_run_out(leased: Governed) -> None:
    ledger = leased()
    ledger.now_ms += LEASE_S * 1000
    ledger.place({})
    ledger.refused("node-join", ledger.place(renewing(ledger)))


def _nobody_goes(ledger: Any, writes: Writes) -> None:
    writes.update(change_writes(MembershipChange((name(ledger, 3),), (), RENEWAL)))


def _another_goes(ledger: Any, writes: Writes) -> None:
    writes.update(begun(ledger, old=2))


def _another_goes_too(ledger: Any, writes: Writes) -> None:
    both = (name(ledger, 1), name(ledger, 2))
    writes.update(change_writes(MembershipChange((name(ledger, 3),), both, RENEWAL)))


def _nothing_begins(ledger: Any, writes: Writes) -> None:
    del writes[maps.MEMBERSHIP_CHANGE]


def _said_otherwise(ledger: Any, writes: Writes) -> None:
    writes.update(begun(ledger, by=QUARANTINE))


def _owned(ledger: Any, writes: Writes) -> None:
    writes[maps.NODE_OWNERS] = {name(ledger, 3).encode(): b'{"member_id": null, "node_data": null}'}


def _forgotten(ledger: Any, writes: Writes) -> None:
    merge(writes, forgetting_writes([name(ledger, 2)]))


@pytest.mark.parametrize(
    "lie",
    [
        _nobody_goes,
        _another_goes,
        _another_goes_too,
        _nothing_begins,
        _said_otherwise,
        _owned,
        _forgotten,
    ],
)
def test_a_voucher_used_for_something_else(leased: Governed, lie: Callable[[Any, Writes], None]) -> None:
    ledger = leased()
    writes = renewing(ledger)
    lie(ledger, writes)
    ledger.refused("node-join", ledger.place(writes))


def test_a_renewal_taken_back_so_that_the_old_node_goes(leased: Governed) -> None:
    ledger = leased()
    ledger.place(renewing(ledger))
    ledger.now_ms += LEASE_S * 1000 // 4
    writes = change_writes(MembershipChange((), (name(ledger, 1),), RENEWAL))
    merge(writes, forgetting_writes([name(ledger, 3)]))
    merge(writes, want_epoch(ADDITION_CANCELLED))
    ledger.refused("node-membership", ledger.place(writes))


@pytest.mark.parametrize(
    "args",
    [
        {"lease_s": LEASE_S, "renewal": "never"},
        {"lease_s": LEASE_S, "renewal": None},
        {"lease_s": LEASE_S, "renewal": ["vouched"]},
        {"renewal": VOUCHED},
    ],
)
def test_a_policy_that_is_none(governed: Governed, args: dict[str, Any]) -> None:
    ledger = governed(ALLOWING)
    proposal = ledger.proposal(ledger.alice, {"name": "set_lease_policy", "args": args})
    outcome = ledger.executed("/gov/members/proposals:create", proposal)
    assert not hasattr(outcome, "writes")
