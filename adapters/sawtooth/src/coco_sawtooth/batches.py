"""Signed batches of transactions: reading them, and the checks a validator makes before it takes one.

Stricter than Sawtooth in three places, where it let somebody execute a transaction twice or stop the chain:
identifiers are lower-case hex and nothing else, signatures have a low ``s``, and a batch has a transaction.
Knows nothing of state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs
from google.protobuf.message import DecodeError

from coco_core.errors import MalformedError
from coco_sawtooth import messages
from coco_sawtooth.addresses import is_id
from coco_sawtooth.limits import BATCH_DEPENDENCIES_MAX, BATCH_TRANSACTIONS_MAX, TRANSACTION_ADDRESSES_MAX
from coco_sawtooth.signing import verify


@attrs.frozen(slots=True, eq=False)
class Transaction:
    """One signed transaction."""

    id: str
    """The signature of its header: 128 hex digits."""
    header: messages.TransactionHeader = attrs.field(repr=False)
    header_bytes: bytes = attrs.field(repr=False)
    """As signed; a processor that registered for raw headers gets these."""
    payload: bytes = attrs.field(repr=False)
    inputs: tuple[str, ...] = attrs.field(repr=False)
    outputs: tuple[str, ...] = attrs.field(repr=False)

    @property
    def family(self) -> tuple[str, str]:
        """Name and version of the family that executes it."""
        return self.header.family_name, self.header.family_version


@attrs.frozen(slots=True, eq=False)
class Batch:
    """Transactions that all take effect or none."""

    id: str
    """The signature of its header: 128 hex digits."""
    header: messages.BatchHeader = attrs.field(repr=False)
    header_bytes: bytes = attrs.field(repr=False)
    transactions: tuple[Transaction, ...]
    raw: bytes = attrs.field(repr=False)
    """The whole ``Batch`` message as it was sent."""


def split(raw: bytes) -> list[bytes]:
    """Return the batches of a serialised ``BatchList``, each serialised. Raises MalformedError."""
    try:
        found = messages.BatchList.FromString(raw)
    except DecodeError:
        raise MalformedError("not a BatchList") from None
    return [batch.SerializeToString() for batch in found.batches]


def read(raw: bytes) -> Batch:
    """Read a serialised ``Batch`` and check its form, not its signatures. Raises MalformedError."""
    try:
        message = messages.Batch.FromString(raw)
        header = messages.BatchHeader.FromString(message.header)
    except DecodeError:
        raise MalformedError("not a Batch") from None
    if not is_id(message.header_signature):
        raise MalformedError("the batch's header_signature is not 128 lower-case hex digits")
    if not message.transactions:
        raise MalformedError("the batch has no transactions")
    if len(message.transactions) > BATCH_TRANSACTIONS_MAX:
        raise MalformedError(f"the batch has more than {BATCH_TRANSACTIONS_MAX} transactions")
    transactions = tuple(_transaction(each) for each in message.transactions)
    ids = [each.id for each in transactions]
    if ids != list(header.transaction_ids):
        raise MalformedError("the batch's transaction_ids are not those of its transactions")
    if len(set(ids)) != len(ids):
        raise MalformedError("the batch has a transaction twice")
    if sum(len(each.header.dependencies) for each in transactions) > BATCH_DEPENDENCIES_MAX:
        raise MalformedError(f"the batch has more than {BATCH_DEPENDENCIES_MAX} dependencies")
    return Batch(message.header_signature, header, message.header, transactions, raw)


def _transaction(message: messages.Transaction) -> Transaction:
    if not is_id(message.header_signature):
        raise MalformedError("a transaction's header_signature is not 128 lower-case hex digits")
    try:
        header = messages.TransactionHeader.FromString(message.header)
    except DecodeError:
        raise MalformedError(f"transaction {message.header_signature}: the header does not decode") from None
    if not all(is_id(dependency) for dependency in header.dependencies):
        raise MalformedError(f"transaction {message.header_signature}: a dependency is not a transaction id")
    inputs, outputs = tuple(header.inputs), tuple(header.outputs)
    if len(inputs) + len(outputs) > TRANSACTION_ADDRESSES_MAX:
        raise MalformedError(f"a transaction has more than {TRANSACTION_ADDRESSES_MAX} inputs and outputs")
    return Transaction(message.header_signature, header, message.header, message.payload, inputs, outputs)


def verify_signatures(batch: Batch) -> None:
    """Check that batch and transactions are signed by whom they name, and payloads are what was signed.

    Raises MalformedError naming the first that is not.
    """
    signer = batch.header.signer_public_key
    verify(batch.id, batch.header_bytes, signer)
    for transaction in batch.transactions:
        header = transaction.header
        if header.batcher_public_key != signer:
            raise MalformedError(
                f"transaction {transaction.id}: batcher_public_key is not the batch's signer"
            )
        if hashlib.sha512(transaction.payload).hexdigest() != header.payload_sha512:
            raise MalformedError(f"transaction {transaction.id}: the payload is not what payload_sha512 says")
        verify(transaction.id, transaction.header_bytes, header.signer_public_key)


def dependencies(batch: Batch) -> Sequence[str]:
    """Return the transactions outside the batch that must be committed before it, without repetition."""
    inside: set[str] = set()
    outside: dict[str, None] = {}
    for transaction in batch.transactions:
        for each in transaction.header.dependencies:
            if each not in inside:
                outside[each] = None
        inside.add(transaction.id)
    return list(outside)
