"""Methods about committed transactions and their receipts, and reading a raw one to send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coco_ethereum.limits import TRANSACTION_SIZE_MAX_BYTES
from coco_ethereum.records import Block
from coco_ethereum.rpc import render, values
from coco_ethereum.rpc.errors import server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Selector, read_number_selector

SEND_RAW_TRANSACTION: Final = "eth_sendRawTransaction"
"""The one method that is submitted instead of evaluated (``server``)."""


def read_raw_transaction(arguments: Sequence[object]) -> bytes:
    """Return the envelope of an eth_sendRawTransaction call; raises RPCError."""
    params = Params(arguments)
    params.bounds(1, 1)
    raw = params.at(0, values.read_data)
    if len(raw) > TRANSACTION_SIZE_MAX_BYTES:
        raise server_error(f"oversized data: transaction size {len(raw)}, limit {TRANSACTION_SIZE_MAX_BYTES}")
    return raw


def by_hash(reading: Reading, params: Params) -> object:
    """eth_getTransactionByHash: null when not committed."""
    params.bounds(1, 1)
    mined = reading.mined(params.at(0, values.read_hash))
    return None if mined is None else render.transaction_json(mined)


def receipt(reading: Reading, params: Params) -> object:
    """eth_getTransactionReceipt: null when not committed."""
    params.bounds(1, 1)
    mined = reading.mined(params.at(0, values.read_hash))
    return None if mined is None else render.receipt_json(mined)


def by_block_hash(reading: Reading, params: Params) -> object:
    """eth_getTransactionByBlockHashAndIndex: null when there is none."""
    params.bounds(2, 2)
    selector = Selector(hash=params.at(0, values.read_hash))
    return _by_index(reading, reading.block(selector), params.at(1, values.read_quantity))


def by_block_number(reading: Reading, params: Params) -> object:
    """eth_getTransactionByBlockNumberAndIndex: null when there is none."""
    params.bounds(2, 2)
    selector = params.at(0, read_number_selector)
    return _by_index(reading, reading.block(selector), params.at(1, values.read_quantity))


def _by_index(reading: Reading, block: Block | None, index: int) -> object:
    if block is None or index >= len(block.transactions):
        return None
    mined = reading.mined(block.transactions[index])
    return None if mined is None else render.transaction_json(mined)


METHODS: Final = {
    "eth_getTransactionByBlockHashAndIndex": by_block_hash,
    "eth_getTransactionByBlockNumberAndIndex": by_block_number,
    "eth_getTransactionByHash": by_hash,
    "eth_getTransactionReceipt": receipt,
}
