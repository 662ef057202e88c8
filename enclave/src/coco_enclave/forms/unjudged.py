"""What a processor made, and still nobody can judge: said, where a file holds no evidence. Pure."""

from __future__ import annotations

from typing import Final

from coco_enclave.dcap_quote import INTEL_QE_VENDOR, parse_quote
from coco_enclave.errors import EvidenceError

_QE_VENDOR: Final = slice(12, 28)
_EPID_VERSIONS: Final = frozenset({b"\1\0", b"\2\0", b"\3\0"})
_EPID_SIZE: Final = slice(432, 436)
"""Where an EPID quote has the size of its signature, behind header and report."""
_TDREPORT: Final = b"\x81\0"
_TDREPORT_BYTES: Final = 1024


def say_why_not(data: bytes) -> None:
    """Raise EvidenceError for a broken quote, and for what is of no form that can be judged.

    Codes: ``malformed``, ``unsupported``.
    """
    if data[_QE_VENDOR] == INTEL_QE_VENDOR:
        parse_quote(data)
    size = int.from_bytes(data[_EPID_SIZE], "little")
    if data[:2] in _EPID_VERSIONS and size and _EPID_SIZE.stop + size == len(data):
        raise EvidenceError(
            "unsupported", "an EPID quote of SGX: only a service of Intel's could judge it, and it has ended"
        )
    if data[:2] == _TDREPORT and len(data) == _TDREPORT_BYTES:
        raise only_there()


def only_there() -> EvidenceError:
    """Return the refusal of a TDREPORT: it has a code for its own machine instead of a signature."""
    return EvidenceError(
        "unsupported", "a TDREPORT: only the machine it is of can check it, and make a quote of it"
    )
