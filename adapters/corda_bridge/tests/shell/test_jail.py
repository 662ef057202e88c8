"""How a worker is confined: what a program in there reads, reaches and leaves behind, level by level."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coco_corda.shell import jail
from coco_corda.shell.launching import LEVELS, _readable, confinement, find_java

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

PROGRAM = """
import json, os, socket, sys
def tried(call):
    try:
        call()
    except OSError as error:
        return type(error).__name__
    return "done"
def write():
    file = os.open(sys.argv[3] + "/written", os.O_CREAT | os.O_WRONLY)
    while os.write(file, bytes(512)):
        pass
def fill():
    for number in range(100):
        with open("/tmp/" + str(number), "wb") as file:
            file.write(bytes(1000))
def connect():
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5).close()
def start():
    quiet = [(os.POSIX_SPAWN_CLOSE, 1)]
    os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-V"], {}, file_actions=quiet), 0)
print(json.dumps({
    "starts": tried(start),
    "environment": sorted(os.environ),
    "secret": tried(lambda: open(sys.argv[2]).read()),
    "network": tried(connect),
    "writes": tried(write),
    "fills": tried(fill) if sys.argv[4] == "files" else "",
    "processes": sum(name.isdigit() for name in os.listdir("/proc")) if os.path.isdir("/proc") else 0,
}))
"""


def level_or_skip(level: str) -> None:
    java = find_java(None)
    best = confinement(java) if java is not None else "none"
    if LEVELS.index(best) > LEVELS.index(level):
        pytest.skip(f"this machine confines to {best!r} at most")


def run(level: str, folder: Path, secret: Path, port: int) -> dict[str, Any]:
    base = Path(os.path.realpath(sys.executable))
    prefix = Path(sys.base_prefix)
    told = {
        "level": level,
        "command": [str(base), "-I", "-S", "-c", PROGRAM, str(port), str(secret), str(folder), level],
        "read": [*_readable(base, prefix)],
        "folder": str(folder),
        "address_space": 4 << 30,
        "files": 64,
        "file_size": 1024,
    }
    command = [sys.executable, "-I", "-S", jail.__file__, json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def listening() -> Any:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("level", LEVELS)
def test_what_a_program_in_there_can_do(level: str, tmp_path: Path, listening: int) -> None:
    level_or_skip(level)
    secret = tmp_path / "secret"
    secret.write_text("of another tenant")
    folder = tmp_path / "socket"
    folder.mkdir()
    found = run(level, folder, secret, listening)
    assert set(found["environment"]) <= {"LANG", "LC_CTYPE", "PATH"}
    assert found["writes"] != "done", "what it writes is bounded"
    if level == "files":
        assert found["secret"] == "FileNotFoundError"
        assert found["writes"] == "FileNotFoundError", "nothing of the machine's can be written"
        assert found["fills"] == "OSError", "what is written in memory is bounded in all"
        assert found["processes"] <= 1, "it sees itself at most"
    if level != "none":
        assert found["network"] == "OSError", "the network is unreachable"
        assert found["starts"] == "PermissionError", "no other program is started"
    else:
        assert (found["network"], found["starts"]) == ("done", "done")
