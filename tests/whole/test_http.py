"""HTTP as a plain client speaks it: pipelined, in pieces, over TLS with the service identity pinned."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from coco_core.client import pinned_context
from coco_core.crypto import Curve, PrivateKey
from coco_core.wire.http import MessageReader, render_request

pytestmark = pytest.mark.processes

TIMEOUT_S = 30
CHAIN_ID = hex(1337)


def address(up: Mapping[str, Any], node: int) -> tuple[str, int]:
    host, _, port = up["nodes"][node]["rpc"].removeprefix("http://").rpartition(":")
    return host, int(port)


def call(method: str, *params: object, number: int = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def post(data: bytes) -> bytes:
    return render_request("POST", "/", "node", data, "application/json")


def answers(connection: socket.socket, count: int) -> list[Any]:
    reader = MessageReader(requests=False)
    found: list[Any] = []
    while len(found) < count:
        data = connection.recv(65_536)
        assert data, f"the connection ended after {len(found)} of {count} answers"
        found += [json.loads(message.body) for message in reader.feed(data)]
    return found


@pytest.mark.parametrize("node", [0, -1])
def test_pipelined_requests_are_answered_in_order(up, node):
    # More than the node has under way at once: what is beyond waits in the connection.
    with socket.create_connection(address(up, node), TIMEOUT_S) as connection:
        connection.sendall(b"".join(post(call("eth_chainId", number=number)) for number in range(300)))
        found = answers(connection, 300)
    assert [each["id"] for each in found] == list(range(300))
    assert {each["result"] for each in found} == {CHAIN_ID}


def test_a_request_may_come_byte_by_byte(up):
    with socket.create_connection(address(up, 0), TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(call("eth_chainId")):
            connection.sendall(bytes((byte,)))
        assert answers(connection, 1)[0]["result"] == CHAIN_ID


def test_a_body_may_come_in_chunks(up):
    connection = http.client.HTTPConnection(*address(up, 0), timeout=TIMEOUT_S)
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    data = call("eth_chainId")
    connection.request("POST", "/", iter([data[:5], data[5:]]), headers, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["result"] == CHAIN_ID
    connection.close()


def test_a_batch_is_answered_in_order_and_notifications_are_not(up):
    notification = json.dumps({"jsonrpc": "2.0", "method": "eth_chainId"}).encode()
    calls = [call("eth_chainId", number=7), notification, call("no_such", number=8), call("eth_syncing")]
    with socket.create_connection(address(up, 0), TIMEOUT_S) as connection:
        connection.sendall(post(b"[" + b",".join(calls) + b"]"))
        (batch,) = answers(connection, 1)
    assert [each["id"] for each in batch] == [7, 8, 1]
    assert batch[0]["result"] == CHAIN_ID
    assert batch[1]["error"]["code"] == -32601


@pytest.mark.parametrize("node", range(3))
def test_every_node_proves_the_service_it_belongs_to(up, node):
    context = pinned_context(up["service_certificate"])
    connection = http.client.HTTPSConnection(*address(up, node), timeout=TIMEOUT_S, context=context)
    connection.request("POST", "/", call("eth_chainId"), {"content-type": "application/json"})
    assert json.loads(connection.getresponse().read())["result"] == CHAIN_ID
    connection.close()


def test_a_client_of_tls_1_2_is_served(up):
    context = pinned_context(up["service_certificate"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = http.client.HTTPSConnection(*address(up, 0), timeout=TIMEOUT_S, context=context)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("interface", ["rpc", "admin"])
def test_another_service_is_not_believed(up, interface, service_like):
    host, _, port = up["nodes"][0][interface].partition("://")[2].rpartition(":")
    context = pinned_context(service_like(PrivateKey.generate(Curve.P384)))
    with (
        socket.create_connection((host, int(port)), TIMEOUT_S) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(raw, server_hostname=host)
