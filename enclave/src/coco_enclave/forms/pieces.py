"""Certificates, revocation lists and keys out of files: PEM, DER, Azure's JSON, a host's table, our parts.

Pure, and decides nothing: which of them are of use is for who collects them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

import attrs
import orjson
from cryptography import x509

from coco_enclave import limits, snp
from coco_enclave.certificates import load_crl
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import decode_parts
from coco_enclave.forms.tables import read_table
from coco_enclave.forms.text import bytes_of_text, text_of, unmarked
from coco_enclave.pki import load_certificate

_PIECES_MAX: Final = 32
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_QUOTED_PEM: Final = "-----BEGIN%20"
"""How PEM begins in a header of HTTP, where Intel's service has its chains."""
_JSON_NAMES: Final = ("vcekCert", "vlekCert", "certificateChain", "VcekCert", "CertificateChain")
"""What Azure's services call certificates, PEM in JSON."""
_NESTED_MAX: Final = 3
_DER_SEQUENCE: Final = b"\x30"


@attrs.define
class Pieces:
    """What was found so far."""

    certificates: list[x509.Certificate] = attrs.field(factory=list)
    lists: list[bytes] = attrs.field(factory=list)
    """Revocation lists, DER."""
    keys: list[bytes] = attrs.field(factory=list)
    """Public keys, PEM."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.certificates) + len(self.lists) + len(self.keys)


def collect(data: bytes, pieces: Pieces) -> None:
    """Take a file apart into ``pieces``; raises EvidenceError (``collateral``) where it holds none."""
    _collect(unmarked(data), pieces, _NESTED_MAX)


def _collect(data: bytes, pieces: Pieces, depth: int) -> None:
    """Take a file apart into ``pieces``; raises EvidenceError where it holds none."""
    before = pieces.count
    if data[:1] == _DER_SEQUENCE:
        _take_der(data, pieces)
    elif depth:
        for inner in _inside(data, pieces):
            _collect(inner, pieces, depth - 1)
    if pieces.count == before:
        raise EvidenceError("collateral", "a file of collateral holds no certificate, key or revocation list")
    if pieces.count > _PIECES_MAX:
        raise EvidenceError("size", f"collateral of {pieces.count} certificates")


def _take_der(data: bytes, pieces: Pieces) -> None:
    if _is_list(data):
        pieces.lists.append(data)
    else:
        pieces.certificates.append(load_certificate(data, "collateral"))


def _inside(data: bytes, pieces: Pieces) -> Iterator[bytes]:
    """Return what is in a file that is not DER; what it has in PEM goes to ``pieces`` at once."""
    text = text_of(data)
    # Ours, and a host's table, may have PEM in them: what is around it tells what they are.
    if text is None and (parts := _binary(data)):
        yield from parts
        return
    _take_pem(data, pieces)
    if text is not None and _QUOTED_PEM in text:
        yield unquote(text).encode()
    elif text is not None:
        decoded = bytes_of_text(text)
        yield from _in_json(text) if decoded is None else (decoded,)


def _take_pem(data: bytes, pieces: Pieces) -> None:
    """Add what a file has in PEM to ``pieces``."""
    for one in _PEM.finditer(data):
        try:
            der = base64.b64decode(b"".join(one[2].split()))
        except binascii.Error as error:
            raise EvidenceError("collateral", f"a file of collateral is no PEM: {error}") from error
        if one[1] == b"PUBLIC KEY":
            pieces.keys.append(one[0] + b"\n")
        elif one[1] in (b"CERTIFICATE", b"TRUSTED CERTIFICATE"):
            pieces.certificates.append(load_certificate(der, "collateral"))
        elif one[1] == b"X509 CRL":
            pieces.lists.append(der)


def _is_list(data: bytes) -> bool:
    try:
        load_crl(data, "collateral")
    except EvidenceError:
        return False
    return True


def _binary(data: bytes) -> list[bytes]:
    """Return what is in our own map of parts, or in the table a host hands out; nothing for neither."""
    size_max = limits.COLLATERAL_SIZE_MAX_BYTES
    try:
        return list(decode_parts(data, {snp.LEAF, snp.CHAIN}, {snp.CRL}, size_max_bytes=size_max).values())
    except EvidenceError:
        pass
    try:
        return list(read_table(data).values())
    except EvidenceError:
        return []


def _in_json(text: str) -> Iterator[bytes]:
    try:
        value: Any = orjson.loads(text)
    except ValueError:
        return
    if isinstance(value, dict):
        yield from (value[name].encode() for name in _JSON_NAMES if isinstance(value.get(name), str))
