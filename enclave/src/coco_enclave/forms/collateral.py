"""What vendors publish, in their own files: certificates alone or in chains, in any order and form. Pure.

Of certificates the chain is put together: the key's own first, then who issued it, up to a root. Intel's has
the nine fields of its library, or is put together to them. Whether it is genuine is for the verifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from coco_enclave import azure, azure_tdx, limits, snp, vbs
from coco_enclave.dcap_quote import SGX, TDX, parse_quote
from coco_enclave.errors import EvidenceError
from coco_enclave.evidence import check_size, decode_parts, encode_parts
from coco_enclave.forms.intel import assemble
from coco_enclave.forms.pieces import Pieces, collect
from coco_enclave.forms.text import unmarked

FILES_MAX: Final = 8
_INTEL: Final = frozenset({SGX, TDX, azure_tdx.KIND})
_AMD: Final = frozenset({snp.KIND, azure.SNP_KIND, azure.ACI_KIND})


def read_collateral(kind: str, files: Sequence[bytes], quote: bytes = b"") -> bytes:
    """Return collateral as the verifier of ``kind`` reads it; raises EvidenceError.

    ``quote`` is what is to be judged: Intel's collateral in several files needs its certificates. Codes:
    ``size``, ``collateral`` (nothing of the kind's in a file, or several keys to be judged by).
    """
    if len(files) > FILES_MAX:
        raise EvidenceError("size", f"collateral in {len(files)} files: {FILES_MAX} at most")
    for one in files:
        check_size("collateral", one, limits.COLLATERAL_SIZE_MAX_BYTES)
    if len(files) > 1 and kind in _INTEL:
        return assemble(files, _pck_chain(kind, quote))
    if not files or kind in _INTEL:
        return unmarked(files[0]) if files else b""
    pieces = Pieces()
    for one in files:
        collect(one, pieces)
    if kind == vbs.KIND and pieces.keys and not pieces.certificates:
        return pieces.keys[0]
    chain = _chain(pieces.certificates)
    pem = [one.public_bytes(Encoding.PEM) for one in chain]
    if kind not in _AMD or not pieces.lists:
        return b"".join(pem)
    leaf = chain[0].public_bytes(Encoding.DER)
    return encode_parts({snp.LEAF: leaf, snp.CHAIN: b"".join(pem[1:]), snp.CRL: pieces.lists[0]})


def _pck_chain(kind: str, quote: bytes) -> bytes:
    """Return the certificates in a quote of Intel's; raises EvidenceError."""
    if kind == azure_tdx.KIND:
        parts = {azure.HCL, azure.QUOTE, azure.SIGNATURE, azure.REGISTERS, azure_tdx.TD_QUOTE}
        quote = decode_parts(quote, parts, size_max_bytes=limits.EVIDENCE_SIZE_MAX_BYTES)[azure_tdx.TD_QUOTE]
    return parse_quote(quote).pck_chain.rstrip(b"\0")


def _chain(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """Return certificates in order, who is issued first; those of no use for that are left out.

    Where they are no chain, all of them as they came: what is wrong with them is the verifier's to say.
    """
    unique = list(dict.fromkeys(certificates))
    # A root alone (a guardian's, a health certificate that is pinned itself) is a chain, too.
    leaves = [one for one in unique if len(unique) == 1 or not _is_authority(one)]
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


def _is_authority(one: x509.Certificate) -> bool:
    found = [each.value for each in one.extensions if isinstance(each.value, x509.BasicConstraints)]
    return any(each.ca for each in found)
