"""A service and its nodes on paper: keys derived from numbers, certificates, records."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coco_core.attestation import VirtualPlatform
from coco_core.base import NodeID
from coco_core.crypto import PrivateKey, endorse, self_signed
from coco_core.ledger import LedgerSecrets
from coco_core.replica import Identity, NodeRecord, ServiceIdentity, report_data

MEASUREMENT: Final = "c0" * 32
_START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)


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
            identities.append(Identity(node_id=node_id, key=key, certificate=pem))
            nodes[node_id] = NodeRecord(
                node_id=node_id,
                certificate=pem,
                peer_address=f"127.0.0.1:{7000 + number}",
                measurement=MEASUREMENT,
                evidence=platform.attest(report_data(key.public)),
            )
        secrets = LedgerSecrets([(1, bytes(range(32)))])
        return cls(service=service, identities=tuple(identities), nodes=nodes, secrets=secrets)
