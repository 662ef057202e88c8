"""Processes beside nodes: started, told apart by their logs, missed when they end, and ended themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
import trio

from coco_core.adapter import Companion
from coco_core.cli.companions import LOG_FILE, companions
from coco_core.errors import OperatorError

PATIENCE_S = 60


def python(code: str, *more: str) -> Companion:
    return Companion(command=[sys.executable, "-c", code, *more])


def running(tmp_path: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]


async def test_they_run_until_the_end(tmp_path: Path) -> None:
    stays = python("import time; time.sleep(1000)", str(tmp_path))
    async with companions({tmp_path: [stays, stays]}):
        assert len(running(tmp_path)) == 2
    assert running(tmp_path) == []


async def test_one_that_ends_ends_what_is_done_with_it(tmp_path: Path) -> None:
    fails = python("print('one'); raise SystemExit('no socket there')")
    with pytest.raises(OperatorError, match="ended: no socket there"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [fails]}):
            await trio.sleep_forever()
    assert "one" in (tmp_path / LOG_FILE).read_text()


async def test_one_that_cannot_be_started_is_named_and_the_others_end(tmp_path: Path) -> None:
    stays = python("import time; time.sleep(1000)", str(tmp_path))
    missing = Companion(command=[str(tmp_path / "missing")])
    with pytest.raises(OperatorError, match="missing cannot be started: No such file"):
        async with companions({tmp_path: [stays, missing]}):
            raise AssertionError("nothing is done without it")
    assert running(tmp_path) == []
