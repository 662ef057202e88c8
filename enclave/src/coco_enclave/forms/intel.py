"""What Intel's service answers, in files of its own: put together to the nine fields of its library. Pure.

TCB info and the quoting enclave's identity are signed as text, so the text is taken out as it is. Who issued
revocation lists and signed documents is told by the names in certificates; that of the platform's authority
is in the quote. Whether any of it is genuine is for the verifier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import orjson
from cryptography import x509

from coco_enclave.certificates import common_name, load_crl, pem
from coco_enclave.dcap_collateral import TCB_SIGNER
from coco_enclave.errors import EvidenceError
from coco_enclave.forms.pieces import Pieces, collect
from coco_enclave.forms.text import text_of, unmarked

_ROOT: Final = "Intel SGX Root CA"
_SIGNED: Final = re.compile(
    r'\s*\{\s*"(tcbInfo|enclaveIdentity)"\s*:\s*(\{.*\})\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]+)"\s*\}\s*',
    re.DOTALL,
)
_FIELDS: Final = {"tcbInfo": "tcb_info", "enclaveIdentity": "qe_identity"}


def assemble(files: Sequence[bytes], pck_chain: bytes) -> bytes:
    """Return the nine fields as JSON; raises EvidenceError (``collateral``) saying what is missing.

    ``files`` are answers of Intel's service, revocation lists and certificates, in any order; ``pck_chain``
    is the quote's own, PEM.
    """
    fields: dict[str, str] = {}
    pieces = Pieces()
    for one in map(unmarked, files):
        signed = _SIGNED.fullmatch(text_of(one) or "")
        if signed is None:
            collect(one, pieces)
            continue
        name = _FIELDS[signed[1]]
        fields[name], fields[f"{name}_signature"] = _as_signed(signed[2]), signed[3]
    collect(pck_chain, pieces)
    root = _named(pieces.certificates, _ROOT)
    chain = (pem(_named(pieces.certificates, TCB_SIGNER)) + pem(root)).decode()
    for der in pieces.lists:
        issuer = load_crl(der, "a revocation list").issuer
        if issuer == root.subject:
            fields["root_ca_crl"] = der.hex()
        for authority in (one for one in pieces.certificates if one.subject == issuer and one != root):
            fields["pck_crl"] = der.hex()
            fields["pck_crl_issuer_chain"] = (pem(authority) + pem(root)).decode()
    missing = {"tcb_info", "qe_identity", "root_ca_crl", "pck_crl"} - fields.keys()
    if missing:
        raise EvidenceError("collateral", f"of Intel's collateral {', '.join(sorted(missing))} is missing")
    return orjson.dumps({**fields, "tcb_info_issuer_chain": chain, "qe_identity_issuer_chain": chain})


def _as_signed(text: str) -> str:
    """Return a document as it was signed: without the space that whoever keeps it may have put in."""
    if "\n" not in text:
        return text
    try:
        return orjson.dumps(orjson.loads(text)).decode()
    except ValueError as error:
        raise EvidenceError("collateral", f"an answer of Intel's is not JSON: {error}") from error


def _named(certificates: Sequence[x509.Certificate], name: str) -> x509.Certificate:
    for one in certificates:
        if common_name(one) == name:
            return one
    raise EvidenceError("collateral", f"of Intel's collateral the certificate {name!r} is missing")
