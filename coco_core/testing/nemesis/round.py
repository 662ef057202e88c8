"""One round: a network is started, loaded and troubled for a while, left in peace, judged, and stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from coco_core.cli.local_node import LocalNode
from coco_core.client import pinned_context
from coco_core.errors import CocoError
from coco_core.testing.nemesis import ethereum_load
from coco_core.testing.nemesis.checks import JudgedLedger, LiveChecks, Sent, check_ledgers, receipts_wanted
from coco_core.testing.nemesis.clients import Doors, Record
from coco_core.testing.nemesis.ethereum_load import EthereumClient, EthereumLedger
from coco_core.testing.nemesis.faults import Nemesis
from coco_core.testing.nemesis.ledgers import shortened
from coco_core.testing.nemesis.outcome import Outcome, leaves
from coco_core.testing.nemesis.plan import ENDING, KINDS, Planned
from coco_core.testing.nemesis.sites import Site
from coco_core.testing.nemesis.stage import Stage, open_stage
from coco_core.testing.nemesis.standing import availability
from coco_core.testing.nemesis.tally_load import TallyClient

CERTAIN_TIMEOUT_S = 60.0
"""How long after the last fault clients may take to become certain of everything."""
LOOK_S = 0.1
HISTORY_FILE, FAULTS_FILE = "history.jsonl", "faults.jsonl"

Say = Callable[[str], None]


@attrs.frozen(kw_only=True)
class RoundSettings:
    """What one round is."""

    folder: Path
    seed: str
    nodes: int
    seconds: float
    plan: Sequence[Planned]
    replace: bool
    """Whether a new node comes into the place of one that was ended."""
    node_settings: Mapping[str, Any]
    """Further settings of every node."""
    ethereum: EthereumLedger | None
    """None to run Tally only."""
    tally_clients: int = 6
    tally_pause_s: float = 0.12
    ethereum_clients: int = 3
    ethereum_pause_s: float = 0.2
    receipts_max: int = 3_000


async def run_round(settings: RoundSettings, site: Site, say: Say) -> Outcome:
    """Run one round and return its figures and violations; ``site`` is closed on the way out."""
    ledgers = {} if settings.ethereum is None else {ethereum_load.NAME: settings.ethereum.config}
    chance = Random(settings.seed)  # noqa: S311 - chance from a seed, not a secret
    try:
        async with open_stage(
            site, settings.folder, settings.nodes, ledgers, settings.node_settings, chance
        ) as stage:
            say(f"{settings.nodes} nodes are open, {site.name}")
            one = _Round(settings, stage, chance, say)
            await one.load_and_trouble()
            say(f"{one.outcome.operations} operations; the nodes are left in peace and asked")
            try:
                await one.ask()
            except* CocoError as group:
                one.outcome.violations += [f"{type(each).__name__}: {each}" for each in leaves(group)]
        say("stopped; ledgers are audited")
        await trio.to_thread.run_sync(one.audit)
    finally:
        await site.close()
    return one.outcome


class _Round:
    """What goes on in a round."""

    def __init__(self, settings: RoundSettings, stage: Stage, chance: Random, say: Say) -> None:
        self.outcome = Outcome()
        self._settings = settings
        self._stage = stage
        self._chance = chance
        self._began = trio.current_time()
        self._record = Record()
        self._tally, self._ethereum = self._clients()
        self._nemesis = Nemesis(
            stage,
            lambda text: say(f"{trio.current_time() - self._began:6.1f} s  {text}"),
            replace=settings.replace,
        )
        self._certificate = stage.network.service_certificate
        self._live = LiveChecks(self._certificate, self.outcome)

    async def load_and_trouble(self) -> None:
        """Send load and carry out the plan; return when every client is certain of everything it sent."""
        self._began = trio.current_time()
        ended = self._began + self._settings.seconds
        with trio.move_on_at(ended + CERTAIN_TIMEOUT_S):
            async with trio.open_nursery() as watching:
                for node in self._stage.network.nodes:
                    watching.start_soon(self._watch, node.index)
                watching.start_soon(self._live.collect, self._alive, self._record.placed, self._chance)
                async with trio.open_nursery() as nursery:
                    clients: list[TallyClient | EthereumClient] = [*self._tally, *self._ethereum]
                    for client in clients:
                        nursery.start_soon(client.run)
                    nursery.start_soon(self._nemesis.run, self._settings.plan)
                    await trio.sleep_until(ended)
                    self._record.sending = False
                watching.cancel_scope.cancel()
        self._count(ended)
        happened = [attrs.asdict(one) for one in self._nemesis.happened]
        _write_lines(self._settings.folder / FAULTS_FILE, happened)

    def _count(self, ended: float) -> None:
        """Put down what happened until ``ended``, and what clients saw of it."""
        outcome, nemesis, record, sent = self.outcome, self._nemesis, self._record, self.sent
        outcome.seconds = self._settings.seconds
        outcome.faults = Counter(one.kind for one in nemesis.happened if one.kind in KINDS)
        outcome.skipped = Counter(nemesis.skipped)
        outcome.ended = sum(one.kind in ENDING for one in nemesis.happened)
        outcome.replaced = nemesis.replaced
        outcome.operations, outcome.attempts = len(sent.all), record.attempts
        outcome.acknowledged = sum(one.returned is not None for one in sent.all)
        turns = self._stage.standing.turns
        shares = availability(self._began, ended, record.acknowledged, turns, nemesis.happened)
        outcome.availability.update(shares)
        last_answer = self._stage.operator.last_answer
        outcome.violations += [f"{what} was not let in: {last_answer}" for what in nemesis.waiting.values()]
        outcome.violations += shortened(record.violations)
        uncertain = [one for one in sent.all if one.returned is None]
        outcome.violations += shortened(
            [
                f"{one.name} is uncertain {CERTAIN_TIMEOUT_S:.0f} s after the last fault: {one.unsure}"
                for one in uncertain
            ]
        )

    async def ask(self) -> None:
        """Ask the nodes that are left, unless clients are uncertain: then nobody knows what is right."""
        sent = self.sent
        nodes = self._alive()
        if self.outcome.acknowledged < self.outcome.operations:
            await self._live.keep_health(nodes)
            return
        await self._live.settle(nodes, sent.places)
        await self._live.ask_tally(nodes, sent.additions)
        if self._settings.ethereum is not None:
            await self._live.ask_ethereum(nodes, self._settings.ethereum, sent.transfers)
        wanted = receipts_wanted(sent, self._nemesis.happened, self._settings.receipts_max, self._chance)
        await self._live.verify_receipts(nodes, wanted)

    def audit(self) -> None:
        """Judge the ledgers of all nodes, which have stopped."""
        check_ledgers(self._ledgers(), self._certificate, self.sent, self._live.receipts, self.outcome)
        _write_lines(self._settings.folder / HISTORY_FILE, (_plain(one) for one in self.sent.all))

    def _alive(self) -> list[LocalNode]:
        return [self._stage.network.nodes[index] for index in self._stage.standing.alive]

    def _ledgers(self) -> list[JudgedLedger]:
        """Return every ledger there is, those of ended nodes marked."""
        stage = self._stage
        dead = stage.standing.dead
        found = [JudgedLedger(name, folder, whole=False) for name, folder in stage.ended]
        for node in stage.network.nodes:
            whole = node.index not in dead
            found.append(JudgedLedger(f"node {node.index}", node.ledger_folder, whole=whole))
        return found

    @property
    def sent(self) -> Sent:
        """Everything clients have sent."""
        return Sent(
            additions=[one for client in self._tally for one in client.history],
            transfers=[one for client in self._ethereum for one in client.history],
        )

    async def _watch(self, index: int) -> None:
        """Note when a node ends that nobody ended, or one that came into its place."""
        nodes, standing = self._stage.network.nodes, self._stage.standing
        while True:
            node = nodes[index]
            await node.ended.wait()
            if index not in standing.dead:
                standing.died(index)
                self.outcome.violations.append(f"node {index} ended by itself: {node.last_words()}")
            while nodes[index] is node:  # noqa: ASYNC110 - a list sets no event
                await trio.sleep(LOOK_S)

    def _clients(self) -> tuple[list[TallyClient], list[EthereumClient]]:
        settings, network = self._settings, self._stage.network
        tls = pinned_context(network.service_certificate)

        def doors(ledger: str) -> Doors:
            return Doors([each.rpc for each in network.endpoints_of(ledger)], tls, self._chance)

        tally = [
            TallyClient(f"t{number}", doors("tally"), self._record, self._chance, settings.tally_pause_s)
            for number in range(settings.tally_clients)
        ]
        if settings.ethereum is None:
            return tally, []
        ethereum = [
            EthereumClient(
                settings.ethereum,
                number,
                doors(ethereum_load.NAME),
                self._record,
                self._chance,
                settings.ethereum_pause_s,
            )
            for number in range(settings.ethereum_clients)
        ]
        return tally, ethereum


def _plain(call: Any) -> Mapping[str, Any]:
    """Return a call as JSON values."""
    fields = attrs.asdict(call, recurse=False)
    return {
        name: value.hex() if isinstance(value, bytes) else str(value) if name == "place" else value
        for name, value in fields.items()
    }


def _write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
