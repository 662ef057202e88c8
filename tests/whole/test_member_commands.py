"""``coco member`` against a real node, typed as a person would; signers that are elsewhere, too."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from coco_core.cli.consortium import GovernedNetwork, Organisation
from coco_core.cli.main import _run
from coco_core.cli.member_keys import MemberFiles
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, running
from coco_core.crypto import PrivateKey
from coco_core.governance import shipped_constitution
from coco_core.node import load

pytestmark = pytest.mark.processes

PATIENCE_S = 120


@attrs.frozen
class Done:
    status: int
    out: str
    err: str

    @property
    def proposal(self) -> str:
        """The ID in what a command printed of a proposal."""
        found = re.match("proposal ([0-9a-f]{64}): ", self.out)
        assert found is not None, (self.out, self.err)
        return found[1]

    @property
    def state(self) -> str:
        return self.out.partition(": ")[2].strip()


def run(words: list[str]) -> Done:
    """Run the command line in this process: a new one takes longer than most commands."""
    argv = sys.argv
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["coco", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = _run()
    finally:
        sys.argv = argv
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Done(status, out.getvalue(), err.getvalue())


async def coco(*words: object) -> Done:
    # A command brings its own event loop.
    return await trio.to_thread.run_sync(run, list(map(str, words)))


@attrs.frozen
class Desk:
    """A member at a terminal."""

    network: GovernedNetwork
    files: MemberFiles

    @property
    def node(self) -> list[object]:
        return [
            "--admin",
            self.network.nodes[0].info["admin"],
            "--service-cert",
            self.network.spec.folder / SERVICE_FILE,
        ]

    async def sign(self, command: str, *words: object) -> Done:
        """Type a command that signs."""
        keys = ["--cert", self.files.certificate, "--key", self.files.key]
        return await coco("member", command, *words, *self.node, *keys)

    async def look(self, command: str, *words: object) -> Done:
        return await coco("member", command, *words, *self.node)

    async def sign_elsewhere(self, request: Path, *words: object, connected: bool = False) -> Done:
        """Prepare a request, sign its bytes with nothing of ours at hand but the key, and finish it."""
        more = self.node if connected else []
        prepared = await coco(
            "member", "prepare", *words, "--cert", self.files.certificate, "--out", request, *more
        )
        assert prepared.status == 0, prepared.err
        signature = request.with_suffix(".sig")
        key = PrivateKey.from_pem(self.files.key.read_text())
        signature.write_bytes(key.sign(request.with_name(request.name + ".tbs").read_bytes()))
        return await coco("member", "finish", request, "--signature", signature, *self.node)


@asynccontextmanager
async def governed(folder: Path, founder: Organisation) -> AsyncIterator[GovernedNetwork]:
    config = load("ethereum").development().config
    spec = NetworkSpec(folder=folder / "network", nodes=1, ledger="ethereum", engine="", config=config)
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [founder], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            yield network


async def test_members_govern_from_the_command_line(tmp_path: Path) -> None:
    founder = Organisation.make("A", tmp_path)
    made = await coco("member", "keygen", tmp_path / "b", "--name", "Bank B")
    assert made.status == 0, made.err
    async with governed(tmp_path, founder) as network:
        a, b = Desk(network, founder.files), Desk(network, MemberFiles(tmp_path / "b"))

        await constitution_is_seen_before_it_is_acknowledged(a, tmp_path / "law.star")
        cert, enc = b.files.certificate, b.files.encryption_public
        args = [
            "--arg",
            f"cert=@{cert}",
            "--arg",
            f"encryption_pub_key=@{enc}",
            "--arg",
            'member_data={"x": 1}',
        ]
        said = await a.sign("propose", "--action", "set_member", *args)
        assert said.state == "Open"
        assert (await a.sign("vote", said.proposal, "--yes")).state == "Accepted"
        shown = json.loads((await a.look("proposals", said.proposal)).out)
        assert shown["actions"][0]["args"]["member_data"] == {"x": 1}
        again = await a.sign("vote", said.proposal, "--no")
        assert (again.status, again.out) == (1, "")
        assert again.err.startswith("coco: not-open: ")

        await key_may_be_elsewhere(b, tmp_path)
        listed = (await a.look("members")).out.splitlines()
        assert len([line for line in listed if "  Active  " in line]) == 2
        assert [line for line in listed if line.endswith("CN=Bank B")]


async def constitution_is_seen_before_it_is_acknowledged(desk: Desk, law: Path) -> None:
    shown = await desk.sign("ack")
    assert shown.status == 2
    assert shipped_constitution("majority").strip() in shown.out
    assert "--accept" in shown.err
    assert (await desk.sign("ack", "--accept", "0" * 64)).status == 2
    assert "  Accepted  " in (await desk.look("members")).out
    assert (await desk.look("constitution", "--out", law)).status == 0
    other = law.with_name("other.star")
    other.write_text(shipped_constitution("majority") + " ")
    assert "is not the constitution in force" in (await desk.sign("ack", "--constitution", other)).err
    done = await desk.sign("ack", "--constitution", law)
    assert (done.status, done.err) == (0, "")


async def key_may_be_elsewhere(desk: Desk, folder: Path) -> None:
    done = await desk.sign_elsewhere(folder / "digest", "digest")
    assert done.status == 0, done.err
    law = folder / "law.star"
    done = await desk.sign_elsewhere(folder / "ack", "ack", "--constitution", law, connected=True)
    assert done.status == 0, done.err
    ballot = folder / "ballot.star"
    ballot.write_text("def vote(proposal, proposer):\n    return False\n")
    words = ("--action", "set_recovery_threshold", "--arg", "recovery_threshold=2")
    said = json.loads((await desk.sign_elsewhere(folder / "proposal", "propose", *words)).out)
    assert said["proposalState"] == "Open"
    voted = await desk.sign_elsewhere(folder / "vote", "vote", said["proposalId"], "--ballot", ballot)
    assert json.loads(voted.out)["proposalState"] == "Rejected"
    again = await coco("member", "finish", folder / "vote", "--signature", folder / "vote.sig", *desk.node)
    assert again.status == 1
    assert again.err.startswith("coco: not-open: ")
