"""Methods about committed transactions and their receipts, and reading a raw one to send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from coco_ethereum.limits import RPC_INLINE_SIZE_MAX_BYTES, TRANSACTION_SIZE_MAX_BYTES
from coco_ethereum.records import packed_transaction_hash
from coco_ethereum.rpc import render, values
from coco_ethereum.rpc.errors import server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Selector, Slow, read_number_selector
from coco_ethereum.rpc.render import Mined, Table

SEND_RAW_TRANSACTION: Final = "eth_sendRawTransaction"
"""The one method that is submitted instead of evaluated (``server``)."""
_FIELDS_BEFORE_V: Final = 6


def read_raw_transaction(arguments: Sequence[object]) -> bytes:
    """Return the envelope of an eth_sendRawTransaction call; raises RPCError."""
    params = Params(arguments)
    params.bounds(1, 1)
    raw = params.at(0, values.read_data)
    if len(raw) > TRANSACTION_SIZE_MAX_BYTES:
        raise server_error(f"oversized data: transaction size {len(raw)}, limit {TRANSACTION_SIZE_MAX_BYTES}")
    return raw


def is_unprotected(raw: bytes) -> bool:
    """Tell whether an envelope is a legacy one without a chain, valid wherever its sender has funds.

    Looks for its v only (27 or 28); for bytes that are no transaction it is False, and executing them
    says what they are.
    """
    if raw[:1] < b"\xc0":
        return False
    at = 1 if raw[0] < 0xF8 else 1 + raw[0] - 0xF7
    for _ in range(_FIELDS_BEFORE_V):
        prefix = raw[at : at + 1]
        if not b"" < prefix < b"\xc0":
            return False
        first = prefix[0]
        if first < 0x80:
            at += 1
        elif first < 0xB8:
            at += 1 + first - 0x80
        else:
            start = at + 1 + first - 0xB7
            at = start + int.from_bytes(raw[at + 1 : start])
    return raw[at : at + 1] in (b"\x1b", b"\x1c")


def by_hash(reading: Reading, params: Params) -> object:
    """eth_getTransactionByHash: null when not committed."""
    params.bounds(1, 1)
    return _rendered(reading.mined(params.at(0, values.read_hash)), render.transaction_json)


def receipt(reading: Reading, params: Params) -> object:
    """eth_getTransactionReceipt: null when not committed."""
    params.bounds(1, 1)
    return _rendered(reading.mined(params.at(0, values.read_hash)), render.receipt_json)


def by_block_hash(reading: Reading, params: Params) -> object:
    """eth_getTransactionByBlockHashAndIndex: null when there is none."""
    params.bounds(2, 2)
    selector = Selector(hash=params.at(0, values.read_hash))
    return _by_index(reading, reading.packed(selector), params.at(1, values.read_quantity))


def by_block_number(reading: Reading, params: Params) -> object:
    """eth_getTransactionByBlockNumberAndIndex: null when there is none."""
    params.bounds(2, 2)
    selector = params.at(0, read_number_selector)
    return _by_index(reading, reading.packed(selector), params.at(1, values.read_quantity))


def _by_index(reading: Reading, block: bytes | None, index: int) -> object:
    transaction_hash = None if block is None else packed_transaction_hash(block, index)
    if transaction_hash is None:
        return None
    return _rendered(reading.mined(transaction_hash), render.transaction_json)


def _rendered(mined: Mined | None, form: Callable[[Mined], Table]) -> object:
    """Return a transaction in a form of ``render``, away from the event loop when it is large.

    Most are small, and would wait longer for a thread than they take.
    """
    if mined is None:
        return None
    if len(mined.record.raw) + len(mined.record.receipt) <= RPC_INLINE_SIZE_MAX_BYTES:
        return form(mined)
    return Slow(lambda: form(mined))


METHODS: Final = {
    "eth_getTransactionByBlockHashAndIndex": by_block_hash,
    "eth_getTransactionByBlockNumberAndIndex": by_block_number,
    "eth_getTransactionByHash": by_hash,
    "eth_getTransactionReceipt": receipt,
}
