"""A notation for protobuf messages, and the classes made from it in a descriptor pool of their own.

All of Sawtooth's messages are in the empty package, where one process may hold only one definition of a
name: a pool of our own lets them live beside its SDK. Knows protobuf and none of the messages.

One message a line: ``Name: field type number, …``. A type is a scalar, a message or an enum, found from the
innermost name outwards; ``*`` behind it means repeated. An indented line is an enum of the message above
it: ``Name: VALUE number, …``. A line that ends in a comma goes on. A dot in a message's name puts it inside
the other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

FILE_NAME: Final = "coco_sawtooth.proto"


@attrs.frozen
class Field:
    """A field: its name, what it holds, its number on the wire, whether it is repeated."""

    name: str
    type: str
    number: int
    repeated: bool


@attrs.frozen
class Enum:
    """An enum inside a message."""

    name: str
    values: Mapping[str, int]


@attrs.frozen
class Schema:
    """A message: its full name, its fields, the enums inside it."""

    name: str
    fields: tuple[Field, ...]
    enums: list[Enum]


def parse(text: str) -> Iterator[Schema]:
    """Yield the messages that ``text`` writes, in its order. Raises ValueError for what is neither."""
    current: Schema | None = None
    for line in _lines(text):
        name, colon, rest = line.strip().partition(":")
        if not colon:
            raise ValueError(f"neither a message nor an enum: {line!r}")
        items = [item.split() for item in rest.split(",") if item.strip()]
        if not line[0].isspace():
            if current is not None:
                yield current
            current = Schema(name, tuple(_field(*item) for item in items), [])
        elif current is not None:
            current.enums.append(Enum(name, {value: int(number) for value, number in items}))
        else:
            raise ValueError(f"an enum of no message: {line!r}")
    if current is not None:
        yield current


def _lines(text: str) -> Iterator[str]:
    open_line = ""
    for line in text.splitlines():
        whole = open_line + (line.strip() if open_line else line)
        open_line = whole if whole.endswith(",") else ""
        if whole.strip() and not open_line:
            yield whole


def _field(name: str, kind: str, number: str) -> Field:
    return Field(name, kind.removesuffix("*"), int(number), kind.endswith("*"))


def make_classes(schemas: Iterable[Schema]) -> dict[str, type[Message]]:
    """Return a class for every message, by its full name."""
    schemas = list(schemas)
    # Outer messages first: an inner one is described inside its own.
    described: dict[str, descriptor_pb2.DescriptorProto] = {}
    file = descriptor_pb2.FileDescriptorProto(name=FILE_NAME, syntax="proto3")
    enums = {f"{schema.name}.{enum.name}" for schema in schemas for enum in schema.enums}
    messages = {schema.name for schema in schemas}
    for schema in sorted(schemas, key=lambda each: each.name.count(".")):
        outer, _, name = schema.name.rpartition(".")
        into = described[outer].nested_type if outer else file.message_type
        described[schema.name] = _describe(into.add(name=name), schema, messages, enums)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in messages}


def _describe(
    into: descriptor_pb2.DescriptorProto, schema: Schema, messages: set[str], enums: set[str]
) -> descriptor_pb2.DescriptorProto:
    for field in schema.fields:
        made = into.field.add(name=field.name, number=field.number)
        made.label = made.LABEL_REPEATED if field.repeated else made.LABEL_OPTIONAL
        if field.type in SCALARS:
            made.type = SCALARS[field.type]
        elif name := resolve(field.type, schema.name, messages):
            made.type, made.type_name = made.TYPE_MESSAGE, f".{name}"
        elif name := resolve(field.type, schema.name, enums):
            made.type, made.type_name = made.TYPE_ENUM, f".{name}"
        else:
            raise ValueError(f"{schema.name}.{field.name}: no type {field.type!r}")
    for enum in schema.enums:
        described = into.enum_type.add(name=enum.name)
        for value, number in enum.values.items():
            described.value.add(name=value, number=number)
    return into


def resolve(name: str, scope: str, known: set[str]) -> str:
    """Return the full name that ``name`` means inside ``scope``, empty when it is not among ``known``."""
    while scope:
        if f"{scope}.{name}" in known:
            return f"{scope}.{name}"
        scope = scope.rpartition(".")[0]
    return name if name in known else ""


_PROTO = descriptor_pb2.FieldDescriptorProto
SCALARS: Final = {
    "bool": _PROTO.TYPE_BOOL,
    "bytes": _PROTO.TYPE_BYTES,
    "int32": _PROTO.TYPE_INT32,
    "string": _PROTO.TYPE_STRING,
    "uint32": _PROTO.TYPE_UINT32,
    "uint64": _PROTO.TYPE_UINT64,
}
