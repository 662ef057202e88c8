"""Keys of simulated nodes: real ECDSA, with nonces that follow from key and message (RFC 6979).

So one seed gives the same ledgers byte for byte, certificates included; verification is the production
code's own. There are as many nodes as any world needs, one after the other: they are made once in a
process, for that costs more than a whole world.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from coco_core.crypto import PrivateKey, read_certificate
from coco_core.testing.consortium import Consortium

IDENTITIES: Final = 24
"""How many nodes a world may seat in its life, those who come back as another included."""

_MESSAGE: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_DIGEST: Final = ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)


@attrs.frozen(slots=True, eq=False, repr=False)
class DeterministicKey(PrivateKey):
    """A P-256 key whose signature over the same bytes is always the same."""

    @classmethod
    def of(cls, key: PrivateKey) -> DeterministicKey:
        """Return ``key``, signing so."""
        return cls(key.key, key.public)

    def sign(self, message: bytes) -> bytes:
        """Return a DER signature over ``message``."""
        return self.key.sign(message, _MESSAGE)

    def sign_digest(self, digest: bytes) -> bytes:
        """Return a DER signature over an existing SHA-256 ``digest``."""
        return self.key.sign(digest, _DIGEST)


@cache
def simulated_consortium() -> Consortium:
    """Return a consortium that signs deterministically."""
    made = Consortium.of(IDENTITIES)
    key = made.service.key
    service = attrs.evolve(
        made.service, key=DeterministicKey.of(key), certificate=_certificate(made.service.certificate, key)
    )
    identities = tuple(
        attrs.evolve(one, key=DeterministicKey.of(one.key), certificate=_certificate(one.certificate, key))
        for one in made.identities
    )
    nodes = {
        one.node_id: attrs.evolve(made.nodes[one.node_id], certificate=one.certificate) for one in identities
    }
    # Nobody looks at who issued an operator's certificate.
    operator = _certificate(made.operator, key)
    return attrs.evolve(made, service=service, identities=identities, nodes=nodes, operator=operator)


def _certificate(pem: str, issuer: PrivateKey) -> str:
    """Return a certificate made anew, with serial number and signature that follow from the keys."""
    made = read_certificate(pem)
    old = made.x509
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(made.public_key.key)
        .serial_number(int(made.public_key.node_id()[:30], 16) + 1)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    signed = builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True)
    return signed.public_bytes(Encoding.PEM).decode()
