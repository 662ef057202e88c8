"""Administrative transactions as such: any bytes get an answer, and each sees what those before it wrote."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import ANONYMOUS, Applied, Batch, BatchResult, Caller, Outcome, Rejected, Request
from coco_core.base import NodeID, limits
from coco_core.crypto import read_certificate
from coco_core.governance import (
    ADMINISTRATION_MAPS,
    PENDING,
    RETIRED,
    Administration,
    MembershipChange,
    StarlarkRuntime,
    cancel_payload,
    change_payload,
    change_writes,
    founding_writes,
    join_payload,
    node_writes,
    policy_writes,
    read_change,
    read_nodes,
)
from coco_core.governance.consortium import ServiceConfig, config_writes
from coco_core.kv import Store, View, Writes, maps, merge
from coco_core.replica.checking import check_result
from coco_core.testing import Consortium
from coco_core.testing.at_once import run_at_once
from coco_core.testing.consortium import ADMISSION, POLICY

CONSORTIUM = Consortium.of(6)
OPERATOR = Caller(kind="operator", identity=read_certificate(CONSORTIUM.operator).fingerprint)
ADMINISTRATION = Administration(
    ADMISSION,
    CONSORTIUM.service.key,
    runtime=StarlarkRuntime(),
    secrets=CONSORTIUM.secrets,
    entropy=bytes,
)
NOW_MS = 1_700_000_000_000


def name(number: int) -> NodeID:
    return CONSORTIUM.identities[number].node_id


def tables(*changes: Writes) -> Store:
    """Return the tables of a service of three, with ``changes``."""
    store = Store()
    founding = founding_writes(
        CONSORTIUM.first(3).values(), CONSORTIUM.service.certificate, [CONSORTIUM.operator]
    )
    merge(founding, policy_writes(POLICY))
    for seqno, writes in enumerate((founding, *changes), 1):
        store.append(seqno, writes)
        store.commit(seqno)
    return store


def run(store: Store, *payloads: bytes, caller: Caller = OPERATOR) -> list[Outcome]:
    requests = tuple(Request(payload, caller) for payload in payloads)
    batch = Batch(requests=requests, view=2, first_seqno=9, time_ms=NOW_MS, randomness=bytes(32))
    result = run_at_once(ADMINISTRATION.execute(batch, store.view()))
    assert isinstance(check_result(result, len(payloads), ADMINISTRATION_MAPS), BatchResult)
    assert not result.closing
    return list(result.outcomes)


def after(store: Store, *outcomes: Outcome) -> View:
    view = store.view()
    for outcome in outcomes:
        if isinstance(outcome, Applied):
            view = view.over(outcome.writes)
    return view


def code(outcome: Outcome) -> str:
    return outcome.code if isinstance(outcome, Rejected) else "applied"


def join(number: int) -> bytes:
    return join_payload(CONSORTIUM.joiner(number), CONSORTIUM.proof(number))


def waiting(*numbers: int) -> Writes:
    return node_writes(CONSORTIUM.joiner(number) for number in numbers)


def test_a_joiners_certificate_lasts_as_long_as_members_allow() -> None:
    joiner = CONSORTIUM.joiner(4)
    lasting = attrs.evolve(joiner, certificate=CONSORTIUM.nodes[joiner.node_id].certificate)
    (refused,) = run(tables(), join_payload(lasting, CONSORTIUM.proof(4)))
    assert code(refused) == "certificate_validity"
    days = ServiceConfig().maximum_node_certificate_validity_days
    shorter = config_writes(ServiceConfig(maximum_node_certificate_validity_days=days - 1))
    assert [code(run(tables(*one), join(4))[0]) for one in ((), (shorter,))] == [
        "applied",
        "certificate_validity",
    ]


# ── any bytes ────────────────────────────────────────────────────────────────────────────────────

NO_REQUEST = [
    b"",
    b"{",
    b"null",
    b"1",
    b'"join"',
    b"[]",
    b'[["join", {}]]',
    b"{}",
    b'{"join": {}, "cancel": true}',
    b'{"Join": {}}',
    b'{"vote": 1}',
    b'{"join": NaN}',
    b"\xff",
    b'{"join": "\xff"}',
    b'{"join":' * 100_000,
    b"[" * 100_000,
    b'{"cancel": true} x',
]


@pytest.mark.parametrize("payload", NO_REQUEST, ids=range(len(NO_REQUEST)))
@pytest.mark.parametrize("caller", [OPERATOR, ANONYMOUS])
def test_what_is_no_request(payload: bytes, caller: Caller) -> None:
    assert run(tables(), payload, caller=caller) == [
        Rejected("malformed", "expected an object with one of cancel, change, gov, join")
    ]


MALFORMED: list[tuple[str, Any]] = [
    ("change", None),
    ("change", True),
    ("change", []),
    ("change", "add"),
    ("change", {}),
    ("change", {"add": []}),
    ("change", {"remove": []}),
    ("change", {"add": None, "remove": []}),
    ("change", {"add": {}, "remove": []}),
    ("change", {"add": name(3), "remove": []}),
    ("change", {"add": [1], "remove": []}),
    ("change", {"add": [None], "remove": []}),
    ("change", {"add": [[name(3)]], "remove": []}),
    ("change", {"add": [name(3), name(3)], "remove": []}),
    ("change", {"add": [], "remove": [name(1), name(1)]}),
    ("change", {"add": [f"{number}" for number in range(limits.NODES_MAX + 1)], "remove": []}),
    ("cancel", False),
    ("cancel", 1),
    ("cancel", {}),
    ("cancel", None),
    ("join", []),
]


@pytest.mark.parametrize(("kind", "body"), MALFORMED)
def test_malformed_bodies(kind: str, body: Any) -> None:
    change = change_writes(MembershipChange((name(3),), (), "ab"))
    for store in (tables(waiting(3)), tables(waiting(3), change)):
        (outcome,) = run(store, json.dumps({kind: body}).encode())
        assert isinstance(outcome, Rejected)
        assert outcome.code == "malformed"
        assert outcome.message.startswith(f"{kind}: ")


@pytest.mark.parametrize("body", [None, {}, {"add": [], "remove": []}, 1])
def test_who_may_not_ask_is_told_nothing_else(body: Any) -> None:
    for kind in ("change", "cancel"):
        assert code(run(tables(), json.dumps({kind: body}).encode(), caller=ANONYMOUS)[0]) == "not-operator"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(name(3)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["add", "remove", "join", "x"]), inner, max_size=3)
        ),
    )
)
def test_any_value_gets_an_answer(value: Any) -> None:
    for kind in ("join", "change", "cancel"):
        run(tables(waiting(3)), json.dumps({kind: value}).encode())
    run(tables(), json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(payload: bytes) -> None:
    run(tables(), payload)


# ── one after another ────────────────────────────────────────────────────────────────────────────


def test_requests_of_a_batch_see_those_before_them() -> None:
    store = tables()
    outcomes = run(
        store,
        join(3),
        join(3),
        change_payload([name(3)], [name(0)]),
        join(4),
        change_payload([name(4)], []),
        cancel_payload(),
        cancel_payload(),
        change_payload([name(4)], [name(3)]),
        change_payload([name(4)], []),
    )
    assert [code(outcome) for outcome in outcomes] == [
        "applied",
        "duplicate",
        "applied",
        "applied",
        "change-under-way",
        "applied",
        "no-change",
        "not-a-member",
        "applied",
    ]
    view = after(store, *outcomes)
    assert read_change(view) == MembershipChange((name(4),), (), OPERATOR.identity)
    assert read_nodes(view).keys() == {*map(name, (0, 1, 2, 4))}


def test_each_writes_what_is_its_own() -> None:
    outcomes = run(tables(), join(3), join(4), change_payload([name(3)], []))
    first, second, change = (outcome.writes for outcome in outcomes)  # type: ignore[union-attr] # applied
    for writes, number in ((first, 3), (second, 4)):
        assert writes.keys() == {maps.NODES_INFO, maps.NODES_ENDORSED_CERTIFICATES, maps.ADMISSIONS}
        assert all(changes.keys() == {name(number).encode()} for changes in writes.values())
    assert change.keys() == {maps.MEMBERSHIP_CHANGE}


def test_a_change_of_the_same_batch_protects_who_it_adds() -> None:
    address = CONSORTIUM.joiner(3).peer_address
    late = join_payload(attrs.evolve(CONSORTIUM.joiner(4), peer_address=address), CONSORTIUM.proof(4))
    store = tables()
    outcomes = run(store, join(3), change_payload([name(3)], []), late)
    assert [code(outcome) for outcome in outcomes] == ["applied"] * 3
    assert name(3) in read_nodes(after(store, *outcomes))
    outcomes = run(store, join(3), late, change_payload([name(3)], []))
    assert [code(outcome) for outcome in outcomes] == ["applied", "applied", "not-pending"]


def test_only_refusing_begins_no_change() -> None:
    store = tables(waiting(3, 4))
    (outcome,) = run(store, change_payload([], [name(3), name(4)]))
    assert isinstance(outcome, Applied)
    assert outcome.writes.keys() == {
        maps.NODES_INFO,
        maps.NODES_ENDORSED_CERTIFICATES,
        maps.ADMISSIONS,
        maps.LEASES,
        maps.NODE_OWNERS,
    }
    assert read_nodes(after(store, outcome)).keys() == {*map(name, (0, 1, 2))}


def test_retired_nodes_are_neither_added_nor_removed() -> None:
    retired = attrs.evolve(CONSORTIUM.joiner(3), status=RETIRED)
    store = tables(node_writes([retired]))
    outcomes = run(store, change_payload([name(3)], []), change_payload([], [name(3)]), join(3))
    assert [code(outcome) for outcome in outcomes] == ["not-pending", "not-a-member", "retired"]


def test_last_member_stays() -> None:
    alone = Store()
    nodes = CONSORTIUM.first(1).values()
    founding = founding_writes(nodes, CONSORTIUM.service.certificate, [CONSORTIUM.operator])
    alone.append(1, {**founding, **policy_writes(POLICY)})
    alone.commit(1)
    outcomes = run(alone, change_payload([], [name(0)]), join(1), change_payload([name(1)], [name(0)]))
    assert [code(outcome) for outcome in outcomes] == ["too-few-or-many", "applied", "applied"]


def test_service_without_operators_is_changed_by_nobody() -> None:
    store = Store()
    founding = founding_writes(CONSORTIUM.first(3).values(), CONSORTIUM.service.certificate)
    store.append(1, {**founding, **policy_writes(POLICY)})
    store.commit(1)
    outcomes = run(store, join(3), change_payload([name(3)], []), cancel_payload())
    assert [code(outcome) for outcome in outcomes] == ["applied", "not-operator", "not-operator"]
    assert read_nodes(after(store, *outcomes))[name(3)].status == PENDING
