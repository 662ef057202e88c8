"""From where the consortium lets a ledger fetch, and which issuers of certificates it believes there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import attrs
import orjson

from coco_core.adapter.fetching import check_origin
from coco_core.base import limits
from coco_core.crypto import check_issuers
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance.manifests import find_manifest
from coco_core.kv import View, maps


@attrs.frozen
class FetchPolicy:
    """What one ledger may fetch."""

    origins: frozenset[str] = frozenset()
    ca_certs: str | None = None
    """Who may issue the servers' certificates (PEM); None for whom the node's system believes."""


_NOTHING: Final = FetchPolicy()


def read_fetch_policy(view: View, ledger: str) -> FetchPolicy:
    """Return what a ledger may fetch; raises IntegrityError for a malformed row."""
    row = view.get(maps.FETCH_ORIGINS, ledger.encode())
    return _NOTHING if row is None else _read(row)


@lru_cache(maxsize=64)
def _read(row: bytes) -> FetchPolicy:
    try:
        match orjson.loads(row):
            case {"origins": list(origins), "ca_certs": str() | None as ca_certs}:
                return FetchPolicy(frozenset(map(str, origins)), ca_certs)
    except ValueError as error:
        raise IntegrityError(f"{maps.FETCH_ORIGINS}: {error}") from error
    raise IntegrityError(f"{maps.FETCH_ORIGINS}: malformed row")


def check_fetch_origins(origins: object, ca_certs: object) -> None:
    """Raise MemberError unless these may be the origins of a ledger, and who issues their certificates."""
    if not isinstance(origins, list) or len(origins) > limits.FETCH_ORIGINS_MAX:
        raise MemberError(f"'origins' must be a list of at most {limits.FETCH_ORIGINS_MAX}; [] for none")
    try:
        for origin in origins:
            check_origin(origin)
    except ValueError as error:
        raise MemberError(f"'origins': {error}") from error
    if ca_certs is not None:
        _check_certificates(ca_certs)


def fetch_origins_row(view: View, ledger: str, origins: Sequence[str], ca_certs: str | None) -> bytes | None:
    """Return the row that lets ``ledger`` fetch from ``origins``, None for none; raises MemberError."""
    if not find_manifest(view, ledger).fetches:
        raise MemberError(f"ledger {ledger!r} does not fetch")
    value = {"origins": sorted(set(origins)), "ca_certs": ca_certs}
    return json.dumps(value, sort_keys=True).encode() if origins else None


def _check_certificates(text: object) -> None:
    if not isinstance(text, str) or len(text) > limits.FETCH_CA_CERTS_SIZE_MAX_BYTES:
        raise MemberError(f"'ca_certs' must be PEM of at most {limits.FETCH_CA_CERTS_SIZE_MAX_BYTES} bytes")
    try:
        check_issuers(text)
    except AttestationError as error:
        raise MemberError(f"'ca_certs': {error}") from error
