"""The tutorial's sessions on a real network: clients of the tally, a proof, and a bundle with Ethereum."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

pytestmark = pytest.mark.processes

PATIENCE_S = 120
METADATA = "Metadata-Version: 2.1\nName: coco-framework-tally\nVersion: 0.1.0\n"


@attrs.frozen
class Session:
    """A terminal beside ``coco up --ledger tally --ledger ethereum``."""

    folder: Path
    network: dict[str, Any]
    examples: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, *command]
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def curl(self, node: int, target: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
        address = self.network["nodes"][node]["front_ends"]["tally"]
        data = None if body is None else body.encode()
        try:
            with urllib.request.urlopen(f"http://{address}/{target}", data, timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def session(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("tutorial")
    tally = root / "adapters" / "tally"
    # As if it were installed: what has been, and where from, must not matter here.
    metadata = folder / "modules" / "coco_framework_tally-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(METADATA)
    (metadata / "entry_points.txt").write_text("[coco.adapters]\ntally = coco_tally.plugin\n")
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    path = os.pathsep.join([str(metadata.parent), str(tally / "src"), str(root), *inherited])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", "coco_core", "up", "--ledger", "tally", "--ledger", "ethereum"]
    with subprocess.Popen(
        [*command, "--dir", "network", "--rpc-port", "0", "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as network:
        try:
            assert network.stdout is not None
            fields = json.loads(network.stdout.readline())
            (folder / "network.json").write_text(json.dumps(fields))
            yield Session(folder, fields, tally / "examples", environment)
        finally:
            network.terminate()


def test_clients_add_and_read_on_any_node(session: Session) -> None:
    assert session.curl(0, "", "add first apples 3")[1]["total"] == 3
    status, answer = session.curl(1, "", "add second apples 4")
    assert (status, answer["total"]) == (200, 7)
    assert re.fullmatch(r"\d+\.\d+", answer["transaction_id"])
    status, answer = session.curl(2, "", "add first apples 3")
    assert (status, answer["code"]) == (422, "duplicate")
    # What a node refused on what it saw committed, it shows.
    assert session.curl(1, "apples") == (200, {"total": 7})
    assert session.curl(1, "pears")[0] == 404
    assert session.curl(1, "")[1]["block"] >= 2


def test_a_client_proves_what_it_was_told(session: Session) -> None:
    done = session.run(str(session.examples / "client.py"), "network.json", "third")
    assert done.stdout.endswith("proven: this addition gave this total\n"), done.stderr


def test_a_payment_and_an_addition_or_neither(session: Session) -> None:
    node = session.network["nodes"][1]
    account = session.network["developments"]["ethereum"]["accounts"][0]
    payment = session.run(str(session.examples / "payment.py"), account["privateKey"], "0")
    (session.folder / "payment.txt").write_text(payment.stdout)
    (session.folder / "addition.txt").write_text("add order-1 paid 1")
    certificate = ["--service-cert", "network/service_cert.pem"]
    submit = ["-m", "coco_core", "bundle", "submit", "ethereum=payment.txt", "tally=addition.txt"]
    submit += ["--node", node["front_ends"]["bundles"], "--admin", node["admin"].removeprefix("https://")]
    done = session.run(*submit, *certificate, "--out", "bundle.json")
    assert done.returncode == 0, done.stderr
    assert "tally transaction" in done.stdout
    assert session.curl(1, "paid") == (200, {"total": 1})
    verified = session.run("-m", "coco_core", "bundle", "verify", "bundle.json", *certificate)
    assert verified.stdout == done.stdout
    (session.folder / "addition.txt").write_text("add order-2 paid 1")
    again = session.run(*submit, *certificate)
    assert (again.returncode, "already known" in again.stderr) == (1, True), again.stderr
    assert session.curl(1, "paid") == (200, {"total": 1})
