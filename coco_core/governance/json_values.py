"""Reading JSON from a stranger as the values it should be. Knows forms, not what they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from coco_core.attestation import Evidence
from coco_core.base import check_host, limits, split_address
from coco_core.errors import IntegrityError, MalformedError
from coco_core.kv import View
from coco_core.wire.values import from_base64, text, to_base64

MALFORMED: Final = (ValueError, KeyError, TypeError, OverflowError, RecursionError, MalformedError)
"""What reading JSON from a stranger as something it is not may raise."""


def address(value: Any) -> str:
    """Return ``host:port``: it is published, dialled, and named in a certificate."""
    found = text(value)
    try:
        split_address(found)
    except ValueError as error:
        raise ValueError(f"not a peer address: {found[:40]!r}") from error
    return found


def hosts(value: Any) -> tuple[str, ...]:
    """Return the hosts a certificate is asked for."""
    if not isinstance(value, list) or len(value) > limits.CERTIFICATE_HOSTS_MAX:
        raise ValueError(f"not at most {limits.CERTIFICATE_HOSTS_MAX} hosts")
    for host in value:
        check_host(text(host))
    return tuple(value)


def evidence_to_json(evidence: Evidence) -> dict[str, str]:
    """Return evidence as JSON values."""
    return {
        "format": evidence.format,
        "quote": to_base64(evidence.quote),
        "endorsements": to_base64(evidence.endorsements),
    }


def evidence_from_json(value: Mapping[str, Any]) -> Evidence:
    """Read what evidence_to_json returned; raises ValueError, KeyError or TypeError."""
    return Evidence(
        format=text(value["format"]),
        quote=from_base64(value["quote"]),
        endorsements=from_base64(value["endorsements"]),
    )


def read_json(view: View, name: str, key: bytes) -> Any:
    """Return the JSON that a table holds, None for nothing; raises IntegrityError for what is none."""
    value = view.get(name, key)
    if value is None:
        return None
    try:
        return orjson.loads(value)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{name}: {error}") from error
