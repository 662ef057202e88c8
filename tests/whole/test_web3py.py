"""web3.py against a running network, used as its documentation says: it knows nothing of us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import (
    ContractCustomError,
    ContractLogicError,
    ContractPanicError,
    TransactionNotFound,
    Web3RPCError,
)
from web3.middleware import SignAndSendRawMiddlewareBuilder

pytestmark = pytest.mark.processes

CHAIN_ID = 1337
FIRST = 5


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def connect(up: Mapping[str, Any], session: requests.Session, node: int) -> Web3:
    return Web3(HTTPProvider(up["nodes"][node]["rpc"], session=session))


@pytest.fixture(scope="module")
def account(up) -> LocalAccount:
    return Account.from_key(up["development"]["accounts"][0]["privateKey"])


@pytest.fixture(scope="module")
def w3(up, session, account) -> Web3:
    """Node 0, which signs and sends for ``account``."""
    w3 = connect(up, session, 0)
    w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    w3.eth.default_account = account.address
    return w3


@pytest.fixture(scope="module")
def other(up, session) -> Web3:
    """The last node: a backup, unless something went wrong."""
    return connect(up, session, -1)


@pytest.fixture(scope="module")
def contract(w3, keeper) -> Contract:
    factory = w3.eth.contract(abi=keeper["abi"], bytecode=keeper["bytecode"])
    receipt = w3.eth.wait_for_transaction_receipt(factory.constructor(FIRST).transact())
    assert receipt["status"] == 1
    return w3.eth.contract(address=receipt["contractAddress"], abi=keeper["abi"])


def caught_up(w3: Web3, number: int) -> None:
    """Wait until a node has a block: a bounded number of questions, no clock."""
    for _ in range(10_000):
        if w3.eth.block_number >= number:
            return
    raise AssertionError(f"block {number} did not arrive")


def test_the_chain_says_what_it_is(w3):
    assert w3.is_connected()
    assert w3.eth.chain_id == CHAIN_ID
    assert w3.net.version == str(CHAIN_ID)
    assert w3.client_version.startswith("Coco/")
    assert w3.eth.syncing is False
    assert w3.eth.gas_price >= w3.eth.get_block("latest")["baseFeePerGas"]
    assert w3.eth.accounts == []


def test_a_contract_is_deployed_called_and_written_to(w3, contract, account):
    assert w3.eth.get_code(contract.address)
    assert contract.functions.get().call() == FIRST
    receipt = w3.eth.wait_for_transaction_receipt(contract.functions.set(77).transact())
    assert receipt["status"] == 1
    assert receipt["from"] == account.address
    assert receipt["to"] == contract.address
    assert contract.functions.get().call() == 77
    assert int.from_bytes(w3.eth.get_storage_at(contract.address, 0)) == 77
    (event,) = contract.events.Kept().process_receipt(receipt)
    assert event["args"] == {"who": account.address, "value": 77}


def test_a_call_of_the_past_reads_the_past(w3, contract):
    before = w3.eth.wait_for_transaction_receipt(contract.functions.set(100).transact())["blockNumber"]
    w3.eth.wait_for_transaction_receipt(contract.functions.set(101).transact())
    assert contract.functions.get().call(block_identifier=before) == 100
    assert contract.functions.get().call() == 101


def test_gas_is_estimated_so_that_the_transaction_succeeds(w3, contract):
    estimate = contract.functions.set(1234).estimate_gas()
    receipt = w3.eth.wait_for_transaction_receipt(contract.functions.set(1234).transact({"gas": estimate}))
    assert receipt["status"] == 1
    assert receipt["gasUsed"] <= estimate
    assert w3.eth.estimate_gas({"to": "0x" + "11" * 20, "value": 1}) == 21_000


def test_logs_are_read_through_another_node(w3, other, contract, keeper, account):
    first = w3.eth.block_number + 1
    for value in (901, 902, 903):
        w3.eth.wait_for_transaction_receipt(contract.functions.set(value).transact())
    caught_up(other, w3.eth.block_number)
    theirs = other.eth.contract(address=contract.address, abi=keeper["abi"])
    found = theirs.events.Kept.get_logs(from_block=first, argument_filters={"who": account.address})
    assert [each["args"]["value"] for each in found] == [901, 902, 903]
    assert theirs.events.Kept.get_logs(from_block=first, argument_filters={"who": "0x" + "11" * 20}) == []
    raw = other.eth.get_logs({"fromBlock": first, "address": contract.address})
    assert [each["logIndex"] for each in raw] == [0, 0, 0]
    assert raw == w3.eth.get_logs({"fromBlock": first, "address": contract.address})
    block = other.eth.get_logs({"blockHash": raw[1]["blockHash"]})
    assert [each["transactionHash"] for each in block] == [raw[1]["transactionHash"]]


def test_filters_report_what_is_new(w3, contract):
    events = contract.events.Kept.create_filter(from_block="latest")
    blocks = w3.eth.filter("latest")
    receipt = w3.eth.wait_for_transaction_receipt(contract.functions.set(4242).transact())
    assert [each["args"]["value"] for each in events.get_new_entries()] == [4242]
    assert blocks.get_new_entries() == [receipt["blockHash"]]
    assert events.get_new_entries() == []
    assert w3.eth.uninstall_filter(events.filter_id)
    with pytest.raises(Web3RPCError, match="filter not found"):
        events.get_new_entries()


def test_the_fee_history_has_rewards(w3, contract):
    w3.eth.wait_for_transaction_receipt(contract.functions.set(1).transact())
    history = w3.eth.fee_history(2, "latest", [10.0, 90.0])
    assert len(history["baseFeePerGas"]) == 3
    assert len(history["reward"]) == len(history["gasUsedRatio"]) == 2
    assert w3.eth.max_priority_fee >= 0


def test_a_revert_says_why(w3, contract):
    with pytest.raises(ContractLogicError, match="execution reverted: out of luck") as reverted:
        contract.functions.fail().call()
    assert str(reverted.value.data).startswith("0x08c379a0")
    with pytest.raises(ContractLogicError, match="out of luck"):
        contract.functions.fail().estimate_gas()
    with pytest.raises(ContractPanicError, match="0x11"):
        contract.functions.overflow().call()


def test_a_custom_error_comes_with_its_data(w3, contract, account):
    with pytest.raises(ContractCustomError) as refused:
        contract.functions.refuse(6).call()
    selector = Web3.keccak(text="Refused(address,uint256)")[:4]
    expected = selector + w3.codec.encode(["address", "uint256"], [account.address, 6])
    assert refused.value.data == "0x" + expected.hex()


def test_a_transaction_that_reverts_is_mined_and_failed(w3, contract):
    receipt = w3.eth.wait_for_transaction_receipt(contract.functions.fail().transact({"gas": 100_000}))
    assert receipt["status"] == 0
    assert receipt["logs"] == []


def test_a_block_is_formatted_whole(w3, other, contract):
    receipt = w3.eth.wait_for_transaction_receipt(contract.functions.set(8).transact())
    block = w3.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert block["hash"] == receipt["blockHash"]
    assert block["transactions"][receipt["transactionIndex"]]["hash"] == receipt["transactionHash"]
    assert block["gasUsed"] == receipt["cumulativeGasUsed"]
    assert block["number"] == receipt["blockNumber"]
    assert w3.eth.get_block(block["hash"])["transactions"] == [receipt["transactionHash"]]
    assert w3.eth.get_block(block["number"] - 1)["hash"] == block["parentHash"]
    assert w3.eth.get_block_transaction_count(block["number"]) == 1
    assert w3.eth.get_block_receipts(block["number"]) == [receipt]
    caught_up(other, block["number"])
    assert other.eth.get_block(block["number"], full_transactions=True) == block


def test_what_is_not_there_is_not_found(w3):
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction("0x" + "00" * 32)
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction_receipt("0x" + "00" * 32)


def fees(w3: Web3, kind: int) -> dict[str, Any]:
    if kind in (0, 1):
        return {"gasPrice": w3.eth.gas_price}
    return {"maxFeePerGas": 2 * w3.eth.gas_price, "maxPriorityFeePerGas": w3.eth.max_priority_fee}


@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_every_type_of_transaction_is_sent(w3, other, up, contract, kind):
    sender = Account.from_key(up["development"]["accounts"][1]["privateKey"])
    receiver = "0x" + f"{kind + 0xA0:02x}" * 20
    nonce = other.eth.get_transaction_count(sender.address)
    transaction = {
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "to": Web3.to_checksum_address(receiver),
        "value": 10**15,
        "gas": 100_000,
        **fees(w3, kind),
    }
    if kind == 1:
        transaction["accessList"] = [{"address": contract.address, "storageKeys": ["0x" + "00" * 32]}]
    authority = Account.from_key(up["development"]["accounts"][2]["privateKey"])
    if kind == 4:
        authorization = {"chainId": CHAIN_ID, "address": contract.address, "nonce": 0}
        transaction["authorizationList"] = [authority.sign_authorization(authorization)]
    # Sent to a backup, waited for there: a client reads its writes where it wrote.
    sent = other.eth.send_raw_transaction(sender.sign_transaction(transaction).raw_transaction)
    receipt = other.eth.get_transaction_receipt(sent)
    assert receipt["status"] == 1
    assert receipt["type"] == kind
    assert other.eth.get_transaction(sent)["type"] == kind
    assert other.eth.get_balance(Web3.to_checksum_address(receiver)) == 10**15
    assert other.eth.get_transaction_count(sender.address) == nonce + 1
    if kind == 4:
        delegation = bytes.fromhex("ef0100" + contract.address[2:])
        assert bytes(other.eth.get_code(authority.address)) == delegation
        assert other.eth.get_transaction_count(authority.address) == 1


def test_refusals_have_the_texts_clients_match_on(w3, up):
    sender = Account.from_key(up["development"]["accounts"][3]["privateKey"])
    transfer = {
        "chainId": CHAIN_ID,
        "to": sender.address,
        "value": 1,
        "gas": 21_000,
        **fees(w3, 2),
    }

    def send(signer: LocalAccount = sender, **changes: object) -> bytes:
        signed = signer.sign_transaction({**transfer, **changes})
        return bytes(w3.eth.send_raw_transaction(signed.raw_transaction))

    send(nonce=0)
    for changes, text in (
        ({"nonce": 0}, "already known"),
        ({"nonce": 0, "value": 2}, "nonce too low"),
        ({"nonce": 9}, "nonce too high"),
        ({"nonce": 1, "value": 10**30}, "insufficient funds for gas \\* price \\+ value"),
        ({"nonce": 1, "gas": 20_999}, "intrinsic gas too low"),
        ({"nonce": 1, "chainId": 1}, "invalid chain id"),
        (
            {"nonce": 1, "maxFeePerGas": 1, "maxPriorityFeePerGas": 1},
            "max fee per gas less than block base fee",
        ),
    ):
        with pytest.raises(Web3RPCError, match=text) as refused:
            send(**changes)
        assert refused.value.rpc_response["error"]["code"] == -32000
    assert w3.eth.get_transaction_count(sender.address) == 1


def test_calls_are_batched(w3, contract):
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_block("latest"))
        batch.add(contract.functions.get())
        batch.add(w3.eth.get_balance(contract.address))
        block, kept, balance = batch.execute()
    assert block["number"] == w3.eth.block_number
    assert kept == contract.functions.get().call()
    assert balance == 0
