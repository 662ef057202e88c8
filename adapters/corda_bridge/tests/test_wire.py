"""The classes are those of the protocol file: they are written by a tool that not every machine has."""

from __future__ import annotations

import re
from pathlib import Path

from google.protobuf.descriptor import Descriptor

from coco_corda import wire
from coco_corda.wire import classes

PROTOCOL = Path(__file__).resolve().parent.parent / "wire" / "bridge.proto"
FIELD = re.compile(r"^(?:repeated |optional )?[\w.]+ (\w+) = (\d+);")


def fields_in_file() -> dict[str, dict[str, int]]:
    """Return the names and numbers of every message's fields, as the text of the protocol says."""
    found: dict[str, dict[str, int]] = {}
    message = ""
    for raw in PROTOCOL.read_text(encoding="utf-8").splitlines():
        line = raw.split("//")[0].strip()
        if opened := re.match(r"message (\w+) \{", line):
            message = opened[1]
            found[message] = {}
        elif field := FIELD.match(line):
            found[message][field[1]] = int(field[2])
    return found


def test_the_classes_are_those_of_the_protocol_file() -> None:
    expected = fields_in_file()
    assert sorted(wire.__all__) == sorted(expected)
    for name, fields in expected.items():
        descriptor: Descriptor = getattr(classes, name).DESCRIPTOR
        assert {field.name: field.number for field in descriptor.fields} == fields, name
