"""Sign an Ethereum transfer of one ether, to be submitted in a bundle. Needs eth-account.

Usage: python examples/payment.py PRIVATE_KEY NONCE > payment.txt
"""

from __future__ import annotations

import sys

from eth_account import Account


def payment(private_key: str, nonce: int) -> str:
    """Return the signed transfer in hexadecimal, as ``coco bundle submit`` reads it from a file."""
    transaction = {
        "chainId": 1337,
        "nonce": nonce,
        "to": "0x" + "77" * 20,
        "value": 10**18,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 1,
    }
    return f"0x{Account.from_key(private_key).sign_transaction(transaction).raw_transaction.hex()}"


if __name__ == "__main__":
    print(payment(sys.argv[1], int(sys.argv[2])))
