"""Evidence inside a certificate: who dials a node learns from its certificate alone what runs there.

The extension and its outer form are those of interoperable RA-TLS (Confidential Computing Consortium): OID
2.23.133.5.4.9, not critical, CBOR tag 60000 of ``[quote, claims-buffer]``. Two things differ. What the
quote is bound to is SHA-512 of the claims-buffer, all 64 bytes, where RA-TLS has SHA-256 and zeros. And a
third item names the format of the quote, because not every platform's tells itself.
"""

from __future__ import annotations

import hashlib
from typing import Final

import attrs
import cbor2

from coco_core.attestation.evidence import Evidence
from coco_core.base import limits
from coco_core.crypto import Certificate
from coco_core.errors import AttestationError
from coco_core.wire import cbor

EXTENSION_OID: Final = "2.23.133.5.4.9"
_TAG: Final = 60000


@attrs.frozen
class CertifiedEvidence:
    """What a certificate's extension holds."""

    evidence: Evidence
    claims: bytes
    """The claims-buffer; evidence is bound to ``report_data(claims)``."""


def report_data(claims: bytes) -> bytes:
    """Return the 64 bytes that bind evidence to ``claims``."""
    return hashlib.sha512(claims).digest()


def evidence_extension(evidence: Evidence, claims: bytes) -> dict[str, bytes]:
    """Return the extension that carries ``evidence`` over ``claims``; none if it would not fit a certificate.

    Endorsements stay out: they are large and change, and who verifies has a vendor's from the vendor.
    """
    if len(evidence.quote) > limits.CERTIFICATE_QUOTE_MAX_BYTES:
        return {}
    value = cbor2.CBORTag(_TAG, [evidence.quote, claims, evidence.format])
    return {EXTENSION_OID: cbor.encode(value)}


def read_evidence(certificate: Certificate) -> CertifiedEvidence:
    """Return the evidence in a certificate; raises AttestationError when there is none or it is malformed."""
    data = certificate.extension(EXTENSION_OID)
    if data is None:
        raise AttestationError("the certificate holds no evidence", code="malformed")
    try:
        value = cbor.decode(data, error=AttestationError)
    except AttestationError as fault:
        raise AttestationError(
            f"the certificate's evidence is malformed: {fault}", code="malformed"
        ) from fault
    if isinstance(value, cbor2.CBORTag) and value.tag == _TAG:
        match value.value:
            case [bytes(quote), bytes(claims), str(format_)]:
                return CertifiedEvidence(Evidence(format=format_, quote=quote), claims)
    raise AttestationError("the certificate's evidence is malformed", code="malformed")
