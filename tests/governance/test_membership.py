"""Nodes as the tables tell them; tables that cannot be right stop the node."""

import json

import attrs
import pytest

from coco_core.base import NodeID, limits
from coco_core.errors import IntegrityError
from coco_core.governance import (
    PENDING,
    RETIRED,
    TRUSTED,
    Members,
    MembershipChange,
    change_writes,
    dismissing_writes,
    founding_writes,
    node_writes,
    read_change,
    read_manifests,
    read_members,
    read_nodes,
    signing_keys,
    was_dismissed,
)
from coco_core.kv import Store, Writes, maps
from coco_core.testing import Consortium

CONSORTIUM = Consortium.of(2)
FIRST = CONSORTIUM.identities[0].node_id


def tables() -> Writes:
    return founding_writes(CONSORTIUM.nodes.values(), CONSORTIUM.service.certificate)


def store_of(writes: Writes) -> Store:
    store = Store()
    store.append(1, writes)
    return store


def test_round_trip() -> None:
    nodes = read_nodes(store_of(tables()).head())
    assert nodes == CONSORTIUM.nodes
    assert signing_keys(nodes) == {one.node_id: one.key.public for one in CONSORTIUM.identities}


def test_node_without_certificate_is_not_one_yet() -> None:
    writes = tables()
    del writes[maps.NODES_ENDORSED_CERTIFICATES][FIRST.encode()]
    assert FIRST not in read_nodes(store_of(writes).head())


def changed(**fields: object) -> bytes:
    info = json.loads(tables()[maps.NODES_INFO][FIRST.encode()] or b"")
    return json.dumps(info | fields).encode()


MALFORMED = {
    "not JSON": b"{",
    "not an object": b"[]",
    "nested": b"[" * 100_000,
    "not text": b"\xff",
    "no fields": b"{}",
    "quote is text": changed(quote_info="x"),
    "quote without format": changed(quote_info={"quote": "", "endorsements": ""}),
    "quote not base64": changed(quote_info={"format": "x", "quote": "!", "endorsements": ""}),
    "unknown status": changed(status="Learner"),
    "status a list": changed(status=["Trusted"]),
    "interface is text": changed(node_to_node_interface="x"),
    "interface without address": changed(node_to_node_interface={}),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_record(fault: str) -> None:
    writes = tables()
    writes[maps.NODES_INFO][FIRST.encode()] = MALFORMED[fault]
    with pytest.raises(IntegrityError, match="malformed record of node"):
        read_nodes(store_of(writes).head())


def test_malformed_names() -> None:
    for name, key, value in (
        (maps.NODES_INFO, b"\xff", changed()),
        (maps.NODES_ENDORSED_CERTIFICATES, FIRST.encode(), b"\xff"),
    ):
        writes = tables()
        writes[name][key] = value
        writes[maps.NODES_ENDORSED_CERTIFICATES].setdefault(key, b"")
        with pytest.raises(IntegrityError, match="malformed record of node"):
            read_nodes(store_of(writes).head())


@pytest.mark.parametrize(
    ("status", "ended", "signs"),
    [(PENDING, False, False), (TRUSTED, False, True), (RETIRED, False, True), (RETIRED, True, False)],
)
def test_who_signs(status: str, ended: bool, signs: bool) -> None:
    """Who is removed leads on, and signs, until that is agreed."""
    nodes = {
        name: attrs.evolve(node, status=status, retired_committed=ended)
        for name, node in CONSORTIUM.nodes.items()
    }
    assert bool(signing_keys(nodes)) == signs


# ── the change under way ─────────────────────────────────────────────────────────────────────────

CHANGE = MembershipChange(add=(FIRST,), remove=(), requested_by="ab")


def test_change_round_trip() -> None:
    store = store_of(change_writes(CHANGE))
    assert read_change(store.head()) == CHANGE
    store.append(2, change_writes(None))
    assert read_change(store.head()) is None


def change_with(**fields: object) -> bytes:
    return json.dumps(attrs.asdict(CHANGE) | fields).encode()


MALFORMED_CHANGES = {
    "not JSON": b"{",
    "empty": b"",
    "nested": b"[" * 100_000,
    "not an object": b"[]",
    "no fields": b"{}",
    "adds text": change_with(add="node"),
    "adds a number": change_with(add=[1]),
    "removes nothing": change_with(remove=None),
    "removes a list": change_with(remove=[["x"]]),
    "by a number": change_with(requested_by=1),
}


@pytest.mark.parametrize("fault", MALFORMED_CHANGES)
def test_malformed_change(fault: str) -> None:
    store = store_of({maps.MEMBERSHIP_CHANGE: {maps.SINGLETON_KEY: MALFORMED_CHANGES[fault]}})
    with pytest.raises(IntegrityError, match=maps.MEMBERSHIP_CHANGE):
        read_change(store.head())
    with pytest.raises(IntegrityError, match=maps.MEMBERSHIP_CHANGE):
        read_members(store.head())


@pytest.mark.parametrize("value", [b"{", b"[]", b"{}", b"\xff"])
def test_malformed_manifest(value: bytes) -> None:
    store = store_of({maps.ADAPTERS: {b"tally": value}})
    with pytest.raises(IntegrityError, match=maps.ADAPTERS):
        read_manifests(store.head())


def test_members_are_the_trusted_and_who_is_added() -> None:
    store = store_of(tables())
    second = CONSORTIUM.identities[1].node_id
    store.append(2, node_writes([attrs.evolve(CONSORTIUM.nodes[second], status=PENDING)]))
    assert read_members(store.head()) == Members(frozenset({FIRST}), frozenset())
    store.append(3, change_writes(attrs.evolve(CHANGE, add=(second,), remove=(FIRST,))))
    assert read_members(store.head()) == Members(frozenset({FIRST}), frozenset({second}))


def test_certificate_of_another_node() -> None:
    one, other = CONSORTIUM.nodes.values()
    with pytest.raises(IntegrityError, match="is for node"):
        signing_keys({one.node_id: attrs.evolve(one, certificate=other.certificate)})
    with pytest.raises(IntegrityError, match=f"certificate of node {one.node_id}: "):
        signing_keys({one.node_id: attrs.evolve(one, certificate="nonsense")})


def test_whose_addition_was_taken_back_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DISMISSED_NODES_KEPT_MAX", 2)
    store = Store()
    names = [NodeID(f"{number}" * 64) for number in (3, 1, 4, 0, 2)]
    for seqno, name in enumerate(names, 1):
        store.append(seqno, dismissing_writes(store.head(), [name]))
        assert was_dismissed(store.head(), name), "the last one is, whatever its name"
    assert sum(was_dismissed(store.head(), name) for name in names) <= 3
