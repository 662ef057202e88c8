"""A worker that cannot start: what is said about it, and that nothing is said about transactions."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import attrs
import pytest

from coco_corda import wire
from coco_corda.plugin import CordaPlugin
from coco_corda.shell import Workers, find_launch, launching
from coco_corda.shell.launching import JAR
from coco_corda.testing import Samples
from coco_corda.verification import Unavailable
from coco_core.errors import OperatorError

MANIFEST = "META-INF/MANIFEST.MF"


def shut(service: Path, folder: Path) -> Path:
    """Return a copy of the worker whose manifest opens nothing of Java to Corda."""
    shutil.copytree(service / "lib", folder / "lib")
    with zipfile.ZipFile(service / JAR) as given, zipfile.ZipFile(folder / JAR, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            made.writestr(
                name, content.replace(b"Add-Opens:", b"Was-Opens:") if name == MANIFEST else content
            )
    return folder


async def test_a_java_that_corda_does_not_run_on_says_nothing_about_transactions(tmp_path: Path) -> None:
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)
    pool = Workers(attrs.evolve(launch, service=shut(launch.service, tmp_path), level="none"))
    try:
        (answer,) = await pool.describe([b"whatever it is"])
    finally:
        pool.close()
    assert isinstance(answer, Unavailable), answer
    assert "ended with status 4: Corda does not run on this Java" in answer.message


@pytest.mark.parametrize(
    ("settings", "says"),
    [({}, "no Java here: install a JDK 17"), ({"java": sys.executable}, "no JVM worker here: make jvm")],
)
async def test_what_is_missing_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    """A node starts all the same; as long as it leads, this is what its clients are told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(launching, "_PLACES", (tmp_path,))
    missing = find_launch(settings)
    assert isinstance(missing, str)
    assert missing.startswith(says)
    assert "\n" not in missing
    pool = Workers(missing)
    assert pool.described == missing
    assert await pool.describe([b"a transaction"]) == [Unavailable(missing)]
    assert await pool.inspect(b"a jar") == Unavailable(missing)
    pool.warm()
    assert pool.pids == []


@pytest.mark.parametrize("lacking", ["mkdtemp", "socketpair", "Popen"])
async def test_a_machine_without_room_for_a_worker_says_nothing_about_transactions(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)

    def exhausted(*_: object, **__: object) -> None:
        raise OSError(28, "no room")

    modules = {"mkdtemp": tempfile, "socketpair": socket, "Popen": subprocess}
    monkeypatch.setattr(modules[lacking], lacking, exhausted)
    pool = Workers(launch)
    (answer,) = await pool.describe([b"a transaction"])
    assert isinstance(answer, Unavailable), answer
    assert "no room" in answer.message
    pool.warm()
    assert pool.pids == []


def test_a_setting_names_the_worker(tmp_path: Path) -> None:
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)
    named = find_launch({"service": str(shut(launch.service, tmp_path))})
    assert not isinstance(named, str)
    assert named.service == tmp_path.resolve()
    with pytest.raises(OperatorError, match="service"):
        find_launch({"service": str(tmp_path / "lib")})


async def test_without_unix_sockets_a_worker_is_reached_by_the_loopback(
    monkeypatch: pytest.MonkeyPatch, samples: Samples
) -> None:
    """As on systems that have none; there nothing keeps it from the network either."""
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)
    monkeypatch.delattr(socket, "AF_UNIX")
    pool = Workers(attrs.evolve(launch, level="none"))
    try:
        (description,) = await pool.describe([samples["issue"]])
        assert isinstance(description, wire.Description), description
        assert description.tx_id.hex().upper() == samples.tx_id("issue")
    finally:
        pool.close()


def test_who_operates_a_node_is_warned_of_little_confinement(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    launch = find_launch({})
    if isinstance(launch, str):
        pytest.skip(launch)
    for level in launching.LEVELS:
        monkeypatch.setattr(launching, "confinement", lambda _, level=level: level)
        CordaPlugin().create("", {})
    told = [record.message for record in caplog.records]
    assert ["'network' on this machine" in told[0], "'none' on this machine" in told[1]] == [True] * 2
    assert len(told) == 2
    with pytest.raises(OperatorError, match="confinement"):
        CordaPlugin().create("", {"confinement": "network"})
