"""A service loses every node and two of three disks; its members recover it from the third."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.cli.asking import now_s
from coco_core.cli.consortium import GovernedNetwork, Organisation
from coco_core.cli.ledger import audit_service
from coco_core.cli.local_node import reached
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, running
from coco_core.client import (
    Connection,
    LoadSettings,
    NodeClient,
    RequestRefusedError,
    pinned_context,
    run_load,
    verify_receipt,
)
from coco_core.crypto import service_id
from coco_core.errors import OperatorError
from coco_core.governance import MemberMessage
from coco_core.ledger import ChunkName
from coco_core.node import load

pytestmark = pytest.mark.processes

PER_REQUEST = 10
PATIENCE_S = 150


@attrs.define(eq=False)
class Stage:
    """A governed network of three, its organisations, and a load sent piece by piece."""

    network: GovernedNetwork
    organisations: Sequence[Organisation]
    workload: Workload
    loads: Iterator[Load]

    async def send(self, requests: int, *nodes: int) -> list[str]:
        """Send the next transactions; every one must be committed. Return where they stand."""
        settings = LoadSettings(
            endpoints=[self.network.endpoints[node] for node in nodes],
            service_certificate=self.network.service_certificate,
            outstanding=PER_REQUEST,
            per_request=PER_REQUEST,
        )
        result = await run_load(settings, islice(self.loads, requests), self.workload.told, None)
        assert not result.refused
        assert all(place is not None for place in result.places)
        return [str(place) for place in result.places]

    @asynccontextmanager
    async def node(self, index: int) -> AsyncIterator[NodeClient]:
        tls = pinned_context(self.network.service_certificate)
        async with await Connection.open(self.network.nodes[index].info["admin"], tls) as connection:
            yield NodeClient(connection)

    async def settled(self) -> None:
        """Wait until every node has committed what the most advanced one has."""
        newest = -1
        for index in range(len(self.network.nodes)):
            async with self.node(index) as client:
                newest = max(newest, (await client.committed_after(-1))[1])
        for index in range(len(self.network.nodes)):
            async with self.node(index) as client:
                while (await client.committed_after(newest - 1))[1] < newest:
                    pass

    async def statuses(self, places: Sequence[str], index: int = 0) -> set[str]:
        async with self.node(index) as client:
            return {await client.transaction_status(place) for place in places}

    async def receipts(self, place: str, index: int = 0) -> dict[bool, bytes]:
        """Return the receipts of a transaction: as COSE, and as JSON."""
        async with self.node(index) as client:
            return {cose: await client.receipt(place, cose=cose) for cose in (False, True)}

    async def balances(self) -> Any:
        """Return what clients see of the ledger: a block's number, and what accounts hold."""
        calls = [
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            for method, params in [("eth_blockNumber", []), ("eth_getBlockByNumber", ["latest", False])]
        ]
        async with await Connection.open(self.network.endpoints[0].rpc, None) as connection:
            answers = json.loads((await connection.request("POST", "/", json.dumps(calls).encode())).body)
        return [answer["result"] for answer in answers]

    async def kill_all(self) -> None:
        for index in range(len(self.network.nodes)):
            self.network.kill(index)
        for node in self.network.nodes:
            await node.ended.wait()

    async def refused(self, message: MemberMessage, signer: Organisation) -> str:
        async with self.network.client() as client:
            with pytest.raises(RequestRefusedError) as refusal:
                await client.post(message.path, signer.signer.sign(message, now_s()))
        return refusal.value.code


@asynccontextmanager
async def staged(folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    """Three organisations with a node each; two of their shares recover the ledger."""
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=2_000, seed=5))
    a, b, c = (Organisation.make(name, folder / "members") for name in ("A", "B", "C"))
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=1,
        ledger="ethereum",
        engine="",
        config=workload.config,
        settings=settings,
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [a, b, c], "majority", 2)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            for member in (a, b, c):
                await network.acknowledge(member)
            for owner in (b, c):
                await network.admit_node([a, b], owner)
            await network.open_service([a, b])
            yield Stage(network, (a, b, c), workload, workload.loads(PER_REQUEST))


def moved(stage: Stage, index: int, name: str = "recovered") -> Path:
    """Keep one node's disk, put it into another machine, and lose the others."""
    folder = stage.network.spec.folder
    shutil.copytree(stage.network.nodes[index].folder, folder / name)
    for node in stage.network.nodes:
        shutil.rmtree(node.folder)
    return folder / name


async def test_two_of_three_disks_are_lost_and_nothing_that_was_committed(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        network, (a, b, c) = stage.network, stage.organisations
        places = await stage.send(20, 0, 1, 2)
        await stage.settled()
        kept = await stage.receipts(places[7])
        before = network.service_certificate
        reading = await stage.balances()
        await stage.kill_all()
        disk = moved(stage, 2)

        node = await network.recover(disk)
        after = network.service_certificate
        assert after != before
        async with stage.node(0) as client:
            assert (await client.health())["state"] == "waiting for recovery shares"
        async with network.client() as members:
            said = await members.read("/gov/service/info")
        assert (said["status"], said["certificate"]) == ("WaitingForRecoveryShares", after)
        assert said["previousCertificate"] == before
        await what_is_no_share_counts_for_nothing(stage)
        await given_at_a_terminal(stage, a, tmp_path)
        assert not node.listening.is_set()
        assert (await network.give_share(c))["submittedCount"] == 2
        await reached([node], node.listening)
        await reached([node], node.opening)

        # Everything is there, and proves itself; clients are not let in before the members said so.
        assert await stage.statuses(places) == {"Committed"}
        assert not node.opened.is_set()
        for receipt in (await stage.receipts(places[7])).values():
            assert str(verify_receipt(receipt, after).txid) == places[7]
        async with network.client() as members:
            endorsements = (await members.read("/gov/service/info"))["endorsements"]
        for receipt in kept.values():
            assert str(verify_receipt(receipt, after, endorsements).txid) == places[7]
            assert str(verify_receipt(receipt, before).txid) == places[7]
        (tmp_path / "receipt").write_bytes(kept[True])
        (tmp_path / "endorsements.pem").write_text("".join(endorsements))
        files = ["--service-cert", network.spec.folder / SERVICE_FILE]
        assert (await coco("receipt", "verify", tmp_path / "receipt", *files)).returncode == 1
        files += ["--endorsements", tmp_path / "endorsements.pem"]
        done = await coco("receipt", "verify", tmp_path / "receipt", *files)
        assert b"recovered since" in done.stdout, done.stderr

        # Two new nodes join and replicate all of it.
        for owner in (b, c):
            await network.admit_node([a, b], owner)
        with pytest.raises(OperatorError, match="previous identity"):
            await network.open_service([a, b])
        await network.open_service([a, b], previous=before)
        assert await stage.balances() == reading
        more = await stage.send(10, 0, 1, 2)
        await stage.settled()
        for index in range(3):
            assert await stage.statuses([*places, *more], index) == {"Committed"}
        folders = [one.ledger_folder for one in network.nodes]
    for folder in folders:
        report, governed = await audit_service(folder, after)
        assert (report.recoveries, report.unsigned_tail) == (1, 0)
        assert governed.epochs >= 1


async def coco(*words: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "coco_core", *map(str, words)]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


async def given_at_a_terminal(stage: Stage, member: Organisation, folder: Path) -> None:
    """Have a member look at what is recovered, and then confirm it with its share."""
    network, files = stage.network, member.files
    words: list[object] = ["member", "recover", "--admin", network.nodes[0].info["admin"]]
    words += ["--service-cert", network.spec.folder / SERVICE_FILE]
    words += ["--cert", files.certificate, "--key", files.key, "--enc-key", files.encryption_key]
    looked = await coco(*words)
    assert looked.returncode == 0, looked.stderr
    identity = service_id(network.service_certificate)
    assert f"add --confirm {identity}".encode() in looked.stdout
    assert (await coco(*words, "--confirm", "0" * 64)).returncode == 2
    other = Organisation.make("other", folder)
    right = (looked.stdout.split(b"measurement: ")[1].split()[0]).decode()
    # A share for nobody who does not prove to run what the member accepts.
    unsaid = await coco(*words, "--confirm", identity)
    assert (unsaid.returncode, b"--confirm needs a --measurement" in unsaid.stderr) == (2, True)
    wrong = await coco(*words, "--confirm", identity, "--measurement", f"Insecure_Virtual:{'0' * 64}")
    assert (wrong.returncode, b"measurement" in wrong.stderr) == (2, True), wrong.stderr
    words += ["--measurement", f"Insecure_Virtual:{right}"]
    compared = await coco(*words, "--previous-cert", other.files.certificate, "--confirm", identity)
    assert compared.returncode == 1, compared.stderr
    async with network.client() as client:
        assert (await client.read("/gov/recovery/progress"))["submitted"] == []
    given = await coco(*words, "--confirm", identity)
    assert b"share given: 1 of 2 needed" in given.stdout, given.stderr


async def test_recovered_again_behind_a_snapshot_and_with_a_torn_tail(tmp_path: Path) -> None:
    """Older chunks are in an archive that is lost, too; snapshots are of the identity before."""
    async with staged(tmp_path, snapshot_interval=60, archive="archive") as stage:
        network, (a, b, c) = stage.network, stage.organisations
        await stage.send(30, 0, 1, 2)
        await stage.settled()
        identities = [network.service_certificate]
        for round_ in range(2):
            await stage.kill_all()
            disk = moved(stage, len(network.nodes) - 1, f"recovered-{round_}")
            shutil.rmtree(disk / "archive", ignore_errors=True)
            newest = max((disk / "ledger").glob("ledger_*"), key=lambda path: ChunkName.parse(path.name))
            # A chunk that was only just begun holds no entry to make a torn one of.
            data = newest.read_bytes()
            torn = ChunkName.parse(newest.name).last is None and len(data) > 8
            if torn:
                newest.write_bytes(data + data[8:40])
            node = await network.recover(disk)
            for member in (b, c):
                await network.give_share(member)
            await reached([node], node.opening)
            kept = list((disk / "ledger" / "ignored").glob("*"))
            assert len(kept) == torn, (newest.name, len(data))
            await network.admit_node([a, b], b)
            await network.open_service([a, b], previous=identities[-1])
            identities.append(network.service_certificate)
            places = await stage.send(20, 0, 1)
            await stage.settled()
            assert await stage.statuses(places, 1) == {"Committed"}
        folders = [one.ledger_folder for one in network.nodes]
    for folder in folders:
        report, _ = await audit_service(folder, identities[-1])
        assert report.unsigned_tail == 0


async def test_who_cannot_recover_says_why(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.send(3, 0)
        await stage.settled()
        await stage.kill_all()
        disk = moved(stage, 1)
        chunk = max((disk / "ledger").glob("ledger_*"), key=lambda path: ChunkName.parse(path.name))
        data = bytearray(chunk.read_bytes())
        data[len(data) // 2] ^= 1
        chunk.write_bytes(bytes(data))
        with pytest.RaisesGroup(pytest.RaisesExc(OperatorError, match=rf"{chunk.name}.*offset")):
            await stage.network.recover(disk)
        assert chunk.read_bytes() == bytes(data)
        shutil.rmtree(disk / "ledger")
        with pytest.RaisesGroup(pytest.RaisesExc(OperatorError, match="no ledger in this node's folder")):
            await stage.network.recover(disk)


async def what_is_no_share_counts_for_nothing(stage: Stage) -> None:
    network, (a, b, _) = stage.network, stage.organisations
    identity = "0" * 64
    message = MemberMessage.recovery_share(a.member_id, bytes(32), identity)
    assert await stage.refused(message, a) == "other-service-identity"
    assert await stage.refused(message, b) == "wrong-member"
    stranger = Organisation.make("stranger", stage.network.spec.folder)
    foreign = MemberMessage.recovery_share(stranger.member_id, bytes(32), identity)
    assert await stage.refused(foreign, stranger) == "not-a-member"
    async with network.client() as client:
        with pytest.raises(RequestRefusedError, match="malformed"):
            await client.post(message.path, b"nonsense")
        assert (await client.read("/gov/recovery/progress"))["submitted"] == []
