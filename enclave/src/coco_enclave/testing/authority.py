"""Certificate authorities for simulators: keys are made when they are asked for, and never kept.

Whatever they sign proves nothing, and says so in its names.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
YEAR_S: Final = 365 * 24 * 3600


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a new RSA key."""
    return rsa.generate_private_key(65537, bits)


@attrs.frozen(kw_only=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey = attrs.field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def issue(
    name: str,
    key: PrivateKey,
    issuer: Issued | None,
    *,
    now_s: int,
    lifetime_s: int = 10 * YEAR_S,
    age_s: int = 3600,
    authority: bool = False,
    path_length: int | None = None,
    extensions: Mapping[str, bytes] | None = None,
    pss: bool = False,
) -> Issued:
    """Return a certificate for ``key``, issued by itself without an ``issuer``."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Simulated, proves nothing"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    begin = datetime.datetime.fromtimestamp(now_s - age_s, datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(seconds=lifetime_s))
    )
    if authority:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=path_length), critical=True
        )
    for oid, value in (extensions or {}).items():
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(unknown, critical=False)
    signer = issuer.key if issuer is not None else key
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48) if pss else None
    return Issued(certificate=builder.sign(signer, hashes.SHA384(), rsa_padding=scheme), key=key)


def revocation_list(
    issuer: Issued,
    revoked: list[x509.Certificate],
    *,
    now_s: int,
    age_s: int = 3600,
    lifetime_s: int = YEAR_S,
) -> bytes:
    """Return an issuer's revocation list, DER."""
    begin = datetime.datetime.fromtimestamp(now_s - age_s, datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(begin)
        .next_update(begin + datetime.timedelta(seconds=lifetime_s))
    )
    for certificate in revoked:
        entry = (
            x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(begin)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA384()).public_bytes(Encoding.DER)
