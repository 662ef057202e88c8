"""Networks that cannot start say why in one line and leave nothing; one that can stops when told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("coco_ethereum")

pytestmark = pytest.mark.processes


def start(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start the command with a folder of its own for temporary files."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "coco_core", *map(str, arguments)]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def nothing_is_left(tmp_path: Path) -> None:
    assert list((tmp_path / "tmp").iterdir()) == []
    running = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in running if any(str(tmp_path) in word for word in line)]


def refused(tmp_path: Path, *arguments: object) -> str:
    with start(tmp_path, *arguments) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, ""), err
    assert len(err.splitlines()) == 1
    nothing_is_left(tmp_path)
    return err


def test_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        err = refused(tmp_path, "up", "--nodes", 1, "--rpc-port", port)
    assert f"127.0.0.1:{port} is in use" in err


@pytest.mark.parametrize("port", [-1, 65535, 65536, 70000])
def test_ports_beyond_the_last(tmp_path: Path, port: int) -> None:
    with start(tmp_path, "up", "--nodes", 2, "--rpc-port", port) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "--rpc-port" in err
    nothing_is_left(tmp_path)


def test_folder_is_as_it_was_after_a_start_that_failed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused(tmp_path, "up", "--nodes", 2, "--rpc-port", port - 1, "--dir", folder)
    assert list(folder.iterdir()) == []


def test_report_that_cannot_be_written_is_known_before_the_run(tmp_path: Path) -> None:
    err = refused(tmp_path, "bench", "ethereum", "--json", tmp_path)
    assert f"--json {tmp_path}: " in err
    assert "no such file" in refused(tmp_path, "bench", "ethereum", "--json", tmp_path / "no" / "r").lower()


def test_report_of_a_run_that_failed_is_not_there(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    refused(tmp_path, "bench", "ethereum", "--engine", "abacus", "--json", report_file)
    assert not report_file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_bench_that_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("--workload", "transfers", "--transactions", 100_000)
    with start(tmp_path, "bench", "ethereum", *arguments) as process:
        assert process.stderr is not None
        assert "nodes are open" in process.stderr.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "coco: interrupted")
    nothing_is_left(tmp_path)


def test_loads_that_cannot_be(tmp_path: Path) -> None:
    assert "--arg colour: expected NAME=VALUE" in refused(tmp_path, "bench", "ethereum", "--arg", "colour")
    assert "no argument 'colour'" in refused(tmp_path, "bench", "ethereum", "--arg", "colour=red")
    few = ("bench", "ethereum", "--workload", "transfers", "--transactions", 2, "--rounds", 3)
    assert "none is left for each of 3 rounds" in refused(tmp_path, *few)


def test_unknown_engine_and_ledger(tmp_path: Path) -> None:
    assert "abacus" in refused(tmp_path, "up", "--engine", "abacus")
    assert "no adapter 'abacus' is installed" in refused(tmp_path, "up", "--ledger", "abacus")


@pytest.mark.parametrize("text", ["{", "[]", '{"alloc": 1}'])
def test_bad_genesis(tmp_path: Path, text: str) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_text(text)
    assert "genesis" in refused(tmp_path, "up", "--nodes", 1, "--rpc-port", 0, "--genesis", genesis)


def test_platforms_that_cannot_be_used(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"platforms": {"snp": {"measurments": []}}}')
    assert "no platform 'abacus' is installed" in refused(tmp_path, "up", "--platform", "abacus")
    assert "abacus.json" in refused(tmp_path, "up", "--platform", "abacus.json")
    assert "unknown field 'measurments'" in refused(tmp_path, "up", "--policy", policy)


def test_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for command in (("up",), ("bench", "ethereum")):
        assert "is not empty" in refused(tmp_path, *command, "--dir", tmp_path / "full")


def test_up_until_interrupted(tmp_path: Path) -> None:
    with start(tmp_path, "up", "--nodes", 2, "--rpc-port", 0, "--json") as process:
        assert process.stdout is not None
        network: dict[str, Any] = json.loads(process.stdout.readline())
        assert len(network["nodes"]) == 2
        assert network["service_certificate"].startswith("-----BEGIN CERTIFICATE-----")
        pids = [node["pid"] for node in network["nodes"]]
        assert all(psutil.pid_exists(pid) for pid in pids)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert not any(psutil.pid_exists(pid) for pid in pids)
    nothing_is_left(tmp_path)


@pytest.mark.parametrize("form", ["for people", "for programs"])
def test_up_says_what_each_node_was_given_also_with_a_genesis_of_ones_own(tmp_path: Path, form: str) -> None:
    pytest.importorskip("coco_sawtooth")
    genesis = tmp_path / "genesis.json"
    genesis.write_text("{}")
    asked = ["up", "--ledger", "sawtooth", "--nodes", 2, "--rpc-port", 0, "--genesis", genesis]
    with start(tmp_path, *asked, *(["--json"] if form == "for programs" else [])) as process:
        assert process.stdout is not None
        if form == "for programs":
            network = json.loads(process.stdout.readline())
            told = [node["settings"]["sawtooth"]["processors"] for node in network["nodes"]]
        else:
            lines = iter(process.stdout.readline, "Ctrl-C stops the network.\n")
            told = [words[3] for words in map(str.split, lines) if words[2:3] == ["processors"]]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    first, second = (int(endpoint.removeprefix("tcp://127.0.0.1:")) for endpoint in told)
    assert second == first + 1
    nothing_is_left(tmp_path)


def test_bench_report(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    arguments = ("--nodes", 3, "--transactions", 20, "--per-request", 5, "--json", report_file)
    with start(tmp_path, "bench", "ethereum", *arguments) as process:
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    report = json.loads(report_file.read_text())
    wanted = (
        "nodes engine transactions committed failed duration_s throughput_tps latency_ms outstanding "
        "signature_interval_ms machine unseen_by_all_nodes"
    )
    assert set(wanted.split()) <= report.keys()
    for scope in ("majority", "all_nodes"):
        latency = report["latency_ms"][scope]
        assert latency.keys() == {"p50", "p95", "p99", "mean"}
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert (report["nodes"], report["transactions"]) == (3, 20)
    assert (report["committed"], report["failed"], report["unseen_by_all_nodes"]) == (20, 0, 0)
    nothing_is_left(tmp_path)
