"""X.509 identities (RFC 5280): the service's own certificate and those it endorses.

Certificates carry exactly what strict verifiers ask for (OpenSSL's strict flag, the path validation
of the ``cryptography`` library): key identifiers, basic constraints, key usage, alternative names.
Time is always an argument. Serial numbers come from the ``cryptography`` library's entropy.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from coco_core.base.limits import CERTIFICATE_SIZE_MAX_BYTES
from coco_core.crypto.keys import HASHES, PrivateKey, PublicKey
from coco_core.errors import AttestationError

_MALFORMED = (
    ValueError,
    x509.AttributeNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a malformed certificate, some of it only when a part is looked at."""


@attrs.frozen(slots=True)
class Certificate:
    """A parsed certificate with the parts others ask for."""

    x509: x509.Certificate = attrs.field(repr=False)
    public_key: PublicKey
    subject: str
    not_before: datetime.datetime
    not_after: datetime.datetime

    @property
    def pem(self) -> str:
        """The certificate in its one canonical PEM form (RFC 7468 §3)."""
        return self.x509.public_bytes(Encoding.PEM).decode()

    def extension(self, oid: str) -> bytes | None:
        """Return the value of an extension this room knows nothing of, None when there is none.

        Raises AttestationError when the extensions are malformed.
        """
        try:
            found = self.x509.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except x509.ExtensionNotFound:
            return None
        except _MALFORMED as fault:
            raise AttestationError(f"not a certificate: {fault}", code="malformed") from fault
        return found.value if isinstance(found, x509.UnrecognizedExtension) else None

    @property
    def der(self) -> bytes:
        """The certificate in DER form."""
        return self.x509.public_bytes(Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER form in hex."""
        return self.x509.fingerprint(hashes.SHA256()).hex()


def read_certificate(pem: str | bytes) -> Certificate:
    """Parse one PEM certificate; raises AttestationError if it is malformed or its key is not ours."""
    data = pem.encode() if isinstance(pem, str) else pem
    if len(data) > CERTIFICATE_SIZE_MAX_BYTES:
        raise AttestationError(f"certificate of {len(data)} bytes exceeds {CERTIFICATE_SIZE_MAX_BYTES}")
    try:
        parsed = x509.load_pem_x509_certificate(data)
        if parsed.serial_number <= 0:
            raise AttestationError("certificate has no positive serial number (RFC 5280 §4.1.2.2)")
        public = PublicKey.wrap(parsed.public_key())
        subject = parsed.subject.rfc4514_string()
        return Certificate(parsed, public, subject, parsed.not_valid_before_utc, parsed.not_valid_after_utc)
    except (*_MALFORMED, UnsupportedAlgorithm) as fault:
        raise AttestationError(f"not a certificate: {fault}") from fault


def service_id(certificate: str | bytes) -> str:
    """Return the name of the service with that certificate (PEM): SHA-256 of its public key, in hex.

    A certificate is renewed over the same key, so it is the key by which a service is known, here as in
    what it signs (COSE ``kid``). Raises AttestationError.
    """
    return read_certificate(certificate).public_key.fingerprint


def read_certificate_der(der: bytes) -> Certificate:
    """Parse one DER certificate; raises AttestationError as read_certificate does."""
    body = base64.b64encode(der).decode()
    return read_certificate(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")


def check_issuers(pem: str) -> None:
    """Raise AttestationError unless ``pem`` holds certificates of issuers outside: any key that TLS knows."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode("ascii"))
        for one in found:
            one.public_key()
    except (*_MALFORMED, UnsupportedAlgorithm) as fault:
        raise AttestationError(f"no certificates: {fault}") from fault


def self_signed(
    key: PrivateKey,
    common_name: str,
    *,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    ca: bool = False,
    sans: Sequence[str] = (),
) -> str:
    """Return a PEM certificate of ``key`` signed by itself; ``ca`` makes it able to endorse others."""
    builder = _builder(key.public, common_name, not_before, not_after, ca=ca, sans=sans)
    builder = builder.issuer_name(_name(common_name)).add_extension(_issuer_id(key.public), critical=False)
    return _signed(builder, key)


def endorse(
    subject_public_key: PublicKey,
    common_name: str,
    issuer_key: PrivateKey,
    issuer_cert: str,
    *,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    sans: Sequence[str] = (),
    extensions: Mapping[str, bytes] = MappingProxyType({}),
) -> str:
    """Return a PEM certificate for ``subject_public_key`` signed by the issuer; it can endorse nobody.

    ``extensions`` are further ones by OID, none of them critical.
    Raises AttestationError when ``issuer_cert`` is not the certificate of ``issuer_key``.
    """
    issuer = read_certificate(issuer_cert)
    if issuer.public_key != issuer_key.public:
        raise AttestationError("the issuer's certificate is not for the issuer's key")
    builder = _builder(subject_public_key, common_name, not_before, not_after, ca=False, sans=sans)
    builder = builder.issuer_name(issuer.x509.subject).add_extension(
        _issuer_id(issuer_key.public), critical=False
    )
    for oid, value in extensions.items():
        extra = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(extra, critical=False)
    return _signed(builder, issuer_key)


def renewed(
    certificate: Certificate,
    issuer_key: PrivateKey,
    *,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
) -> str:
    """Return ``certificate`` issued once more, as PEM: all it says is the same but the time, and its number.

    Raises AttestationError when ``issuer_key`` did not issue it.
    """
    old = certificate.x509
    try:
        algorithm = old.signature_algorithm_parameters
        if not isinstance(algorithm, ec.ECDSA):
            raise AttestationError(f"{certificate.subject} is signed by another algorithm than ours")
        issuer_key.public.key.verify(old.signature, old.tbs_certificate_bytes, algorithm)
        extensions = list(old.extensions)
    except (InvalidSignature, UnsupportedAlgorithm, *_MALFORMED) as fault:
        raise AttestationError(f"{certificate.subject} was not issued by that key") from fault
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(certificate.public_key.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension in extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return _signed(builder, issuer_key)


def check_renewed(new: Certificate, old: Certificate) -> None:
    """Check that ``new`` says of its holder what ``old`` says; raises AttestationError.

    Who issued it, and for which time, is the caller's to check.
    """
    try:
        said, before = (
            (one.x509.subject, one.x509.issuer, one.public_key, list(one.x509.extensions))
            for one in (new, old)
        )
    except _MALFORMED as fault:
        raise AttestationError(f"not a certificate: {fault}", code="malformed") from fault
    if said != before:
        raise AttestationError(f"the renewed certificate of {old.subject} says more than the one before")


def check_issued(certificate: Certificate, service: Certificate) -> None:
    """Check that ``service`` may endorse and did sign ``certificate``, whatever the time.

    Raises AttestationError. An auditor uses this: certificates of an old ledger have expired.
    """
    try:
        constraints = service.x509.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = service.x509.extensions.get_extension_for_class(x509.KeyUsage).value
        certificate.x509.verify_directly_issued_by(service.x509)
    except x509.ExtensionNotFound as fault:
        raise AttestationError(f"service certificate {service.subject} may not endorse") from fault
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, *_MALFORMED) as fault:
        raise AttestationError(f"{certificate.subject} is not endorsed by {service.subject}") from fault
    if not (constraints.ca and usage.key_cert_sign):
        raise AttestationError(f"service certificate {service.subject} may not endorse")


def check_endorsed(cert_pem: str | bytes, service_cert_pem: str | bytes, at: datetime.datetime) -> None:
    """Check that the service endorsed ``cert_pem`` and that both are valid ``at`` that time.

    Raises AttestationError saying which of the two fails and why.
    """
    certificate, service = read_certificate(cert_pem), read_certificate(service_cert_pem)
    check_issued(certificate, service)
    for one in (certificate, service):
        if not one.not_before <= at <= one.not_after:
            raise AttestationError(
                f"certificate {one.subject} is valid from {one.not_before} to {one.not_after}, not at {at}"
            )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issuer_id(public: PublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public.key)


def _alternative_names(public: PublicKey, sans: Sequence[str]) -> x509.SubjectAlternativeName:
    # The last name is the key's own, so that no certificate is without one (strict verifiers).
    names: list[x509.GeneralName] = []
    for san in sans:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(san)))
        except ValueError:
            names.append(x509.DNSName(san))
    names.append(x509.UniformResourceIdentifier(f"urn:coco:key:{public.node_id()}"))
    return x509.SubjectAlternativeName(names)


def _builder(
    public: PublicKey,
    common_name: str,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    *,
    ca: bool,
    sans: Sequence[str],
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(public.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.key), critical=False)
        .add_extension(_alternative_names(public, sans), critical=False)
    )
    if ca:
        return builder
    roles = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(roles, critical=False)


def _signed(builder: x509.CertificateBuilder, key: PrivateKey) -> str:
    signing_key: ec.EllipticCurvePrivateKey = key.key
    return builder.sign(signing_key, HASHES[key.public.curve]).public_bytes(Encoding.PEM).decode()
