"""``coco demo-governance``: a consortium governs itself, told step by step on three real nodes.

Every step says what must come true, and the first that does not ends the demo with exit status 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import attrs
import click
from rich.console import Console

from coco_core.adapter import Workload, WorkloadOptions
from coco_core.cli.asking import service_context
from coco_core.cli.consortium import GovernedNetwork, JSONObject, Organisation, action
from coco_core.cli.network import SERVICE_FILE, NetworkSpec, prepare_folder, running
from coco_core.cli.nodes import make_operator
from coco_core.cli.telling import ENDED, Telling, tell_and_audit
from coco_core.client import (
    AnswerError,
    Connection,
    LoadSettings,
    NodeClient,
    RequestRefusedError,
    run_load,
)
from coco_core.governance import MemberMessage, shipped_constitution
from coco_core.node import load

_PER_REQUEST: Final = 10
_ENDLESS: Final = """
def validate(proposal):
    return None
def resolve(proposal, proposer, votes, members):
    for i in range(1000000000):
        pass
    return "Accepted"
def apply(proposal):
    return proposal["actions"]
"""


@click.command(name="demo-governance")
@click.option("--ledger", default="ethereum", show_default=True)
@click.option("--engine", default="", help="Execution engine; empty = the fastest one installed.")
def demo_governance(ledger: str, engine: str) -> None:
    """Let three organisations form a network, govern it, and resist who breaks the rules."""
    console = Console(highlight=False)
    plugin = load(ledger)
    plugin.create(engine, {})
    workload = plugin.workload(WorkloadOptions(transactions=200))
    with tempfile.TemporaryDirectory(prefix="coco-demo-") as temporary:
        root = Path(temporary)
        names = ("Aurora", "Borealis", "Corona", "Drake")
        organisations = [Organisation.make(name, root / "members") for name in names]
        certificate, key = make_operator(root / "operator")
        folder = root / "network"
        prepare_folder(folder)
        spec = NetworkSpec(
            folder=folder,
            nodes=1,
            ledger=ledger,
            engine=engine,
            config=workload.config,
            operators=[certificate],
        )
        network = GovernedNetwork(spec, organisations[:1], "majority", 1)
        story = Story(
            console=console,
            network=network,
            organisations=organisations,
            workload=workload,
            operator=(certificate, key),
        )
        tell_and_audit(console, network, partial(tell, story))
    console.print(ENDED)


@attrs.define(kw_only=True)
class Story(Telling):
    """Who takes part, and what was told so far."""

    network: GovernedNetwork
    organisations: Sequence[Organisation]
    workload: Workload
    operator: tuple[Path, Path]
    """Certificate and key of one who runs machines, and does not govern."""
    sent: int = 0

    async def decide(self, what: str, voters: Sequence[Organisation], *actions: JSONObject) -> None:
        """Have ``voters`` propose and vote, and say how it ended."""
        said = await self.network.decide(voters, *actions)
        names = ", ".join(one.name for one in voters)
        self.true(f"{what}: proposal {str(said['proposalId'])[:8]}, voted for by {names}", True)

    async def refused(self, what: str, code: str, attempt: Callable[[], Awaitable[object]]) -> None:
        """Have somebody try what must be refused with ``code``."""
        found = "nothing"
        try:
            await attempt()
        except RequestRefusedError as error:
            found = error.code
        except AnswerError as error:
            found = code if code in str(error) else str(error)
        self.true(f"{what}: refused ({code})", found == code)

    async def transact(self, node: int) -> None:
        """Send the next transactions through a node; each must be committed."""
        settings = LoadSettings(
            endpoints=[self.network.endpoints[node]],
            service_certificate=self.network.service_certificate,
            outstanding=_PER_REQUEST,
            per_request=_PER_REQUEST,
        )
        loads = islice(self.workload.loads(_PER_REQUEST), self.sent, self.sent + 1)
        self.sent += 1
        result = await run_load(settings, loads, self.workload.told, None)
        committed = result.all_committed
        self.true(f"{_PER_REQUEST} transactions committed through node {node}", committed)


async def tell(story: Story) -> None:
    """Tell the whole story on a network that begins with one node, and ends with three."""
    async with running(story.network):
        await _found(story)
        await _equal(story)
        await _rules(story)
        await _hostile(story)


async def _found(story: Story) -> None:
    network, (a, b, c, _) = story.network, story.organisations
    story.heading(f"{a.name} founds a service, under the rule of the majority")
    await network.acknowledge(a)
    story.true(f"{a.name} acknowledged the constitution and is an active member", True)
    story.true("clients must wait until the members open the service", not network.nodes[0].opened.is_set())
    story.heading(f"{b.name} and {c.name} are let in, each with a key and a node of its own")
    await story.decide(f"{b.name} becomes a member", [a], b.set_member())
    await network.acknowledge(b)
    await story.decide(f"{c.name} becomes a member", [a, b], c.set_member())
    await network.acknowledge(c)
    for owner, voters in ((b, [b, a]), (c, [c, b])):
        node = await network.admit_node(voters, owner)
        names = " and ".join(one.name for one in voters)
        story.true(f"node {node.index}, {owner.name}'s, attested itself, and {names} voted for it", True)
    await story.decide(
        "the service is open",
        [a, b],
        action("transition_service_to_open", next_service_identity=network.service_certificate),
    )
    await network.until_open()
    for index in range(len(network.nodes)):
        await story.transact(index)


async def _equal(story: Story) -> None:
    network, (a, b, _, d) = story.network, story.organisations
    story.heading("The founder has no privilege left")
    said = await network.propose(a, d.set_member())
    said = await network.vote(a, str(said["proposalId"]))
    story.true(f"{a.name} alone wants {d.name} in: the proposal stays open", said["proposalState"] == "Open")
    certificate, key = story.operator
    tls = service_context(network.spec.folder / SERVICE_FILE, certificate, key)

    async def remove() -> None:
        async with await Connection.open(network.nodes[0].info["admin"], tls) as connection:
            await NodeClient(connection).change_members([], [str(network.nodes[1].info["node_id"])])

    await story.refused(f"{a.name}'s operator removes {b.name}'s node", "governed", remove)
    said = await network.vote(b, str(said["proposalId"]))
    story.true(f"{b.name} agrees: {d.name} may come", said["proposalState"] == "Accepted")
    proposal = MemberMessage.proposal([a.set_member()])
    await story.refused(
        f"{d.name} proposes before it acknowledged", "not-active", partial(network.post, d, proposal)
    )
    await network.acknowledge(d)
    story.true(f"{d.name} acknowledged the constitution and is the fourth member", True)


async def _rules(story: Story) -> None:
    network, (a, b, c, d) = story.network, story.organisations
    story.heading("The rule itself is changed, under the rule in force")
    await story.decide(
        "from now on everybody must agree",
        [a, b, c],
        action("set_constitution", constitution=shipped_constitution("unanimous")),
    )
    said = await network.propose(a, action("set_user", cert=a.signer.certificate))
    for member in (a, b, c):
        said = await network.vote(member, str(said["proposalId"]))
    story.true("three of four votes were enough before, and are not now", said["proposalState"] == "Open")
    said = await network.vote(d, str(said["proposalId"]))
    story.true("the fourth decides", said["proposalState"] == "Accepted")


async def _hostile(story: Story) -> None:
    network, members = story.network, story.organisations
    a, b = members[:2]
    story.heading("Who breaks the rules changes nothing")
    said = await network.propose(a, action("set_user", cert=b.signer.certificate))
    message = MemberMessage.ballot(b.member_id, str(said["proposalId"]), True)
    await network.post(b, message)
    await story.refused(
        "a second ballot of the same member", "already-voted", partial(network.post, b, message)
    )
    forged = attrs.evolve(a.signer, certificate=b.signer.certificate)
    await story.refused(
        f"a ballot in the name of {b.name}, signed by {a.name}",
        "signature",
        partial(network.post_as, forged, message),
    )
    before = await network.read_constitution()
    said = await network.propose(a, action("set_constitution", constitution=_ENDLESS))
    for member in members:
        said = await network.vote(member, str(said["proposalId"]))
    failed = said["proposalState"] == "Failed" and "step-limit" in str(said["failure"])
    story.true(
        "all four vote for a constitution that never ends: it is not put in force (step-limit)", failed
    )
    story.true("the constitution is what it was", await network.read_constitution() == before)
    await story.transact(len(network.nodes) - 1)
