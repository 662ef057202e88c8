"""Methods that read accounts, code and storage, now or as a recent block left them."""

from __future__ import annotations

from typing import Final

from coco_ethereum.rpc import values
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import NEWEST, Reading, read_selector


def balance(reading: Reading, params: Params) -> object:
    """eth_getBalance: wei of an account."""
    params.bounds(1, 2)
    address = params.at(0, values.read_address)
    return values.quantity(reading.state(params.optional(1, read_selector, NEWEST)).account(address).balance)


def transaction_count(reading: Reading, params: Params) -> object:
    """eth_getTransactionCount: an account's nonce; ``pending`` equals ``latest``, for nothing waits."""
    params.bounds(1, 2)
    address = params.at(0, values.read_address)
    return values.quantity(reading.state(params.optional(1, read_selector, NEWEST)).account(address).nonce)


def code(reading: Reading, params: Params) -> object:
    """eth_getCode: the code at an address."""
    params.bounds(1, 2)
    address = params.at(0, values.read_address)
    return values.data(reading.state(params.optional(1, read_selector, NEWEST)).code(address))


def storage_at(reading: Reading, params: Params) -> object:
    """eth_getStorageAt: one slot as 32 bytes."""
    params.bounds(2, 3)
    address = params.at(0, values.read_address)
    slot = params.plain(1, values.read_slot)
    value = reading.state(params.optional(2, read_selector, NEWEST)).slot(address, slot)
    return values.data(value.rjust(32, b"\0"))


METHODS: Final = {
    "eth_getBalance": balance,
    "eth_getCode": code,
    "eth_getStorageAt": storage_at,
    "eth_getTransactionCount": transaction_count,
}
