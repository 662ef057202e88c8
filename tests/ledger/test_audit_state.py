"""What the auditor asks of the service and its nodes, rule by rule."""

import pytest

from coco_core.crypto import PrivateKey, endorse
from coco_core.kv.maps import (
    NODES_ENDORSED_CERTIFICATES,
    NODES_INFO,
    SERVICE_INFO,
    SINGLETON_KEY,
)


@pytest.mark.parametrize("status", ["Recovering", "WaitingForRecoveryShares", "Closed"])
def test_status_out_of_order(writer, ids, tables, status) -> None:
    writer.genesis()
    writer.tx(tables["service_info"](ids.service, "Open"))
    if status == "Recovering":
        writer.tx(tables["service_info"](ids.service, "Recovering"))
        status = "Open"
    writer.tx(tables["service_info"](ids.service, status))
    writer.refused("service-status")


def test_service_info_must_be_readable(writer) -> None:
    for value in (None, b"{", b"[]", b'{"status":"Opening"}'):
        writer.__init__(writer.ids)
        writer.tx({SERVICE_INFO: {SINGLETON_KEY: value}})
        writer.refused("service-status")
    writer.__init__(writer.ids)
    writer.tx({SERVICE_INFO: {SINGLETON_KEY: b'{"cert":"nonsense","status":"Opening"}'}})
    writer.refused("service-identity")


def test_identity_replaced_without_recovery(writer, strangers, tables) -> None:
    writer.genesis()
    writer.tx(tables["service_info"](strangers.service, "Open"))
    writer.refused("service-identity")


def test_identity_replaced_in_the_unsigned_tail(writer, strangers, tables) -> None:
    writer.genesis()
    writer.sign()
    endorsing = tables["endorsing"](writer, strangers)
    writer.view += 1
    writer.tx(tables["service_info"](strangers.service, "Opening") | endorsing)
    writer.refused("unsigned", pinned=strangers.service)


def test_node_tables_must_be_readable(writer, ids, tables) -> None:
    cases = [
        ({NODES_INFO: {ids.node_id.encode(): b"{}"}}, "node-status"),
        ({NODES_INFO: {ids.node_id.encode(): b'{"status":"Superb"}'}}, "node-status"),
        ({NODES_INFO: {b"short": b"{}"}}, "node-id"),
        ({NODES_INFO: {ids.node_id.upper().encode(): b"{}"}}, "node-id"),
        ({NODES_ENDORSED_CERTIFICATES: {ids.node_id.encode(): b"nonsense"}}, "node-certificate"),
    ]
    for writes, rule in cases:
        writer.__init__(writer.ids)
        writer.genesis()
        writer.tx(writes)
        writer.refused(rule)


def test_a_retired_node_never_returns(writer, ids, tables) -> None:
    writer.genesis()
    writer.tx(tables["node_info"](ids.node_id, "Retired"))
    writer.tx({NODES_INFO: {ids.node_id.encode(): None}})
    writer.tx(tables["node_info"](ids.node_id, "Trusted"))
    writer.refused("node-status")


def test_an_endorsed_key_cannot_endorse_another(writer, ids, tables) -> None:
    intruder = PrivateKey.generate()
    forged = endorse(
        intruder.public,
        "Coco Node",
        ids.node_key,
        ids.node,
        not_before=ids.service_not_before,
        not_after=ids.service_not_after,
    )
    writer.genesis()
    writer.tx(tables["endorsed"](intruder.public.node_id(), forged))
    writer.refused("node-certificate")
