"""How the consortium configures its ledgers: one row for each, checked by what its manifest allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from coco_core.adapter import check_configuration
from coco_core.errors import IntegrityError, MemberError
from coco_core.governance.manifests import find_manifest
from coco_core.kv import View, maps

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def read_configuration(view: View, ledger: str) -> Mapping[str, Any]:
    """Return what is set of a ledger; raises IntegrityError for a malformed row."""
    row = view.get(maps.ADAPTER_CONFIGURATION, ledger.encode())
    return _NOTHING if row is None else _read(row)


@lru_cache(maxsize=64)
def _read(row: bytes) -> Mapping[str, Any]:
    """Read a row; remembered, because every batch is executed with it."""
    try:
        value = orjson.loads(row)
    except ValueError as error:
        raise IntegrityError(f"{maps.ADAPTER_CONFIGURATION}: {error}") from error
    if not isinstance(value, dict):
        raise IntegrityError(f"{maps.ADAPTER_CONFIGURATION}: a configuration is no object")
    return MappingProxyType(value)


def configuration_row(view: View, ledger: str, values: Mapping[str, Any]) -> bytes | None:
    """Return the row that sets ``values``, None when there are none; raises MemberError."""
    manifest = find_manifest(view, ledger)
    try:
        check_configuration(manifest.configuration, values)
    except ValueError as error:
        raise MemberError(f"ledger {ledger!r} cannot be configured so: {error}") from error
    return json.dumps(dict(values), sort_keys=True).encode() if values else None
