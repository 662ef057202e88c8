"""What makes a test of the kit a standard one, and how an author says that one cannot hold.

Must not know ledgers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import pytest
import trio

from coco_core.base import bound_recursion

PATIENCE_S: Final = 120.0
"""How long a standard test may take; far beyond what any takes that comes to an end."""

_STANDARD: Final = "__coco_standard__"
_REASON: Final = "__coco_reason__"

Test = Callable[[Any], Awaitable[None]]
RunTest = Callable[[Any], Any]
"""A test as pytest calls it; a subclass may have one that is awaited in its place."""
AnyTest = TypeVar("AnyTest", bound=Callable[..., Any])


class Nonconformity(AssertionError):  # noqa: N818 - it names what was found, as AssertionError does
    """An adapter does not keep its contract; the message says what was seen, and what was to be seen."""


def expect(holds: object, message: str) -> None:
    """Raise Nonconformity unless ``holds``."""
    if not holds:
        raise Nonconformity(message)


def standard(test: Test) -> RunTest:
    """Make ``test`` one that every adapter passes: to skip it is a failure, and so is never to end.

    It runs trio itself, so that it needs no plugin, and fails with the message alone.
    """

    @functools.wraps(test)
    def run(self: Any, clock: trio.abc.Clock | None = None) -> None:
        __tracebackhide__ = True
        bound_recursion()  # As in a node: some inputs of the kit are nested.
        try:
            trio.run(_patiently, test, self, clock=clock)
        except BaseException as error:  # noqa: BLE001 - raised again, in plainer words
            told = _told(error)
            if isinstance(told, Nonconformity):
                told.add_note(how_to_mend(test))
            raise told from None

    setattr(run, _STANDARD, True)
    return run


async def _patiently(test: Test, self: Any) -> None:
    with trio.fail_after(PATIENCE_S):
        await test(self)


def overridden(*, reason: str) -> Callable[[AnyTest], AnyTest]:
    """Say why a standard test is replaced in a subclass: a sentence for whoever relies on the adapter."""
    if not reason.strip():
        raise ValueError("a standard test is overridden for a reason: say it")

    def mark(test: AnyTest) -> AnyTest:
        setattr(test, _REASON, reason)
        return test

    return mark


def is_standard(value: object) -> bool:
    """Tell whether a function is a standard test as the kit has it."""
    return getattr(value, _STANDARD, False) is True


def reason_of(value: object) -> str:
    """Return why a test stands in the place of a standard one; empty when nobody said."""
    return str(getattr(value, _REASON, ""))


def standard_tests(kit: type) -> dict[str, RunTest]:
    """Return the standard tests of ``kit`` by name, in the order in which they are defined."""
    found: dict[str, RunTest] = {}
    for base in reversed(kit.__mro__):
        found.update({name: value for name, value in vars(base).items() if is_standard(value)})
    return found


def description(test: RunTest) -> str:
    """Return what a standard test says of itself."""
    return inspect.getdoc(test) or ""


def how_to_mend(test: RunTest) -> str:
    """Return the paragraph of a standard test that says how to mend what fails it."""
    paragraphs = description(test).split("\n\n")
    return " ".join(" ".join(text for text in paragraphs if text.startswith("Mend:")).split())


def dropped(tests: type, kit: type) -> list[str]:
    """Return a line for each standard test that is not in ``tests`` as in ``kit``, for no stated reason."""
    lines = []
    marks = [mark for mark in _marks(tests) if mark in _EXCUSES]
    if marks:
        lines.append(f"the class is marked {', '.join(marks)}")
    for name, test in standard_tests(kit).items():
        found = getattr(tests, name, None)
        if not callable(found):
            lines.append(f"{name} is gone")
        elif found is not test and not reason_of(found):
            lines.append(f"{name} is overridden without a reason")
        elif not reason_of(found) and any(mark in _EXCUSES for mark in _marks(found)):
            lines.append(f"{name} is marked to be skipped or to fail")
    return lines


_EXCUSES: Final = frozenset({"skip", "skipif", "xfail"})


def _marks(value: object) -> list[str]:
    marks = getattr(value, "pytestmark", [])
    return [mark.name for mark in (marks if isinstance(marks, list) else [marks])]


def _told(error: BaseException) -> BaseException:
    """Return the one error that a group of tasks ended with, in words of the kit where it can be said."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, Nonconformity):
        return Nonconformity(str(error))  # Where in the kit it was found is of no use to its reader.
    if isinstance(error, pytest.skip.Exception):
        return Nonconformity(f"a standard test was skipped ({error}): say why with @overridden(reason=...)")
    if isinstance(error, trio.TooSlowError):
        return Nonconformity(f"the adapter did not come to an end within {PATIENCE_S:.0f} s")
    return error
