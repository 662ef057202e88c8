"""PUBLIC DOOR for users: talk to a network, measure it, and verify what it says without trusting it."""

from coco_core.client.governance import GovernanceClient, RequestRefusedError, Signer
from coco_core.client.http import (
    AnswerError,
    Connection,
    ConnectionLostError,
    NodeClient,
    fetch_certificate,
    pinned_context,
)
from coco_core.client.load import (
    Endpoint,
    LoadResult,
    LoadSettings,
    Progress,
    percentiles_ms,
    run_load,
)
from coco_core.ledger import VerifiedReceipt, verify_receipt

__all__ = [
    "AnswerError",
    "Connection",
    "ConnectionLostError",
    "Endpoint",
    "GovernanceClient",
    "LoadResult",
    "LoadSettings",
    "NodeClient",
    "Progress",
    "RequestRefusedError",
    "Signer",
    "VerifiedReceipt",
    "fetch_certificate",
    "percentiles_ms",
    "pinned_context",
    "run_load",
    "verify_receipt",
]
