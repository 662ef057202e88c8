"""Bodies and transactions nobody should send: each gets the protocol's own error and changes nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
from collections.abc import Callable, Iterator

import pytest
import rlp
from eth_keys.constants import SECPK1_N

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("nothing_changes")]

TIMEOUT_S = 60
CHAIN_ID = 1337
PARSE, INVALID, METHOD, PARAMS, SERVER = -32700, -32600, -32601, -32602, -32000
SENDER, USED = 7, 8
"""Development accounts: one that never sent anything, and one that did."""


def call(method: str, *params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("node", [0, -1])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", PARSE),
        (b"{", PARSE),
        (b"\xff\xfe", PARSE),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}}', PARSE),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"eth_chainId"}', PARSE),
        (b"[" * 100_000, PARSE),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, PARSE),
        (b"[]", INVALID),
        (b"{}", INVALID),
        (b"null", INVALID),
        (b'"eth_chainId"', INVALID),
        (b'{"id":1,"method":"eth_chainId"}', INVALID),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', INVALID),
        (b'{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', INVALID),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', INVALID),
        (b"[" + b",".join([call("eth_chainId")] * 1_001) + b"]", INVALID),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{}}', PARAMS),
        (call("eth_noSuchMethod"), METHOD),
        (call(""), METHOD),
        (call("__class__"), METHOD),
        (call("personal_sign", "0x00", "0x" + "00" * 20), METHOD),
        (call("admin_peers"), METHOD),
        (call("eth_getBalance"), PARAMS),
        (call("eth_getBalance", "0x12", "latest"), PARAMS),
        (call("eth_getBalance", "0x" + "00" * 20, "latest", "more"), PARAMS),
        (call("eth_getBalance", "0x" + "00" * 20, "someday"), PARAMS),
        (call("eth_getBlockByNumber", "0x0", "yes"), PARAMS),
        (call("eth_getBlockByNumber", "0x" + "f" * 17, False), PARAMS),
        (call("eth_call", {"to": 7}), PARAMS),
        (call("eth_getLogs", {"topics": [["0x00"]]}), PARAMS),
        (call("eth_sendRawTransaction"), PARAMS),
        (call("eth_sendRawTransaction", 7), PARAMS),
        (call("eth_sendRawTransaction", "0xzz"), PARAMS),
    ],
)
def test_a_bad_body_gets_its_error(live, node, body, code):
    assert live.error(node, body)["code"] == code


def test_bad_calls_of_a_batch_are_answered_in_their_places(live):
    _, answer = live.post(0, b"[1," + call("eth_chainId") + b',{"id":5},' + call("nope") + b"]")
    found = json.loads(answer)
    assert [each.get("error", {}).get("code") for each in found] == [INVALID, None, INVALID, METHOD]
    assert found[1]["result"] == hex(CHAIN_ID)


def test_what_is_no_request_of_ours_is_refused_by_http(live):
    assert live.post(0, call("eth_chainId"), "text/plain")[0] == 415
    assert live.post(0, call("eth_chainId"), "application/x-www-form-urlencoded")[0] == 415
    for method, status in (("PUT", 405), ("DELETE", 405), ("GET", 200), ("OPTIONS", 204)):
        connection = http.client.HTTPConnection(*live.address(0), timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, "/")
            assert connection.getresponse().status == status


# ── transactions ─────────────────────────────────────────────────────────────────────────────────────


def with_signature(raw: bytes, *, r: int | None = None, s: int | None = None) -> bytes:
    """Return a type 2 envelope with another r or s, its last two fields (EIP-1559)."""
    fields = rlp.decode(raw[1:])
    for position, value in ((-2, r), (-1, s)):
        if value is not None:
            fields[position] = value.to_bytes((value.bit_length() + 7) // 8)
    return raw[:1] + rlp.encode(fields)


def refused_transactions(sign: Callable[..., bytes]) -> Iterator[tuple[str, bytes, str]]:
    raw = sign(SENDER)
    s = int.from_bytes(rlp.decode(raw[1:])[-1])
    yield "empty", b"", "empty transaction"
    yield "one byte", b"\x00", "transaction type not supported"
    yield "unknown type", b"\x7f" + raw[1:], "transaction type not supported"
    yield "noise", random.Random(1).randbytes(300), ""
    yield "cut short", raw[:-1], "rlp"
    yield "one byte too many", raw + b"\x00", "rlp"
    yield "a list of nothing", b"\x02\xc0", "rlp"
    yield "a length that lies", b"\x02\xfb\xff\xff\xff\xff", "rlp"
    yield "a blob transaction", b"\x03" + raw[1:], "blob transaction not supported"
    yield "of another chain", sign(SENDER, chainId=1), "invalid chain id"
    yield "legacy, of another chain", sign(SENDER, chainId=1, gasPrice=10**10), "invalid chain id"
    yield "r is zero", with_signature(raw, r=0), "invalid sender"
    yield "r is the order", with_signature(raw, r=SECPK1_N), "invalid sender"
    yield "high s", with_signature(raw, s=SECPK1_N - s), "invalid sender"
    yield "s is the order", with_signature(raw, s=SECPK1_N), "invalid sender"
    yield "nonce too low", sign(USED, value=7), "nonce too low"
    yield "nonce too high", sign(SENDER, nonce=5), "nonce too high"
    yield "nonce has no next", sign(SENDER, nonce=2**64 - 1), "nonce has max value"
    yield "no funds", sign(SENDER, value=10**40), "insufficient funds for gas * price + value"
    yield "a fee beyond all wei", sign(SENDER, maxFeePerGas=2**255), "rlp"
    yield "fee too low", sign(SENDER, maxFeePerGas=1), "max fee per gas less than block base fee"
    yield (
        "tip above fee",
        sign(SENDER, maxPriorityFeePerGas=10**11),
        "max priority fee per gas higher",
    )
    yield "gas too low", sign(SENDER, gas=20_999), "intrinsic gas too low"
    yield "gas for no block", sign(SENDER, gas=10**9), "exceeds block gas limit"
    yield "init code too long", sign(SENDER, to="", data=b"\0" * 49_153, gas=10**7), "initcode size"
    yield "too large", sign(SENDER, data=b"\0" * 140_000, gas=10**7), "oversized data"


@pytest.mark.parametrize("node", [0, -1], ids=["through the first node", "through the last node"])
def test_a_transaction_that_breaks_a_rule_is_refused(live, node):
    for name, raw, text in refused_transactions(live.sign):
        error = live.error(node, call("eth_sendRawTransaction", "0x" + raw.hex()))
        assert error["code"] == SERVER, (name, error)
        assert text in error["message"], (name, error)
