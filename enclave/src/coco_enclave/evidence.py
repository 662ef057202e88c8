"""Evidence as it is handed to a verifier: which kind it says it is, and its bytes.

A verifier is chosen by the kind, never by trying all: what one platform would refuse another must not accept.
Several parts (a report, a quote, a log) are one CBOR map of byte strings.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import attrs
import cbor2

from coco_enclave import cbor, limits
from coco_enclave.errors import EvidenceError

_TAG: Final = "coco-evidence/1"


@attrs.frozen(kw_only=True)
class TeeEvidence:
    """What a platform signed, labelled with the kind of evidence it is."""

    kind: str
    """``sgx``, ``tdx``, ``snp``, ``azure-snp``, ``vbs``, …: picks the verifier."""
    quote: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    """The quote or report itself; for kinds of several parts, ``encode_parts`` of them."""


def encode_parts(parts: Mapping[str, bytes]) -> bytes:
    """Return the one encoding of named parts."""
    return cbor2.dumps(dict(parts), canonical=True)


def decode_parts(
    data: bytes,
    required: Collection[str],
    optional: Collection[str] = (),
    *,
    size_max_bytes: int,
    what: str = "evidence",
) -> dict[str, bytes]:
    """Return the parts ``encode_parts`` wrote; raises EvidenceError (``size``, ``malformed``).

    Exactly the ``required`` ones and any of the ``optional`` ones, in canonical form with nothing after.
    ``what`` names it in refusals.
    """
    check_size(what, data, size_max_bytes)
    value = _loads(data, what)
    if not isinstance(value, dict):
        raise EvidenceError("malformed", f"{what} of several parts is a map of byte strings")
    if not set(required) <= set(value) <= set(required) | set(optional):
        raise EvidenceError("malformed", f"{what} must have the parts {', '.join(sorted(required))}")
    return value


def encode(evidence: TeeEvidence, collateral: bytes = b"") -> bytes:
    """Return evidence with its collateral as one file."""
    return cbor2.dumps([_TAG, evidence.kind, evidence.quote, collateral], canonical=True)


def decode(data: bytes) -> tuple[TeeEvidence, bytes]:
    """Return evidence and collateral from one file; raises EvidenceError (``size``, ``malformed``)."""
    check_size("evidence", data, limits.EVIDENCE_SIZE_MAX_BYTES + limits.COLLATERAL_SIZE_MAX_BYTES)
    match _loads(data, "an envelope of evidence"):
        case [tag, str(kind), bytes(quote), bytes(collateral)] if tag == _TAG:
            return TeeEvidence(kind=kind, quote=quote), collateral
    raise EvidenceError("malformed", "this is no envelope of evidence")


def check_size(what: str, data: bytes, size_max_bytes: int) -> None:
    """Check that ``data`` is within its bound; raises EvidenceError (``size``)."""
    if len(data) > size_max_bytes:
        raise EvidenceError("size", f"{what} of {len(data)} bytes: the bound is {size_max_bytes}")


def check_given(collateral: bytes) -> None:
    """Check that there is anything to judge evidence by; raises EvidenceError (``collateral``)."""
    if not collateral:
        raise EvidenceError("collateral", "nothing was given to judge it by: collateral is missing")


def _loads(data: bytes, what: str) -> object:
    """Return a flat list, or a map of byte strings by name; raises EvidenceError (``malformed``).

    What is nested is refused before it is encoded again: that can take twice as long for each level.
    """
    value: object = cbor.load(data, what)
    if isinstance(value, dict):
        flat = all(isinstance(name, str) and isinstance(part, bytes) for name, part in value.items())
    else:
        flat = isinstance(value, list) and all(isinstance(one, str | bytes) for one in value)
    if not flat:
        raise EvidenceError("malformed", f"{what} is CBOR of another form")
    if cbor2.dumps(value, canonical=True) != data:
        raise EvidenceError("malformed", f"{what} is CBOR, but not in its canonical form")
    return value
