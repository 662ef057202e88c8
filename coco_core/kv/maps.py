"""Map names: which domain a map belongs to, and the names of the built-in maps.

A map whose name starts with ``public:`` is in the clear in the ledger; every other map is sealed
under the epoch's ledger secret. Built-in maps carry CCF's names and encodings (its
``doc/audit/builtin_maps``), so that independent tools read our ledger.
"""

from __future__ import annotations

from typing import Final

PUBLIC_PREFIX: Final = "public:"
GOVERNANCE_PREFIX: Final = "public:ccf.gov."
INTERNAL_PREFIX: Final = "public:ccf.internal."

SERVICE_INFO: Final = "public:ccf.gov.service.info"
"""Singleton; JSON ``{cert: PEM, status}``."""
NODES_INFO: Final = "public:ccf.gov.nodes.info"
"""Key: node ID (64 hex digits); JSON ``{status, quote_info, code_digest, …}``."""
NODES_ENDORSED_CERTIFICATES: Final = "public:ccf.gov.nodes.endorsed_certificates"
"""Key: node ID; the node's certificate as PEM, issued by the service identity."""
ADAPTERS: Final = "public:coco.gov.adapters"
"""Key: adapter name; JSON ``{version, api, engine, measurement}`` of what this network enabled."""
MEMBERSHIP_CHANGE: Final = "public:coco.gov.membership_change"
"""Singleton; JSON ``{add: [node ID], remove: [node ID], requested_by}``: the change of members under way."""
OPERATORS: Final = "public:coco.gov.operators"
"""Key: SHA-256 of an operator's certificate (DER) in hex; the certificate as PEM."""
RECOVERY: Final = "public:coco.gov.recovery"
"""Singleton; JSON ``{public_key, threshold, members}``: the key that members hold shares of, and by member ID
``{index, verification_key, encrypted_share}``."""
EPOCHS: Final = "public:coco.gov.epochs"
"""Key: the epoch's number, u64 big-endian; JSON ``{first_seqno, commitment, created_ms, reason, escrow}``."""
SIGNATURES: Final = "public:ccf.internal.signatures"
"""Singleton; JSON ``{node, seqno, view, root, sig, …}``: the primary's signature over the tree."""
COSE_SIGNATURES: Final = "public:ccf.internal.cose_signatures"
"""Singleton; JSON string, base64 of a COSE_Sign1 by the service identity over the tree."""
TREE: Final = "public:ccf.internal.tree"
"""Singleton; the Merkle tree's frontier."""
SNAPSHOT_EVIDENCE: Final = "public:ccf.internal.snapshot_evidence"
"""Singleton; JSON ``{hash, version}``: SHA-256 of the snapshot at that seqno, in hex."""

SINGLETON_KEY: Final = bytes(8)
"""The key of a map that holds one value."""


def is_public(name: str) -> bool:
    """Tell whether the map's contents are in the clear in the ledger."""
    return name.startswith(PUBLIC_PREFIX)


def is_reserved(name: str) -> bool:
    """Tell whether the map belongs to the core; an adapter may neither own nor write it."""
    return name.startswith((GOVERNANCE_PREFIX, INTERNAL_PREFIX, "public:coco.", "coco."))
