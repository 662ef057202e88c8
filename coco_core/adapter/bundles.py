"""Bundles: transactions for several ledgers that are committed together or not at all.

A bundle is submitted to the reserved name ``BUNDLES``. Its transactions are executed in order, each on what
those before it wrote; as soon as one is refused, nothing of the bundle is written. Otherwise every
transaction is an entry as always, and one more entry after them says what belongs together: its claims
digest covers every transaction's place and claims, so the receipt of that entry proves the whole.

Values and encodings only; who executes is the replica's.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import attrs

from coco_core.base import TxID, limits
from coco_core.errors import IntegrityError, MalformedError
from coco_core.ledger import BundledTransaction, read_bundle_record
from coco_core.wire import cbor

BUNDLES: Final = "coco.bundles"
"""What bundles are submitted to; no ledger can have a name with a dot."""


@attrs.frozen
class BundlePart:
    """One transaction of a bundle, in its own ledger's encoding."""

    ledger: str
    payload: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(kw_only=True)
class BundleReceipt:
    """What whoever submitted a bundle gets back once it is committed."""

    record: bytes
    """As the entry holds it: what a receipt's claims digest is compared with, see ``bundle_claims``."""
    receipts: tuple[bytes, ...]
    """The receipt of each transaction, in its own ledger's encoding, in order."""

    @property
    def transactions(self) -> tuple[BundledTransaction, ...]:
        """Where each transaction is, in order."""
        return read_bundle_record(self.record)


@attrs.frozen(kw_only=True)
class CommittedBundle:
    """A bundle that is committed: the place of its own entry, and what it holds together."""

    txid: TxID
    receipt: BundleReceipt

    @property
    def transaction_ids(self) -> tuple[TxID, ...]:
        """The place of each transaction, in order."""
        return tuple(TxID(self.txid.view, one.seqno) for one in self.receipt.transactions)

    def to_json(self) -> dict[str, Any]:
        """Return what clients read."""
        rows = zip(self.receipt.transactions, self.transaction_ids, self.receipt.receipts, strict=True)
        return {
            "transaction_id": str(self.txid),
            "record": _base64(self.receipt.record),
            "transactions": [
                {
                    "ledger": one.ledger,
                    "transaction_id": str(txid),
                    "claims": one.claims.hex(),
                    "receipt": _base64(receipt),
                }
                for one, txid, receipt in rows
            ],
        }


def read_committed_bundle(value: Any) -> CommittedBundle:
    """Read what ``to_json`` returned; raises IntegrityError for anything else."""
    try:
        receipts = tuple(base64.b64decode(one["receipt"], validate=True) for one in value["transactions"])
        record = base64.b64decode(value["record"], validate=True)
        receipt = BundleReceipt(record=record, receipts=receipts)
        committed = CommittedBundle(txid=TxID.parse(value["transaction_id"]), receipt=receipt)
        told = committed.to_json()
        honest = all(value[name] == told[name] for name in told)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"malformed answer for a bundle: {error!r}") from error
    if not honest:
        raise IntegrityError("the answer for a bundle says something else than its record")
    return committed


def encode_bundle(parts: Sequence[BundlePart]) -> bytes:
    """Return a bundle as the payload of one request."""
    return cbor.encode([[part.ledger, part.payload] for part in parts])


def read_bundle(payload: bytes) -> tuple[BundlePart, ...]:
    """Read what encode_bundle returned; raises MalformedError for anything else, or beyond the bound."""
    value = cbor.decode(payload, error=MalformedError)
    if not isinstance(value, list) or not 1 <= len(value) <= limits.BUNDLE_PARTS_MAX:
        raise MalformedError(f"a bundle is a list of 1 to {limits.BUNDLE_PARTS_MAX} transactions")
    return tuple(map(_part, value))


def _part(value: Any) -> BundlePart:
    match value:
        case [str(ledger), bytes(payload)]:
            return BundlePart(ledger, payload)
    raise MalformedError("a transaction of a bundle is the name of its ledger and bytes")


def encode_bundle_receipt(receipt: BundleReceipt) -> bytes:
    """Return the receipt as bytes, for the way from the primary to whoever submitted."""
    return cbor.encode([receipt.record, list(receipt.receipts)])


def read_bundle_receipt(data: bytes) -> BundleReceipt:
    """Read what encode_bundle_receipt returned; raises IntegrityError for anything else."""
    match cbor.decode(data, error=IntegrityError):
        case [bytes(record), list(receipts)] if all(isinstance(one, bytes) for one in receipts):
            return BundleReceipt(record=record, receipts=tuple(receipts))
    raise IntegrityError("malformed receipt of a bundle")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
