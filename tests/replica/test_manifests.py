"""What an adapter says of itself, and gives a service to begin with, is checked like all it writes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_core.adapter import API, Manifest
from coco_core.base import limits
from coco_core.errors import AdapterError
from coco_core.replica import check_genesis, check_manifest
from coco_core.testing import Tally

MANIFEST = Tally().manifest
OWNED = frozenset(MANIFEST.maps)
NAMES = tuple(f"tally.{number}" for number in range(limits.MANIFEST_MAPS_MAX))


@pytest.mark.parametrize(
    "manifest",
    [
        MANIFEST,
        attrs.evolve(MANIFEST, engine="evm 1.0"),
        attrs.evolve(MANIFEST, maps=()),
        attrs.evolve(MANIFEST, maps=NAMES),
        attrs.evolve(MANIFEST, maps=("tally." + "x" * (limits.MAP_NAME_SIZE_MAX_BYTES - 6),)),
    ],
)
def test_sound_manifest(manifest: Manifest) -> None:
    check_manifest("tally", manifest)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"name": "abacus"}, "says that its name is 'abacus'"),
    "another contract": ({"api": API + 1}, f"made for contract version {API + 1}, this one is {API}"),
    "an engine of one word": ({"engine": "evm"}, "is not 'name version'"),
    "an engine of three": ({"engine": "evm 1 2"}, "is not 'name version'"),
    "an engine of none": ({"engine": None}, "is not 'name version'"),
    "a map twice": ({"maps": ("tally.x", "tally.x")}, "claims a map twice"),
    "too many maps": ({"maps": (*NAMES, "tally.more")}, f"or more than {limits.MANIFEST_MAPS_MAX}"),
    "a map of another": ({"maps": ("abacus.x",)}, "its maps must begin with 'tally'"),
    "a map of the core": ({"maps": ("public:ccf.gov.nodes.info",)}, "its maps must begin with 'tally'"),
    "a map that is no text": ({"maps": (b"tally.x",)}, "its maps must begin with 'tally'"),
    "no yes or no": ({"fetches": 1}, "does not say whether it fetches"),
    "a long name": (
        {"maps": ("tally." + "ä" * (limits.MAP_NAME_SIZE_MAX_BYTES // 2),)},
        f"exceeds {limits.MAP_NAME_SIZE_MAX_BYTES} bytes",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_manifest_that_cannot_be(fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(AdapterError, match=message):
        check_manifest("tally", attrs.evolve(MANIFEST, **changes))


def test_first_entries_are_counted() -> None:
    entries = Tally().genesis({"counters": {"x": 1, "y": 2}}, bytes(32))
    size = check_genesis(entries, OWNED, limits.GENESIS_SIZE_MAX_BYTES)
    assert size > sum(len(key) + len(value) for key, value in entries[0]["tally.counters"].items() if value)
    assert check_genesis(tuple(entries), OWNED, size) == size
    assert check_genesis([], OWNED, 0) == 0
    with pytest.raises(AdapterError, match=f"genesis of {size} bytes exceeds the bound of {size - 1}"):
        check_genesis(entries, OWNED, size - 1)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (None, "neither list nor tuple"),
        ({}, "neither list nor tuple"),
        ([None], "is no write set"),
        ([{"abacus.x": {}}], "not in its manifest"),
        ([{"tally.counters": {"x": b""}}], "not bytes"),
        ([{"tally.counters": {b"x": bytes(limits.WRITE_SET_SIZE_MAX_BYTES)}}], "exceeds the bound"),
    ],
)
def test_first_entries_that_cannot_be(entries: Any, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        check_genesis(entries, OWNED, limits.GENESIS_SIZE_MAX_BYTES)
