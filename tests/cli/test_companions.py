"""Processes beside nodes: started, told apart by their logs, missed when they end, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
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
import signal
import sys
from pathlib import Path

import trio

from coco_core.adapter import Companion
from coco_core.cli.companions import companions
from coco_core.cli.network import until_interrupted


async def work():
    async with companions({Path(sys.argv[1]): [Companion(command=sys.argv[2:])]}):
        await trio.sleep_forever()


# Ignored, as under nohup, it would be ignored here as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
trio.run(until_interrupted, work)
"""


def python(code: str, *more: str) -> Companion:
    return Companion(command=[sys.executable, "-c", code, *more])


def wrapped(one: Companion) -> Companion:
    """The same behind a shell that waits for it, as ``npx`` does."""
    return Companion(command=["sh", "-c", '"$@"; true', "sh", *one.command])


class Callers:
    """Processes that connect to this one and stay: one that is gone has closed its connection."""

    def __init__(self, listener: socket.socket) -> None:
        listener.settimeout(PATIENCE_S)
        self._listener = listener
        self._connections: list[socket.socket] = []
        port = listener.getsockname()[1]
        self.one = python(
            "import os, socket, time\n"
            f"connection = socket.create_connection(('127.0.0.1', {port}))\n"
            "connection.sendall(b'%d\\n' % os.getppid())\n"
            "time.sleep(1000)"
        )
        """What connects."""

    def arrived(self) -> int:
        """Wait for the next one, and return the number of its parent."""
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE_S)
        self._connections.append(connection)
        with connection.makefile("rb") as said:
            return int(said.readline())

    def are_gone(self) -> None:
        """Wait until all that arrived are gone."""
        assert self._connections
        for connection in self._connections:
            with connection, contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""


@pytest.fixture
def callers() -> Iterator[Callers]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Callers(listener)


async def test_they_run_until_the_end(tmp_path: Path, callers: Callers) -> None:
    async with companions({tmp_path: [callers.one, callers.one]}):
        callers.arrived()
        callers.arrived()
    callers.are_gone()


@posix
async def test_what_they_started_ends_with_them(tmp_path: Path, callers: Callers) -> None:
    async with companions({tmp_path: [wrapped(callers.one)]}):
        callers.arrived()
    callers.are_gone()


@posix
async def test_what_one_started_ends_when_it_ends_by_itself(tmp_path: Path, callers: Callers) -> None:
    starts = f"import os, subprocess; subprocess.Popen({list(callers.one.command)!r})"
    ends = f"open({str(tmp_path / 'go')!r}).close(); raise SystemExit('bye')"
    os.mkfifo(tmp_path / "go")

    async def going() -> None:
        async with companions({tmp_path: [python(f"{starts}; {ends}")]}):
            callers.arrived()
            os.close(os.open(tmp_path / "go", os.O_WRONLY))
            await trio.sleep_forever()

    with pytest.raises(OperatorError, match="ended: bye"), trio.fail_after(PATIENCE_S):
        await going()
    callers.are_gone()


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_they_end_with_whoever_started_them(tmp_path: Path, callers: Callers, number: signal.Signals) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path), *wrapped(callers.one).command]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as harness:
        try:
            callers.arrived()
            harness.send_signal(number)
            harness.wait(PATIENCE_S)
        finally:
            harness.kill()
    callers.are_gone()


@posix
async def test_what_a_killed_leash_held_ends(tmp_path: Path, callers: Callers) -> None:
    async def killing() -> None:
        async with companions({tmp_path: [callers.one]}):
            parent = callers.arrived()
            assert parent != os.getpid()
            os.kill(parent, signal.SIGKILL)
            await trio.sleep_forever()

    with pytest.raises(OperatorError, match="ended: it said nothing"), trio.fail_after(PATIENCE_S):
        await killing()
    callers.are_gone()


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


async def test_one_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    before = psutil.Process().children()
    missing = Companion(command=[str(tmp_path / "missing")])
    with pytest.raises(OperatorError, match="missing cannot be started: No such file"):
        async with companions({tmp_path: [python("import time; time.sleep(1000)"), missing]}):
            raise AssertionError("nothing is done without it")
    assert psutil.Process().children() == before


async def test_each_has_the_variables_it_is_given(tmp_path: Path) -> None:
    told = f"import json, os, sys; open({str(tmp_path / 'told')!r}, 'w').write(json.dumps(dict(os.environ)))"
    one = Companion(command=[sys.executable, "-c", told], environment={"ONLY": "this"})
    with pytest.raises(OperatorError, match="ended: it said nothing"), trio.fail_after(PATIENCE_S):
        async with companions({tmp_path: [one]}):
            await trio.sleep_forever()
    assert json.loads((tmp_path / "told").read_text()).items() >= {("ONLY", "this")}
