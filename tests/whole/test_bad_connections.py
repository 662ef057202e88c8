"""Connections nobody should make: too many, too much, half open, noise; the nodes go on as before."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from coco_core.base import limits
from coco_core.client import pinned_context
from coco_core.crypto import Curve, PrivateKey
from coco_core.wire.http import MessageReader, render_request

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_changes")]

TIMEOUT_S = 60
CHAIN_ID = hex(1337)
NODES = 3
SERVER, LIMIT = -32000, -32005
USED = 8
"""A development account that has sent something."""


def call(method: str, *params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


HEAD = b"POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: %d\r\n\r\n" % (limits.HTTP_BODY_MAX_BYTES + 1), 413),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
        (HEAD + b"X: " + b"x" * 2 * limits.HTTP_HEADERS_MAX_BYTES + b"\r\n\r\n", 431),
        (HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n", 400),
        (b"CONNECT node:1 HTTP/1.1\r\nHost: node:1\r\n\r\n", 501),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"\r\n\r\nwhat is this\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_http_that_breaks_its_rules_is_refused_by_status(live, exchange, data, status):
    assert exchange(live.address(0), data).startswith(b"HTTP/1.1 %d " % status)


def test_a_body_beyond_the_bound_is_refused_while_it_arrives(live, exchange):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunks = chunk * (limits.HTTP_BODY_MAX_BYTES // 0x10000 + 1)
    answer = exchange(live.address(0), HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
    assert answer.startswith(b"HTTP/1.1 413 ") or answer == b""


# ── too much ─────────────────────────────────────────────────────────────────────────────────────────

FLOOD_CONNECTIONS = 40
FLOOD_CALLS = 1_000


def answers(connection: socket.socket, count: int) -> list[Any]:
    reader = MessageReader(requests=False)
    found: list[Any] = []
    while len(found) < count:
        data = connection.recv(1 << 20)
        assert data, f"the connection ended after {len(found)} of {count} answers"
        found += [json.loads(message.body) for message in reader.feed(data)]
    return found


@pytest.mark.parametrize("node", [0, -1], ids=["through the first node", "through the last node"])
def test_a_flood_beyond_the_queue_is_answered_busy(live, node):
    """Four times what the queue holds at once; the transactions have an old nonce and change nothing."""
    raw = "0x" + live.sign(USED, value=7).hex()
    batch = b"[" + b",".join([call("eth_sendRawTransaction", raw)] * FLOOD_CALLS) + b"]"
    request = render_request("POST", "/", "node", batch, "application/json")
    assert FLOOD_CONNECTIONS * FLOOD_CALLS >= 4 * limits.QUEUE_REQUESTS_MAX
    codes = {SERVER: 0, LIMIT: 0}
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(live.address(node), TIMEOUT_S))
            for _ in range(FLOOD_CONNECTIONS)
        ]
        for connection in connections:
            connection.sendall(request)
        # Beside the flood, who only reads is served.
        assert live.call(node, "eth_chainId") == CHAIN_ID
        for connection in connections:
            (found,) = answers(connection, 1)
            assert len(found) == FLOOD_CALLS
            for each in found:
                codes[each["error"]["code"]] += 1
        # The same connections go on afterwards.
        for connection in connections:
            connection.sendall(render_request("POST", "/", "node", call("eth_chainId"), "application/json"))
            assert answers(connection, 1)[0]["result"] == CHAIN_ID
    assert codes[LIMIT] > 0
    assert codes[SERVER] >= limits.QUEUE_REQUESTS_MAX // 2, "what fitted the queue was judged"
    assert live.admin(node, "/node/health")["statistics"]["queue_requests"] == 0


HALF = [
    b"",
    b"P",
    HEAD[:20],
    HEAD,
    HEAD + b"Content-Length: 1000\r\n\r\n{",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"\x16",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("interface", ["rpc", "admin"])
def test_connections_left_half_open_hinder_nobody(live, interface):
    with contextlib.ExitStack() as stack:
        for beginning in HALF * 40:
            connection = stack.enter_context(socket.create_connection(live.address(0, interface), TIMEOUT_S))
            with contextlib.suppress(ConnectionError):
                connection.sendall(beginning)
        assert live.call(0, "eth_chainId") == CHAIN_ID
        assert live.admin(0, "/node/health")["state"] == "open"


def test_beyond_the_bound_of_connections_the_served_ones_go_on(live):
    request = render_request("POST", "/", "node", call("eth_chainId"), "application/json")
    with socket.create_connection(live.address(0), TIMEOUT_S) as served:
        served.sendall(request)
        assert answers(served, 1)[0]["result"] == CHAIN_ID
        refused = 0
        with contextlib.ExitStack() as stack:
            for _ in range(limits.HTTP_CONNECTIONS_MAX):
                connection = stack.enter_context(socket.create_connection(live.address(0), TIMEOUT_S))
                with contextlib.suppress(ConnectionError):
                    connection.sendall(request)
                try:
                    refused += not connection.recv(1)
                except ConnectionError:
                    refused += 1
            assert refused > 0
            served.sendall(request)
            assert answers(served, 1)[0]["result"] == CHAIN_ID
    # The node notices one after the other that the many have gone.
    for _ in range(10_000):
        with contextlib.suppress(ConnectionError):
            assert live.call(0, "eth_chainId") == CHAIN_ID
            break


# ── noise ────────────────────────────────────────────────────────────────────────────────────────────


def noises() -> Iterator[bytes]:
    rng = random.Random(2)
    yield b"\0" * 70_000
    yield b"\xff" * 70_000
    yield b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"
    yield b"\x16\x03\x01\xff\xff" + rng.randbytes(1_000)
    yield b"\x16\x03\x03\x00\x05\x01\x00\x00\x01\x00"
    yield b"\x15\x03\x03\x00\x02\x02\x28"
    for size in (1, 5, 100, 10_000, 100_000):
        yield rng.randbytes(size)
        yield b"\x16" + rng.randbytes(size)


@pytest.mark.parametrize("interface", ["rpc", "admin", "peer"])
@pytest.mark.parametrize("node", [0, -1], ids=["the first node", "the last node"])
def test_noise_on_a_port_ends_that_connection_only(live, exchange, node, interface):
    address = live.peer_address(node) if interface == "peer" else live.address(node, interface)
    view = live.admin(node, "/node/health")["view"]
    for noise in noises():
        exchange(address, noise)
    assert live.admin(node, "/node/health")["view"] == view


def test_noise_inside_tls_ends_that_connection_only(live):
    context = pinned_context(live.up["service_certificate"])
    for interface in ("rpc", "admin"):
        host, port = live.address(0, interface)
        for noise in noises():
            with (
                socket.create_connection((host, port), TIMEOUT_S) as raw,
                context.wrap_socket(raw, server_hostname=host) as connection,
                contextlib.suppress(ConnectionError, ssl.SSLError),
            ):
                connection.sendall(noise)
                connection.recv(1_000)


@pytest.mark.parametrize("with_certificate", [False, True], ids=["no certificate", "a stranger's"])
def test_a_stranger_is_no_peer(live, service_like, tmp_path, with_certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if with_certificate:
        key = PrivateKey.generate(Curve.P256)
        (tmp_path / "stranger.pem").write_text(service_like(key) + key.to_pem())
        context.load_cert_chain(tmp_path / "stranger.pem")

    answer = b"not asked"
    # TLS 1.3 tells a client only when it reads that its certificate was refused.
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        socket.create_connection(live.peer_address(0), TIMEOUT_S) as raw,
        context.wrap_socket(raw) as connection,
    ):
        connection.sendall(b"\0\0\0\x01\0")
        answer = connection.recv(1)
    # A peer's connection would stay open, and reading would end with a timeout.
    assert answer in (b"", b"not asked")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 404),
        ("/node/no-such", 404),
        ("/node/commit?after=soon", 400),
        ("/node/tx", 400),
        ("/node/tx?transaction_id=2", 400),
        ("/node/tx?transaction_id=" + "9" * 5_000 + ".1", 400),
        ("/node/receipt?transaction_id=2.999999999", 404),
        ("/node/receipt?transaction_id=2.1&format=pdf", 400),
        ("/node/join", 404),
        ("/../../etc/passwd", 404),
    ],
)
def test_bad_questions_of_operators_get_their_status(live, target, status):
    context = pinned_context(live.up["service_certificate"])
    connection = http.client.HTTPSConnection(*live.address(1, "admin"), timeout=TIMEOUT_S, context=context)
    with contextlib.closing(connection):
        connection.request("GET", target)
        response = connection.getresponse()
        assert response.status == status
        assert json.loads(response.read())["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff", b'{"evidence": 7}'])
def test_nobody_joins_with_a_bad_request(live, body):
    context = pinned_context(live.up["service_certificate"])
    connection = http.client.HTTPSConnection(*live.address(0, "admin"), timeout=TIMEOUT_S, context=context)
    with contextlib.closing(connection):
        connection.request("POST", "/node/join", body)
        assert 400 <= connection.getresponse().status < 500
    assert len(live.admin(0, "/node/network")["nodes"]) == NODES
