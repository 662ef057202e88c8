"""Formats and proofs: entries, the Merkle tree, signatures, receipts, chunks, and the auditor.

Pure: knows bytes, digests and keys; must not know files, clocks, consensus or what maps mean.
"""

from coco_core.ledger.audit import AuditedEntry, AuditReport, LedgerAuditor, Watch, audit
from coco_core.ledger.audit_rules import LedgerAuditError, Rule
from coco_core.ledger.bundles import (
    BundledTransaction,
    bundle_claims,
    encode_bundle_record,
    read_bundle_record,
)
from coco_core.ledger.chunks import (
    CHUNK_HEADER_SIZE_BYTES,
    IN_PROGRESS_HEADER,
    ChunkName,
    ParsedChunk,
    completed_header,
    encode_chunk,
    parse_chunk,
    positions_table,
)
from coco_core.ledger.entry import (
    CHUNK_AFTER,
    CHUNK_BEFORE,
    ENTRY_HEADER_SIZE_BYTES,
    NO_CLAIMS,
    EntryHeader,
    EntryOpener,
    EntrySealer,
    OpenedEntry,
    PublicEntry,
    SealedEntry,
    entry_size_bytes,
    read_header,
    read_public,
)
from coco_core.ledger.identities import endorsements_in, predecessor_writes
from coco_core.ledger.merkle import LEAF_ZERO, MerkleFrontier, MerkleTree, root_from_path
from coco_core.ledger.receipts import (
    LeafComponents,
    ReceiptKind,
    VerifiedReceipt,
    cose_receipt,
    json_receipt,
    verify_receipt,
)
from coco_core.ledger.secrets import SECRET_SIZE_BYTES, LedgerSecrets, commit_evidence
from coco_core.ledger.signatures import (
    SIGNATURE_MAPS,
    LedgerSignature,
    LedgerSigner,
    check_root,
    check_signature,
    is_signature,
    read_signature,
    signed_at_s,
)
from coco_core.ledger.snapshot_layout import SnapshotPlace, write_snapshot
from coco_core.ledger.snapshots import (
    Snapshot,
    SnapshotName,
    read_public_snapshot,
    read_snapshot,
    read_snapshot_evidence,
    snapshot_evidence,
)

__all__ = [
    "AuditReport",
    "AuditedEntry",
    "BundledTransaction",
    "CHUNK_AFTER",
    "CHUNK_BEFORE",
    "CHUNK_HEADER_SIZE_BYTES",
    "ChunkName",
    "ENTRY_HEADER_SIZE_BYTES",
    "EntryHeader",
    "EntryOpener",
    "EntrySealer",
    "IN_PROGRESS_HEADER",
    "LEAF_ZERO",
    "LeafComponents",
    "LedgerAuditError",
    "LedgerAuditor",
    "LedgerSecrets",
    "LedgerSignature",
    "LedgerSigner",
    "MerkleFrontier",
    "MerkleTree",
    "NO_CLAIMS",
    "OpenedEntry",
    "ParsedChunk",
    "PublicEntry",
    "ReceiptKind",
    "Rule",
    "SECRET_SIZE_BYTES",
    "SIGNATURE_MAPS",
    "SealedEntry",
    "Snapshot",
    "SnapshotName",
    "SnapshotPlace",
    "VerifiedReceipt",
    "Watch",
    "audit",
    "bundle_claims",
    "check_root",
    "check_signature",
    "commit_evidence",
    "completed_header",
    "cose_receipt",
    "encode_bundle_record",
    "encode_chunk",
    "endorsements_in",
    "entry_size_bytes",
    "is_signature",
    "json_receipt",
    "parse_chunk",
    "positions_table",
    "predecessor_writes",
    "read_bundle_record",
    "read_header",
    "read_public",
    "read_public_snapshot",
    "read_signature",
    "read_snapshot",
    "read_snapshot_evidence",
    "root_from_path",
    "signed_at_s",
    "snapshot_evidence",
    "verify_receipt",
    "write_snapshot",
]
