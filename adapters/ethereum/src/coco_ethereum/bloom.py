"""The 2048-bit filter over a block's log addresses and topics (yellow paper §4.3.1, M3:2048)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from eth_hash.auto import keccak

from coco_ethereum.engine import Log

BLOOM_SIZE: Final = 256
EMPTY_BLOOM: Final = bytes(BLOOM_SIZE)


def bloom_bits(entry: bytes) -> int:
    """Return the three bits of one address or topic as a 2048-bit integer."""
    digest = keccak(entry)
    bits = 0
    for position in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[position : position + 2], "big") & 2047)
    return bits


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """Return the filter of some logs, 256 bytes."""
    bits = 0
    for log in logs:
        bits |= bloom_bits(log.address)
        for topic in log.topics:
            bits |= bloom_bits(topic)
    return bits.to_bytes(BLOOM_SIZE, "big")


def merge_blooms(blooms: Iterable[bytes]) -> bytes:
    """Return the union of some filters: a block's bloom from its receipts'."""
    bits = 0
    for bloom in blooms:
        bits |= int.from_bytes(bloom, "big")
    return bits.to_bytes(BLOOM_SIZE, "big")


def may_contain(bloom: bytes, entry: bytes) -> bool:
    """Return whether a filter may have seen an address or topic; false positives happen."""
    bits = bloom_bits(entry)
    return int.from_bytes(bloom, "big") & bits == bits
