"""Real transactions of R3's finance contracts for tests and demonstrations, and a ledger in one process."""

from coco_corda.testing.client import Signer, nonce_of
from coco_corda.testing.ledger import START_MS, Ledger
from coco_corda.testing.samples import Samples, find_samples

__all__ = ["Ledger", "START_MS", "Samples", "Signer", "find_samples", "nonce_of"]
