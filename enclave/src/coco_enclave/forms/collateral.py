"""What vendors publish, in their own files: certificates alone or in chains, PEM, DER, JSON or a table. Pure.

Intel's stays as it is, because what is signed is its text. Of certificates the chain is put together: the
key's own first, then who issued it, up to a root. Whether they are genuine is for the verifier.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import orjson
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import azure, azure_tdx, limits, snp, vbs
from coco_enclave.certificates import load_crl
from coco_enclave.dcap_quote import SGX, TDX
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_size, decode_parts, encode_parts
from coco_enclave.forms.tables import read_table
from coco_enclave.forms.text import bytes_of_text, text_of
from coco_enclave.pki import load_certificate

FILES_MAX: Final = 8
_PIECES_MAX: Final = 32
_INTEL: Final = frozenset({SGX, TDX, azure_tdx.KIND})
_AMD: Final = frozenset({snp.KIND, azure.SNP_KIND, azure.ACI_KIND})
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_JSON_NAMES: Final = ("vcekCert", "vlekCert", "certificateChain", "VcekCert", "CertificateChain")
"""What Azure's services call certificates, PEM in JSON."""
_NESTED_MAX: Final = 3
_DER_SEQUENCE: Final = b"\x30"


@attrs.define
class _Pieces:
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


def read_collateral(kind: str, files: Sequence[bytes]) -> bytes:
    """Return collateral as the verifier of ``kind`` reads it; raises EvidenceError.

    Codes: ``size``, ``collateral`` (nothing of the kind's in a file, or several keys to be judged by).
    """
    if len(files) > FILES_MAX:
        raise EvidenceError("size", f"collateral in {len(files)} files: {FILES_MAX} at most")
    for one in files:
        check_size("collateral", one, limits.COLLATERAL_SIZE_MAX_BYTES)
    if kind in _INTEL or not files:
        if len(files) > 1:
            raise EvidenceError("collateral", f"collateral of {kind} is one file")
        return files[0] if files else b""
    pieces = _Pieces()
    for one in files:
        _collect(one, pieces, _NESTED_MAX)
    if kind == vbs.KIND and pieces.keys and not pieces.certificates:
        return pieces.keys[0]
    chain = _chain(pieces.certificates)
    pem = [one.public_bytes(Encoding.PEM) for one in chain]
    if kind not in _AMD or not pieces.lists:
        return b"".join(pem)
    leaf = chain[0].public_bytes(Encoding.DER)
    return encode_parts({snp.LEAF: leaf, snp.CHAIN: b"".join(pem[1:]), snp.CRL: pieces.lists[0]})


def _collect(data: bytes, pieces: _Pieces, depth: int) -> None:
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


def _take_der(data: bytes, pieces: _Pieces) -> None:
    if _is_list(data):
        pieces.lists.append(data)
    else:
        pieces.certificates.append(load_certificate(data, "collateral"))


def _inside(data: bytes, pieces: _Pieces) -> Iterator[bytes]:
    """Return what is in a file that is not DER; what it has in PEM goes to ``pieces`` at once."""
    text = text_of(data)
    # Ours, and a host's table, may have PEM in them: what is around it tells what they are.
    if text is None and (parts := _binary(data)):
        yield from parts
    elif _take_pem(data, pieces):
        return
    elif text is not None:
        decoded = bytes_of_text(text)
        yield from _in_json(text) if decoded is None else (decoded,)


def _take_pem(data: bytes, pieces: _Pieces) -> bool:
    """Add what a file has in PEM to ``pieces``; returns whether it has any."""
    found = list(_PEM.finditer(data))
    for one in found:
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
    return bool(found)


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


def _chain(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """Return certificates in order, who is issued first; those of no use for that are left out.

    Where they are no chain, all of them as they came: what is wrong with them is the verifier's to say.
    """
    unique = list(dict.fromkeys(certificates))
    leaves = [one for one in unique if not _issues_another(one, unique)]
    # A root alone (a guardian's, a health certificate that is pinned itself) is a chain, too.
    leaves = [one for one in leaves if len(unique) == 1 or not _is_authority(one)]
    if len(leaves) != 1:
        raise EvidenceError(
            "collateral", f"collateral has certificates of {len(leaves)} keys that could sign"
        )
    chain = leaves
    while chain[-1].issuer != chain[-1].subject:
        above = [one for one in unique if one.subject == chain[-1].issuer and one not in chain]
        if not above:
            return [*leaves[:1], *(one for one in unique if one is not leaves[0])]
        chain.append(above[0])
    return chain


def _issues_another(one: x509.Certificate, all_of_them: list[x509.Certificate]) -> bool:
    return any(other.issuer == one.subject and other is not one for other in all_of_them)


def _is_authority(one: x509.Certificate) -> bool:
    found = [each.value for each in one.extensions if isinstance(each.value, x509.BasicConstraints)]
    return any(each.ca for each in found)
