"""Signatures over secp256k1 and the addresses behind them.

This room knows curves and hashes only, not what is signed. Both directions go through libsecp256k1
(``coincurve``); the signer is for tests, workloads and development keys.
"""

from __future__ import annotations

from typing import Final

import coincurve
from eth_hash.auto import keccak

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group (SEC 2, §2.4.1)."""


def recover(message_hash: bytes, y_parity: int, r: int, s: int) -> bytes:
    """Return the 20-byte address whose key signed a hash.

    Raises ValueError if a number is out of range, if ``s`` is in the upper half of the group (EIP-2:
    its mirror image would be a second signature of the same message), or if no key fits.
    """
    if y_parity not in (0, 1) or not 0 < r < ORDER:
        raise ValueError("invalid transaction v, r, s values")
    if not 0 < s <= ORDER // 2:
        raise ValueError("invalid transaction v, r, s values: s is zero or not in the lower half (EIP-2)")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature, message_hash, hasher=None)
    except Exception as error:
        # The library raises bare Exception when r is no point's abscissa.
        raise ValueError("recovery failed") from error
    return _address(key)


def sign(message_hash: bytes, private_key: bytes) -> tuple[int, int, int]:
    """Return ``(y_parity, r, s)`` with ``s`` in the lower half; deterministic (RFC 6979)."""
    signature = coincurve.PrivateKey(private_key).sign_recoverable(message_hash, hasher=None)
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def address_of(private_key: bytes) -> bytes:
    """Return the address of a 32-byte private key."""
    return _address(coincurve.PrivateKey(private_key).public_key)


def _address(key: coincurve.PublicKey) -> bytes:
    return keccak(key.format(compressed=False)[1:])[12:]
