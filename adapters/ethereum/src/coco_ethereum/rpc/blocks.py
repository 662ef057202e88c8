"""Methods about blocks: whole, counted, with receipts. A block never has uncles."""

from __future__ import annotations

from typing import Final

from coco_ethereum.blocks import Header
from coco_ethereum.records import Block, packed_count
from coco_ethereum.rpc import render, values
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Selector, Slow, read_number_selector, read_selector


def by_number(reading: Reading, params: Params) -> object:
    """eth_getBlockByNumber: null when there is none."""
    params.bounds(2, 2)
    return _block(reading, reading.block(params.at(0, read_number_selector)), params.at(1, values.read_bool))


def by_hash(reading: Reading, params: Params) -> object:
    """eth_getBlockByHash: null when there is none."""
    params.bounds(2, 2)
    selector = Selector(hash=params.at(0, values.read_hash))
    return _block(reading, reading.block(selector), params.at(1, values.read_bool))


def _block(reading: Reading, block: Block | None, full: bool) -> object:
    if block is None:
        return None
    header = Header.decode(block.header)
    if not full:
        return render.block_json(block, header, [values.data(each) for each in block.transactions])
    return Slow(
        lambda: render.block_json(
            block, header, [render.transaction_json(each) for each in reading.mined_in(block)]
        )
    )


def receipts(reading: Reading, params: Params) -> object:
    """eth_getBlockReceipts: every receipt of a block, null when there is no such block."""
    params.bounds(1, 1)
    block = reading.block(params.at(0, read_selector))
    if block is None:
        return None
    return Slow(lambda: [render.receipt_json(each) for each in reading.mined_in(block)])


def count_by_number(reading: Reading, params: Params) -> object:
    """eth_getBlockTransactionCountByNumber: null when there is no such block."""
    params.bounds(1, 1)
    return _count(reading.packed(params.at(0, read_number_selector)))


def count_by_hash(reading: Reading, params: Params) -> object:
    """eth_getBlockTransactionCountByHash: null when there is no such block."""
    params.bounds(1, 1)
    return _count(reading.packed(Selector(hash=params.at(0, values.read_hash))))


def _count(packed: bytes | None) -> object:
    return None if packed is None else values.quantity(packed_count(packed))


def uncle_count_by_number(reading: Reading, params: Params) -> object:
    """eth_getUncleCountByBlockNumber: zero, null when there is no such block."""
    params.bounds(1, 1)
    return None if reading.number(params.at(0, read_number_selector)) is None else "0x0"


def uncle_count_by_hash(reading: Reading, params: Params) -> object:
    """eth_getUncleCountByBlockHash: zero, null when there is no such block."""
    params.bounds(1, 1)
    return None if reading.number(Selector(hash=params.at(0, values.read_hash))) is None else "0x0"


def uncle_by_number(reading: Reading, params: Params) -> object:
    """eth_getUncleByBlockNumberAndIndex: always null."""
    params.bounds(2, 2)
    params.at(0, read_number_selector)
    params.at(1, values.read_quantity)
    return None


def uncle_by_hash(reading: Reading, params: Params) -> object:
    """eth_getUncleByBlockHashAndIndex: always null."""
    params.bounds(2, 2)
    params.at(0, values.read_hash)
    params.at(1, values.read_quantity)
    return None


METHODS: Final = {
    "eth_getBlockByHash": by_hash,
    "eth_getBlockByNumber": by_number,
    "eth_getBlockReceipts": receipts,
    "eth_getBlockTransactionCountByHash": count_by_hash,
    "eth_getBlockTransactionCountByNumber": count_by_number,
    "eth_getUncleByBlockHashAndIndex": uncle_by_hash,
    "eth_getUncleByBlockNumberAndIndex": uncle_by_number,
    "eth_getUncleCountByBlockHash": uncle_count_by_hash,
    "eth_getUncleCountByBlockNumber": uncle_count_by_number,
}
