"""eth_call and eth_estimateGas: results, reverts with their reasons, estimates that then suffice."""

from __future__ import annotations

import pytest

from coco_ethereum import engines
from coco_ethereum.development import development_key, development_ledger
from coco_ethereum.rpc.errors import revert_reason
from coco_ethereum.testing.assembly import assemble, initcode, return_word
from coco_ethereum.transactions import SET_CODE, Authorization

ERROR_STRING = bytes.fromhex(
    "08c379a00000000000000000000000000000000000000000000000000000000000000020"
    "000000000000000000000000000000000000000000000000000000000000000a"
    "75736572206572726f7200000000000000000000000000000000000000000000"
)
ENDLESS_LOOP = bytes.fromhex("5b5f56")
PANIC = bytes.fromhex("4e487b71") + (1).to_bytes(32)


def reverting(data: bytes) -> bytes:
    """Return a program that reverts with ``data``."""
    program = b""
    for offset in range(0, len(data), 32):
        program += assemble(data[offset : offset + 32].ljust(32, b"\0"), offset, "MSTORE")
    return program + assemble(len(data), 0, "REVERT")


async def test_a_call_returns_and_leaves_no_trace(any_ledger):
    ledger = any_ledger
    address = await ledger.deploy(ledger.alice, initcode(assemble(1, 0, "SSTORE") + return_word("CALLER")))
    result = await ledger.ok("eth_call", {"from": ledger.bob.hex, "to": address, "input": "0x"}, "latest")
    assert result == "0x" + ledger.bob.address.rjust(32, b"\0").hex()
    assert int(await ledger.ok("eth_getStorageAt", address, "0x0", "latest"), 16) == 0
    assert int(await ledger.ok("eth_call", {"to": address}), 16) == 0, "nobody in particular calls"


async def test_creation_code_can_be_called(any_ledger):
    assert await any_ledger.ok("eth_call", {"data": "0x" + initcode(b"\x60\x01").hex()}) == "0x6001"


REVERTS = {
    "bare": (b"", "execution reverted"),
    "custom": (bytes.fromhex("deadbeef"), "execution reverted"),
    "Error(string)": (ERROR_STRING, "execution reverted: user error"),
    "Panic(uint256)": (PANIC, "execution reverted: assert(false)"),
}


@pytest.mark.parametrize("name", REVERTS)
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
async def test_reverts_carry_data_and_reason(any_ledger, method, name):
    data, message = REVERTS[name]
    address = await any_ledger.deploy(any_ledger.alice, initcode(reverting(data)))
    answer = await any_ledger.rpc(method, {"to": address})
    assert answer["error"] == {"code": 3, "message": message, "data": "0x" + data.hex()}


@pytest.mark.parametrize(
    "output",
    [
        b"",
        ERROR_STRING[:36],
        ERROR_STRING[:70],
        ERROR_STRING[:4] + (2**255).to_bytes(32) + bytes(64),
        ERROR_STRING[:36] + (2**255).to_bytes(32),
        PANIC[:20],
    ],
)
def test_malformed_reasons_are_no_reason(output):
    assert revert_reason(output) == ""


def test_reasons():
    assert revert_reason(PANIC[:4] + (0x12).to_bytes(32)) == "division or modulo by zero"
    assert revert_reason(PANIC[:4] + (0x99).to_bytes(32)) == "unknown panic code: 0x99"


async def test_a_halt_is_an_error(any_ledger):
    address = await any_ledger.deploy(any_ledger.alice, initcode(b"\xfe"))
    code, message = await any_ledger.error("eth_call", {"to": address})
    assert code == -32000
    assert message


BAD_CALLS = [
    ({"to": "0x12"}, "invalid argument 0: hex string has length 2, want 40"),
    ({"gasPrice": "0x1", "maxFeePerGas": "0x1"}, "invalid argument 0: both gasPrice and"),
    ({"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}, "invalid argument 0: maxFeePerGas (0x1) <"),
    ({"data": "0x01", "input": "0x02"}, 'invalid argument 0: both "data" and "input" are set'),
    ({"chainId": "0x1"}, "chainId does not match node's (have=1, want=1337)"),
    ({"value": hex(2**256)}, "invalid argument 0: hex number > 256 bits"),
    ({"gasPrice": hex(2**128)}, "invalid argument 0: hex number > 128 bits"),
    ({"gas": "0x" + "f" * 17}, "invalid argument 0: hex number > 64 bits"),
    ({"authorizationList": {}}, "invalid argument 0: authorizationList must be a list of at most 128"),
    ({"authorizationList": [{}] * 129}, "invalid argument 0: authorizationList must be a list of at most"),
    ({"authorizationList": [5]}, "invalid argument 0: json: cannot unmarshal"),
    ({"authorizationList": [{"chainId": "0x1"}]}, "invalid argument 0: json: cannot unmarshal"),
    ({"maxFeePerBlobGas": "0x1"}, "invalid argument 0: field not supported in calls: maxFeePerBlobGas"),
    ({"blobVersionedHashes": []}, "invalid argument 0: field not supported in calls: blobVersionedHashes"),
    ({"accessList": [5]}, "invalid argument 0: json: cannot unmarshal"),
    ([], "invalid argument 0: json: cannot unmarshal"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_CALLS)
@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
async def test_bad_calls(ledger, method, arguments, message):
    code, found = await ledger.error(method, arguments)
    assert code == -32602
    assert found.startswith(message)


async def test_names_nobody_knows_are_ignored_as_by_geth(ledger):
    call = {"to": ledger.bob.hex, "gasLimit": "0x5208", "blobVersionedHashes": None, "kzg": 5}
    assert await ledger.ok("eth_call", call) == "0x"
    assert await ledger.ok("eth_estimateGas", call) == "0x5208"


async def test_authorizations_are_in_force_while_a_call_runs_and_are_paid_for(any_ledger):
    ledger = any_ledger
    target = await ledger.deploy(ledger.alice, initcode(return_word(42)))
    signed = Authorization(chain_id=1337, address=bytes.fromhex(target[2:]), nonce=0)
    signed = signed.sign(development_key(2))
    listed = {
        "chainId": hex(signed.chain_id),
        "address": target,
        "nonce": hex(signed.nonce),
        "yParity": hex(signed.y_parity),
        "r": hex(signed.r),
        "s": hex(signed.s),
    }
    call = {"from": ledger.alice.hex, "to": ledger.carol.hex}
    assert await ledger.ok("eth_call", call) == "0x"
    delegated = {**call, "authorizationList": [listed]}
    assert int(await ledger.ok("eth_call", delegated), 16) == 42
    estimate = int(await ledger.ok("eth_estimateGas", delegated), 16)
    assert 46_000 <= estimate < 50_000
    receipt = await ledger.send(
        ledger.alice,
        type=SET_CODE,
        to=ledger.carol.address,
        authorization_list=(signed,),
        gas_limit=estimate,
    )
    assert receipt["status"] == "0x1"


@pytest.mark.parametrize(("position", "name"), [(0, "state overrides"), (1, "block overrides")])
async def test_overrides_are_refused_not_ignored(ledger, position, name):
    overrides = [{}, {}]
    overrides[position] = {ledger.alice.hex: {"balance": "0x0"}}
    code, message = await ledger.error("eth_call", {}, "latest", *overrides)
    assert (code, message) == (-32602, f"invalid argument {position + 2}: {name} are not supported")
    assert await ledger.ok("eth_call", {"to": ledger.bob.hex}, "latest", {}, None) == "0x"


async def test_funds_are_checked_as_geth_does(any_ledger):
    poor = "0x" + "99" * 20
    to = any_ledger.bob.hex
    message = f"insufficient funds for gas * price + value: address {poor} have 0 want 1"
    assert await any_ledger.error("eth_call", {"from": poor, "to": to, "value": "0x1"}) == (-32000, message)
    code, message = await any_ledger.error("eth_estimateGas", {"from": poor, "to": to, "value": "0x1"})
    assert (code, message.partition(":")[0]) == (-32000, "insufficient funds for transfer")
    price = {"from": poor, "to": to, "gasPrice": hex(10**9), "gas": "0x5208"}
    assert (await any_ledger.error("eth_call", price))[0] == -32000


async def test_contracts_see_the_price_and_base_fee_of_the_call(any_ledger):
    program = assemble("BASEFEE", 0, "MSTORE GASPRICE", 32, "MSTORE", 64, 0, "RETURN")
    call = {"from": any_ledger.alice.hex, "to": await any_ledger.deploy(any_ledger.alice, initcode(program))}
    fees = {
        (): (0, 0),
        (("gasPrice", 10**9 + 5),): (10**9, 10**9 + 5),
        (("maxFeePerGas", 2 * 10**9), ("maxPriorityFeePerGas", 7)): (10**9, 10**9 + 7),
    }
    for fields, expected in fees.items():
        given = {name: hex(value) for name, value in fields}
        output = await any_ledger.ok("eth_call", {**call, **given, "gas": hex(100_000)})
        words = bytes.fromhex(output[2:])
        assert (int.from_bytes(words[:32]), int.from_bytes(words[32:])) == expected


async def test_an_access_list_is_paid_for_and_warms(any_ledger):
    ledger = any_ledger
    # What is left after reading slot 0: cold reads take 2100 gas, warm ones 100 (EIP-2929).
    address = await ledger.deploy(ledger.alice, initcode(return_word(0, "SLOAD POP GAS")))
    call = {"to": address, "gas": hex(100_000)}
    access = [{"address": address, "storageKeys": ["0x" + "00" * 32]}]
    cold = int(await ledger.ok("eth_call", call), 16)
    warm = int(await ledger.ok("eth_call", {**call, "accessList": access}), 16)
    assert warm - cold == 2_000 - 2_400 - 1_900


BAD_ACCESS_LISTS = [
    {},
    [{"address": "0x12", "storageKeys": []}],
    [{"address": "0x" + "12" * 20}],
    [{}] * 1_001,
]


@pytest.mark.parametrize("access", BAD_ACCESS_LISTS, ids=["table", "address", "no keys", "too many"])
async def test_bad_access_lists(ledger, access):
    assert (await ledger.error("eth_call", {"accessList": access}))[0] == -32602


@pytest.mark.skipif(engines.available()[0].name != "revm", reason="only revm has Osaka's rules")
async def test_osaka_bounds_an_estimate_by_the_transaction_cap(make_ledger):
    config = dict(development_ledger().config)
    config["config"] = {**config["config"], "osakaTime": 0}
    ledger = make_ledger(config)
    address = await ledger.deploy(ledger.alice, initcode(ENDLESS_LOOP))
    message = f"gas required exceeds allowance ({2**24})"
    assert await ledger.error("eth_estimateGas", {"to": address}) == (-32000, message)


async def test_gas_is_capped(any_ledger):
    address = await any_ledger.deploy(any_ledger.alice, initcode(return_word("GAS")))
    for gas in (None, hex(2**63)):
        left = int(await any_ledger.ok("eth_call", {"to": address, "gas": gas}), 16)
        most = any_ledger.adapter._engine.call_gas_max
        assert most - 30_000 < left < most


async def test_a_call_sees_the_block_it_names(ledger):
    address = await ledger.deploy(ledger.alice, initcode(return_word("NUMBER")))
    await ledger.send(ledger.alice)
    assert int(await ledger.ok("eth_call", {"to": address}, "0x1"), 16) == 1
    assert int(await ledger.ok("eth_call", {"to": address}, "latest"), 16) == 2


# ── estimates ────────────────────────────────────────────────────────────────────────────────────


async def test_a_plain_transfer_takes_21000(any_ledger):
    call = {"from": any_ledger.alice.hex, "to": any_ledger.bob.hex, "value": "0x1"}
    assert await any_ledger.ok("eth_estimateGas", call) == "0x5208"
    assert await any_ledger.ok("eth_estimateGas", call, "latest") == "0x5208"


PROGRAMS = {
    "store": assemble(1, 0, "SSTORE STOP"),
    "clear": assemble(1, 0, "SSTORE", 0, 0, "SSTORE STOP"),
    "inner call": assemble(0, 0, 0, 0, 1, 0xB0B, "GAS CALL POP STOP"),
    "needs much left": assemble("GAS", 100_000, "LT", 10, "JUMPI INVALID JUMPDEST STOP"),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_an_estimate_suffices_and_is_not_far_off(any_ledger, name):
    ledger = any_ledger
    address = await ledger.deploy(ledger.alice, initcode(PROGRAMS[name]))
    call = {"from": ledger.alice.hex, "to": address, "value": "0x1"}
    estimate = int(await ledger.ok("eth_estimateGas", call), 16)
    receipt = await ledger.send(ledger.alice, to=bytes.fromhex(address[2:]), value=1, gas_limit=estimate)
    assert receipt["status"] == "0x1"
    if name == "needs much left":
        assert 121_000 < estimate < 124_000


async def test_an_estimate_within_its_allowance(ledger):
    address = await ledger.deploy(ledger.alice, initcode(PROGRAMS["store"]))
    call = {"from": ledger.alice.hex, "to": address, "gas": hex(22_000)}
    assert await ledger.error("eth_estimateGas", call) == (-32000, "gas required exceeds allowance (22000)")


async def test_funds_bound_an_estimate(ledger):
    address = await ledger.deploy(ledger.alice, initcode(PROGRAMS["store"]))
    poor = "0x" + "77" * 20
    await ledger.send(ledger.alice, to=bytes.fromhex("77" * 20), value=30_000 * 10**9)
    call = {"from": poor, "to": address, "gasPrice": hex(10**9)}
    assert await ledger.error("eth_estimateGas", call) == (-32000, "gas required exceeds allowance (30000)")


async def test_what_more_gas_cannot_cure_says_what_it_is(any_ledger):
    code, message = await any_ledger.error("eth_estimateGas", {"data": "0x" + "00" * 50_000})
    assert code == -32000
    assert message.startswith("max initcode size exceeded")
    halting = await any_ledger.deploy(any_ledger.alice, initcode(b"\xfe"))
    assert "opcode" in (await any_ledger.error("eth_estimateGas", {"to": halting}))[1]
