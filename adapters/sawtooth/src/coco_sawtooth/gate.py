"""What is checked of a batch before its transactions run, over the state that earlier batches left.

Knows rules, and asks about what is committed; the order of the checks is the order in which a client is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from coco_core.adapter import Rejected
from coco_core.errors import RejectedError
from coco_sawtooth import block_info, messages, rejections
from coco_sawtooth.batches import Batch, Transaction
from coco_sawtooth.permissions import check_signers
from coco_sawtooth.rejections import rejected
from coco_sawtooth.validation_rules import check_rules


class Known(Protocol):
    """What is committed, or applied before the batch that is checked."""

    def has_batch(self, batch_id: str) -> bool:
        """Whether a batch is."""
        ...

    def has_transaction(self, transaction_id: str) -> bool:
        """Whether a transaction is."""
        ...


def check_batch(
    batch: Batch, known: Known, read: Callable[[bytes], bytes], block_signer: str
) -> Rejected | None:
    """Return why a batch cannot be applied, None when its transactions may run."""
    return (
        _check_duplicates(batch, known)
        or _check_dependencies(batch, known)
        or _check_rules(batch, read, block_signer)
    )


def _check_duplicates(batch: Batch, known: Known) -> Rejected | None:
    if known.has_batch(batch.id):
        return rejected(rejections.DUPLICATE_BATCH, "the batch is already committed", batch_id=batch.id)
    for transaction in batch.transactions:
        if known.has_transaction(transaction.id):
            return rejected(
                rejections.DUPLICATE_TRANSACTION,
                "the transaction is already committed in another batch",
                batch_id=batch.id,
                transaction_id=transaction.id,
            )
    return None


def _check_dependencies(batch: Batch, known: Known) -> Rejected | None:
    before: set[str] = set()
    for transaction in batch.transactions:
        for dependency in transaction.header.dependencies:
            if dependency not in before and not known.has_transaction(dependency):
                return rejected(
                    rejections.MISSING_DEPENDENCY,
                    f"it depends on transaction {dependency}, which is not committed",
                    batch_id=batch.id,
                    transaction_id=transaction.id,
                )
        before.add(transaction.id)
    return None


def _check_rules(batch: Batch, read: Callable[[bytes], bytes], block_signer: str) -> Rejected | None:
    transactions = list(batch.transactions)
    if block_info.is_injected(read):
        transactions.insert(0, _stand_in(block_signer))
    code = rejections.NOT_PERMITTED
    try:
        check_signers(batch, read)
        code = rejections.RULE_BROKEN
        check_rules(transactions, block_signer, read)
    except RejectedError as error:
        return rejected(code, str(error), batch_id=batch.id, transaction_id=batch.transactions[0].id)
    return None


def _stand_in(block_signer: str) -> Transaction:
    """Return what rules look at of the transaction that will be injected before the batch."""
    name, version = block_info.FAMILY
    header = messages.TransactionHeader(
        family_name=name, family_version=version, signer_public_key=block_signer
    )
    return Transaction("", header, b"", b"", (), ())
