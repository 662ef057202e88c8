"""The HTTP and JSON-RPC frame: what is refused, how batches answer, what a browser needs."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import (
    TRANSACTION_IDS_HEADER,
    HTTPRequest,
    HTTPResponse,
    NotCommitted,
    Rejected,
)
from coco_core.errors import BusyError, CallerError, IntegrityError, MalformedError
from coco_ethereum.development import development_key, development_ledger
from coco_ethereum.limits import RPC_BATCH_CALLS_MAX, RPC_BODY_TIME_MAX_MS, TRANSACTION_SIZE_MAX_BYTES
from coco_ethereum.rpc import Outside, RPCServer, server
from coco_ethereum.rpc.methods import METHODS
from coco_ethereum.rpc.transactions import is_unprotected
from coco_ethereum.shell import Pulse, WorkerPool, let_others_run, report_fault, run_in_worker
from coco_ethereum.transactions import ACCESS_LIST, DYNAMIC_FEE, LEGACY, Transaction, transaction_hash


def call(method: str, *params: object, **fields: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params), **fields}


async def post(ledger, body: object) -> Any:
    return orjson.loads((await ledger.post(body if isinstance(body, bytes) else orjson.dumps(body))).body)


CHAIN_ID = call("eth_chainId")

BAD_BODIES = {
    "empty": (b"", -32700),
    "not JSON": (b"{", -32700),
    "not UTF-8": (b'"\xff"', -32700),
    "deeply nested": (b"[" * 5_000 + b"]" * 5_000, -32700),
    "number": (b"5", -32600),
    "empty batch": (b"[]", -32600),
    "no version": (orjson.dumps({"id": 1, "method": "eth_chainId"}), -32600),
    "old version": (orjson.dumps(CHAIN_ID | {"jsonrpc": "1.0"}), -32600),
    "no method": (orjson.dumps({"jsonrpc": "2.0", "id": 1}), -32600),
    "method no text": (orjson.dumps(CHAIN_ID | {"method": 5}), -32600),
    "id a list": (orjson.dumps(CHAIN_ID | {"id": [1]}), -32600),
    "named params": (orjson.dumps(CHAIN_ID | {"params": {"a": 1}}), -32602),
    "too many params": (orjson.dumps(CHAIN_ID | {"params": [1]}), -32602),
    "unknown method": (orjson.dumps(call("eth_mine")), -32601),
    "huge batch": (orjson.dumps([CHAIN_ID] * (RPC_BATCH_CALLS_MAX + 1)), -32600),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_bodies(ledger, name):
    body, code = BAD_BODIES[name]
    answer = await post(ledger, body)
    assert answer["error"]["code"] == code
    assert answer["jsonrpc"] == "2.0"
    assert "result" not in answer


@pytest.mark.parametrize(
    "method", ["hardhat_metadata", "anvil_nodeInfo", "eth_fillTransaction", "debug_traceCall"]
)
async def test_probes_of_other_nodes_get_method_not_found(ledger, method):
    assert await ledger.error(method) == (-32601, f"the method {method} does not exist/is not available")


async def test_a_batch_answers_in_order_and_bad_calls_in_their_place(ledger):
    answers = await post(ledger, [CHAIN_ID | {"id": "a"}, 5, call("nope", id=None), CHAIN_ID | {"id": 1.5}])
    assert [answer["id"] for answer in answers] == ["a", None, None, 1.5]
    assert [answer.get("result") for answer in answers] == ["0x539", None, None, "0x539"]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601, None]


async def test_notifications_are_not_answered(ledger):
    silent = {"jsonrpc": "2.0", "method": "eth_chainId"}
    assert (await ledger.post(orjson.dumps(silent))).body == b""
    assert (await ledger.post(orjson.dumps([silent, silent]))).body == b""
    assert len(await post(ledger, [silent, CHAIN_ID])) == 1


async def test_transactions_of_a_body_are_submitted_together_in_order(ledger):
    raws = [ledger.alice.sign(value=1), ledger.alice.sign(value=2)]
    wrong = "0x05"
    body = [
        call("eth_sendRawTransaction", "0x" + raws[0].hex()),
        call("eth_getTransactionCount", ledger.alice.hex, "latest"),
        call("eth_sendRawTransaction", wrong),
        call("eth_sendRawTransaction", "nonsense"),
        call("eth_sendRawTransaction", "0x" + raws[1].hex()),
    ]
    response = await ledger.post(orjson.dumps(body))
    answers = orjson.loads(response.body)
    assert [answers[0]["result"], answers[4]["result"]] == [
        "0x" + transaction_hash(raw).hex() for raw in raws
    ]
    assert answers[1]["result"] == "0x2", "a client reads its writes"
    assert answers[2]["error"]["code"] == -32000
    assert answers[2]["error"]["message"].startswith("transaction type not supported")
    assert answers[3]["error"]["code"] == -32602
    first = ledger.status().committed_seqno - 3
    assert response.headers[TRANSACTION_IDS_HEADER] == f"2.{first},-,-,2.{first + 1}"
    assert await ledger.ok("eth_blockNumber") == "0x1"


async def test_reading_requests_carry_no_transaction_ids(ledger):
    assert TRANSACTION_IDS_HEADER not in (await ledger.post(orjson.dumps(CHAIN_ID))).headers


REFUSED = {
    "nonce gap": ({"nonce": 7}, -32000, "nonce too high"),
    "no funds": ({"value": 10**30}, -32000, "insufficient funds for gas * price + value"),
    "little gas": ({"gas_limit": 20_999}, -32000, "intrinsic gas too low"),
    "much gas": ({"gas_limit": 30_000_001}, -32000, "exceeds block gas limit"),
    "below base fee": ({"max_fee_per_gas": 1}, -32000, "max fee per gas less than block base fee"),
    "other chain": ({"chain_id": 1}, -32000, "invalid chain id for signer"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refusals_read_as_geth_words_them(any_ledger, name):
    fields, code, message = REFUSED[name]
    raw = any_ledger.alice.sign(**fields)
    found = await any_ledger.error("eth_sendRawTransaction", "0x" + raw.hex())
    assert found[0] == code
    assert found[1].startswith(message)


async def test_a_transaction_valid_on_any_chain_is_refused_unless_genesis_allows_it(ledger, make_ledger):
    raw = "0x" + ledger.alice.sign(type=LEGACY, chain_id=None).hex()
    message = "only replay-protected (EIP-155) transactions allowed over RPC"
    assert await ledger.error("eth_sendRawTransaction", raw) == (-32000, message)
    allowing = make_ledger({**development_ledger().config, "coco": {"allowUnprotected": True}})
    assert (await allowing.ok("eth_sendRawTransaction", raw)).startswith("0x")


@given(
    st.sampled_from([LEGACY, ACCESS_LIST, DYNAMIC_FEE]),
    st.sampled_from([None, 1, 1337]),
    st.integers(0, 2**64 - 2),
    st.integers(0, 2**128 - 1),
    st.none() | st.binary(min_size=20, max_size=20),
    st.sampled_from([0, 1, 55, 56, 255, 256, 70_000]),
)
def test_unprotected_transactions_are_those_that_name_no_chain(kind, chain, nonce, value, to, size):
    chain = chain if kind == LEGACY else chain or 1
    transaction = Transaction(
        type=kind,
        chain_id=chain,
        nonce=nonce,
        max_fee_per_gas=value,
        max_priority_fee_per_gas=value,
        gas_limit=nonce,
        to=to,
        value=value,
        data=b"\x1b" * size,
    )
    raw = transaction.sign(development_key(0)).encode()
    assert is_unprotected(raw) == (chain is None)
    assert not is_unprotected(raw[:-70])


@given(st.binary(max_size=60))
def test_bytes_that_are_no_transaction_are_left_to_executing_them(tail):
    for first in (b"", b"\xc0", b"\xf8", b"\xff"):
        assert is_unprotected(first + tail.replace(b"\x1b", b"").replace(b"\x1c", b"")) is False


@pytest.mark.parametrize(
    ("argument", "code"),
    [("0x", -32000), ("0xc0", -32000), ("0x123", -32602), ("12", -32602), (5, -32602), (None, -32602)],
)
async def test_what_is_no_transaction(ledger, argument, code):
    assert (await ledger.error("eth_sendRawTransaction", argument))[0] == code


async def test_an_oversized_transaction_is_refused_before_it_is_submitted(ledger):
    raw = "0x" + "00" * (TRANSACTION_SIZE_MAX_BYTES + 1)
    code, message = await ledger.error("eth_sendRawTransaction", raw)
    assert code == -32000
    assert message.startswith("oversized data")


def outside(**fields: Any) -> Outside:
    """Return the world as the adapter gives it to its server."""
    real = {"worker": run_in_worker, "pause": let_others_run, "commits": Pulse(), "report": report_fault}
    return Outside(**real | fields)


class Unavailable:
    """A service that refuses what is submitted, as a node does that is full or has lost its primary."""

    def __init__(self, ledger, error=None, fate=None):
        self._ledger, self._error, self._fate = ledger, error, fate

    def __getattr__(self, name):
        return getattr(self._ledger, name)

    def submit(self, payloads, *, caller=None):
        if self._error is not None:
            raise self._error
        fates = [self._fate] * len(payloads)

        class Submission:
            async def wait(self):
                return fates

        return Submission()


async def answered(handler: RPCServer, body: object) -> Any:
    headers = {"content-type": "application/json"}
    request = HTTPRequest(method="POST", target="/", headers=headers, body=orjson.dumps(body))
    return orjson.loads((await handler.accept(request)()).body)


@pytest.mark.parametrize(
    ("service", "code", "message"),
    [
        ({"error": BusyError("queue full")}, -32005, "busy, send it again: queue full"),
        ({"error": MalformedError("too long")}, -32602, "too long"),
        (
            {"fate": NotCommitted("new primary")},
            -32005,
            "transaction was not committed, send it again: new primary",
        ),
        ({"fate": Rejected("some-code", "no")}, -32000, "no"),
    ],
)
async def test_what_becomes_of_a_transaction(ledger, service, code, message):
    service = Unavailable(ledger, **service)
    handler = RPCServer(service, ledger.adapter._engine, outside())
    body = orjson.dumps([call("eth_sendRawTransaction", "0x01"), CHAIN_ID])
    request = HTTPRequest(method="POST", target="/", headers={"content-type": "application/json"}, body=body)
    response = await handler.accept(request)()
    answers = orjson.loads(response.body)
    assert answers[0]["error"] == {"code": code, "message": message}
    assert answers[1]["result"] == "0x539"
    assert response.headers[TRANSACTION_IDS_HEADER] == "-"


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────


async def http(
    ledger, method: str = "POST", content_type: str | None = "application/json", target="/"
) -> HTTPResponse:
    headers = {} if content_type is None else {"content-type": content_type}
    return await ledger.request(
        HTTPRequest(method=method, target=target, headers=headers, body=orjson.dumps(CHAIN_ID))
    )


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/json-rpc", 200),
        (None, 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
async def test_content_types(ledger, content_type, status):
    assert (await http(ledger, content_type=content_type)).status == status


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("PUT", 405)])
async def test_other_methods(ledger, method, status):
    response = await http(ledger, method)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_any_path_serves(ledger):
    assert (await http(ledger, target="/some/path?x=1")).status == 200


async def test_a_browser_may_send_json_and_read_transaction_ids(ledger):
    preflight = (await http(ledger, "OPTIONS")).headers
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    assert preflight["Access-Control-Allow-Headers"] == "*"
    assert (await http(ledger)).headers["Access-Control-Expose-Headers"] == TRANSACTION_IDS_HEADER


async def test_beyond_the_bound_on_bytes_calls_are_answered_with_an_error_and_not_evaluated(
    ledger, monkeypatch
):
    one = len((await ledger.post(orjson.dumps(CHAIN_ID))).body)
    monkeypatch.setattr(server, "RPC_RESPONSE_SIZE_MAX_BYTES", 2 * one)
    evaluated = []
    original = METHODS["eth_chainId"]

    def counted(reading, params):
        evaluated.append(params)
        return original(reading, params)

    monkeypatch.setattr(server, "METHODS", {"eth_chainId": counted})
    raw = "0x" + ledger.alice.sign().hex()
    body = [CHAIN_ID | {"id": number} for number in range(5)]
    answers = await post(ledger, [*body, call("eth_sendRawTransaction", raw, id=9)])
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3, 4, 9]
    assert ["result" in answer for answer in answers] == [True, True, False, False, False, True]
    assert answers[2]["error"]["code"] == -32003
    assert len(evaluated) == 3


async def test_a_single_answer_is_never_out_of_reach(ledger, monkeypatch):
    monkeypatch.setattr(server, "RPC_RESPONSE_SIZE_MAX_BYTES", 10)
    assert await ledger.ok("eth_chainId") == "0x539"
    assert (await post(ledger, [CHAIN_ID]))[0]["error"]["code"] == -32003


async def test_a_body_that_takes_too_long_is_answered_with_what_is_there(ledger, monkeypatch, autojump_clock):
    async def worker(work):
        await trio.sleep(RPC_BODY_TIME_MAX_MS / 1000 + 1)
        return work()

    handler = RPCServer(ledger, ledger.adapter._engine, outside(worker=worker))
    slow = call("eth_call", {"to": ledger.bob.hex})
    raw = "0x" + ledger.alice.sign().hex()
    answers = await answered(handler, [slow, CHAIN_ID, slow, call("eth_sendRawTransaction", raw)])
    assert ["result" in answer for answer in answers] == [True, False, False, True]
    assert answers[1]["error"]["code"] == answers[2]["error"]["code"] == -32002


async def test_a_fault_of_this_node_costs_one_answer_and_is_reported(ledger, monkeypatch):
    def broken(reading, params):
        raise IntegrityError("a block is missing")

    monkeypatch.setattr(server, "METHODS", {**METHODS, "eth_accounts": broken})
    reported = []
    handler = RPCServer(ledger, ledger.adapter._engine, outside(report=reported.append))
    raw = "0x" + ledger.alice.sign().hex()
    answers = await answered(handler, [call("eth_sendRawTransaction", raw), call("eth_accounts"), CHAIN_ID])
    assert ["result" in answer for answer in answers] == [True, False, True]
    assert answers[1]["error"] == {"code": -32603, "message": "internal error"}
    assert [str(fault) for fault in reported] == ["a block is missing"]


async def test_state_that_leaves_memory_while_it_is_read_is_an_error(ledger, monkeypatch):
    def too_old(reading, params):
        raise CallerError("version 5 is no longer in memory")

    monkeypatch.setattr(server, "METHODS", {"eth_accounts": too_old})
    assert await ledger.error("eth_accounts") == (-32000, "version 5 is no longer in memory")


async def test_when_too_many_calls_wait_for_a_thread_the_next_is_told_to_come_again(ledger):
    pool = WorkerPool(1, 1, 10_000)
    go = threading.Event()
    refused = []

    async def client(work):
        await pool(work)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client, go.wait)
        nursery.start_soon(client, go.wait)
        await trio.testing.wait_all_tasks_blocked()
        handler = RPCServer(ledger, ledger.adapter._engine, outside(worker=pool))
        refused += await answered(handler, [call("eth_call", {"to": ledger.bob.hex})])
        # A block never waits in that line.
        assert await run_in_worker(lambda: 5) == 5
        go.set()
    assert await pool(lambda: 5) == 5
    assert refused[0]["error"]["code"] == -32005
    assert refused[0]["error"]["message"].startswith("busy, ask again")


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("params", [[None], [{}], ["x"], [[[]]], [5, 5], [None] * 9, ["0x1", "0x2", "0x3"]])
async def test_no_argument_makes_a_method_fail_otherwise_than_by_its_code(ledger, method, params):
    answer = await ledger.rpc(method, *params)
    assert "result" in answer or answer["error"]["code"] in (-32000, -32602, -32005)
