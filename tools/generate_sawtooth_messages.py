"""Write ``coco_sawtooth.messages``' classes, their types and the door from the notation in its schema.

Run after a change of ``schema.py``; a test of the adapter compares the three files with what this writes.
"""

from __future__ import annotations

from pathlib import Path

from coco_sawtooth.messages import schema
from coco_sawtooth.messages.notation import SCALARS, Schema, parse, resolve

FOLDER = Path(__file__).resolve().parent.parent / "adapters/sawtooth/src/coco_sawtooth/messages"
PARTS = ("LEDGER", "FAMILIES", "PROCESSORS", "CLIENTS")
PYTHON = {"bool": "bool", "bytes": "bytes", "string": "str", "int32": "int", "uint32": "int", "uint64": "int"}
WIDTH = 110


def schemas() -> list[Schema]:
    """Return every message of the protocol."""
    return [each for part in PARTS for each in parse(getattr(schema, part))]


def classes(found: list[Schema]) -> str:
    """Return the module that makes the classes."""
    names = sorted(each.name for each in found if "." not in each.name)
    lines = [
        '"""The classes of Sawtooth\'s messages; their types are in the stub beside this file."""',
        "",
        "# Written by tools/generate_sawtooth_messages.py from schema.py.",
        "",
        "from typing import Final",
        "",
        "from coco_sawtooth.messages.notation import make_classes, parse",
        f"from coco_sawtooth.messages.schema import {', '.join(sorted(PARTS))}",
        "",
        f"_made: Final = make_classes(parse({' + '.join(PARTS)}))",
        "",
        *(f'{name} = _made["{name}"]' for name in names),
    ]
    return "\n".join(lines) + "\n"


def stub(found: list[Schema]) -> str:
    """Return the types of the classes."""
    messages = {each.name for each in found}
    names = [each for each in found if "." not in each.name]
    parts = [_class(each, found, messages, "") for each in sorted(names, key=lambda each: each.name)]
    head = "# Written by tools/generate_sawtooth_messages.py from schema.py.\n\n"
    imports = (
        "from collections.abc import Iterable\n"
        "from typing import Final\n\n"
        "from google.protobuf.internal.containers import RepeatedCompositeFieldContainer, "
        "RepeatedScalarFieldContainer\n"
        "from google.protobuf.message import Message as _Message\n\n"
    )
    return head + imports + "\n".join(parts)


def _class(one: Schema, found: list[Schema], messages: set[str], indent: str) -> str:
    inner = [each for each in found if each.name.rpartition(".")[0] == one.name]
    lines = [f"{indent}class {one.name.rpartition('.')[2]}(_Message):"]
    indent += "    "
    lines += [_class(each, found, messages, indent).rstrip("\n") for each in inner]
    for enum in one.enums:
        lines += [f"{indent}{value}: Final[int]" for value in enum.values]
    arguments = []
    for field in one.fields:
        scalar = PYTHON.get(field.type)
        message = "" if field.type in SCALARS else resolve(field.type, one.name, messages)
        kind = scalar or message or "int"
        if field.repeated:
            container = "RepeatedCompositeFieldContainer" if message else "RepeatedScalarFieldContainer"
            lines.append(f"{indent}{field.name}: {container}[{kind}]")
            arguments.append(f"{field.name}: Iterable[{kind}] = ...")
        else:
            lines.append(f"{indent}{field.name}: {kind}")
            arguments.append(f"{field.name}: {kind}{' | None' if message else ''} = ...")
    if arguments:
        lines += _init(arguments, indent)
    if len(lines) == 1:
        return f"{lines[0]} ...\n"
    return "\n".join(lines) + "\n"


def _init(arguments: list[str], indent: str) -> list[str]:
    # As the formatter breaks it: on one line, else all arguments on one of their own, else one a line.
    whole = f"{indent}def __init__(self, *, {', '.join(arguments)}) -> None: ..."
    if len(whole) <= WIDTH:
        return [whole]
    joined = f"{indent}    self, *, {', '.join(arguments)}"
    middle = [f"{indent}    {each}," for each in ("self", "*", *arguments)]
    if len(joined) <= WIDTH:
        middle = [joined]
    return [f"{indent}def __init__(", *middle, f"{indent}) -> None: ..."]


def door(found: list[Schema]) -> str:
    """Return the door of the room."""
    names = sorted(each.name for each in found if "." not in each.name)
    exported = sorted([*names, "MessageType"])
    lines = [
        '"""Sawtooth\'s protobuf messages: classes of our own, in a descriptor pool of their own."""',
        "",
        "from coco_sawtooth.messages.classes import (",
        *(f"    {name}," for name in sorted(names, key=str.lower)),
        ")",
        "from coco_sawtooth.messages.kinds import MessageType",
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in exported),
        "]",
    ]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return the text of every file this writes, by its name."""
    found = schemas()
    return {"classes.py": classes(found), "classes.pyi": stub(found), "__init__.py": door(found)}


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
