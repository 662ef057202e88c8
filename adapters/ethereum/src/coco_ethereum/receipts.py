"""Receipts in consensus encoding: ``[type] ‖ rlp([status, cumulative_gas, bloom, logs])``.

This room knows the bytes the receipts root commits to (yellow paper §4.3.1, EIP-658, EIP-2718) and
nothing of blocks or RPC.
"""

from __future__ import annotations

import attrs
import rlp

from coco_core.errors import IntegrityError
from coco_ethereum.bloom import BLOOM_SIZE, logs_bloom
from coco_ethereum.engine import Log

_LIST_FROM = 0xC0


@attrs.frozen(slots=True)
class Receipt:
    """A transaction's receipt; ``cumulative_gas_used`` counts from the block's first transaction."""

    type: int
    status: int
    cumulative_gas_used: int
    logs: tuple[Log, ...]

    @property
    def bloom(self) -> bytes:
        """The filter over this receipt's logs."""
        return logs_bloom(self.logs)

    def encode(self) -> bytes:
        """Return the consensus encoding."""
        logs = [[log.address, list(log.topics), log.data] for log in self.logs]
        payload: bytes = rlp.encode([self.status, self.cumulative_gas_used, self.bloom, logs])
        return payload if self.type == 0 else bytes([self.type]) + payload


def decode_receipt(encoded: bytes) -> Receipt:
    """Read a consensus-encoded receipt; raises IntegrityError for bytes ``encode`` never writes."""
    receipt = stored_receipt(encoded)
    if receipt.encode() != encoded:
        raise IntegrityError("a receipt that is not in its canonical encoding")
    return receipt


def stored_receipt(encoded: bytes) -> Receipt:
    """Read a receipt from state, which only executing writes, without encoding it again to compare.

    For a receipt with many logs the comparison costs several times the reading. Raises IntegrityError
    for bytes that are no receipt at all.
    """
    kind = 0 if encoded[:1] >= bytes([_LIST_FROM]) else int.from_bytes(encoded[:1], "big")
    try:
        fields = rlp.decode(encoded if kind == 0 else encoded[1:], strict=True)
        status, gas, bloom, logs = fields
        if len(bloom) != BLOOM_SIZE:
            raise IntegrityError("a receipt with a bloom of another size")
        return Receipt(
            kind,
            int.from_bytes(status, "big"),
            int.from_bytes(gas, "big"),
            tuple(Log(address, tuple(topics), data) for address, topics, data in logs),
        )
    except (rlp.exceptions.RLPException, TypeError, ValueError, RecursionError) as error:
        raise IntegrityError("a receipt that cannot be decoded") from error
