"""A governed network on this machine: organisations with their keys, and a node of each.

One organisation founds the service; the others are let in, with their nodes, by what members propose and
vote on. For tests and for ``coco demo-governance``, which tell the same story.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
import trio

from coco_core.cli.asking import now_s
from coco_core.cli.local_node import LocalNode, reached
from coco_core.cli.member_keys import MemberFiles, make_member, read_signer
from coco_core.cli.network import SERVICE_FILE, START_TIMEOUT_S, LocalNetwork, NetworkSpec
from coco_core.client import Connection, GovernanceClient, NodeClient, Signer, pinned_context
from coco_core.crypto import service_id
from coco_core.errors import OperatorError
from coco_core.governance import MemberMessage, open_share, read_recovery

JSONObject = Mapping[str, Any]


@attrs.frozen(slots=False)
class Organisation:
    """A member of the consortium."""

    name: str
    files: MemberFiles

    @classmethod
    def make(cls, name: str, folder: Path) -> Organisation:
        """Return an organisation with fresh keys below ``folder``."""
        return cls(name, make_member(folder / name.lower(), name))

    @cached_property
    def signer(self) -> Signer:
        """It with its key at hand."""
        return read_signer(self.files.certificate, self.files.key)

    @property
    def member_id(self) -> str:
        """Its name in the tables."""
        return self.signer.member_id

    def set_member(self) -> JSONObject:
        """Return the action that names it a member, with a share of the recovery key."""
        key = self.files.encryption_public.read_text()
        return action("set_member", cert=self.signer.certificate, encryption_pub_key=key)

    def founding(self) -> JSONObject:
        """Return it as the founder's settings name it."""
        return {
            "certificate": str(self.files.certificate.resolve()),
            "encryption_key": str(self.files.encryption_public.resolve()),
        }


def action(name: str, /, **args: Any) -> JSONObject:
    """Return one action of a proposal."""
    return {"name": name, "args": args}


class GovernedNetwork(LocalNetwork):
    """Node processes of a service that its members govern."""

    def __init__(
        self, spec: NetworkSpec, founders: Sequence[Organisation], constitution: str, recovery_threshold: int
    ) -> None:
        """Describe the network; ``spec`` has the founder's node only, others come by ``add_node``."""
        super().__init__(spec)
        self._charter = {
            "members": [one.founding() for one in founders],
            "constitution": constitution,
            "recovery_threshold": recovery_threshold,
        }
        self._created_s = 0

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the founder; return when members can govern. Raises OperatorError with the node's reason."""
        self._nursery = nursery
        founder = self.nodes[0]
        with trio.move_on_after(START_TIMEOUT_S) as deadline:
            for path, ledger in zip(self._genesis_files, self.spec.ledgers.values(), strict=True):
                path.write_text(json.dumps(dict(ledger.config)))
            role = self._founding()
            role["found"] |= self._charter
            await self._spawn(founder, self._settings(founder, role))
            await reached([founder], founder.listening)
            self.service_certificate = str(founder.info["service_certificate"])
            (self.spec.folder / SERVICE_FILE).write_text(self.service_certificate)
            await reached([founder], founder.opening)
        self.worth_keeping = True
        if deadline.cancelled_caught:
            raise OperatorError(f"the founder did not start within {START_TIMEOUT_S:.0f} s")
        for path in self._genesis_files:
            path.unlink()

    async def add_node(self, settings: JSONObject | None = None) -> LocalNode:
        """Start a node; return when it waits to be let in. Raises OperatorError with its reason otherwise."""
        index = len(self.nodes)
        node = self.node_class(index, self.spec.folder / f"node-{index}")
        self.nodes.append(node)
        through = [one for one in self.nodes if one.listening.is_set() and not one.ended.is_set()]
        await self._spawn(node, self._settings(node, self._joining(through)) | dict(settings or {}))
        await reached([node], node.waiting)
        return node

    async def recover(self, folder: Path) -> LocalNode:
        """Start a node that recovers the service from what is in ``folder``, all nodes of before being lost.

        Returns when members can give their shares; raises OperatorError with its reason otherwise.
        """
        for lost in self.nodes:
            await lost.ended.wait()
        node = self.node_class(0, folder)
        self.nodes = [node]
        await self._spawn(node, self._settings(node, {"recover": {}}))
        await reached([node], node.recovering)
        self.service_certificate = str(node.info["service_certificate"])
        (self.spec.folder / SERVICE_FILE).write_text(self.service_certificate)
        return node

    async def give_share(self, member: Organisation) -> JSONObject:
        """Have a member give its share to the node that recovers the service; return how many are there."""
        async with self.client() as client:
            view = await client.recovery_state()
        recovery = read_recovery(view)
        if recovery is None or member.member_id not in recovery.members:
            raise OperatorError(f"{member.name} holds no share")
        encrypted = recovery.members[member.member_id].encrypted_share
        share = open_share(encrypted, member.files.encryption_key.read_text())
        identity = service_id(self.service_certificate)
        return await self.post(member, MemberMessage.recovery_share(member.member_id, share, identity))

    @asynccontextmanager
    async def client(self, node: int = 0) -> AsyncIterator[GovernanceClient]:
        """Give a members' view of a node."""
        tls = pinned_context(self.service_certificate)
        async with await Connection.open(self.nodes[node].info["admin"], tls) as connection:
            yield GovernanceClient(connection)

    async def post(self, member: Organisation, message: MemberMessage, node: int = 0) -> JSONObject:
        """Have a member sign and post; raises RequestRefusedError with the service's reason."""
        return await self.post_as(member.signer, message, node)

    async def post_as(self, signer: Signer, message: MemberMessage, node: int = 0) -> JSONObject:
        """Sign and post, whoever it is.

        Every request is made a second later than the one before at the earliest: two that say the same
        are two requests only if their times differ.
        """
        self._created_s = max(self._created_s + 1, now_s())
        async with self.client(node) as client:
            request = signer.sign(message, self._created_s, await client.service_id())
            answer: JSONObject = await client.post(message.path, request)
        return answer

    async def read_constitution(self, node: int = 0) -> str:
        """Return the constitution in force."""
        async with self.client(node) as client:
            return await client.constitution()

    async def propose(self, member: Organisation, *actions: JSONObject) -> JSONObject:
        """Have a member propose; return how the proposal stands."""
        return await self.post(member, MemberMessage.proposal(actions))

    async def vote(self, member: Organisation, proposal: str, ballot: bool | str = True) -> JSONObject:
        """Have a member vote; return how the proposal stands."""
        return await self.post(member, MemberMessage.ballot(member.member_id, proposal, ballot))

    async def decide(self, members: Sequence[Organisation], *actions: JSONObject) -> JSONObject:
        """Have the first member propose and all vote yes, until it is decided; raises when not accepted."""
        said = await self.propose(members[0], *actions)
        for member in members:
            if said["proposalState"] != "Open":
                break
            said = await self.vote(member, str(said["proposalId"]))
        if said["proposalState"] != "Accepted":
            raise OperatorError(f"the proposal is {said['proposalState']}: {said['failure']}")
        return said

    async def acknowledge(self, member: Organisation) -> None:
        """Have a new member acknowledge what it sees."""
        name = member.member_id
        digest = (await self.post(member, MemberMessage.state_digest(name)))["stateDigest"]
        await self.post(member, MemberMessage.acknowledgement(name, digest))

    async def admit_member(self, members: Sequence[Organisation], new: Organisation) -> None:
        """Have ``members`` name ``new``, and it acknowledge."""
        await self.decide(members, new.set_member())
        await self.acknowledge(new)

    async def admit_node(self, members: Sequence[Organisation], owner: Organisation) -> LocalNode:
        """Start a node of ``owner`` and have ``members`` let it in; return when it takes part."""
        node = await self.add_node()
        trust = action("transition_node_to_trusted", node_id=node.info["node_id"], owner=owner.member_id)
        await self.decide(members, trust)
        await reached([node], node.listening)
        await self.until_trusted(node)
        return node

    async def until_trusted(self, node: LocalNode, through: int = 0) -> None:
        """Return once a node is a full member of consensus."""
        tls = pinned_context(self.service_certificate)
        async with await Connection.open(self.nodes[through].info["admin"], tls) as connection:
            client, seqno = NodeClient(connection), -1
            while (await client.network())["nodes"][node.info["node_id"]]["status"] != "Trusted":
                _, seqno = await client.committed_after(seqno)

    async def open_service(self, members: Sequence[Organisation], previous: str | None = None) -> None:
        """Have ``members`` open the service; return when every node serves clients.

        ``previous`` is the certificate of the service as it was before a recovery.
        """
        args = {"next_service_identity": self.service_certificate}
        if previous is not None:
            args["previous_service_identity"] = previous
        await self.decide(members, action("transition_service_to_open", **args))
        await self.until_open()

    async def until_open(self) -> None:
        """Return once every node serves clients."""
        for node in self.nodes:
            await reached([node], node.opened)
