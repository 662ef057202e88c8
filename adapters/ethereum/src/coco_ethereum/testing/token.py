"""A token that somebody on a development network holds, to pay with it where ledgers trade in one bundle."""

from __future__ import annotations

import json
from typing import Any, Final

from eth_hash.auto import keccak

from coco_core.client import Connection
from coco_ethereum.development import CHAIN_ID, base_genesis, development_key
from coco_ethereum.workloads.contracts import SUPPLY_SLOT, TOKEN, TRANSFER, abi_call, balance_slot
from coco_ethereum.workloads.signing import Signer

TOKEN_ADDRESS: Final = bytes.fromhex("70" * 20)
_FEE_WEI: Final = 10**10
_GAS: Final = 100_000


class TokenHolder:
    """A development account that begins with all of the token, and the ether it takes to pay with it."""

    def __init__(self, tokens: int) -> None:
        """Begin with so many tokens and no payment made."""
        self.tokens = tokens
        self._account = Signer(development_key(0), CHAIN_ID, keccak)
        self._paid = 0

    @property
    def address(self) -> bytes:
        """The account, 20 bytes."""
        return self._account.address

    def genesis(self) -> dict[str, Any]:
        """Return the genesis of an Ethereum ledger on which that is so."""
        storage = {
            "0x" + SUPPLY_SLOT.to_bytes(32).hex(): hex(self.tokens),
            "0x" + balance_slot(self.address, keccak).hex(): hex(self.tokens),
        }
        token = {"balance": "0x0", "nonce": "0x1", "code": "0x" + TOKEN.hex(), "storage": storage}
        alloc = {"0x" + TOKEN_ADDRESS.hex(): token, "0x" + self.address.hex(): {"balance": hex(10**18)}}
        return base_genesis(CHAIN_ID, alloc)

    def payment(self, to: bytes, amount: int) -> bytes:
        """Return a signed ``transfer(to, amount)`` of the token, good until a payment is ``made``."""
        data = abi_call(TRANSFER, to, amount)
        return self._account.sign(nonce=self._paid, fee=_FEE_WEI, gas=_GAS, to=TOKEN_ADDRESS, data=data)

    def made(self) -> None:
        """Take the last payment as committed: the next one follows it."""
        self._paid += 1


async def tokens_of(owner: bytes, connection: Connection) -> int:
    """Ask a node's JSON-RPC how many tokens somebody has."""
    slot = "0x" + balance_slot(owner, keccak).hex()
    params = ["0x" + TOKEN_ADDRESS.hex(), slot, "latest"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getStorageAt", "params": params}
    answer = await connection.request("POST", "/", json.dumps(call).encode())
    return int(json.loads(answer.body)["result"], 16)
