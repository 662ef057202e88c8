"""A ledger's manifest as the tables and a welcome hold it."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from coco_core.adapter import ConfigurationField
from coco_core.errors import IntegrityError
from coco_core.governance import manifest_from_json, manifest_to_json, read_manifests
from coco_core.governance.manifests import manifest_writes
from coco_core.kv import Store, View, maps
from coco_core.testing import Tally

FIELD = ConfigurationField(name="most", kind="integer", description="What is counted.", minimum=1, maximum=9)
MANIFEST = attrs.evolve(Tally().manifest, configuration=(FIELD,), fetches=True)


def view(**changes: Any) -> View:
    ((key, row),) = manifest_writes([MANIFEST])[maps.ADAPTERS].items()
    value = json.loads(row or b"") | changes
    store = Store()
    store.append(1, {maps.ADAPTERS: {key: json.dumps(value).encode()}})
    return store.head()


def test_it_is_read_as_it_is_written() -> None:
    assert manifest_from_json(json.loads(json.dumps(manifest_to_json(MANIFEST)))) == MANIFEST
    assert read_manifests(view()) == [MANIFEST]


def test_the_row_of_a_ledger_holds_no_name() -> None:
    """So ledgers of before are read, and audited, as they were."""
    ((key, row),) = manifest_writes([MANIFEST])[maps.ADAPTERS].items()
    assert key == MANIFEST.name.encode()
    assert list(json.loads(row or b"")) == [
        "version", "api", "engine", "maps", "deterministic", "configuration", "fetches"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"api": True},
        {"api": "1"},
        {"maps": "coco"},
        {"maps": [1]},
        {"deterministic": 1},
        {"fetches": None},
        {"configuration": {}},
        {"configuration": [{"name": "most"}]},
        {"configuration": [attrs.asdict(FIELD), attrs.asdict(FIELD)]},
    ],
    ids=repr,
)
def test_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="malformed record of b'tally'"):
        read_manifests(view(**changes))
    with pytest.raises((ValueError, KeyError, TypeError)):
        manifest_from_json(manifest_to_json(MANIFEST) | changes)
