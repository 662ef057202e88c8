"""Joiners that lie, over TLS to a real node: each is refused by its own code, and operators see it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs
import pytest
import trio

from coco_core.adapter import WorkloadOptions
from coco_core.attestation import Evidence, VirtualPlatform, known_verifiers
from coco_core.base import limits
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.ledger import audit_service
from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, running
from coco_core.client import Connection, pinned_context
from coco_core.crypto import Curve, PrivateKey, read_certificate_der
from coco_core.governance import (
    ChallengeRequest,
    JoinRequest,
    Transcript,
    Voucher,
    check_challenge,
    encode_challenge_request,
    encode_join_request,
    read_challenge,
    standing_report_data,
)
from coco_core.node import load, load_settings, run_node
from coco_core.node.measure import code_measurement

pytestmark = pytest.mark.processes

OTHER = "ab" * 32
PATIENCE_S = 120


@attrs.frozen(kw_only=True)
class Joiner:
    """Who asks to join: keys, and a platform that attests to whatever it is asked to."""

    key: PrivateKey
    encryption_key: PrivateKey
    measurement: str = attrs.field(factory=code_measurement)

    @classmethod
    def make(cls, **fields: Any) -> Self:
        return cls(
            key=PrivateKey.generate(Curve.P256), encryption_key=PrivateKey.generate(Curve.P256), **fields
        )

    def attest(self, report_data: bytes) -> Evidence:
        return VirtualPlatform(self.measurement).attest(report_data)

    def request(self, transcript: Transcript, **changes: Any) -> bytes:
        """Return a request with evidence bound to ``transcript``, all as it should be but for ``changes``."""
        key, encryption_key = self.key.public, self.encryption_key.public
        request = JoinRequest(
            public_key=key,
            encryption_key=encryption_key,
            nonce=transcript.nonce,
            evidence=self.attest(transcript.report_data),
            standing=self.attest(standing_report_data(key, encryption_key)),
            peer_address="127.0.0.1:9",
        )
        return encode_join_request(attrs.evolve(request, **changes), self.key)


@attrs.frozen
class Door:
    """The door of one running node."""

    network: GovernedNetwork
    node: LocalNode

    async def ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        tls = pinned_context(self.network.service_certificate)
        async with await Connection.open(self.node.info["admin"], tls) as connection:
            await connection.send("POST", path, body)
            answer = await connection.receive()
        return answer.status, answer.body

    async def challenge(self, joiner: Joiner) -> Transcript:
        """Have ``joiner`` ask for a challenge; return what its evidence is to be bound to, with the nonce."""
        question = ChallengeRequest(
            public_key=joiner.key.public,
            encryption_key=joiner.encryption_key.public,
            nonce=bytes(limits.NONCE_SIZE_BYTES),
        )
        tls = pinned_context(self.network.service_certificate)
        async with await Connection.open(self.node.info["admin"], tls) as connection:
            await connection.send("POST", "/node/join/challenge", encode_challenge_request(question))
            answer = await connection.receive()
            peer = read_certificate_der(connection.peer_certificate).public_key
        service = self.network.service_certificate
        challenge = read_challenge(answer.body)
        return check_challenge(challenge, question, peer, service, known_verifiers(), challenge.policy, 0)

    async def refused(self, body: bytes, joiner: Joiner | None) -> str:
        """Return the code by which a request to join is refused; operators see it, and nothing changed."""
        before = await self.seen("/node/network")
        status, answer = await self.ask("/node/join", body)
        code = str(json.loads(answer)["code"])
        assert status == 403
        newest = (await self.seen("/node/refusals"))["refusals"][-1]
        node_id = "" if joiner is None else joiner.key.public.node_id()
        assert (newest["code"], newest["node_id"]) == (code, node_id)
        assert (await self.seen("/node/network"))["nodes"] == before["nodes"]
        return code

    async def seen(self, path: str) -> Any:
        tls = pinned_context(self.network.service_certificate)
        async with await Connection.open(self.node.info["admin"], tls) as connection:
            return json.loads((await connection.request("GET", path)).body)


async def test_each_lie_is_refused_by_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=1, seed=1))
    spec = NetworkSpec(
        folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=workload.config
    )
    spec.folder.mkdir()
    member = Organisation.make("A", tmp_path / "members")
    network = GovernedNetwork(spec, [member], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(member)
            await network.open_service([member])
            founder = Door(network, network.nodes[0])
            await nonces_that_are_not_fresh(founder)
            await keys_that_are_not_attested(founder)
            await code_that_is_not_listed(founder)
            await vouchers_that_nobody_gave(founder)
            listed = await nodes_list(network, founder.node)
            nonces = "nonce_used", "nonce_unknown", "nonce_owner"
            for code in (*nonces, "report_data", "measurement", "voucher"):
                assert f" {code}: " in listed
            last = await lease_that_ran_out(network, member, monkeypatch)
    assert await audit_service(last.ledger_folder, network.service_certificate)


async def nonces_that_are_not_fresh(door: Door) -> None:
    honest, other = Joiner.make(), Joiner.make()
    transcript = await door.challenge(honest)
    request = honest.request(transcript)
    assert (await door.ask("/node/join", request))[0] == 202
    assert await door.refused(request, honest) == "nonce_used"
    never = attrs.evolve(transcript, nonce=bytes(limits.NONCE_SIZE_BYTES))
    assert await door.refused(honest.request(never), honest) == "nonce_unknown"
    # One that another was given, and what it sealed with it.
    given = await door.challenge(other)
    mine = attrs.evolve(transcript, nonce=given.nonce)
    assert await door.refused(honest.request(mine), honest) == "nonce_owner"
    assert await door.refused(request[:-1], None) == "malformed"


async def keys_that_are_not_attested(door: Door) -> None:
    thief, attested = Joiner.make(), Joiner.make()
    # Evidence of an attested node, over a nonce that is the thief's, signed by the thief's key.
    transcript = await door.challenge(thief)
    bound = attrs.evolve(transcript, joiner=attested.key.public.node_id())
    assert await door.refused(thief.request(bound), thief) == "report_data"
    # The welcome would be sealed to a key that the evidence does not name.
    transcript = await door.challenge(thief)
    bound = attrs.evolve(transcript, encryption_key=attested.encryption_key.public.fingerprint)
    assert await door.refused(thief.request(bound), thief) == "report_data"
    # Standing evidence of another's keys.
    transcript = await door.challenge(thief)
    theirs = standing_report_data(attested.key.public, attested.encryption_key.public)
    lent = thief.request(transcript, standing=attested.attest(theirs))
    assert await door.refused(lent, thief) == "report_data"
    # The attested node's key in the request, and a signature that is not its.
    transcript = await door.challenge(attested)
    forged = thief.request(transcript, public_key=attested.key.public)
    assert await door.refused(forged, None) == "malformed"


async def code_that_is_not_listed(door: Door) -> None:
    joiner = Joiner.make(measurement=OTHER)
    transcript = await door.challenge(joiner)
    assert await door.refused(joiner.request(transcript), joiner) == "measurement"
    transcript = await door.challenge(joiner)
    unknown = Evidence(format="Unheard_Of", quote=b"{}", endorsements=b"")
    strange = joiner.request(transcript, evidence=unknown)
    assert await door.refused(strange, joiner) == "format"


async def vouchers_that_nobody_gave(door: Door) -> None:
    joiner = Joiner.make()
    transcript = await door.challenge(joiner)
    mine = Voucher.sign(joiner.key, transcript.service_id, transcript.joiner)
    theirs = attrs.evolve(mine, replaces=transcript.verifier)
    assert await door.refused(joiner.request(transcript, voucher=theirs), joiner) == "voucher"


class Hoarder:
    """A real node whose owner keeps its keys when it ends."""

    def __init__(self, network: GovernedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = network.spec.folder / "hoarder"
        self._admin = network.nodes[0].info["admin"]
        self._service = network.spec.folder / SERVICE_FILE
        self._monkeypatch = monkeypatch
        self._keys: list[PrivateKey] = []
        self.events = {name: trio.Event() for name in ("waiting", "open", "retired")}
        self.last_words: Mapping[str, Any] = {}

    @property
    def joiner(self) -> Joiner:
        key, encryption_key = self._keys[:2]
        return Joiner(key=key, encryption_key=encryption_key)

    async def run(self) -> None:
        """Run until the node is told that it is removed; its keys are the first that are made."""
        self._folder.mkdir()
        role = {"target": self._admin, "service_certificate": str(self._service)}
        settings = {"folder": ".", "admin": "127.0.0.1:0", "peer": "127.0.0.1:0", "join": role}
        path = self._folder / "settings.json"
        path.write_text(json.dumps(settings))
        generate = PrivateKey.generate

        def kept(curve: Curve) -> PrivateKey:
            self._keys.append(generate(curve))
            return self._keys[-1]

        with self._monkeypatch.context() as patched:
            patched.setattr(PrivateKey, "generate", kept)
            await run_node(load_settings(path), self._note)

    def _note(self, event: Mapping[str, Any]) -> None:
        self.last_words = event
        if event["event"] in self.events:
            self.events[event["event"]].set()


async def lease_that_ran_out(
    network: GovernedNetwork, member: Organisation, monkeypatch: pytest.MonkeyPatch
) -> LocalNode:
    """Have a node that keeps its keys be quarantined and come back; return the node that is left."""
    (founder,) = network.nodes
    hoarder = Hoarder(network, monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hoarder.run)
        await hoarder.events["waiting"].wait()
        node_id = hoarder.joiner.key.public.node_id()
        await network.decide([member], action("transition_node_to_trusted", node_id=node_id))
        await hoarder.events["open"].wait()
        await network.decide([member], action("set_lease_policy", lease_s=1))
        fresh = await network.add_node()
        await network.decide([member], action("transition_node_to_trusted", node_id=fresh.info["node_id"]))
        await fresh.opened.wait()
        await founder.ended.wait()
    assert hoarder.last_words["lease_ran_out"]
    network.nodes = [fresh]
    door = Door(network, fresh)
    transcript = await door.challenge(hoarder.joiner)
    request = hoarder.joiner.request(transcript)
    assert await door.refused(request, hoarder.joiner) == "lease_ran_out"
    listed = await nodes_list(network, fresh)
    assert listed.count("Retired, lease ran out") == 2
    assert " lease_ran_out: the lease of this node ran out" in listed
    return fresh


async def nodes_list(network: GovernedNetwork, node: LocalNode) -> str:
    """Return what operators are shown."""
    command = [sys.executable, "-m", "coco_core", "nodes", "list", "--admin", node.info["admin"]]
    service = ["--service-cert", str(network.spec.folder / SERVICE_FILE)]
    return (await trio.run_process([*command, *service], capture_stdout=True)).stdout.decode()
