"""The house style that no linter knows; each finding names the place and what to do instead."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# "path::function" -> lines it may have. Entries may shrink or go; nothing is added.
RATCHET: dict[str, int] = {}

PURE_ROOMS = frozenset(
    {
        "errors",
        "base",
        "wire",
        "crypto",
        "consensus",
        "kv",
        "ledger",
        "attestation",
        "adapter",
        "governance",
        "replica",
    }
)

# What is called or imported -> what to use instead.
BANNED = {
    "time.sleep": "an event, or trio.sleep in the shell; autojump_clock in tests",
    "datetime.datetime.now": "time as an argument; node.clock in the shell",
    "datetime.datetime.utcnow": "time as an argument; node.clock in the shell",
    "datetime.datetime.today": "time as an argument; node.clock in the shell",
    "datetime.date.today": "time as an argument; node.clock in the shell",
    "os.system": "subprocess.run with a list of arguments",
    "pickle": "wire.cbor: what arrives may be hostile",
    "marshal": "wire.cbor: what arrives may be hostile",
    "unittest.mock": "the real part, or a fake that passes the same kit",
    "breakpoint": "nothing: it was left behind",
    "eval": "a parser of what is expected",
    "exec": "a parser of what is expected",
}

# In pieces, so that this file does not find itself.
MACHINE_TRACES = re.compile(
    "|".join(
        [
            r"(?<![\w.$}~-])/(?:ro" + r"ot|wo" + r"rk|home/\w+|Users/\w+)/",
            "/opt/" + "wheels",
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            r"(?:index\.|static\.)?crates" + r"\.io",
            "registry" + r"\.npmjs",
            "repo1?" + r"\.maven",
            "proxy" + r"\.golang\.org",
        ]
    )
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
WAIVER = re.compile(
    r"#\s*(?:noqa|type:\s*ignore)"
    r"(?P<code>:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|\[[\w, -]+\])?"
    r"(?P<why>\s+[-#]\s*\w.+)?"
)


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def parsed(sources: list[Path], root: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sources:
        yield relative(path, root), ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, bool]]:
    """Yield qualified name, lines and whether it is async, of every function in ``tree``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if not isinstance(node, ast.ClassDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                yield name, lines, isinstance(node, ast.AsyncFunctionDef)
            yield from functions(node, f"{name}.")
        else:
            yield from functions(node, prefix)


def room_of(name: str) -> str:
    """Return the room of ``coco_core`` a file is in, empty for files elsewhere."""
    parts = Path(name).parts
    return Path(parts[1]).stem if len(parts) > 1 and parts[0] == "coco_core" else ""


def test_files_are_short(sources: list[Path], root: Path) -> None:
    lengths = {relative(path, root): path.read_text(encoding="utf-8").count("\n") for path in sources}
    long = {name: count for name, count in lengths.items() if count > FILE_LINES_MAX}
    assert not long, f"split by concern, {FILE_LINES_MAX} lines at most: {long}"


def test_functions_are_short(sources: list[Path], root: Path) -> None:
    found = {
        f"{name}::{function}": lines
        for name, tree in parsed(sources, root)
        for function, lines, _ in functions(tree)
        if lines > FUNCTION_LINES_MAX
    }
    grown = {place: lines for place, lines in found.items() if lines > RATCHET.get(place, 0)}
    assert not grown, f"split, {FUNCTION_LINES_MAX} lines at most: {grown}"
    stale = {place for place, lines in RATCHET.items() if found.get(place) != lines}
    assert not stale, f"shorter now: lower or remove its ratchet entry: {stale}"


def test_modules_say_what_they_are(sources: list[Path], root: Path) -> None:
    silent = [name for name, tree in parsed(sources, root) if not ast.get_docstring(tree)]
    assert not silent, f"a module docstring says what the place is, may know and must not: {silent}"


def test_pure_rooms_have_no_async(sources: list[Path], root: Path) -> None:
    # The contracts in adapter describe what the shell awaits; nothing there runs. Governance is driven by
    # the shell too, and awaits nothing but the runtime of its constitution, and what a batch fetches.
    found = [
        f"{name}::{function}"
        for name, tree in parsed(sources, root)
        if room_of(name) in PURE_ROOMS - {"adapter", "governance"}
        for function, _, is_async in functions(tree)
        if is_async
    ]
    assert not found, f"pure rooms take events and return effects: {found}"


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def used_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported or called, through the file's own import names."""
    local: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                local[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = dotted(node.func).partition(".")
            yield node.lineno, local.get(first, first) + dot + rest


def test_banned_calls(sources: list[Path], root: Path) -> None:
    found = [
        f"{name}:{line}: {banned}: use {instead}"
        for name, tree in parsed(sources, root)
        for line, used in used_names(tree)
        for banned, instead in BANNED.items()
        if (used == banned or used.startswith(f"{banned}."))
    ]
    assert not found, "\n".join(found)


def test_print_belongs_to_the_command_line(sources: list[Path], root: Path) -> None:
    found = [
        f"{name}:{line}"
        for name, tree in parsed(sources, root)
        if name.startswith("coco_core/") or "/src/" in name
        for line, used in used_names(tree)
        if used == "print" and room_of(name) != "cli"
    ]
    assert not found, f"only cli prints; node logs, the rest returns: {found}"


def test_shipped_code_does_not_assert(sources: list[Path], root: Path) -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in parsed(sources, root)
        if (name.startswith("coco_core/") or "/src/" in name) and "testing" not in Path(name).parts
        if not name.startswith("coco_core/cli/template/tests/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert not found, f"assert goes away under -O: use coco_core.base.invariant: {found}"


def test_package_doors_hold_imports_only(sources: list[Path], root: Path) -> None:
    def is_door_statement(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            return all(
                isinstance(target, ast.Name) and target.id in ("__all__", "__version__")
                for target in node.targets
            )
        return isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )

    found = [
        f"{name}:{node.lineno}"
        for name, tree in parsed(sources, root)
        if name.endswith("/__init__.py")
        for node in tree.body
        if not is_door_statement(node)
    ]
    assert not found, f"an __init__.py is a door: imports and __all__, nothing else: {found}"


def test_waivers_name_their_code_and_reason(sources: list[Path], root: Path) -> None:
    found: list[str] = []
    for path in sources:
        if path == Path(__file__):
            continue
        explained: set[str] = set()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = WAIVER.search(line)
            if match is None:
                continue
            # One reason per code and file is enough: the first place gives it.
            if match["code"] and match["why"]:
                explained.add(match["code"])
            if not match["code"] or match["code"] not in explained:
                found.append(f"{relative(path, root)}:{number}")
    assert not found, f"a waiver names its code and why, such as `noqa: S101 - because …`: {found}"


def test_nothing_is_left_for_later(sources: list[Path], root: Path) -> None:
    found = [
        f"{relative(path, root)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, f"finish it or open an issue: {found}"


def test_no_trace_of_a_machine_or_a_registry(tracked: list[Path], root: Path) -> None:
    found: list[str] = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{relative(path, root)}: {match.group()}" for match in MACHINE_TRACES.finditer(text)]
    assert not found, f"paths and registries belong to a machine, not to the project: {found}"


def test_data_folders_name_their_sources(tracked: list[Path], root: Path) -> None:
    missing: list[str] = []
    for path in tracked:
        folders = [
            folder for folder in path.parents if folder.name in ("vectors", "data") and root in folder.parents
        ]
        if not folders or path.suffix in (".py", ".pyi", ".rs", ".java") or path.name == "SOURCES.md":
            continue
        sources_file = folders[-1] / "SOURCES.md"
        text = sources_file.read_text(encoding="utf-8") if sources_file.is_file() else ""
        if path.name not in text or hashlib.sha256(path.read_bytes()).hexdigest() not in text:
            missing.append(relative(path, root))
    assert not missing, f"SOURCES.md gives origin, licence and SHA-256 of every file: {missing}"
