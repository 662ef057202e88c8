"""A client with a key of its own; deterministic, since its nonces are counted."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs

from coco_sawtooth import messages
from coco_sawtooth.authoring import signed_batch, signed_transaction
from coco_sawtooth.signing import Signer


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
        """Return a transaction, to be batched by this client unless ``batcher`` names another's key."""
        self.nonce += 1
        batcher = fields.pop("batcher", self.public_key)
        defaults = {"nonce": str(self.nonce), "batcher_public_key": batcher, "payload": b""}
        return signed_transaction(self.signer, **(defaults | fields))

    def batch(self, *transactions: messages.Transaction) -> messages.Batch:
        """Return a batch."""
        return signed_batch(self.signer, transactions)
