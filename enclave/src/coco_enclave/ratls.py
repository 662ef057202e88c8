"""Evidence in certificates of others: interoperable RA-TLS, and what Gramine and Open Enclave had before it.

The extension 2.23.133.5.4.9 (Confidential Computing Consortium) holds CBOR tag 60000 of ``[quote,
claims-buffer]``; the quote is over SHA-256 of the claims-buffer and zeros, the claims name the digest of the
certificate's key. Before, the quote was over SHA-256 of the key itself: Gramine's extension holds the quote,
Open Enclave's a report (a header, the quote), over the key in PEM with the byte that ends a string. Nodes of
this framework bind all 64 bytes (``coco_core.attestation``); this reads what other software shows. Pure.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import attrs
import cbor2

from coco_enclave import cbor
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_size
from coco_enclave.reader import Reader

_TAG: Final = 60000
_SIZE_MAX_BYTES: Final = 64 * 1024
_KEY_CLAIM: Final = "pubkey-hash"
_CLAIMS: Final = "what RA-TLS evidence claims"
_DIGESTS: Final[Mapping[int, str]] = {1: "sha256", 7: "sha384", 8: "sha512"}
"""By the number of a hash in IANA's registry of named information."""
_OCTETS, _VERSION, _EXTENSIONS = 0x04, 0xA0, 0xA3
_REPORT_VERSION, _REMOTE_REPORT = 1, 2
_PEM_COLUMNS: Final = 64


@attrs.frozen(kw_only=True)
class RaTlsEvidence:
    """What such a certificate holds."""

    quote: bytes = attrs.field(repr=False)
    claims: bytes
    """What was hashed: the claims-buffer, or the key where there is none."""
    names_key: bool = True
    """Whether the claims name the key that the evidence is for; otherwise they are that key."""

    @property
    def report_data(self) -> bytes:
        """The 64 bytes the quote must be over."""
        return hashlib.sha256(self.claims).digest() + bytes(32)


def read_extension(data: bytes) -> RaTlsEvidence:
    """Return what the extension holds; raises EvidenceError (``size``, ``malformed``)."""
    check_size("RA-TLS evidence", data, _SIZE_MAX_BYTES)
    value = cbor.load(data, "RA-TLS evidence")
    if isinstance(value, cbor2.CBORTag) and value.tag == _TAG:
        match value.value:
            case [bytes(quote), bytes(claims)]:
                return RaTlsEvidence(quote=quote, claims=claims)
    raise EvidenceError("malformed", "RA-TLS evidence is a quote with its claims")


def check_key(claims: bytes, public_key: bytes) -> None:
    """Check that claims name ``public_key`` (SubjectPublicKeyInfo, DER).

    Raises EvidenceError (``malformed``, ``pubkey_hash``).
    """
    value = cbor.load(claims, _CLAIMS)
    named = value.get(_KEY_CLAIM) if isinstance(value, dict) else None
    match cbor.load(named, _CLAIMS) if isinstance(named, bytes) else None:
        case [int(algorithm), bytes(digest)] if algorithm in _DIGESTS:
            if hashlib.new(_DIGESTS[algorithm], public_key).digest() != digest:
                raise EvidenceError("pubkey_hash", "the evidence is for another key than the certificate's")
        case _:
            raise EvidenceError("malformed", "the claims of RA-TLS evidence name no key")


def read_certificate(der: bytes) -> tuple[RaTlsEvidence, bytes]:
    """Return the evidence in a certificate and its key (SubjectPublicKeyInfo, DER); raises EvidenceError.

    Its signature is the key's own and proves nothing: it is not checked. Takes the certificate apart itself,
    because libraries refuse how some of this software encodes its algorithm.
    """
    check_size("a certificate", der, _SIZE_MAX_BYTES)
    (_, certificate, _), *_ = _elements(der)
    (_, to_sign, _), *_ = _elements(certificate)
    fields = _elements(to_sign)
    first = 1 if fields[0][0] == _VERSION else 0
    # Before the key: serial number, algorithm, issuer, validity, subject.
    if len(fields) <= first + 5:
        raise EvidenceError("malformed", "the certificate has no key")
    key = fields[first + 5][2]
    for tag, content, _ in fields:
        if tag == _EXTENSIONS:
            (_, listed, _), *_ = _elements(content)
            return _evidence_in(listed, key), key
    raise EvidenceError("malformed", "the certificate has no extensions")


def _evidence_in(listed: bytes, key: bytes) -> RaTlsEvidence:
    """Return what the extension that holds evidence does; raises EvidenceError (``malformed``, ``size``)."""
    extensions = [_elements(extension) for _, extension, _ in _elements(listed)]
    for name, read in _READERS.items():
        # Name and value; between them may be whether it is critical.
        found = [parts[-1][1] for parts in extensions if parts[0][2] == name and parts[-1][0] == _OCTETS]
        if len(found) > 1:
            raise EvidenceError("malformed", f"the certificate holds {len(found)} pieces of evidence")
        if found:
            return read(found[0], key)
    raise EvidenceError("malformed", "the certificate holds no evidence")


def open_enclave_quote(data: bytes) -> bytes:
    """Return the quote in a report of Open Enclave: version, type of report, size, then the quote.

    Raises EvidenceError (``malformed``).
    """
    reader = Reader(data, "Open Enclave's report")
    header = (reader.u32(), reader.u32(), reader.u64())
    if header != (_REPORT_VERSION, _REMOTE_REPORT, reader.left):
        raise reader.malformed("its header is of another form")
    return reader.rest()


def _of_gramine(value: bytes, key: bytes) -> RaTlsEvidence:
    return RaTlsEvidence(quote=value, claims=key, names_key=False)


def _of_open_enclave(value: bytes, key: bytes) -> RaTlsEvidence:
    text = base64.b64encode(key)
    lines = [text[at : at + _PEM_COLUMNS] for at in range(0, len(text), _PEM_COLUMNS)]
    pem = b"\n".join([b"-----BEGIN PUBLIC KEY-----", *lines, b"-----END PUBLIC KEY-----", b"\0"])
    return RaTlsEvidence(quote=open_enclave_quote(value), claims=pem, names_key=False)


_READERS: Final[Mapping[bytes, Callable[[bytes, bytes], RaTlsEvidence]]] = {
    bytes.fromhex("0606678105050409"): lambda value, _: read_extension(value),
    bytes.fromhex("06092a864886f84d8a3906"): _of_gramine,
    bytes.fromhex("06092b0601040182376901"): _of_open_enclave,
    bytes.fromhex("06092a864886f7140a0101"): _of_open_enclave,
}
"""By the name of an extension, DER: 2.23.133.5.4.9, which counts where several are there; Gramine's
1.2.840.113741.1337.6; Open Enclave's 1.3.6.1.4.1.311.105.1, and until 2020 1.2.840.113556.10.1.1."""


def _elements(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return the DER elements in ``data``, at least one: tag, content, all; raises EvidenceError."""
    reader = Reader(data, "the certificate")
    found: list[tuple[int, bytes, bytes]] = []
    while reader.at < len(data) or not found:
        begin = reader.at
        tag, size = reader.take(2)
        if size & 0x80:
            size = int.from_bytes(reader.take(size & 0x7F), "big")
        content = reader.take(size)
        found.append((tag, content, data[begin : reader.at]))
    return found
