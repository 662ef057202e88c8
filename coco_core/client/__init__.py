"""PUBLIC DOOR for users: talk to a network, measure it, and verify what it says without trusting it."""

from coco_core.adapter import BundlePart, CommittedBundle, read_committed_bundle
from coco_core.client.bundles import BundleClient, verify_bundle
from coco_core.client.governance import GovernanceClient, RequestRefusedError, Signer
from coco_core.client.http import (
    AnswerError,
    Connection,
    ConnectionLostError,
    MalformedAnswerError,
    NodeClient,
    any_context,
    fetch_certificate,
    pinned_context,
)
from coco_core.client.load import (
    Endpoint,
    LoadSettings,
    Progress,
    run_load,
)
from coco_core.client.results import LoadResult, percentiles_ms
from coco_core.ledger import VerifiedReceipt, verify_receipt

__all__ = [
    "AnswerError",
    "BundleClient",
    "BundlePart",
    "CommittedBundle",
    "Connection",
    "ConnectionLostError",
    "Endpoint",
    "GovernanceClient",
    "LoadResult",
    "LoadSettings",
    "MalformedAnswerError",
    "NodeClient",
    "Progress",
    "RequestRefusedError",
    "Signer",
    "VerifiedReceipt",
    "any_context",
    "fetch_certificate",
    "percentiles_ms",
    "pinned_context",
    "read_committed_bundle",
    "run_load",
    "verify_bundle",
    "verify_receipt",
]
