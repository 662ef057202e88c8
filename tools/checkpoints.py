"""Every check in a module's source, built so that each can be switched off while the module runs.

A check is found, not listed: whatever raises, whatever is called and whose answer nobody needs, each reason
of a compound condition that refuses, each demand of one that accepts, each answer of a function that says yes
or no, and each ``check_…`` whose answer is used. Knows the language, and nothing of what is checked.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator

import attrs

ASK = "__checkpoint__"
"""Name of the function that says whether a check is on: ``ASK(number)``."""
LENIENT = "__lenient__"
"""Name of the function that calls a check without what it raises: ``LENIENT(number, call)``."""
_CHECKING = re.compile(r"_?check_\w+")
_TYPES = frozenset({"bool", "bytes", "int", "str"})


@attrs.frozen
class Point:
    """One check that can be switched off."""

    number: int
    module: str
    line: int
    what: str
    """``refusal``, ``call``, ``reason``, ``demand``, ``answer``, ``type`` or ``choice``."""
    text: str

    def __str__(self) -> str:
        """Return where it stands and what it says."""
        return f"{self.module}:{self.line} {self.what}: {self.text}"


def build(source: str, module: str, first: int) -> tuple[ast.Module, list[Point]]:
    """Return the module with its checks made switchable, and these, numbered from ``first``."""
    builder = _Builder(module, first)
    tree = builder.visit(ast.parse(source))
    return ast.fix_missing_locations(tree), builder.points


def _called(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Call):
        return ""
    called = node.func
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _refuses(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Raise)


@attrs.define
class _Function:
    """What is known of the function that is being built."""

    refuses: bool
    """Whether it ends with a refusal: then its conditions say what is accepted."""
    is_answer: bool
    guards: dict[str, bool]
    """Names that a refusal depends on, and whether it is their being true that refuses."""


class _Builder(ast.NodeTransformer):
    def __init__(self, module: str, first: int) -> None:
        self.points: list[Point] = []
        self._module = module
        self._first = first
        self._functions: list[_Function] = []
        self._telling = False
        """Whether what stands here only words a refusal: it decides nothing."""

    # ── switches ────────────────────────────────────────────────────────────────────────────────

    def _point(self, node: ast.AST, what: str, text: str | None = None) -> ast.Constant:
        number = self._first + len(self.points)
        told = " ".join((ast.unparse(node) if text is None else text).split())
        self.points.append(Point(number, self._module, getattr(node, "lineno", 0), what, told))
        return ast.Constant(number)

    def _asked(self, number: ast.Constant) -> ast.Call:
        return ast.Call(ast.Name(ASK, ast.Load()), [number], [])

    def _switched(self, node: ast.expr, number: ast.Constant, instead: ast.expr) -> ast.expr:
        return ast.copy_location(ast.IfExp(self._asked(number), node, copy.deepcopy(instead)), node)

    def _without_a_switch(self, node: ast.expr) -> ast.expr:
        """Return an expression whose own call has none: the statement it makes has one."""
        built = self.generic_visit(node) if isinstance(node, ast.Call) else self.visit(node)
        assert isinstance(built, ast.expr)
        return built

    # ── statements ──────────────────────────────────────────────────────────────────────────────

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        is_answer = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        self._functions.append(_Function(_refuses(node.body), is_answer, dict(_guards(node))))
        built = self.generic_visit(node)
        self._functions.pop()
        return built

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        number = self._point(node, "refusal")
        return ast.copy_location(ast.If(self._asked(number), [node], []), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant):
            return node
        number = self._point(node, "call")
        node.value = self._without_a_switch(node.value)
        return ast.copy_location(ast.If(self._asked(number), [node], []), node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if _refuses(node.body):
            test = self._weakened(node.test, refusing=True)
        elif _refuses(node.orelse) or (self._functions and self._functions[-1].refuses):
            test = self._accepted(node.test)
        else:
            test = self.visit(node.test)
        telling, self._telling = self._telling, _refuses(node.body)
        body = self._block(node.body)
        self._telling = telling
        return ast.copy_location(ast.If(test, body, self._block(node.orelse)), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        guards = self._functions[-1].guards if self._functions else {}
        if isinstance(target, ast.Name) and target.id in guards:
            node.value = self._weakened(node.value, refusing=guards[target.id])
            return node
        return self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if node.value is None or not (self._functions and self._functions[-1].is_answer):
            return self.generic_visit(node)
        value: ast.expr = self.visit(node.value)
        for answer in (True, False):
            if not isinstance(node.value, ast.Constant) or node.value.value is not answer:
                number = self._point(node, "answer", f"always {answer}: {ast.unparse(node)}")
                value = self._switched(value, number, ast.Constant(answer))
        node.value = value
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        refused = self._functions[-1].refuses or any(_refuses(case.body) for case in node.cases)
        cases: list[ast.match_case] = []
        for case in node.cases:
            pattern, whole = copy.deepcopy(case.pattern), copy.deepcopy(case)
            case.guard = self._accepted(case.guard) if case.guard and refused else case.guard
            case.body = self._block(case.body)
            cases.append(case)
            places = range(_typed(pattern)) if refused else ()
            cases.extend(self._untyped(whole, place) for place in places)
        return ast.copy_location(ast.Match(self.visit(node.subject), cases), node)

    def _untyped(self, case: ast.match_case, position: int) -> ast.match_case:
        """Return a case that also takes values of another type at one place, while its check is off."""
        loose = _Untyped(position)
        pattern = loose.visit(copy.deepcopy(case.pattern))
        number = self._point(case.body[0], "type", loose.text)
        off: ast.expr = ast.UnaryOp(ast.Not(), self._asked(number))
        guard = off if case.guard is None else ast.BoolOp(ast.And(), [off, copy.deepcopy(case.guard)])
        return ast.match_case(pattern, guard, copy.deepcopy(case.body))

    def _block(self, block: list[ast.stmt]) -> list[ast.stmt]:
        return [self.visit(statement) for statement in block]

    # ── conditions ──────────────────────────────────────────────────────────────────────────────

    def _accepted(self, test: ast.expr) -> ast.expr:
        """Return a condition that accepts, each of its demands with a switch."""
        weakened = self._weakened(test, refusing=False)
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return weakened
        return self._switched(weakened, self._point(test, "demand"), ast.Constant(True))

    def _weakened(self, test: ast.expr, *, refusing: bool) -> ast.expr:
        """Return a condition whose parts can be switched off, each by itself.

        ``refusing`` says whether its being true refuses: then it is the operands of ``or`` that are
        reasons, otherwise those of ``and`` are demands.
        """
        what = "reason" if refusing else "demand"
        match test:
            case ast.BoolOp(op, values):
                decisive = isinstance(op, ast.Or) is refusing
                parts: list[ast.expr] = []
                for one in values:
                    part = self._weakened(one, refusing=refusing)
                    if decisive:
                        part = self._switched(part, self._point(one, what), ast.Constant(not refusing))
                    parts.append(part)
                return ast.copy_location(ast.BoolOp(op, parts), test)
            case ast.UnaryOp(ast.Not(), operand):
                inner = self._weakened(operand, refusing=not refusing)
                return ast.copy_location(ast.UnaryOp(ast.Not(), inner), test)
            case ast.Compare(ops=[_, _, *_]) if not refusing:
                return self._chained(test)
            case ast.Compare(ast.Tuple(parts), [op], [right]) if isinstance(
                op, ast.NotEq
            ) is refusing and isinstance(op, ast.Eq | ast.NotEq):
                return self._compared(test, parts, right, what)
            case ast.Call(ast.Name("any" | "all"), [ast.GeneratorExp() as each]):
                each.elt = self._weakened(each.elt, refusing=refusing)
                return test
        visited = self.visit(test)
        assert isinstance(visited, ast.expr)
        return visited

    def _chained(self, test: ast.Compare) -> ast.expr:
        """Return ``a <= b <= c`` with a switch for each of its comparisons."""
        sides = [test.left, *test.comparators]
        found: ast.expr = test
        for left_out in range(len(test.ops)):
            kept = [
                ast.Compare(copy.deepcopy(sides[at]), [op], [copy.deepcopy(sides[at + 1])])
                for at, op in enumerate(test.ops)
                if at != left_out
            ]
            dropped = ast.Compare(sides[left_out], [test.ops[left_out]], [sides[left_out + 1]])
            number = self._point(test, "demand", ast.unparse(dropped))
            found = self._switched(
                found, number, kept[0] if len(kept) == 1 else ast.BoolOp(ast.And(), list(kept))
            )
        return found

    def _compared(self, test: ast.Compare, parts: list[ast.expr], right: ast.expr, what: str) -> ast.expr:
        """Return ``(a, b) != (c, d)`` with a switch for each place."""
        left: list[ast.expr] = []
        for at, part in enumerate(parts):
            own: ast.expr = (
                right.elts[at]
                if isinstance(right, ast.Tuple)
                else ast.Subscript(right, ast.Constant(at), ast.Load())
            )
            number = self._point(test, what, f"{ast.unparse(part)} in {ast.unparse(test)}")
            left.append(self._switched(self.visit(part), number, own))
        return ast.copy_location(ast.Compare(ast.Tuple(left, ast.Load()), test.ops, test.comparators), test)

    # ── values ──────────────────────────────────────────────────────────────────────────────────

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if self._telling:
            return node
        test: ast.expr = self.visit(node.test)
        for answer in (True, False):
            number = self._point(node, "choice", f"always {answer}: {ast.unparse(node.test)}")
            test = self._switched(test, number, ast.Constant(answer))
        built = ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))
        return ast.copy_location(built, node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        # What a person is told decides nothing.
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not _CHECKING.fullmatch(_called(node)):
            return self.generic_visit(node)
        number = self._point(node, "call")
        built = self.generic_visit(node)
        assert isinstance(built, ast.expr)
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        call = ast.Call(ast.Name(LENIENT, ast.Load()), [number, ast.Lambda(nothing, built)], [])
        return ast.copy_location(call, node)


def _guards(function: ast.FunctionDef) -> Iterator[tuple[str, bool]]:
    """Yield the names that refusals of a function depend on, and whether their being true refuses."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and _refuses(node.body):
            yield from _names(node.test, refusing=True)


def _names(test: ast.expr, *, refusing: bool) -> Iterator[tuple[str, bool]]:
    match test:
        case ast.Name(name):
            yield name, refusing
        case ast.BoolOp(_, values):
            for one in values:
                yield from _names(one, refusing=refusing)
        case ast.UnaryOp(ast.Not(), operand):
            yield from _names(operand, refusing=not refusing)


def _is_typed(node: ast.AST) -> bool:
    return isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name) and node.cls.id in _TYPES


def _typed(pattern: ast.pattern) -> int:
    """Return how many values a pattern takes of one type only."""
    return sum(_is_typed(node) for node in ast.walk(pattern))


class _Untyped(ast.NodeTransformer):
    """Makes one place of a pattern take values of any type."""

    def __init__(self, position: int) -> None:
        self._left = position
        self.text = ""

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        if not _is_typed(node):
            return self.generic_visit(node)
        self._left -= 1
        if self._left != -1:
            return node
        self.text = ast.unparse(node)
        # Not the bare name: where it stands with others, that would make them unreachable.
        anything = ast.MatchClass(ast.Name("object", ast.Load()), [], [], [])
        inner = node.patterns[0] if node.patterns else None
        return ast.MatchAs(anything, inner.name) if isinstance(inner, ast.MatchAs) else anything
