"""Contract code that ends its JVM, never ends, eats memory or looks around: nobody else notices."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from coco_corda.plugin import adapter
from coco_corda.rejections import NO_VERIFIER
from coco_corda.shell import Workers, find_launch
from coco_corda.shell import workers as workers_module
from coco_corda.shell.java import OPENS
from coco_corda.shell.launching import find_java
from coco_corda.testing import Ledger, Samples
from coco_core.adapter import Applied, Outcome, Rejected

BRIDGE = Path(__file__).resolve().parents[2]
ACCEPTANCE = BRIDGE / "jvm" / "acceptance"
VECTORS = BRIDGE / "wire" / "vectors"
NOTARY = "O=Coco Notary, L=Zurich, C=CH"
DEADLINE_S = 10


def encoded(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


@attrs.frozen
class Tenants:
    """A ledger with two CorDapps: R3's finance contracts, and one that is hostile."""

    ledger: Ledger
    workers: Workers
    folder: Path

    def deed(self, name: str) -> bytes:
        return (self.folder / f"{name}.stx").read_bytes()

    async def execute(self, *names: str) -> list[Outcome]:
        """Execute the hostile contract's deeds, and money issued beside them."""
        transactions = [
            (VECTORS / f"{name}.stx").read_bytes() if name.startswith("cash") else self.deed(name)
            for name in names
        ]
        return list(await self.ledger.execute(*transactions))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile CorDapp and a transaction for each of its deeds."""
    java = find_java(None)
    classes = ACCEPTANCE / "target" / "classes"
    if java is None or not classes.is_dir() or not VECTORS.is_dir():
        pytest.skip("no hostile CorDapp here: make jvm (needs a JDK 17 and Maven)")
    folder = tmp_path_factory.mktemp("hostile")
    path = f"{classes}:{ACCEPTANCE / 'target' / 'lib'}/*"
    command = [str(java), f"@{OPENS}", "-cp", path, "coco.corda.acceptance.HostileCorDapp"]
    arguments = [str(ACCEPTANCE / "src" / "hostile" / "java"), str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def tenants(hostile: Path, samples: Samples) -> Iterator[Tenants]:
    launch = find_launch({"verify_seconds": DEADLINE_S})
    if isinstance(launch, str):
        pytest.skip(launch)
    members = json.loads((VECTORS / "vectors.json").read_text())["members"]
    parameters = (VECTORS / "epoch-2.parameters").read_bytes()
    workers = Workers(launch)
    config = {
        "notary_name": NOTARY,
        "notary_seed": members[NOTARY]["seed"],
        "attachments": [encoded(samples["jar"]), encoded((hostile / "hostile.jar").read_bytes())],
        "network_parameters": [encoded(parameters)],
    }
    yield Tenants(Ledger(adapter(workers), config), workers, hostile)
    workers.close()


def told(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Rejected), outcome
    found: dict[str, Any] = orjson.loads(outcome.data)
    return found


@pytest.mark.parametrize("deed", ["halt", "exit", "exhaust", "loop"])
async def test_what_ends_its_jvm_or_never_ends_costs_nobody_else_anything(
    tenants: Tenants, deed: str
) -> None:
    first, hostile, harmless, last = await tenants.execute(
        "cash-issue", deed, "nothing", "cash-issue-by-signer"
    )
    assert told(hostile)["type"] == "NotaryError.General"
    assert "contract code" in told(hostile)["message"]
    for outcome in (first, harmless, last):
        assert isinstance(outcome, Applied), outcome
    assert tenants.workers.replaced >= 1
    (moved,) = await tenants.execute("cash-move")
    assert isinstance(moved, Applied), "the ledger goes on"


async def test_what_a_transaction_did_to_its_jvm_is_not_held_against_the_next_one(tenants: Tenants) -> None:
    (sabotage,) = await tenants.execute("sabotage")
    assert isinstance(sabotage, Applied), sabotage
    (harmless,) = await tenants.execute("nothing")
    assert isinstance(harmless, Applied), harmless
    assert tenants.workers.replaced == 1


async def test_a_batch_that_lost_too_many_jvms_goes_on_without_that_domain(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes seconds, and everybody on every ledger of the network waits for the batch."""
    monkeypatch.setattr(workers_module, "WORKERS_LOST_MAX", 1)
    first, hostile, last = await tenants.execute("cash-issue", "halt", "cash-issue-by-signer")
    assert isinstance(first, Applied)
    assert isinstance(last, Applied)
    assert isinstance(hostile, Rejected)
    assert hostile.code == NO_VERIFIER, "send it again"
    assert tenants.workers.replaced == 1


async def test_whoever_is_tried_again_costs_a_batch_no_more_than_it_may_lose(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is tried again in a JVM, is done, and so that JVM is not the last to end over the second."""
    monkeypatch.setattr(workers_module, "WORKERS_LOST_MAX", 2)
    outcomes = await tenants.execute("overflow", "halt")
    assert all(isinstance(each, Rejected) for each in outcomes)
    assert tenants.workers.replaced == 2


async def test_it_sees_nothing_of_the_machine_or_of_another_tenant(tenants: Tenants) -> None:
    outcomes = await tenants.execute("cash-issue", "environment", "files", "write", "print", "overflow")
    environment, files, written = (
        " ".join(each["message"] for each in told(outcome)["causes"]) for outcome in outcomes[1:4]
    )
    assert set(environment.split("environment: ", 1)[1].split("]")[0].strip("[").split(", ")) <= {
        "LANG",
        "PATH",
        "",
    }
    if "files" in tenants.workers.described:
        assert "/etc/hostname is not readable" in files, "the machine's files are not there"
    assert "write" in written
    assert isinstance(outcomes[4], Applied), "what it prints goes nowhere"
    assert told(outcomes[5])["type"] == "NotaryError.TransactionInvalid"


async def test_each_publisher_has_a_jvm_of_its_own(tenants: Tenants) -> None:
    await tenants.execute("cash-issue", "nothing")
    readers_and_domains = len(tenants.workers.pids)
    assert readers_and_domains == 3, "the reader, and one for each trust domain"
