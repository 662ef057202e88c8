"""What a consortium may set of a ledger: fields, kinds and bounds."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_core.adapter import ConfigurationField, check_configuration, check_fields, read_fields

FIELDS = (
    ConfigurationField(name="limit", kind="integer", description="a bound", minimum=1, maximum=9),
    ConfigurationField(name="title", kind="text", description="a name", minimum=1, maximum=3),
    ConfigurationField(name="trusted", kind="hashes", description="files", maximum=200),
    ConfigurationField(name="open", kind="boolean", description="a switch"),
)


ALLOWED: tuple[dict[str, Any], ...] = (
    {},
    {"limit": 1, "title": "abc", "open": False},
    {"limit": 9},
    {"trusted": ""},
    {"trusted": f" {'0a' * 32}\n{'F1' * 32}"},
)


@pytest.mark.parametrize("values", ALLOWED)
def test_values_that_may_be_set(values: dict[str, Any]) -> None:
    check_configuration(FIELDS, values)


FAULTS = {
    "unknown": ({"colour": 1}, "no 'colour'; there are limit, open, title, trusted"),
    "too small": ({"limit": 0}, "'limit' must be 1 to 9$"),
    "too large": ({"limit": 10}, "'limit' must be 1 to 9$"),
    "a boolean for a number": ({"limit": True}, "'limit' must be integer"),
    "a number for a text": ({"title": 1}, "'title' must be text"),
    "too short": ({"title": ""}, "'title' must be 1 to 3 characters"),
    "too long": ({"title": "abcd"}, "'title' must be 1 to 3 characters"),
    "a number for hashes": ({"trusted": 1}, "'trusted' must be hashes$"),
    "too many hashes": ({"trusted": "0a" * 128}, "'trusted' must be 0 to 200 characters"),
    "a digit too few": ({"trusted": f"{'0a' * 32} {'0a' * 31}b"}, f"64 hex digits, .*'{'0a' * 31}b' is none"),
    "no hex": ({"trusted": "0g" * 32}, "is none"),
    "a comma": ({"trusted": f"{'0a' * 32}, {'0a' * 32}"}, "spaces between"),
    "a number for a switch": ({"open": 1}, "'open' must be boolean"),
    "nothing": ({"open": None}, "'open' must be boolean"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_values_that_may_not(fault: str) -> None:
    values, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        check_configuration(FIELDS, values)


def test_no_field_at_all() -> None:
    with pytest.raises(ValueError, match="there are none"):
        check_configuration((), {"limit": 1})


def test_there_and_back() -> None:
    assert read_fields([attrs.asdict(field) for field in FIELDS]) == FIELDS


def test_fields_no_manifest_may_have() -> None:
    with pytest.raises(ValueError, match="named twice"):
        check_fields((*FIELDS, FIELDS[0]))
    with pytest.raises(ValueError, match="of kind 'colour'"):
        check_fields((ConfigurationField(name="x", kind="colour", description=""),))
    for change in ({"minimum": "1"}, {"name": 1}, {"kind": "colour"}):
        with pytest.raises((ValueError, TypeError)):
            read_fields([{**attrs.asdict(FIELDS[0]), **change}])
