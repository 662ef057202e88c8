"""Making signed transactions fast: a hundred thousand in seconds, with keys kept ready.

The same bytes as ``coco_ethereum.transactions`` makes (a test compares them), for the one shape a
workload needs: type 2 without access list (EIP-1559).
"""

from __future__ import annotations

from coincurve import PrivateKey

from coco_ethereum.workloads.contracts import Keccak


class Signer:
    """One account of a workload; its nonce is the caller's to count."""

    __slots__ = ("_chain_id", "_keccak", "_key", "address")

    def __init__(self, secret: bytes, chain_id: int, keccak: Keccak) -> None:
        """Hold a 32-byte key ready to sign for ``chain_id``."""
        self._key = PrivateKey(secret)
        self._chain_id = chain_id
        self._keccak = keccak
        self.address = keccak(self._key.public_key.format(compressed=False)[1:])[12:]

    def sign(self, *, nonce: int, fee: int, gas: int, to: bytes, value: int = 0, data: bytes = b"") -> bytes:
        """Return a signed envelope that pays at most ``fee`` wei per gas and no tip."""
        fields = b"".join(
            (
                _integer(self._chain_id),
                _integer(nonce),
                b"\x80",
                _integer(fee),
                _integer(gas),
                b"\x94" + to,
                _integer(value),
                _string(data),
                b"\xc0",
            )
        )
        digest = self._keccak(b"\x02" + _list_prefix(len(fields)) + fields)
        signature = self._key.sign_recoverable(digest, hasher=None)
        signed = fields + b"".join(
            (
                b"\x01" if signature[64] else b"\x80",
                _integer(int.from_bytes(signature[:32])),
                _integer(int.from_bytes(signature[32:64])),
            )
        )
        return b"\x02" + _list_prefix(len(signed)) + signed


def _integer(value: int) -> bytes:
    return _string(value.to_bytes((value.bit_length() + 7) // 8))


def _string(data: bytes) -> bytes:
    size = len(data)
    if size == 1 and data[0] < 0x80:
        return data
    return _prefix(0x80, size) + data


def _list_prefix(size: int) -> bytes:
    return _prefix(0xC0, size)


def _prefix(offset: int, size: int) -> bytes:
    if size < 56:
        return bytes((offset + size,))
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((offset + 55 + len(digits),)) + digits
