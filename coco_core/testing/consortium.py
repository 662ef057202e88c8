"""A service and its nodes on paper: keys derived from numbers, certificates, records."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coco_core.adapter import Manifest
from coco_core.attestation import VirtualPlatform, VirtualVerifier, known_verifiers
from coco_core.base import NodeID
from coco_core.consensus import LogReader
from coco_core.crypto import PrivateKey, endorse, read_certificate, renewed, self_signed, service_id, sha256
from coco_core.governance import (
    JOINER,
    PENDING,
    Admission,
    AdmissionRecord,
    JoinProof,
    NodeRecord,
    ServiceConfig,
    StarlarkRuntime,
    Transcript,
    judge_joiner,
    policy_of,
    standing_report_data,
)
from coco_core.ledger import LedgerSecrets
from coco_core.replica import Identity, LedgerKeys, Parts, ServiceIdentity, SnapshotReader, Timing

MEASUREMENT: Final = "c0" * 32
ADMISSION: Final = Admission(verifiers=known_verifiers())
"""Who judges nodes on paper."""
POLICY: Final = policy_of([(VirtualVerifier.format, MEASUREMENT)])
"""What they are judged by: nodes of a consortium on paper are what they should be."""
_ENCRYPTION_KEYS: Final = 1_000_000
"""How much further the numbers of nodes' encryption keys begin than those of their signing keys."""
_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
_JOINS = datetime.datetime(2023, 11, 1, tzinfo=datetime.UTC)
"""Shortly before ledgers on paper begin: from then on, as long as it may be, a joiner's certificate lasts."""


def derived_key(number: int) -> PrivateKey:
    """Return the P-256 key with private value ``number``."""
    pem = ec.derive_private_key(number, ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return PrivateKey.from_pem(pem)


@attrs.frozen(kw_only=True)
class Consortium:
    """Keys, certificates and records of one service and its nodes."""

    service: ServiceIdentity
    identities: tuple[Identity, ...]
    nodes: Mapping[NodeID, NodeRecord]
    secrets: LedgerSecrets
    """As the service begins; every node has its own."""
    operator: str
    """The certificate (PEM) of who may change the members."""
    _joining: dict[int, str] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @classmethod
    def of(cls, count: int, first_key: int = 1000) -> Consortium:
        """Return a consortium of ``count`` nodes whose keys begin at ``first_key``."""
        service_key = derived_key(first_key)
        certificate = self_signed(service_key, "Coco Service", not_before=_START, not_after=_END, ca=True)
        service = ServiceIdentity(key=service_key, certificate=certificate)
        platform = VirtualPlatform(MEASUREMENT)
        identities: list[Identity] = []
        nodes: dict[NodeID, NodeRecord] = {}
        for number in range(count):
            key = derived_key(first_key + 1 + number)
            node_id = key.public.node_id()
            pem = endorse(
                key.public,
                "Coco Node",
                service.key,
                service.certificate,
                not_before=_START,
                not_after=_END,
                sans=("localhost", "127.0.0.1"),
            )
            encryption_key = derived_key(first_key + _ENCRYPTION_KEYS + number)
            identities.append(
                Identity(node_id=node_id, key=key, encryption_key=encryption_key, certificate=pem)
            )
            nodes[node_id] = NodeRecord(
                node_id=node_id,
                certificate=pem,
                peer_address=f"127.0.0.1:{7000 + number}",
                encryption_key=encryption_key.public.pem,
                measurement=MEASUREMENT,
                evidence=platform.attest(standing_report_data(key.public, encryption_key.public)),
            )
        secrets = LedgerSecrets([(1, bytes(range(32)))])
        operator = self_signed(
            derived_key(first_key + 1 + count), "Operator", not_before=_START, not_after=_END
        )
        return cls(
            service=service, identities=tuple(identities), nodes=nodes, secrets=secrets, operator=operator
        )

    def parts(
        self,
        number: int,
        nodes: Mapping[NodeID, NodeRecord],
        *,
        manifests: Sequence[Manifest],
        draw: Callable[[int, int], int],
        reader: LogReader,
        snapshots: SnapshotReader,
        timing: Timing,
        time_ms: int,
        secrets: LedgerSecrets | None = None,
        **bounds: Any,
    ) -> Parts:
        """Return what node ``number`` is made of, among ``nodes``; ``bounds`` are further fields of Parts.

        Without ``secrets`` it begins with those of the founding.
        """
        return Parts(
            identity=self.identities[number],
            service=self.service,
            secrets=secrets if secrets is not None else LedgerSecrets(self.secrets.epochs),
            nodes=nodes,
            manifests=manifests,
            admission=ADMISSION,
            admissions=self.admissions(nodes, time_ms),
            runtime=StarlarkRuntime(),
            entropy=random.Random(number).randbytes,  # noqa: S311 - what it seals is nobody's secret
            timing=timing,
            draw=draw,
            reader=reader,
            snapshots=snapshots,
            time_ms=time_ms,
            randomness=bytes(32),
            **bounds,
        )

    def keys(self, number: int) -> LedgerKeys:
        """Return the secrets as the service begins, as node ``number`` holds them."""
        return LedgerKeys(LedgerSecrets(self.secrets.epochs), self.identities[number])

    def first(self, count: int) -> Mapping[NodeID, NodeRecord]:
        """Return the records of the first ``count`` nodes."""
        return dict(list(self.nodes.items())[:count])

    def number(self, name: NodeID) -> int:
        """Return the number of the node of that name."""
        return list(self.nodes).index(name)

    def proof(self, number: int, verifier: int = 0, *, measurement: str = MEASUREMENT) -> JoinProof:
        """Return what node ``number`` proves to node ``verifier`` when it asks to join."""
        identity = self.identities[number]
        transcript = Transcript(
            service_id=service_id(self.service.certificate),
            role=JOINER,
            nonce=sha256(number.to_bytes(4, "big")),
            joiner=identity.node_id,
            encryption_key=identity.encryption_key.public.fingerprint,
            verifier=self.identities[verifier].node_id,
        )
        evidence = VirtualPlatform(measurement).attest(transcript.report_data)
        return JoinProof(evidence=evidence, transcript=transcript)

    def admissions(self, nodes: Iterable[NodeID], now_ms: int) -> dict[NodeID, AdmissionRecord]:
        """Return what the first entry records of ``nodes``, all of them judged by the first."""
        found = {}
        for name in nodes:
            number = self.number(name)
            identity, standing = self.identities[number], self.nodes[name].evidence
            found[name] = judge_joiner(
                identity.key.public,
                identity.encryption_key.public,
                self.proof(number),
                standing,
                ADMISSION.verifiers,
                POLICY,
                now_ms,
            )
        return found

    def joiner(self, number: int) -> NodeRecord:
        """Return the record of node ``number`` as it asks to join."""
        if number not in self._joining:
            days = ServiceConfig().maximum_node_certificate_validity_days
            certificate = read_certificate(self.identities[number].certificate)
            self._joining[number] = renewed(
                certificate,
                self.service.key,
                not_before=_JOINS,
                not_after=_JOINS + datetime.timedelta(days=days),
            )
        record = self.nodes[self.identities[number].node_id]
        return attrs.evolve(record, status=PENDING, certificate=self._joining[number])
