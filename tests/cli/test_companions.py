"""Processes beside nodes: started, told apart by their logs, missed when they end, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import trio

from coco_core.adapter import Companion
from coco_core.cli.companions import companions, log_file
from coco_core.errors import OperatorError

PATIENCE_S = 60

posix = pytest.mark.skipif(os.name != "posix", reason="there are no process groups")

HARNESS = """
import sys
from pathlib import Path

import trio

from coco_core.adapter import Companion
from coco_core.cli.companions import companions
from coco_core.cli.network import until_interrupted


async def work():
    async with companions({Path(sys.argv[1]): [Companion(command=sys.argv[2:])]}):
        print("started", flush=True)
        await trio.sleep_forever()


trio.run(until_interrupted, work)
"""


def python(code: str, *more: str) -> Companion:
    return Companion(command=[sys.executable, "-c", code, *more])


def running(tmp_path: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]


def stays(tmp_path: Path) -> Companion:
    return python("import time; time.sleep(1000)", str(tmp_path))


def wrapped(one: Companion) -> Companion:
    """The same behind a shell that waits for it, as ``npx`` does."""
    return Companion(command=["sh", "-c", '"$@"; true', "sh", *one.command])


def gone(tmp_path: Path) -> None:
    """Wait until nothing with ``tmp_path`` on its command line runs."""
    _, left = psutil.wait_procs(running(tmp_path), timeout=PATIENCE_S)
    assert left == []


async def test_they_run_until_the_end(tmp_path: Path) -> None:
    async with companions({tmp_path: [stays(tmp_path), stays(tmp_path)]}):
        assert len(running(tmp_path)) == 2
    assert running(tmp_path) == []


@posix
async def test_what_they_started_ends_with_them(tmp_path: Path) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    code = f"import socket, time; one = socket.create_connection(('127.0.0.1', {port})); time.sleep(1000)"
    with trio.fail_after(PATIENCE_S):
        async with listener, companions({tmp_path: [wrapped(python(code, str(tmp_path)))]}):
            connection = await listener.accept()
            assert len(running(tmp_path)) == 2
        async with connection:
            # It runs no longer.
            assert await connection.receive_some() == b""
    gone(tmp_path)


@posix
async def test_what_one_started_ends_when_it_ends_by_itself(tmp_path: Path) -> None:
    code = f"import subprocess; subprocess.Popen({list(stays(tmp_path).command)!r}); raise SystemExit('bye')"
    with pytest.raises(OperatorError, match="ended: bye"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [python(code)]}):
            await trio.sleep_forever()
    gone(tmp_path)


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_they_end_with_whoever_started_them(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path), *wrapped(stays(tmp_path)).command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"started\n"
        beside = [one for one in psutil.Process(harness.pid).children(recursive=True) if one.is_running()]
        assert beside
        harness.send_signal(number)
    _, left = psutil.wait_procs(beside, timeout=PATIENCE_S)
    assert left == []
    gone(tmp_path)


@posix
async def test_what_a_killed_leash_held_ends(tmp_path: Path) -> None:
    async def killing() -> None:
        async with companions({tmp_path: [stays(tmp_path)]}):
            (one,) = running(tmp_path)
            assert one.ppid() != os.getpid()
            os.kill(one.ppid(), signal.SIGKILL)
            await trio.sleep_forever()

    with pytest.raises(OperatorError, match="ended: it said nothing"), trio.fail_after(PATIENCE_S):
        await killing()
    gone(tmp_path)


async def test_one_that_ends_ends_what_is_done_with_it(tmp_path: Path) -> None:
    fails = python("print('one', flush=True); raise SystemExit('no socket there')")
    with pytest.raises(OperatorError, match="ended: no socket there"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [fails]}):
            await trio.sleep_forever()
    assert (tmp_path / log_file(1)).read_text().split() == ["one", "no", "socket", "there"]


async def test_the_last_words_told_are_those_of_the_one_that_ended(tmp_path: Path) -> None:
    talks = python("import time; print('all is well', flush=True); time.sleep(1000)")
    with pytest.raises(OperatorError, match="ended: it said nothing"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [talks, python("raise SystemExit(1)")]}):
            await trio.sleep_forever()


async def test_one_that_cannot_be_started_is_named_and_the_others_end(tmp_path: Path) -> None:
    missing = Companion(command=[str(tmp_path / "missing")])
    with pytest.raises(OperatorError, match="missing cannot be started: No such file"):
        async with companions({tmp_path: [stays(tmp_path), missing]}):
            raise AssertionError("nothing is done without it")
    assert running(tmp_path) == []


async def test_each_has_the_variables_it_is_given(tmp_path: Path) -> None:
    told = f"import json, os, sys; open({str(tmp_path / 'told')!r}, 'w').write(json.dumps(dict(os.environ)))"
    one = Companion(command=[sys.executable, "-c", told], environment={"ONLY": "this"})
    with pytest.raises(OperatorError, match="ended: it said nothing"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [one]}):
            await trio.sleep_forever()
    assert json.loads((tmp_path / "told").read_text()).items() >= {("ONLY", "this")}
