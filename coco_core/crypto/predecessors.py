"""Identities that a service had before: the one in force endorses the one it took over from.

A recovery from disaster gives a service a new key. Its certificate over the *old* key says that what the old
identity signed, up to one place of the ledger, is the new one's word too. Several recoveries make a chain,
oldest first: each endorsement is issued by the next identity, the last by the one in force. Such a
certificate is for nothing else: it can issue none, and TLS takes it at neither end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from coco_core.base import TxID
from coco_core.base.limits import RECOVERIES_MAX
from coco_core.crypto.certificates import Certificate, read_certificate
from coco_core.crypto.keys import HASHES, PrivateKey, PublicKey
from coco_core.errors import AttestationError, MalformedError

_UNTIL: Final = "urn:coco:until:"
_KEY: Final = "urn:coco:key:"
_FAULTS: Final = (
    ValueError,
    TypeError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    UnsupportedAlgorithm,
)


@attrs.frozen
class Predecessor:
    """One identity the service had."""

    endorsement: Certificate
    """Over its key, issued by the identity that took over."""
    until: TxID
    """The last place it signed for."""

    @property
    def public_key(self) -> PublicKey:
        """Its key."""
        return self.endorsement.public_key


def endorse_predecessor(predecessor: Certificate, key: PrivateKey, certificate: str, until: TxID) -> str:
    """Return the endorsement (PEM) of what ``predecessor`` signed up to ``until``, by ``key``.

    It is valid as long as ``certificate``, that of ``key``; raises AttestationError when it is not.
    """
    issuer = read_certificate(certificate)
    if issuer.public_key != key.public:
        raise AttestationError("the issuer's certificate is not for the issuer's key")
    public = predecessor.public_key
    names = [f"{_UNTIL}{until}", f"{_KEY}{public.node_id()}"]
    builder = (
        x509.CertificateBuilder()
        .subject_name(predecessor.x509.subject)
        .issuer_name(issuer.x509.subject)
        .public_key(public.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_before)
        .not_valid_after(issuer.not_after)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public.key), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name) for name in names]),
            critical=False,
        )
    )
    return read_certificate(builder.sign(key.key, HASHES[key.public.curve]).public_bytes(Encoding.PEM)).pem


def read_predecessors(endorsements: Sequence[str], service: Certificate) -> list[Predecessor]:
    """Return the identities before ``service``, oldest first, from their endorsements (PEM) in that order.

    Raises AttestationError unless each is endorsed by the next one, the last by ``service``, for later and
    later places. Validity times are not looked at: what was signed is older than any of them.
    """
    if len(endorsements) > RECOVERIES_MAX:
        raise AttestationError(f"{len(endorsements)} endorsements; at most {RECOVERIES_MAX} are followed")
    found: list[Predecessor] = []
    successor, until = service, None
    for pem in reversed(endorsements):
        one = _read(pem, successor)
        if until is not None and one.until.seqno >= until.seqno:
            raise AttestationError("the service's identities do not follow each other")
        found.append(one)
        successor, until = one.endorsement, one.until
    return found[::-1]


def check_issued_before(certificate: Certificate, predecessor: Predecessor) -> None:
    """Check that the service issued ``certificate`` under an identity it had; raises AttestationError."""
    try:
        certificate.x509.verify_directly_issued_by(predecessor.endorsement.x509)
    except (InvalidSignature, *_FAULTS) as fault:
        raise AttestationError(f"{certificate.subject} was not endorsed by that previous identity") from fault


def _read(pem: str, successor: Certificate) -> Predecessor:
    certificate = read_certificate(pem)
    try:
        certificate.x509.verify_directly_issued_by(successor.x509)
        extensions = certificate.x509.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        stated = names.get_values_for_type(x509.UniformResourceIdentifier)
        (until,) = (name.removeprefix(_UNTIL) for name in stated if name.startswith(_UNTIL))
        place = TxID.parse(until)
    except InvalidSignature as fault:
        raise AttestationError("a previous identity is not endorsed by the one after it") from fault
    except (*_FAULTS, MalformedError) as fault:
        raise AttestationError(f"not the endorsement of a previous identity: {fault}") from fault
    if certificate.pem != pem or usage != _usage() or constraints.ca:
        raise AttestationError("not the endorsement of a previous identity: it is for something else")
    return Predecessor(certificate, place)


def _usage() -> x509.KeyUsage:
    """Return what the key may be believed for: what it signed, and neither for TLS nor for issuing."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
