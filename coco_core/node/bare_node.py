"""What a node is before it takes part, and certificates of a service and its nodes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import attrs

from coco_core.attestation import Evidence, Platform, Policy, evidence_extension, known_verifiers
from coco_core.base import NodeID, limits
from coco_core.crypto import Curve, PrivateKey, PublicKey, endorse, self_signed, service_id
from coco_core.governance import (
    AdmissionRecord,
    JoinRequest,
    NodeRecord,
    Runtime,
    admit,
    judge_joiner,
    standing_claims,
    standing_report_data,
)
from coco_core.node.clock import utc_now
from coco_core.node.disk import LedgerFiles
from coco_core.node.entropy import random_bytes
from coco_core.node.settings import NodeSettings
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.replica import Identity, ServiceIdentity

CERTIFICATE_VALIDITY_DAYS = 365
"""As a service begins; later its members say."""


@attrs.frozen(kw_only=True)
class BareNode:
    """What a node is before it takes part."""

    settings: NodeSettings
    key: PrivateKey = attrs.field(repr=False)
    encryption_key: PrivateKey = attrs.field(repr=False)
    platform: Platform
    standing: Evidence
    """Of both keys, for whoever asks later."""
    peer_address: str
    disk: LedgerFiles
    snapshots: SnapshotFiles
    runtime: Runtime
    """Evaluates what members write."""

    @property
    def node_id(self) -> NodeID:
        """The node's name, derived from its key."""
        return self.key.public.node_id()

    def measured(self, policy: Policy, now_s: int) -> str:
        """Return what this node is measured as; raises AttestationError unless ``policy`` accepts it."""
        expected = standing_report_data(self.key.public, self.encryption_key.public)
        return admit(self.standing, expected, known_verifiers(), policy, now_s).measurement

    def identity(self, certificate: str) -> Identity:
        """Return who the node is, with what the service says of it."""
        return Identity(
            node_id=self.node_id,
            key=self.key,
            encryption_key=self.encryption_key,
            certificate=certificate,
        )


# ── certificates ─────────────────────────────────────────────────────────────────────────────────


def new_service() -> ServiceIdentity:
    """Return a fresh service identity."""
    key = PrivateKey.generate(Curve.P384)
    not_before, not_after = _validity()
    certificate = self_signed(key, "Coco Service", not_before=not_before, not_after=not_after, ca=True)
    return ServiceIdentity(key=key, certificate=certificate)


def certify_own(node: BareNode, service: ServiceIdentity) -> str:
    """Return a certificate of the service for the node that has its key first."""
    return _certify(node.key.public, node.encryption_key.public, node.standing, node.settings.hosts, service)


def certify(request: JoinRequest, service: ServiceIdentity, days: int = CERTIFICATE_VALIDITY_DAYS) -> str:
    """Return a certificate of the service for a node that was admitted, with its standing evidence."""
    key, encryption_key = request.public_key, request.encryption_key
    return _certify(key, encryption_key, request.standing, request.hosts, service, days)


def _certify(
    key: PublicKey,
    encryption_key: PublicKey,
    standing: Evidence,
    hosts: Sequence[str],
    service: ServiceIdentity,
    days: int = CERTIFICATE_VALIDITY_DAYS,
) -> str:
    not_before, not_after = _validity(days)
    return endorse(
        key,
        "Coco Node",
        service.key,
        service.certificate,
        not_before=not_before,
        not_after=not_after,
        sans=sorted({*hosts, "localhost", "127.0.0.1", "::1"}),
        extensions=evidence_extension(standing, standing_claims(key, encryption_key)),
    )


def _validity(days: int = CERTIFICATE_VALIDITY_DAYS) -> tuple[datetime.datetime, datetime.datetime]:
    # An hour of slack, because clocks of a consortium's machines differ. Members bound the whole of it.
    start = utc_now().replace(microsecond=0) - datetime.timedelta(hours=1)
    return start, start + datetime.timedelta(days=days)


# ── records ──────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class Admitted:
    """A node as the tables are to have it, and how it came to be admitted."""

    node: NodeRecord
    admission: AdmissionRecord


def admitted(
    request: JoinRequest,
    certificate: str,
    verifier: NodeID,
    service: ServiceIdentity,
    policy: Policy,
    now_ms: int,
) -> Admitted:
    """Judge a request that was made to ``verifier``, by the time the ledger has; raises AttestationError."""
    admission = judge_joiner(
        request.public_key,
        request.encryption_key,
        request.proof(service_id(service.certificate), verifier),
        request.standing,
        known_verifiers(),
        policy,
        now_ms,
    )
    record = NodeRecord(
        node_id=request.node_id,
        certificate=certificate,
        peer_address=request.peer_address,
        encryption_key=request.encryption_key.pem,
        measurement=admission.measurement,
        evidence=request.standing,
    )
    return Admitted(record, admission)


def own_admission(
    node: BareNode, certificate: str, service: ServiceIdentity, policy: Policy, now_ms: int
) -> Admitted:
    """Return how the first node of a service is recorded: as everybody else, but it asks itself.

    Raises AttestationError when ``policy`` does not accept it.
    """
    request = JoinRequest(
        public_key=node.key.public,
        encryption_key=node.encryption_key.public,
        nonce=random_bytes(limits.NONCE_SIZE_BYTES),
        evidence=node.standing,
        standing=node.standing,
        peer_address=node.peer_address,
        hosts=node.settings.hosts,
    )
    proof = request.proof(service_id(service.certificate), node.node_id)
    evidence = node.platform.attest(proof.transcript.report_data)
    return admitted(
        attrs.evolve(request, evidence=evidence), certificate, node.node_id, service, policy, now_ms
    )
