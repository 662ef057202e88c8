"""Nodes as the tables tell them; tables that cannot be right stop the node."""

import json

import attrs
import pytest

from coco_core.errors import IntegrityError
from coco_core.kv import Store, Writes, maps
from coco_core.replica import read_nodes, signing_keys
from coco_core.replica.membership import founding_writes
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


def test_only_trusted_nodes_sign() -> None:
    nodes = {name: attrs.evolve(node, status="Pending") for name, node in CONSORTIUM.nodes.items()}
    assert signing_keys(nodes) == {}


def test_certificate_of_another_node() -> None:
    one, other = CONSORTIUM.nodes.values()
    with pytest.raises(IntegrityError, match="is for node"):
        signing_keys({one.node_id: attrs.evolve(one, certificate=other.certificate)})
    with pytest.raises(IntegrityError, match=f"certificate of node {one.node_id}: "):
        signing_keys({one.node_id: attrs.evolve(one, certificate="nonsense")})
