"""Reads of the past: what became of a transaction, and receipts for committed ones.

A receipt needs two ledger entries (the transaction and the signature after it) that may be on disk
by now; ``plan_receipt`` says which, ``make_receipt`` builds the receipt from their bytes.
"""

from __future__ import annotations

import enum

import attrs

from coco_core.base import TxID
from coco_core.errors import CallerError, IntegrityError
from coco_core.governance import service_endorsements
from coco_core.ledger import (
    LeafComponents,
    LedgerSecrets,
    commit_evidence,
    cose_receipt,
    json_receipt,
    read_public,
    read_signature,
    root_from_path,
)
from coco_core.replica.chain import Chain


class TransactionStatus(enum.Enum):
    """What a node can say about a transaction ID (CCF's four states)."""

    UNKNOWN = "Unknown"
    PENDING = "Pending"
    COMMITTED = "Committed"
    INVALID = "Invalid"


def status_of(chain: Chain, txid: TxID) -> TransactionStatus:
    """Return what became of ``txid``, as far as this node knows."""
    committed = chain.committed
    if txid.seqno <= committed.seqno:
        same = chain.views.at(txid.seqno) == txid.view
        return TransactionStatus.COMMITTED if same else TransactionStatus.INVALID
    if txid.view < committed.view:
        return TransactionStatus.INVALID
    if txid.seqno <= chain.head and chain.views.at(txid.seqno) == txid.view:
        return TransactionStatus.PENDING
    return TransactionStatus.UNKNOWN


@attrs.frozen(slots=True)
class ReceiptPlan:
    """The two entries a receipt is made of, and the proof between them."""

    seqno: int
    signature_seqno: int
    path: list[tuple[bool, bytes]]
    endorsements: tuple[str, ...] = ()
    """What leads from the identity that signed to the service's of today."""


def plan_receipt(chain: Chain, txid: TxID) -> ReceiptPlan:
    """Return what a receipt for ``txid`` needs; raises CallerError unless it is committed and signed."""
    status = status_of(chain, txid)
    if status is not TransactionStatus.COMMITTED:
        raise CallerError(f"transaction {txid} is {status.value.lower()}: there is no receipt")
    if txid.seqno <= chain.begins_after:
        raise CallerError(
            f"this node began from a snapshot behind transaction {txid}: ask another node for the receipt"
        )
    signature_seqno = chain.signature_covering(txid.seqno)
    if signature_seqno is None:
        raise CallerError(f"transaction {txid} is the newest signature itself: no later signature covers it")
    endorsements = service_endorsements(chain.store.view(), after=signature_seqno - 1)
    path = chain.tree.path(txid.seqno, signature_seqno)
    return ReceiptPlan(txid.seqno, signature_seqno, path, tuple(endorsements))


def make_receipt(
    plan: ReceiptPlan, entry: bytes, signature_entry: bytes, secrets: LedgerSecrets, *, cose: bool
) -> bytes:
    """Return the receipt as JSON, or as COSE, from the bytes of the two entries.

    Raises IntegrityError when they are not the ones that were planned for: no receipt is given out that does
    not hold.
    """
    public = read_public(entry)
    signature = read_signature(read_public(signature_entry).public)
    if signature is None:
        raise CallerError(f"entry {plan.signature_seqno} is not a signature")
    if root_from_path(public.leaf, plan.path) != signature.root:
        raise IntegrityError(
            f"the ledger's entries {plan.seqno} and {plan.signature_seqno} are not what was agreed"
        )
    components = LeafComponents(
        write_set_digest=public.write_set_digest,
        commit_evidence=commit_evidence(secrets, public.txid),
        claims=public.claims,
    )
    make = cose_receipt if cose else json_receipt
    return make(components, plan.path, signature, plan.endorsements)
