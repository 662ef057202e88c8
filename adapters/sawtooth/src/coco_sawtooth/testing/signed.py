"""Signed transactions and batches as a client makes them; deterministic: a nonce is an argument."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import attrs

from coco_sawtooth import messages
from coco_sawtooth.signing import Signer


def signed_transaction(
    signer: Signer,
    batcher_public_key: str,
    *,
    family: tuple[str, str] = ("intkey", "1.0"),
    payload: bytes = b"",
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    dependencies: Sequence[str] = (),
    nonce: str = "",
    **fields: Any,
) -> messages.Transaction:
    """Return a transaction; ``fields`` replace those of its header."""
    values: dict[str, Any] = {
        "batcher_public_key": batcher_public_key,
        "dependencies": dependencies,
        "family_name": family[0],
        "family_version": family[1],
        "inputs": inputs,
        "nonce": nonce,
        "outputs": outputs,
        "payload_sha512": hashlib.sha512(payload).hexdigest(),
        "signer_public_key": signer.public_key,
    }
    header = messages.TransactionHeader(**(values | fields)).SerializeToString(deterministic=True)
    return messages.Transaction(header=header, header_signature=signer.sign(header), payload=payload)


def signed_batch(signer: Signer, transactions: Sequence[messages.Transaction]) -> messages.Batch:
    """Return a batch of transactions."""
    ids = [each.header_signature for each in transactions]
    header = messages.BatchHeader(signer_public_key=signer.public_key, transaction_ids=ids)
    raw = header.SerializeToString(deterministic=True)
    return messages.Batch(header=raw, header_signature=signer.sign(raw), transactions=transactions)


@attrs.define
class Client:
    """A key, and a counter for nonces, so that no two transactions are the same."""

    signer: Signer
    nonce: int = 0

    @classmethod
    def named(cls, name: str) -> Client:
        """Return a client whose key follows from ``name``; public, and so only for tests."""
        return cls(Signer(hashlib.sha256(name.encode()).digest()))

    @property
    def public_key(self) -> str:
        """In hex."""
        return self.signer.public_key

    def transaction(self, **fields: Any) -> messages.Transaction:
        """Return a transaction of its own, to be batched by itself unless ``batcher`` says by whom."""
        self.nonce += 1
        batcher = fields.pop("batcher", self.public_key)
        return signed_transaction(self.signer, batcher, **({"nonce": str(self.nonce)} | fields))

    def batch(self, *transactions: messages.Transaction) -> messages.Batch:
        """Return a batch."""
        return signed_batch(self.signer, transactions)
