"""Evaluates one function of a Starlark text, as often as asked, each time from the beginning.

Pure: text and arguments in, JSON out. Starlark has no clock, no entropy, no files and no ``load`` here, and
the steps are counted from the first line of the text on, so what a text answers and whether it exceeds its
steps is the same everywhere. One instruction may still allocate without end or overflow the native stack:
only a process of its own holds that (``coco_core.script.__main__``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import starlark

from coco_core.errors import ScriptError

# The evaluator asks whether to go on each time it has carried out so many instructions.
STEPS_BETWEEN_CHECKS = 1_000
_INTEGERS = range(-(1 << 63), 1 << 64)
_GLOBALS = starlark.Globals.standard()
# What has no place in the text, but says so, went wrong with what it returned.
_RESULT_PROBLEM = re.compile(
    "Operation `serde::serialize`|(Maximum depth|Cycle).* while converting Starlark value"
)
_T = TypeVar("_T")


class Bounds(NamedTuple):
    """What one evaluation may take; a tuple, for it is handed to a process as its arguments."""

    source_size_max_bytes: int
    result_size_max_bytes: int
    result_depth_max: int
    steps_max: int
    call_depth_max: int
    message_size_max: int
    """Characters of what a failed text is told."""
    cached_max: int


class Evaluator:
    """Evaluates texts within ``bounds``, and keeps the newest of them parsed."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._parsed: dict[str, starlark.AstModule] = {}

    def check(self, source: str, functions: Sequence[str]) -> None:
        """Raise ScriptError unless ``source`` can be evaluated and defines all of ``functions``."""
        tree = self._parse(source)

        def run(options: starlark.EvalOptions) -> None:
            module = _module(options, tree, {})
            for name in functions:
                question = starlark.parse("check", f"type({name})")
                try:
                    kind = starlark.eval_with(options, module, question, _GLOBALS).value
                except starlark.StarlarkError:
                    kind = None
                if kind != "function":
                    raise ScriptError("missing-function", f"the text does not define the function {name}")

        self._guarded("script-error", run)

    def call(self, source: str, function: str, args: Sequence[Any], service: Any) -> bytes:
        """Return as JSON what ``function`` of ``source`` returns for ``args``.

        The text sees ``service`` as a global of this name, which it cannot change. Raises ScriptError.
        """
        tree = self._parse(source)

        def run(options: starlark.EvalOptions) -> object:
            frozen = _module(options, tree, service).freeze()
            return frozen.call_with(options, function, *args).value

        return self._encode(self._guarded("script-error", run))

    def _parse(self, source: str) -> starlark.AstModule:
        tree = self._parsed.pop(source, None)
        if tree is None:
            if len(source.encode()) > self._bounds.source_size_max_bytes:
                most = self._bounds.source_size_max_bytes
                raise ScriptError("syntax", f"the text is longer than {most} bytes")
            tree = self._guarded("syntax", lambda _: starlark.parse("text", source, _dialect()))
        self._parsed[source] = tree
        if len(self._parsed) > self._bounds.cached_max:
            del self._parsed[next(iter(self._parsed))]
        return tree

    def _guarded(self, code: str, run: Callable[[starlark.EvalOptions], _T]) -> _T:
        """Run a part of an evaluation; whatever goes wrong in it is a ScriptError."""
        checks = 0

        def exceeded() -> bool:
            nonlocal checks
            checks += 1
            if checks * STEPS_BETWEEN_CHECKS > self._bounds.steps_max:
                most = self._bounds.steps_max
                raise ScriptError("step-limit", f"the text does not end within {most} steps")
            return False

        options = starlark.EvalOptions(
            check_cancelled=exceeded, max_callstack_size=self._bounds.call_depth_max
        )
        try:
            return run(options)
        except starlark.StarlarkError as error:
            message = str(error)
            if message.startswith("Module has no symbol"):
                code = "missing-function"
            elif _RESULT_PROBLEM.match(message):
                code = "result"
            raise ScriptError(code, self._short(message)) from None
        except RecursionError:
            raise ScriptError(code, "what the text is asked about is nested too deeply") from None
        except BaseException as error:
            # A Rust panic is no Exception and has no class to import. Those known are of allocations.
            if type(error).__name__ != "PanicException":
                raise
            raise ScriptError("memory-limit", self._short(f"the evaluator gave up: {error}")) from None

    def _encode(self, value: object) -> bytes:
        problem = _not_json(value, self._bounds.result_depth_max, self._bounds.result_size_max_bytes)
        if problem:
            raise ScriptError("result", f"the text returned {problem}")
        encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        if len(encoded) > self._bounds.result_size_max_bytes:
            raise ScriptError("result", f"the text returned {len(encoded)} bytes")
        return encoded

    def _short(self, message: str) -> str:
        most = self._bounds.message_size_max
        return message if len(message) <= most else message[: most - 1] + "…"


def _module(options: starlark.EvalOptions, tree: starlark.AstModule, service: Any) -> starlark.Module:
    module = starlark.Module()
    module["service"] = service
    starlark.eval_with(options, module, tree, _GLOBALS)
    return module


def _dialect() -> starlark.Dialect:
    dialect = starlark.Dialect.standard()
    dialect.enable_load = False
    dialect.enable_keyword_only_arguments = True
    dialect.enable_f_strings = True
    return dialect


def _not_json(value: object, depth_max: int, values_max: int) -> str:
    """Return what of ``value`` cannot be said in JSON that everybody reads alike, empty if all can."""
    waiting = [(value, 1)]
    seen = 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if depth > depth_max or seen > values_max:
            return "something too deep or too large"
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return "a dict with keys that are no strings"
            waiting += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list):
            waiting += [(child, depth + 1) for child in item]
        elif isinstance(item, int) and item not in _INTEGERS:
            return "an integer beyond 64 bits"
        elif not isinstance(item, str | int | float | None):
            return f"a value of type {type(item).__name__}"
    return ""
