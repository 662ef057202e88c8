"""How failures are shown: whose fault it was, by one line and an exit status; a bug by its traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coco_core.cli.local_node import LocalNode, read_event
from coco_core.cli.main import adapters
from coco_core.errors import AttestationError, CallerError, IntegrityError, OperatorError

Coco = Callable[..., Any]

BUG = ZeroDivisionError("a bug")
OURS = OperatorError("a port is taken")
LINE = "coco: a port is taken"

FAILURES: dict[str, tuple[BaseException, int, str]] = {
    "operator": (OURS, 2, LINE),
    "attestation": (AttestationError("a port is taken"), 2, LINE),
    "integrity": (IntegrityError("a port is taken"), 1, LINE),
    "caller": (CallerError("a port is taken"), 1, LINE),
    "in a group": (BaseExceptionGroup("", [ExceptionGroup("", [OURS])]), 2, LINE),
    "interrupted": (KeyboardInterrupt(), 130, "coco: interrupted"),
    "interrupted in a group": (BaseExceptionGroup("", [KeyboardInterrupt()]), 130, "coco: interrupted"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_is_one_line(coco: Coco, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    error, status, line = FAILURES[failure]
    ran = run(coco, monkeypatch, error)
    assert (ran.status, ran.out, ran.err.strip()) == (status, "", line)


@pytest.mark.parametrize("error", [BUG, BaseExceptionGroup("", [OURS, BUG]), BaseExceptionGroup("", [BUG])])
def test_bug_is_shown_whole(coco: Coco, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    ran = run(coco, monkeypatch, error)
    assert (ran.status, ran.out) == (70, "")
    assert "Traceback" in ran.err
    assert "ZeroDivisionError: a bug" in ran.err


def run(coco: Coco, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Any:
    """Run a command that raises ``error``."""

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(adapters.commands["list"], "callback", fail)
    return coco("adapters", "list")


def test_usage_and_help_keep_their_status(coco: Coco) -> None:
    assert coco("adapters", "--help").status == 0
    ran = coco("adapters", "list", "--nonsense")
    assert ran.status == 2
    assert "--nonsense" in ran.err


@pytest.mark.parametrize(
    "line", [b"", b"hello", b"[1]", b"5", b"null", b'"open"', b"{", b"\xff", b"[" * 100_000]
)
def test_what_a_node_prints_beside_its_events_is_passed_over(line: bytes, tmp_path: Any) -> None:
    node = LocalNode(0, tmp_path)
    node.note(read_event(line))
    assert not node.opened.is_set()
    node.note(read_event(b'{"event": "open"}'))
    assert node.opened.is_set()
