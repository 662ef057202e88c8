"""The offline auditor: reads a whole ledger forward and believes nothing it was not shown proof of.

Stricter than the independent tools on purpose (they accept an unsigned ledger, a backward view, gaps,
or anybody's service identity). Streaming: one chunk in memory, one digest per level of the tree. Pure:
whoever calls it reads the files and says which service identity is expected. A ledger may begin behind a
verified snapshot; that it does, the ledger's own entries must prove.

Every failure is a :class:`LedgerAuditError` that names file, offset, seqno and the rule broken; all
rules are in :class:`Rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Never

import attrs

from coco_core.base import NodeID, TxID
from coco_core.crypto import Certificate, check_issued, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import COSE_SIGNATURES, SIGNATURES
from coco_core.kv.write_set import Writes
from coco_core.ledger import cose
from coco_core.ledger.audit_rules import LedgerAuditError, Rule
from coco_core.ledger.audit_state import AuditedState
from coco_core.ledger.bundles import BatchEntry, check_bundle
from coco_core.ledger.chunks import ParsedChunk, parse_chunk
from coco_core.ledger.entry import NO_CLAIMS, EntryOpener, PublicEntry, read_public
from coco_core.ledger.merkle import MerkleFrontier
from coco_core.ledger.secrets import LedgerSecrets
from coco_core.ledger.signatures import LedgerSignature, is_signature, read_signature, signed_at_s
from coco_core.ledger.snapshots import Snapshot, SnapshotName, read_snapshot_evidence


@attrs.frozen(slots=True)
class AuditReport:
    """What an audit established. Entries after ``last_verified`` are not covered by any signature."""

    start: TxID | None
    """Where the snapshot stands that the ledger begins behind; None for one that begins at 1."""
    entries: int
    """How many were read."""
    signatures: int
    last_verified: TxID
    unsigned_tail: int
    """Whole entries after the last signature: appended, provably by nobody."""
    torn_tail_bytes: int
    """Bytes of an unfinished entry at the end of the last chunk."""
    views: tuple[tuple[int, int], ...]
    """Each view and the first seqno in it."""
    nodes: dict[NodeID, str]
    """Every node named, in the snapshot or behind it, and its last status."""
    service_fingerprint: str
    """SHA-256 of the service identity's public key (DER) in hex: the COSE ``kid``."""
    recoveries: int
    """How often the service identity was replaced, in what was read."""
    private_verified: bool
    """Whether the auditor held the secrets and opened the private part of every entry."""
    size_bytes: int


@attrs.frozen(slots=True)
class AuditedEntry:
    """One entry that kept the ledger's own rules, for who checks what it means."""

    file: str
    offset: int
    txid: TxID
    writes: Writes = attrs.field(repr=False)
    """What it writes to public maps."""
    signed_at_s: int | None
    """Of a signature entry, the Unix time it states; what comes before it is covered by that signature."""


Watch = Callable[[AuditedEntry], None]
"""Told of every entry in order; those after the last signature are covered by none."""


def audit(
    chunks: Iterable[tuple[str, bytes]],
    *,
    service_cert_pem: str | None,
    secrets: LedgerSecrets | None = None,
    start: Snapshot | None = None,
) -> AuditReport:
    """Audit ``(file name, contents)`` pairs, given in order from seqno 1, or from behind ``start``.

    ``service_cert_pem`` pins the identity that must be in force at the end; with None any identity
    passes and the caller must compare ``service_fingerprint`` himself. With ``secrets`` private parts
    are opened too. ``start`` is what ``read_snapshot`` or ``read_public_snapshot`` returned for the same
    service. Raises LedgerAuditError (an IntegrityError).
    """
    auditor = LedgerAuditor(secrets)
    if start is not None:
        auditor.begin(start)
    for name, data in chunks:
        auditor.read_chunk(name, data)
    return auditor.finish(read_certificate(service_cert_pem) if service_cert_pem is not None else None)


class LedgerAuditor:
    """One pass over a ledger, for who looks at its entries in between; see ``audit``."""

    def __init__(self, secrets: LedgerSecrets | None = None, watch: Watch | None = None) -> None:
        """Open private parts with ``secrets``, if any; tell ``watch`` of every entry."""
        self._watch = watch
        self._opener = EntryOpener(secrets) if secrets is not None else None
        self._tree = MerkleFrontier()
        self._state = AuditedState()
        self._file = ""
        self._offset = 0
        self._seqno = 0
        self._batch: dict[int, BatchEntry] = {}
        """The entries since the last signature that no bundle named."""
        self._views: list[tuple[int, int]] = []
        self._signatures = 0
        self._last_verified: TxID | None = None
        self._size_bytes = 0
        self._open_chunk: ParsedChunk | None = None
        self._last_committed = 0
        self._checked_identities: tuple[str, Certificate, Certificate] | None = None
        self._start: Snapshot | None = None
        self._start_proven = False

    def begin(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot; it counts as verified, if its evidence will."""
        self._start = snapshot
        self._file = str(SnapshotName(snapshot.place.txid.seqno, snapshot.evidence.seqno))
        self._seqno = snapshot.place.txid.seqno
        self._tree = snapshot.frontier()
        self._views = list(snapshot.place.views)
        self._last_verified = snapshot.place.txid
        self._state.begin(snapshot.place.txid, snapshot.maps, self._fail)

    # ── one file ─────────────────────────────────────────────────────────────────────────────────

    def read_chunk(self, name: str, data: bytes) -> None:
        """Check one file and every entry in it."""
        self._file, self._offset = name, 0
        with self._rule(Rule.CHUNK_FORMAT):
            chunk = parse_chunk(name, data)
        if self._open_chunk is not None:
            self._fail(Rule.FILE_ORDER, f"follows {self._open_chunk.name}, which is still in progress")
        if chunk.name.first != self._seqno + 1:
            self._fail(Rule.FILE_RANGE, f"begins at {chunk.name.first}, expected {self._seqno + 1}")
        for offset, raw in chunk.entries():
            self._offset = offset
            self._read_entry(bytes(raw))
        self._size_bytes += len(data)
        if not chunk.complete:
            self._open_chunk = chunk
        if chunk.name.committed:
            self._last_committed = self._seqno

    # ── one entry ────────────────────────────────────────────────────────────────────────────────

    def _read_entry(self, raw: bytes) -> None:
        with self._rule(Rule.ENTRY_FORMAT):
            entry = read_public(raw)
        if entry.txid.seqno != self._seqno + 1:
            self._fail(Rule.SEQNO, f"entry {entry.txid} stands where {self._seqno + 1} belongs")
        self._seqno = entry.txid.seqno
        self._check_view(entry.txid)
        names = frozenset(entry.public)
        if self._opener is not None:
            with self._rule(Rule.PRIVATE):
                names = frozenset(self._opener.open(raw).writes)
        if is_signature(entry.public):
            self._check_signature_entry(entry)
            self._batch.clear()
        else:
            with self._rule(Rule.BUNDLE):
                check_bundle(entry, self._batch)
            self._batch[entry.txid.seqno] = BatchEntry(entry.claims, names)
            self._state.apply(entry.txid, entry.public, self._fail)
            self._check_evidence(entry)
        self._tree.append(entry.leaf)
        if self._watch is not None:
            signed = signed_at_s(entry.public) if is_signature(entry.public) else None
            self._watch(AuditedEntry(self._file, self._offset, entry.txid, entry.public, signed))

    def _check_evidence(self, entry: PublicEntry) -> None:
        with self._rule(Rule.SNAPSHOT_EVIDENCE):
            evidence = read_snapshot_evidence(entry.public)
        if evidence is None:
            return
        seqno, digest = evidence
        if seqno >= entry.txid.seqno or digest != entry.claims:
            self._fail(Rule.SNAPSHOT_EVIDENCE, f"evidence of a snapshot at {seqno} is not what is claimed")
        if self._start is not None and self._start.evidence == entry.txid:
            self._start_proven = (seqno, digest) == (self._start.place.txid.seqno, self._start.digest)

    def _check_view(self, txid: TxID) -> None:
        if not self._views or txid.view > self._views[-1][0]:
            self._views.append((txid.view, txid.seqno))
        elif txid.view < self._views[-1][0]:
            self._fail(Rule.VIEW, f"view {txid.view} follows view {self._views[-1][0]}")

    # ── one signature entry ──────────────────────────────────────────────────────────────────────

    def _check_signature_entry(self, entry: PublicEntry) -> None:
        if (SIGNATURES in entry.public) != (COSE_SIGNATURES in entry.public):
            self._fail(Rule.SIGNATURE_DUAL, "carries only one of the node's and the service's signature")
        with self._rule(Rule.SIGNATURE_FORMAT):
            signature = read_signature(entry.public)
        if signature is None or entry.private or entry.claims != NO_CLAIMS:
            self._fail(Rule.SIGNATURE_FORMAT, "a signature entry claims nothing and seals nothing")
        root = self._tree.root()
        if signature.root != root:
            self._fail(Rule.SIGNATURE_ROOT, f"signed root {signature.root.hex()}, computed {root.hex()}")
        if signature.txid != entry.txid:
            self._fail(Rule.SIGNATURE_TXID, f"signature for {signature.txid} stands at {entry.txid}")
        with self._rule(Rule.TREE):
            tree = MerkleFrontier.from_serialised(signature.tree)
        if tree.size != self._tree.size or tree.root() != root:
            self._fail(Rule.TREE, f"tree table is of {tree.size} leaves or another root")
        service = self._state.service
        if service is None:
            self._fail(Rule.SERVICE_IDENTITY, "signature before any service identity")
        self._check_node_signature(signature, root, service)
        self._check_service_signature(signature, root, service)
        self._signatures += 1
        self._last_verified = entry.txid

    def _check_node_signature(self, signature: LedgerSignature, root: bytes, service: Certificate) -> None:
        node = self._state.signing_node(signature.node, self._fail)
        identities = (signature.node_cert_pem, node, service)
        if identities != self._checked_identities:
            self._check_stated_certificate(signature.node_cert_pem, node, service)
            self._checked_identities = identities
        with self._rule(Rule.NODE_SIGNATURE):
            node.public_key.verify_digest(signature.signature, root)

    def _check_stated_certificate(self, pem: str, node: Certificate, service: Certificate) -> None:
        with self._rule(Rule.NODE_CERTIFICATE):
            stated = read_certificate(pem)
            check_issued(stated, service)
        if stated.public_key != node.public_key:
            self._fail(Rule.NODE_CERTIFICATE, "stated certificate is not for the node's endorsed key")
        if stated.pem != pem:
            self._fail(Rule.NODE_CERTIFICATE, "stated certificate is not in canonical PEM")

    def _check_service_signature(self, signature: LedgerSignature, root: bytes, service: Certificate) -> None:
        with self._rule(Rule.COSE_FORMAT):
            statement = cose.read(signature.cose)
        if statement.proofs:
            self._fail(Rule.COSE_FORMAT, "a proof is attached to the ledger's own signature")
        if statement.txid != signature.txid:
            self._fail(Rule.COSE_TXID, f"COSE signature for {statement.txid} stands at {signature.txid}")
        if statement.kid != service.public_key.node_id():
            self._fail(Rule.COSE_KID, f"COSE kid names key {statement.kid[:16]}…, not the service's")
        with self._rule(Rule.COSE_SIGNATURE):
            cose.check(statement, root, service.public_key)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    def finish(self, pinned: Certificate | None) -> AuditReport:
        """Judge the ledger as a whole."""
        service, verified = self._state.service, self._last_verified
        if service is None or verified is None:
            self._fail(Rule.UNSIGNED, f"none of {self._seqno} entries is covered by a signature")
        if self._start is not None and not (
            self._start_proven and self._start.evidence.seqno <= verified.seqno
        ):
            reason = f"{self._start.evidence} is no signed evidence of the snapshot it begins behind"
            self._fail(Rule.SNAPSHOT_EVIDENCE, reason)
        if pinned is not None and pinned.public_key != service.public_key:
            expected, found = pinned.public_key.node_id(), service.public_key.node_id()
            self._fail(Rule.SERVICE_IDENTITY, f"service identity is {found}, expected {expected}")
        if self._last_committed > verified.seqno:
            self._fail(Rule.UNSIGNED, f"entries after {verified} are named committed, but unsigned")
        if self._state.service_since > verified.seqno:
            self._fail(Rule.UNSIGNED, "the service identity itself is not covered by a signature")
        start = self._start.place.txid if self._start is not None else None
        return AuditReport(
            start=start,
            entries=self._seqno - (start.seqno if start is not None else 0),
            signatures=self._signatures,
            last_verified=verified,
            unsigned_tail=self._seqno - verified.seqno,
            torn_tail_bytes=self._open_chunk.torn_tail_bytes if self._open_chunk is not None else 0,
            views=tuple(self._views),
            nodes=self._state.node_statuses(),
            service_fingerprint=service.public_key.node_id(),
            recoveries=self._state.recoveries,
            private_verified=self._opener is not None,
            size_bytes=self._size_bytes,
        )

    # ── how failures are told ────────────────────────────────────────────────────────────────────

    def _fail(self, rule: Rule, reason: str) -> Never:
        raise LedgerAuditError(rule, self._file, self._offset, self._seqno, reason)

    @contextmanager
    def _rule(self, rule: Rule) -> Iterator[None]:
        """Tell faults of parsers and verifiers as broken ``rule``."""
        try:
            yield
        except (IntegrityError, AttestationError) as fault:
            raise LedgerAuditError(rule, self._file, self._offset, self._seqno, str(fault)) from fault
