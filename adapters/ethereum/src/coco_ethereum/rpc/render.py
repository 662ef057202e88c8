"""Chain data as JSON, field for field as geth writes it (execution-apis, schemas).

Takes decoded values and gives plain tables; reads no state.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_ethereum import transactions
from coco_ethereum.blocks import EMPTY_OMMERS_HASH, Header
from coco_ethereum.engine import Log
from coco_ethereum.receipts import stored_receipt
from coco_ethereum.records import Block, Transaction, receipt_bloom
from coco_ethereum.rpc.values import data, optional_data, quantity

Table = dict[str, object]


@attrs.frozen(slots=True)
class Mined:
    """A committed transaction and where it stands."""

    hash: bytes
    record: Transaction
    block_hash: bytes
    timestamp: int
    """Seconds, of its block."""


def block_json(block: Block, header: Header, listed: Sequence[object]) -> Table:
    """Return a block; ``listed`` are its transactions as hashes or as tables."""
    table: Table = {
        "baseFeePerGas": quantity(header.base_fee),
        "difficulty": "0x0",
        "extraData": data(header.extra_data),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "hash": data(block.hash),
        "logsBloom": data(header.logs_bloom),
        "miner": data(header.coinbase),
        "mixHash": data(header.prev_randao),
        "nonce": data(bytes(8)),
        "number": quantity(header.number),
        "parentHash": data(header.parent_hash),
        "receiptsRoot": data(header.receipts_root),
        "sha3Uncles": data(EMPTY_OMMERS_HASH),
        "size": quantity(block.size),
        "stateRoot": data(header.state_root),
        "timestamp": quantity(header.timestamp),
        "transactions": list(listed),
        "transactionsRoot": data(header.transactions_root),
        "uncles": [],
        "withdrawals": [],
        "withdrawalsRoot": data(header.withdrawals_root),
    }
    if header.excess_blob_gas is not None and header.blob_gas_used is not None:
        table["blobGasUsed"] = quantity(header.blob_gas_used)
        table["excessBlobGas"] = quantity(header.excess_blob_gas)
        table["parentBeaconBlockRoot"] = optional_data(header.parent_beacon_root)
    if header.requests_hash is not None:
        table["requestsHash"] = data(header.requests_hash)
    return table


def transaction_json(mined: Mined) -> Table:
    """Return a committed transaction."""
    record = mined.record
    signed = transactions.decode(record.raw)
    table: Table = {
        "blockHash": data(mined.block_hash),
        "blockNumber": quantity(record.number),
        "blockTimestamp": quantity(mined.timestamp),
        "from": data(record.sender),
        "gas": quantity(signed.gas_limit),
        "gasPrice": quantity(record.effective_gas_price),
        "hash": data(mined.hash),
        "input": data(signed.data),
        "nonce": quantity(signed.nonce),
        "to": optional_data(signed.to),
        "transactionIndex": quantity(record.index),
        "value": quantity(signed.value),
        "type": quantity(signed.type),
        "v": quantity(signed.v),
        "r": quantity(signed.r),
        "s": quantity(signed.s),
    }
    if signed.chain_id is not None:
        table["chainId"] = quantity(signed.chain_id)
    if signed.type >= transactions.ACCESS_LIST:
        table["accessList"] = [
            {"address": data(address), "storageKeys": [data(slot) for slot in slots]}
            for address, slots in signed.access_list
        ]
        table["yParity"] = quantity(signed.y_parity)
    if signed.type >= transactions.DYNAMIC_FEE:
        table["maxFeePerGas"] = quantity(signed.max_fee_per_gas)
        table["maxPriorityFeePerGas"] = quantity(signed.max_priority_fee_per_gas)
    if signed.type == transactions.SET_CODE:
        table["authorizationList"] = [_authorization_json(each) for each in signed.authorization_list]
    return table


def _authorization_json(authorization: transactions.Authorization) -> Table:
    return {
        "chainId": quantity(authorization.chain_id),
        "address": data(authorization.address),
        "nonce": quantity(authorization.nonce),
        "yParity": quantity(authorization.y_parity),
        "r": quantity(authorization.r),
        "s": quantity(authorization.s),
    }


def receipt_json(mined: Mined) -> Table:
    """Return a committed transaction's receipt."""
    record = mined.record
    receipt = stored_receipt(record.receipt)
    return {
        "blockHash": data(mined.block_hash),
        "blockNumber": quantity(record.number),
        "contractAddress": optional_data(record.created),
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "effectiveGasPrice": quantity(record.effective_gas_price),
        "from": data(record.sender),
        "gasUsed": quantity(record.gas_used),
        "logs": [log_json(mined, log, index) for index, log in enumerate(receipt.logs, record.first_log)],
        "logsBloom": data(receipt_bloom(record.receipt)),
        "status": quantity(receipt.status),
        "to": optional_data(None if record.created is not None else transactions.decode(record.raw).to),
        "transactionHash": data(mined.hash),
        "transactionIndex": quantity(record.index),
        "type": quantity(receipt.type),
    }


def log_json(mined: Mined, log: Log, index: int) -> Table:
    """Return one log; ``index`` is its place among all logs of the block."""
    return {
        "address": data(log.address),
        "topics": [data(topic) for topic in log.topics],
        "data": data(log.data),
        "blockNumber": quantity(mined.record.number),
        "transactionHash": data(mined.hash),
        "transactionIndex": quantity(mined.record.index),
        "blockHash": data(mined.block_hash),
        "blockTimestamp": quantity(mined.timestamp),
        "logIndex": quantity(index),
        "removed": False,
    }
