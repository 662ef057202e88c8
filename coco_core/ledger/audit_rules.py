"""What the auditor insists on, by name: the codes stand in errors, tests and documentation."""

from __future__ import annotations

import enum

from coco_core.errors import IntegrityError


class Rule(enum.Enum):
    """One rule of a sound ledger; the value is the code an error carries."""

    CHUNK_FORMAT = "chunk-format"
    """A file's name, positions table and entries fit each other."""
    FILE_ORDER = "file-order"
    """Only the last file is in progress."""
    FILE_RANGE = "file-range"
    """Files follow each other without gap or overlap, beginning at 1 or behind a snapshot."""
    ENTRY_FORMAT = "entry-format"
    """Known version, flags and type; nonce and seqno agree; canonical maps, public ones only."""
    SEQNO = "seqno"
    """Seqnos go up by one."""
    VIEW = "view"
    """Views never go back."""
    PRIVATE = "private"
    """Sealed parts open under the ledger's secrets (if the auditor holds them)."""
    BUNDLE = "bundle"
    """A bundle's record names entries of its own batch that no other record names, with the claims they have,
    each of the ledger whose name its maps begin with."""
    SERVICE_IDENTITY = "service-identity"
    """The identity in force at the end is the expected one, and changes only by recovery."""
    SERVICE_ENDORSEMENT = "service-endorsement"
    """Who takes over from an identity endorses it, for everything up to the last signature before."""
    SERVICE_STATUS = "service-status"
    """The service's status follows its life cycle."""
    NODE_ID = "node-id"
    """A node's ID is SHA-256 of its public key."""
    NODE_STATUS = "node-status"
    """Only a node trusted at that place signs, or one under removal whose end is not recorded yet."""
    NODE_CERTIFICATE = "node-certificate"
    """A node's certificate is issued by the service."""
    NODE_SIGNATURE = "node-signature"
    """The node's signature verifies."""
    SIGNATURE_DUAL = "signature-dual"
    """Every signature entry carries both signatures."""
    SIGNATURE_FORMAT = "signature-format"
    """A signature entry holds exactly what ours hold, in canonical form."""
    SIGNATURE_ROOT = "signature-root"
    """The signed root is that of the entries before it."""
    SIGNATURE_TXID = "signature-txid"
    """The signature states the place it stands at."""
    TREE = "tree"
    """The tree table holds the tree that was signed."""
    COSE_FORMAT = "cose-format"
    """The service's statement is a COSE_Sign1 with exactly our headers."""
    COSE_TXID = "cose-txid"
    """The service's statement states the place it stands at."""
    COSE_KID = "cose-kid"
    """The service's statement names the service's key."""
    COSE_SIGNATURE = "cose-signature"
    """The service's signature verifies."""
    SNAPSHOT_EVIDENCE = "snapshot-evidence"
    """Evidence of a snapshot is in our form and claimed by its entry; a snapshot begun behind has some."""
    UNSIGNED = "unsigned"
    """There is a signature, and it covers everything called committed."""


class LedgerAuditError(IntegrityError):
    """A ledger breaks a rule; says which, and where."""

    def __init__(self, rule: Rule, file: str, offset: int, seqno: int, reason: str) -> None:
        super().__init__(f"{file} offset {offset} seqno {seqno}: [{rule.value}] {reason}")
        self.rule = rule.value
        self.file = file
        self.offset = offset
        self.seqno = seqno
        self.reason = reason
