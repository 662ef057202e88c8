"""A consortium of real nodes governs itself: who is let in, under which rule, and what is refused.

One organisation founds the service, and has nothing to say alone once others are in.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import cbor2
import pytest
import trio

from coco_core.adapter import Load, Workload, WorkloadOptions
from coco_core.base.limits import MIB
from coco_core.cli.asking import now_s, service_context
from coco_core.cli.consortium import GovernedNetwork, Organisation, action
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, running
from coco_core.cli.nodes import make_operator
from coco_core.client import (
    AnswerError,
    Connection,
    LoadSettings,
    NodeClient,
    RequestRefusedError,
    pinned_context,
    run_load,
)
from coco_core.crypto import PrivateKey, self_signed
from coco_core.errors import MemberError
from coco_core.governance import MemberMessage, check_shares_dealt, read_recovery, shipped_constitution
from coco_core.node import load
from coco_core.wire import cbor

pytestmark = pytest.mark.processes

PER_REQUEST = 10
PATIENCE_S = 120


@attrs.frozen(eq=False)
class Stage:
    """A governed network, its organisations, and a load sent piece by piece."""

    network: GovernedNetwork
    organisations: Sequence[Organisation]
    operator: ssl.SSLContext
    workload: Workload
    loads: Iterator[Load]

    async def send(self, *nodes: int) -> None:
        """Send the next transactions to ``nodes``; every one must be committed."""
        settings = LoadSettings(
            endpoints=[self.network.endpoints[node] for node in nodes],
            service_certificate=self.network.service_certificate,
            outstanding=PER_REQUEST,
            per_request=PER_REQUEST,
        )
        result = await run_load(settings, islice(self.loads, 1), self.workload.told, None)
        assert not result.refused
        assert all(place is not None for place in result.places)

    async def read(self, path: str, node: int = 0) -> Any:
        async with self.network.client(node) as client:
            return json.loads(await client.read_bytes(path))

    async def constitution(self) -> str:
        async with self.network.client() as client:
            return await client.constitution()

    async def laws(self) -> object:
        """Return everything that governs: who, by which rule, what was proposed and what became of it."""
        paths = ("service/members", "service/nodes", "service/users", "service/join-policy")
        tables = [await self.read(f"/gov/{path}") for path in (*paths, "members/proposals")]
        return [await self.constitution(), *tables]

    async def refused(self, member: Organisation, message: MemberMessage) -> str:
        """Return the code by which the service refuses a request."""
        with pytest.raises(RequestRefusedError) as refusal:
            await self.network.post(member, message)
        return refusal.value.code

    async def raw(self, path: str, body: bytes) -> str:
        """Post bytes as they are and return the code by which they are refused."""
        async with self.network.client() as client:
            with pytest.raises(RequestRefusedError) as refusal:
                await client.post(path, body)
        return refusal.value.code


@asynccontextmanager
async def staged(folder: Path, *names: str) -> AsyncIterator[Stage]:
    """A service that the first organisation founds, under the rule of the majority."""
    workload = load("ethereum").workload(WorkloadOptions(kind="transfers", transactions=400, seed=5))
    organisations = [Organisation.make(name, folder / "members") for name in names]
    certificate, key = make_operator(folder / "operator")
    spec = NetworkSpec(
        folder=folder / "network",
        nodes=1,
        ledger="ethereum",
        engine="",
        config=workload.config,
        operators=[certificate],
    )
    spec.folder.mkdir()
    network = GovernedNetwork(spec, organisations[:1], "majority", 1)
    with trio.fail_after(PATIENCE_S):
        async with running(network):
            await network.acknowledge(organisations[0])
            operator = service_context(spec.folder / SERVICE_FILE, certificate, key)
            yield Stage(network, organisations, operator, workload, workload.loads(PER_REQUEST))


async def test_three_organisations_start_from_one_founder_that_keeps_no_privilege(tmp_path: Path) -> None:
    async with staged(tmp_path, "A", "B", "C", "D") as stage:
        network, (a, b, c, d) = stage.network, stage.organisations
        # Alone, the founder is the majority; each of the others has a say as soon as it is in.
        await network.admit_member([a], b)
        await network.admit_member([a, b], c)
        await network.admit_node([b, a], b)
        await network.admit_node([c, b], c)
        assert not network.nodes[0].opened.is_set()
        await network.open_service([a, b])
        await stage.send(0, 1, 2)
        assert {one["status"] for one in (await stage.read("/gov/service/nodes"))["value"]} == {"Trusted"}
        # A backup tells what the primary dealt: a share for each of them.
        async with network.client(1) as client:
            tables = await client.recovery_state()
        check_shares_dealt(tables)
        dealt = read_recovery(tables)
        assert dealt is not None
        assert dealt.members.keys() == {a.member_id, b.member_id, c.member_id}

        # What the founder wants alone stays a wish.
        alone = await network.propose(a, d.set_member())
        assert (await network.vote(a, alone["proposalId"]))["proposalState"] == "Open"
        assert len((await stage.read("/gov/service/members"))["value"]) == 3
        # Nor do those who run machines govern, whom the founder named in its settings.
        async with await Connection.open(network.nodes[0].info["admin"], stage.operator) as connection:
            with pytest.raises(AnswerError, match="governed"):
                await NodeClient(connection).change_members([], [network.nodes[1].info["node_id"]])

        # A fourth comes, with its node, and takes transactions as all do.
        assert (await network.vote(c, alone["proposalId"]))["proposalState"] == "Accepted"
        assert await stage.refused(d, MemberMessage.proposal([a.set_member()])) == "not-active"
        await network.acknowledge(d)
        await network.admit_node([d, b, c], d)
        await stage.send(3)

        await changed_rule_is_the_next_votes_rule(stage)


async def changed_rule_is_the_next_votes_rule(stage: Stage) -> None:
    network, (a, b, c, d) = stage.network, stage.organisations
    unanimous = shipped_constitution("unanimous")
    left_open = await network.propose(d, action("set_user", cert=d.signer.certificate))
    said = await network.propose(a, action("set_constitution", constitution=unanimous))
    for member in (a, b):
        said = await network.vote(member, said["proposalId"])
    assert said["proposalState"] == "Open"
    assert (await network.vote(c, said["proposalId"]))["proposalState"] == "Accepted"
    assert await stage.constitution() == unanimous
    dropped = await stage.read(f"/gov/members/proposals/{left_open['proposalId']}")
    assert dropped["proposalState"] == "Dropped"
    said = await network.propose(a, action("set_user", cert=a.signer.certificate))
    for member in (a, b, c):
        assert (await network.vote(member, said["proposalId"]))["proposalState"] == "Open"
    assert (await network.vote(d, said["proposalId"]))["proposalState"] == "Accepted"


LOOPING = """
def validate(proposal):
    return None
def resolve(proposal, proposer, votes, members):
    for i in range(1000000000):
        pass
    return "Open"
def apply(proposal):
    return proposal["actions"]
"""
ALLOCATING = LOOPING.replace("range(1000000000)", "range(64)").replace("pass", "x = x + x")
ALLOCATING = ALLOCATING.replace("    for i", "    x = [0]\n    for i")


async def test_what_is_hostile_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path, "A", "B", "C", "D") as stage:
        network, (a, b, c, d) = stage.network, stage.organisations
        await network.admit_member([a], b)
        await network.admit_member([a, b], c)
        expire(d)
        said = await network.propose(a, d.set_member())
        await network.vote(a, said["proposalId"])
        failed = await network.vote(b, said["proposalId"])
        assert failed["proposalState"] == "Failed"
        assert "the certificate is valid from 2020" in failed["failure"]
        await network.open_service([a, b])
        await stage.send(0)

        # A ballot again, on an open proposal and on a closed one.
        said = await network.propose(a, action("set_user", cert=a.signer.certificate))
        message = MemberMessage.ballot(b.member_id, said["proposalId"], True)
        ballot = b.signer.sign(message, now_s())
        async with network.client() as client:
            await client.post(message.path, ballot)
        before = await stage.laws()
        assert await stage.raw(message.path, ballot) == "already-voted"
        proposal = MemberMessage.proposal([action("set_user", cert=b.signer.certificate)])
        request = b.signer.sign(proposal, now_s() + 30)
        assert await stage.raw(message.path, request) == "wrong-type"
        assert await stage.raw(proposal.path, request[:-1]) == "malformed"
        assert await stage.raw(proposal.path, request[:-1] + bytes([request[-1] ^ 1])) == "signature"
        assert await stage.refused(d, MemberMessage.state_digest(d.member_id)) == "not-a-member"
        for what, body in wrong_messages(request).items():
            assert (what, await stage.raw(proposal.path, body)) == (what, "malformed")
        assert await stage.laws() == before
        await network.vote(a, said["proposalId"])
        async with network.client() as client:
            said = await client.post(proposal.path, request)
        before = await stage.laws()
        assert await stage.raw(message.path, ballot) == "not-open"
        assert await stage.raw(proposal.path, request) == "replay"

        # A proposal of ten megabytes, to the node as it comes; a command would not even send it.
        with pytest.raises(MemberError, match="exceeds"):
            await network.propose(a, action("set_user", cert="x" * 10 * MIB))
        assert b" 413 " in (await exchange(stage, proposal.path, bytes(10 * MIB)))[:20]
        assert b" 400 " in (await exchange(stage, proposal.path, bytes(2 * MIB)))[:20]
        assert await stage.laws() == before

        await removed_member_has_no_say(stage, proposal)

        # Rules nobody could live under are not put in force, and the node serves on while it finds out.
        law = await stage.constitution()
        for text, reason in ((LOOPING, "step-limit"), (ALLOCATING, "-limit"), ("def", "syntax")):
            said = await network.propose(a, action("set_constitution", constitution=text))
            await network.vote(a, said["proposalId"])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stage.send, 0)
                failed = await network.vote(b, said["proposalId"])
            assert failed["proposalState"] == "Failed"
            assert reason in failed["failure"]
            assert await stage.constitution() == law
        # A ballot that never ends is a no, and who cast it is told.
        endless = (
            "def vote(proposal, proposer):\n    for i in range(1000000000):\n        pass\n    return True\n"
        )
        said = await network.propose(a, action("set_user", cert=b.signer.certificate))
        said = await network.vote(a, said["proposalId"], endless)
        assert said["proposalState"] == "Rejected"
        assert set(said["voteFailures"]) == {a.member_id}
        await stage.send(0)


async def removed_member_has_no_say(stage: Stage, proposal: MemberMessage) -> None:
    """Nor does the ballot count any more that it cast before."""
    network, (a, b, c, _) = stage.network, stage.organisations
    said = await network.propose(a, action("set_user", cert=c.signer.certificate))
    message = MemberMessage.ballot(c.member_id, said["proposalId"], True)
    ballot = c.signer.sign(message, now_s())
    async with network.client() as client:
        assert (await client.post(message.path, ballot))["proposalState"] == "Open"
    await network.decide([a, b], action("remove_member", member_id=c.member_id))
    before = await stage.laws()
    assert await stage.raw(message.path, ballot) == "not-a-member"
    assert await stage.refused(c, message) == "not-a-member"
    assert await stage.refused(c, proposal) == "not-a-member"
    assert await stage.laws() == before
    assert (await network.vote(a, said["proposalId"]))["proposalState"] == "Open"
    assert (await network.vote(b, said["proposalId"]))["proposalState"] == "Accepted"


def wrong_messages(request: bytes) -> Mapping[str, bytes]:
    """Return a member's request in every form but the right one: tag 18, its payload inside (RFC 9052)."""
    protected, unprotected, payload, signature = parts = cbor2.loads(request).value
    recipient = [protected, unprotected, b""]
    return {
        "untagged": cbor.encode(parts),
        "COSE_Mac0": cbor.encode(cbor2.CBORTag(17, parts)),
        "COSE_Encrypt0": cbor.encode(cbor2.CBORTag(16, [protected, unprotected, payload])),
        "COSE_Mac": cbor.encode(cbor2.CBORTag(97, [*parts, [recipient]])),
        "COSE_Sign": cbor.encode(
            cbor2.CBORTag(98, [protected, unprotected, payload, [[protected, unprotected, signature]]])
        ),
        "tagged twice": cbor.encode(cbor2.CBORTag(18, cbor2.CBORTag(18, parts))),
        "detached": cbor.encode(cbor2.CBORTag(18, [protected, unprotected, None, signature])),
        "no header": cbor.encode(cbor2.CBORTag(18, [b"", unprotected, payload, signature])),
        "a map": cbor.encode(cbor2.CBORTag(18, {"payload": payload})),
        "nested without end": b"\x81" * 100_000,
        "a length that lies": b"\xd2\x84\x5b" + b"\xff" * 8,
        "JSON": b'{"actions": []}',
        "garbage": bytes(range(256)),
        "nothing": b"",
    }


def expire(member: Organisation) -> None:
    """Give a member a certificate that ended long ago."""
    start, end = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2021))
    key = PrivateKey.from_pem(member.files.key.read_text())
    member.files.certificate.write_text(self_signed(key, member.name, not_before=start, not_after=end))


async def exchange(stage: Stage, path: str, body: bytes) -> bytes:
    """Post a body over a connection of its own; return what came back until the node closed it."""
    host, _, port = stage.network.nodes[0].info["admin"].rpartition(":")
    tls = pinned_context(stage.network.service_certificate)
    stream = await trio.open_ssl_over_tcp_stream(host, int(port), ssl_context=tls, https_compatible=True)
    fields = (
        "host: x",
        "connection: close",
        "content-type: application/cose",
        f"content-length: {len(body)}",
        "",
        "",
    )
    head = "\r\n".join((f"POST {path} HTTP/1.1", *fields))
    received = b""
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await stream.send_all(head.encode() + body)

        nursery.start_soon(send)
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await stream.receive_some():
                received += bytes(data)
        await trio.aclose_forcefully(stream)
    return received
