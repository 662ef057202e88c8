"""The ledgers a service runs, as its tables and a welcome tell of them.

Knows a manifest's JSON form; what a manifest may say is the adapter contract's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from coco_core.adapter import Manifest, read_fields
from coco_core.errors import IntegrityError, MemberError
from coco_core.governance.json_values import read_json
from coco_core.kv import View, Writes, maps
from coco_core.wire.values import text, typed


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest as JSON values."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "api": manifest.api,
        "engine": manifest.engine,
        "maps": list(manifest.maps),
        "deterministic": manifest.deterministic,
        "configuration": [attrs.asdict(field) for field in manifest.configuration],
        "fetches": manifest.fetches,
    }


def manifest_from_json(value: Mapping[str, Any]) -> Manifest:
    """Read what manifest_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    return Manifest(
        name=text(value["name"]),
        version=text(value["version"]),
        api=typed(value["api"], int),
        engine=text(value["engine"]),
        maps=tuple(map(text, typed(value["maps"], list))),
        deterministic=typed(value["deterministic"], bool),
        configuration=read_fields(typed(value["configuration"], list)),
        fetches=typed(value["fetches"], bool),
    )


def manifest_writes(manifests: Iterable[Manifest]) -> Writes:
    """Return the writes that tell of ledgers, each in a row under its name."""
    return {maps.ADAPTERS: {manifest.name.encode(): _row(manifest) for manifest in manifests}}


def read_manifests(view: View) -> list[Manifest]:
    """Return the ledgers the service runs; raises IntegrityError for a malformed table."""
    found: list[Manifest] = []
    for key, _ in view.items(maps.ADAPTERS):
        row = read_json(view, maps.ADAPTERS, key)
        try:
            found.append(manifest_from_json({**typed(row, dict), "name": key.decode()}))
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{maps.ADAPTERS}: malformed record of {key[:80]!r}: {error!r}") from error
    return found


def find_manifest(view: View, ledger: str) -> Manifest:
    """Return the manifest of a ledger; raises MemberError when the service runs none of that name."""
    found = next((one for one in read_manifests(view) if one.name == ledger), None)
    if found is None:
        raise MemberError(f"this service runs no ledger {ledger[:64]!r}")
    return found


def _row(manifest: Manifest) -> bytes:
    told = manifest_to_json(manifest)
    del told["name"]  # It is the row's key.
    return json.dumps(told).encode()
