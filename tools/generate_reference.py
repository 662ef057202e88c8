"""Write the reference pages that follow from the code: errors, limits, doors, commands and more.

Run without arguments to rewrite ``docs/reference/``; ``tests/rules/test_docs.py`` compares the pages
with what this script would write, so a new error or limit cannot stay undocumented.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import click

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
DOORS = ("adapter", "attestation", "client", "testing", "testing.conformance")
ADAPTER_SECTIONS = {
    "contract": "The ledger",
    "context": "What it may read",
    "hooks": "What a distribution registers",
    "configuration": "What a consortium may set of it",
    "caller": "Who asks",
    "fetching": "Asking systems outside",
    "http": "HTTP and WebSocket",
    "workload": "Genesis for development, load for benchmarks",
    "bundles": "Bundles",
}
"""Modules behind the adapters' door in the order to read them."""
KIT_SECTIONS = {
    "The harness": "conformance/harness",
    "Nodes on a table": "cluster",
    "One node on the table": "cluster_node",
}
"""Modules behind the doors for tests that authors of adapters use beside the kit's tests."""
HEAD = "<!-- Written by tools/generate_reference.py; edit the docstrings, then run `make docs`. -->\n\n"


def first_sentence(value: object) -> str:
    """Return the first paragraph of a docstring on one line, empty for values without their own."""
    doc = inspect.getdoc(value) if inspect.isclass(value) or callable(value) else None
    return " ".join((doc or "").split("\n\n")[0].split())


def errors_page() -> str:
    """Render every error class: what it says, and what catches it too."""
    module = importlib.import_module("coco_core.errors")
    parts = [HEAD, "# Errors\n\n", inspect.cleandoc(module.__doc__ or "").replace("::\n", ":\n"), "\n"]
    # The tree in the docstring is indented and so already a code block.
    for name, value in vars(module).items():
        if inspect.isclass(value) and issubclass(value, BaseException):
            bases = ", ".join(f"`{base.__name__}`" for base in value.__mro__[1:-3]) or "`Exception`"
            parts.append(f"\n## {name}\n\n{inspect.getdoc(value)}\n\nAlso caught as: {bases}.\n")
    return "".join(parts)


def limits_page() -> str:
    """Render every bound with its value, under the comment it stands below in the source."""
    module = importlib.import_module("coco_core.base.limits")
    parts = [HEAD, "# Limits\n\n", inspect.cleandoc(module.__doc__ or ""), "\n"]
    comment: list[str] = []
    in_table = False
    for line in inspect.getsource(module).splitlines():
        name = line.split(" = ")[0]
        if line.startswith("# "):
            comment, in_table = ([line[2:]] if in_table or not comment else [*comment, line[2:]]), False
        elif name.isupper() and isinstance(getattr(module, name, None), int) and name not in ("KIB", "MIB"):
            if not in_table:
                parts.append(f"\n{' '.join(comment)}\n\n| limit | value |\n|---|---:|\n")
                in_table = True
            parts.append(f"| `{name}` | {quantity(name, getattr(module, name))} |\n")
    return "".join(parts)


def quantity(name: str, value: int) -> str:
    """Write a bound with the unit its name ends in; bytes in the largest unit that divides them."""
    if not name.endswith("_BYTES"):
        return f"{value:,} ms" if name.endswith("_MS") else f"{value:,}"
    for size, unit in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if value % size == 0:
            return f"{value // size:,} {unit}"
    return f"{value:,} bytes"


def api_page() -> str:
    """Render the names each public door exports, with the first sentence of what they say of themselves."""
    parts = [
        HEAD,
        "# Public doors\n\nWhat an adapter, a platform or a client may import; nothing else is public.\n",
    ]
    for door in DOORS:
        spec = importlib.util.find_spec(f"coco_core.{door}")
        if spec is None or spec.origin is None:
            continue
        module = importlib.import_module(f"coco_core.{door}")
        parts.append(f"\n## coco_core.{door}\n\n{first_paragraph(module)}\n\n| name | |\n|---|---|\n")
        parts += [f"| `{name}` | {cell(getattr(module, name))} |\n" for name in module.__all__]
    parts.append("\n## coco_core.errors\n\nSee [errors](errors.md).\n")
    return "".join(parts)


def adapters_page() -> str:
    """Render the door for ledgers whole: every hook with what it owes, every value with its fields."""
    door = importlib.import_module("coco_core.adapter")
    contract = importlib.import_module("coco_core.adapter.contract")
    parts = [HEAD, "# The door for ledgers\n\n", inspect.cleandoc(contract.__doc__ or ""), "\n"]
    parts.append(
        f"\nThis is version {door.API} of the contract. Everything is imported from `coco_core.adapter`. "
        "Where to begin: [build](../build/index.md).\n"
    )
    left = list(door.__all__)
    for stem, title in ADAPTER_SECTIONS.items():
        module = importlib.import_module(f"coco_core.adapter.{stem}")
        named = {name: (node, below) for name, node, below in definitions(module) if name in left}
        left = [name for name in left if name not in named]
        intro = "" if module is contract else f"\n{inspect.cleandoc(module.__doc__ or '')}\n"
        parts.append(f"\n## {title}\n{intro}")
        parts += [text for name, found in named.items() for text in member_section(name, *found)]
    parts.append("\n## From rooms below\n")
    parts += [text for name in left for text in member_section(name, *definition(door, name))]
    return "".join(parts)


def definition(module: ModuleType, name: str) -> tuple[ast.stmt, str]:
    """Return the definition of ``name``, followed through imports, and what a string below it says."""
    for found, node, below in definitions(module):
        if found == name:
            return node, below
    for line in ast.parse(inspect.getsource(module)).body:
        if isinstance(line, ast.ImportFrom) and name in [alias.name for alias in line.names]:
            return definition(importlib.import_module(str(line.module)), name)
    raise LookupError(f"{module.__name__} does not define {name}")


def definitions(module: ModuleType) -> Iterator[tuple[str, ast.stmt, str]]:
    """Yield what a module defines, in order: name, definition, what a string below it says."""
    body = ast.parse(inspect.getsource(module)).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        for name in defined_names(node):
            yield name, node, text_below(below)


def defined_names(node: ast.stmt) -> list[str]:
    """Return what a statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def text_below(node: ast.stmt | None) -> str:
    """Return the string that describes what stands above it; empty for anything else."""
    value = node.value if isinstance(node, ast.Expr) else None
    return (
        " ".join(value.value.split())
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
        else ""
    )


def member_section(name: str, node: ast.stmt, below: str) -> Iterator[str]:
    """Yield the section of one exported name."""
    yield f"\n### {name}\n"
    if isinstance(node, ast.ClassDef):
        yield f"\n{ast.get_docstring(node) or ''}\n"
        rows = list(fields(node))
        if rows:
            yield "\n| field | type | unless given | |\n|---|---|---|---|\n"
            yield from rows
        for method in node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("_"):
                yield f"\n#### {name}.{method.name}\n\n`{signature(method)}`\n"
                yield f"\n{ast.get_docstring(method) or ''}\n"
    elif isinstance(node, ast.FunctionDef):
        yield f"\n`{signature(node)}`\n\n{ast.get_docstring(node) or ''}\n"
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        yield f"\n`{name} = {ast.unparse(node.value)}`\n" + (f"\n{below}\n" if below else "")


def fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield a row per field of a value: its type, its default, what the string below it says."""
    for item, below in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_":
            cells = [f"`{item.target.id}`", code(ast.unparse(item.annotation)), default(item.value)]
            yield f"| {' | '.join(cells)} | {text_below(below).replace('|', chr(92) + '|')} |\n"


def default(value: ast.expr | None) -> str:
    """Return what a field holds unless it is given; empty when it must be."""
    if isinstance(value, ast.Call):
        given = {word.arg: word.value for word in value.keywords}
        if "factory" in given:
            return code(f"{ast.unparse(given['factory'])}()")
        return code(ast.unparse(given["default"])) if "default" in given else ""
    return "" if value is None else code(ast.unparse(value))


def code(text: str) -> str:
    """Return text as code in a table cell."""
    return "`{}`".format(text.replace("|", "\\|"))


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return how a function is written, or, of a property, its name and type."""
    returned = ast.unparse(node.returns) if node.returns is not None else "None"
    if any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list):
        return f"{node.name}: {returned}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{word} {node.name}({ast.unparse(node.args)}) -> {returned}"


def cli_page() -> str:
    """Render every command of ``coco`` with its arguments and options."""
    group = importlib.import_module("coco_core.cli.main").cli
    parts = [HEAD, "# Command line\n", *command_sections("coco", group)]
    return "".join(parts)


def command_sections(name: str, command: click.Command) -> Iterator[str]:
    """Yield the section of a command and those of the commands below it."""
    context = click.Context(command, info_name=name)
    arguments = [item.human_readable_name for item in command.params if isinstance(item, click.Argument)]
    title = " ".join([name, *arguments])
    yield f"\n## {title}\n\n{inspect.cleandoc(command.help or '')}\n"
    # Arguments are in the title already.
    options = [item for item in command.params if not isinstance(item, click.Argument)]
    records = [record for item in options if (record := item.get_help_record(context))]
    if records:
        yield "\n| option | |\n|---|---|\n"
        for option, text in records:
            yield "| `{}` | {} |\n".format(option.replace("|", "\\|"), " ".join(text.split()))
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            yield from command_sections(f"{name} {child}", command.commands[child])


def described(body: list[ast.stmt]) -> list[tuple[str, str, str]]:
    """Return name, value and text of every constant in ``body`` that a string describes below it."""
    found: list[tuple[str, str, str]] = []
    for node, below in pairwise(body):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(node.value, ast.Constant):
                found.append((target.id, str(node.value.value), " ".join(str(text.value).split())))
    return found


def maps_page() -> str:
    """Render the built-in maps: what an auditor finds in them."""
    path = ROOT / "coco_core" / "kv" / "maps.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = [HEAD, "# Built-in maps\n\n", ast.get_docstring(tree) or "", "\n"]
    parts += [
        f"\n## {value}\n\n{text}\n"
        for name, value, text in described(tree.body)
        if not name.endswith("_PREFIX")
    ]
    return "".join(parts)


def rules_page() -> str:
    """Render the auditors' rules by the codes their errors carry: of ledgers, then of governance."""
    parts = [HEAD, "# Audit rules\n"]
    for heading, place, name in (
        ("The ledger", "ledger", "Rule"),
        ("Governance", "governance", "GovernanceRule"),
    ):
        tree = ast.parse((ROOT / "coco_core" / place / "audit_rules.py").read_text(encoding="utf-8"))
        (rules,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
        parts.append(f"\n## {heading}\n\n{ast.get_docstring(tree) or ''}\n\n| code | rule |\n|---|---|\n")
        parts += [f"| `{value}` | {text} |\n" for _, value, text in described(rules.body)]
    return "".join(parts)


def conformance_page() -> str:
    """Render every standard test of ledger adapters: what it proves, why, and how to mend what fails it."""
    kit = importlib.import_module("coco_core.testing.conformance")
    head = (
        "# The conformance kit\n\nHow to use it: [conformance](../build/conformance.md). Its tests, what a "
    )
    head += "[harness](#the-harness) gives them, and the [table](#nodes-on-a-table) they play on.\n"
    parts = [HEAD, head]
    group = ""
    for name, test in kit.standard_tests(kit.LedgerAdapterTests).items():
        module = importlib.import_module(test.__module__)
        if module.__name__ != group:
            group = module.__name__
            title = re.sub("^.*?tests? of ", "", first_paragraph(module).rstrip("."))
            parts.append(f"\n## {title[0].upper()}{title[1:]}\n")
        parts.append(f"\n### {name}\n\n{kit.description(test)}\n")
    for title, place in KIT_SECTIONS.items():
        tree = ast.parse((ROOT / "coco_core" / "testing" / f"{place}.py").read_text(encoding="utf-8"))
        parts.append(f"\n## {title}\n\n{ast.get_docstring(tree) or ''}\n")
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_":
                parts += member_section(node.name, node, "")
    return "".join(parts).replace("``", "`")


def first_paragraph(module: ModuleType) -> str:
    """Return the first paragraph of a module's docstring on one line."""
    return " ".join((module.__doc__ or "").strip().split("\n\n")[0].split())


def cell(value: object) -> str:
    """Describe an exported value in a table cell; a constant by itself."""
    if isinstance(value, str | int):
        return f"`{value!r}`"
    return (
        first_sentence(value).replace("|", "\\|")
        if inspect.isclass(value) or inspect.isfunction(value)
        else ""
    )


def defined_limits() -> list[str]:
    """Return the names of all bounds, read from the source so that none can hide from the page."""
    path = ROOT / "coco_core" / "base" / "limits.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    return [name for name in names if name not in ("KIB", "MIB")]


def pages() -> dict[str, str]:
    """Return every page by file name."""
    return {
        "adapters.md": adapters_page(),
        "api.md": api_page(),
        "audit_rules.md": rules_page(),
        "cli.md": cli_page(),
        "conformance.md": conformance_page(),
        "errors.md": errors_page(),
        "limits.md": limits_page(),
        "maps.md": maps_page(),
    }


def main() -> None:
    """Write the pages that changed."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = PAGES / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
