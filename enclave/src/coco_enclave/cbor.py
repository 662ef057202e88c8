"""CBOR from outside: one value with nothing after it, every fault a refusal. Pure, and knows no format."""

from __future__ import annotations

import io
from typing import Any

import cbor2

from coco_enclave.errors import EvidenceError


def load(data: bytes, what: str, code: str = "malformed") -> Any:
    """Return the value that ``data`` is; raises EvidenceError with ``code``, naming ``what``."""
    source = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(source).decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as fault:
        raise EvidenceError(code, f"{what} is not CBOR: {fault}") from fault
    if source.tell() != len(data):
        raise EvidenceError(code, f"{what}: something follows the CBOR")
    return value
