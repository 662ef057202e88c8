"""Real transactions of R3's finance contracts for tests and demonstrations, and a ledger in one process."""

from coco_corda.testing.client import Signer, nonce_of
from coco_corda.testing.ledger import Ledger
from coco_corda.workloads import Samples, find_samples

__all__ = ["Ledger", "Samples", "Signer", "find_samples", "nonce_of"]
