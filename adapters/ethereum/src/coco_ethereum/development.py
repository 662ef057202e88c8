"""A genesis to develop against: ten funded accounts whose keys everybody knows.

The keys come from a seed that is published here, so they are INSECURE by design: never send anything
of value to them on any network. Chain ID 1337 is the one geth's ``--dev`` and most tool chains take
for a local chain, so wallets warn of nothing and never confuse it with a public network.
"""

from __future__ import annotations

from typing import Any, Final

from eth_hash.auto import keccak

from coco_core.adapter import DevelopmentLedger
from coco_ethereum.signatures import address_of

CHAIN_ID: Final = 1337
BASE_FEE: Final = 10**9
"""1 gwei, EIP-1559's initial base fee, so that wallets propose the fees they always do."""
GAS_LIMIT: Final = 30_000_000
ACCOUNTS: Final = 10
BALANCE: Final = 10_000 * 10**18
SEED: Final = b"coco ethereum development account, public and insecure"


def development_key(index: int) -> bytes:
    """Return the private key of development account ``index``; public, and so INSECURE."""
    return keccak(SEED + index.to_bytes(4))


def base_genesis(chain_id: int, alloc: dict[str, Any]) -> dict[str, Any]:
    """Return a genesis in geth's format with every supported fork but the newest from the start."""
    return {
        "config": {
            "chainId": chain_id,
            "londonBlock": 0,
            "terminalTotalDifficulty": 0,
            "shanghaiTime": 0,
            "cancunTime": 0,
            "pragueTime": 0,
        },
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "baseFeePerGas": hex(BASE_FEE),
        "alloc": alloc,
    }


def development_ledger() -> DevelopmentLedger:
    """Return the development genesis, for any engine, and what a person needs to use it."""
    keys = [development_key(index) for index in range(ACCOUNTS)]
    addresses = ["0x" + address_of(key).hex() for key in keys]
    accounts = [
        {"address": address, "privateKey": "0x" + key.hex()}
        for address, key in zip(addresses, keys, strict=True)
    ]
    notes = [
        f"Ethereum, chain ID {CHAIN_ID}",
        f"{ACCOUNTS} accounts with {BALANCE // 10**18} ether each; the keys are public: INSECURE",
        *(f"{each['address']}  key {each['privateKey']}" for each in accounts),
    ]
    return DevelopmentLedger(
        config=base_genesis(CHAIN_ID, {address: {"balance": hex(BALANCE)} for address in addresses}),
        notes=tuple(notes),
        details={"chainId": CHAIN_ID, "accounts": accounts},
    )
