"""A whole network in one thread: replicas that ship, on hosts, disks, clocks and ways that are simulated.

One queue holds everything that will happen, by virtual time; a step takes the next and has its effects
carried out as ``node.driver`` does. All chance comes from one generator, so a seed is a world.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Any

import attrs

from coco_core.adapter import ANONYMOUS, BatchResult, Caller, Deferred, ScopedView
from coco_core.base import NodeID, limits
from coco_core.base.invariants import BrokenInvariantError
from coco_core.crypto import read_certificate
from coco_core.errors import BusyError
from coco_core.governance import ADMINISTRATION
from coco_core.replica.effects import Answer, Execute
from coco_core.replica.events import BatchExecuted, Event, PeerLost, PeerSent, Submitted, Ticked
from coco_core.testing.at_once import run_at_once
from coco_core.testing.simulation.asking import Asker
from coco_core.testing.simulation.carrying import Carrier
from coco_core.testing.simulation.checkers import Judge
from coco_core.testing.simulation.clients import Client
from coco_core.testing.simulation.comings import Comings
from coco_core.testing.simulation.consortia import simulated_consortium
from coco_core.testing.simulation.epochs import EpochJudge
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.members import Members
from coco_core.testing.simulation.model import Model
from coco_core.testing.simulation.network import Network
from coco_core.testing.simulation.plan import MILLISECOND_US, Plan
from coco_core.testing.simulation.seating import Seats
from coco_core.testing.simulation.snapshot_checks import SnapshotJudge
from coco_core.testing.simulation.storage import Storage
from coco_core.testing.violation import ViolationError

Action = Callable[..., None]


@attrs.frozen
class _Ticket:
    """Who waits for an answer, and to what."""

    asker: Asker
    names: Sequence[str]
    administers: bool


class World:
    """Nodes, what lies between them, and what will happen next."""

    def __init__(self, plan: Plan, rng: Random) -> None:
        """Found a service of ``plan.nodes`` nodes with clients at its doors."""
        self.plan = plan
        self.rng = rng
        self.now_us = 0
        self.steps = 0
        self.calm = False
        self.counts: Counter[str] = Counter()
        self.network = Network(plan, rng)
        self.hosts: dict[NodeID, Host] = {}
        """Every node that ever was, by name."""
        self.recent: deque[tuple[int, str, str]] = deque(maxlen=40)
        self._digest = sha256()
        self._queue: list[tuple[int, int, Action, tuple[Any, ...]]] = []
        self._scheduled = 0
        self._tickets: dict[int, _Ticket] = {}
        self._ticket = 0
        self.consortium = simulated_consortium()
        self.operator = Caller(
            kind="operator", identity=read_certificate(self.consortium.operator).fingerprint
        )
        self.epochs = EpochJudge(self.consortium, self.counts)
        self.model = Model(self.epochs.secrets)
        names = [identity.node_id for identity in self.consortium.identities[: plan.nodes]]
        self.members = Members(names, self.counts)
        quorum_ticks = 2 * plan.election_timeout_ticks_min + 2
        self.judge = Judge(self.model, self.members, self.epochs, self.hosts, names[0], quorum_ticks)
        self.snapshots = SnapshotJudge(self.model, self.epochs.secrets, self.consortium.service.certificate)
        self.storage = Storage(self)
        self.seats = Seats(self)
        self._carrier = Carrier(self)
        self.clients = [
            Client(label=f"c{number}", plan=plan, rng=rng, model=self.model, counts=self.counts)
            for number in range(plan.clients)
        ]
        self.worst_moment: Callable[[Host, float], None] = _nothing
        """Told of a leader at a moment at which it is worst to lose it, and how often to make that happen."""
        seated = self.seats.found()
        self.hosts.update((host.name, host) for host, _ in seated)
        for host, effects in seated:
            self._carrier.carry_out(host, effects)
            self.at(int(rng.random() * plan.tick_us), self._tick, host)
        for client in self.clients:
            self.wake(client, int(rng.random() * plan.think_us))
        self.comings = Comings(self)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────

    def at(self, delay_us: int, action: Action, *args: Any) -> None:
        """Let ``action(*args)`` happen ``delay_us`` from now."""
        self._scheduled += 1
        heapq.heappush(self._queue, (self.now_us + delay_us, self._scheduled, action, args))

    def step(self) -> None:
        """Let the next thing happen."""
        self.now_us, _, action, args = heapq.heappop(self._queue)
        self.steps += 1
        first = args[0] if args else None
        self.recent.append((self.now_us, action.__name__, getattr(first, "label", "")))
        if isinstance(first, Host):
            if first.ended:
                if action == self.arrive:
                    self._carrier.lose(args[1], first, args[2])
                return
            if first.stalled_until_us > self.now_us:
                self.steps -= 1
                self.at(first.stalled_until_us - self.now_us, action, *args)
                return
        action(*args)

    @property
    def alive(self) -> list[Host]:
        """The nodes whose processes run."""
        return [host for host in self.hosts.values() if not host.ended]

    def digest(self) -> str:
        """Return a fingerprint of everything that happened so far."""
        return self._digest.hexdigest()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    def feed(self, host: Host, event: Event) -> None:
        """Give one node an event and carry out what it asks for; BusyError passes through."""
        try:
            effects = host.replica.handle(event)
        except BusyError:
            raise
        except (Exception, BrokenInvariantError) as error:
            raise ViolationError("stopped", f"{host.label} at {type(event).__name__}: {error!r}") from error
        if effects:
            self._carrier.carry_out(host, effects)
        chain = host.replica.chain
        what = (
            f"{self.now_us} {host.label} {type(event).__name__} {len(effects)} {chain.head} {chain.committed}"
        )
        self._digest.update(what.encode())

    def enter(self, host: Host, effects: Sequence[Any]) -> None:
        """Let a node that was just seated begin."""
        self.hosts[host.name] = host
        self._carrier.carry_out(host, effects)
        self.at(int(self.rng.random() * self.plan.tick_us), self._tick, host)

    def _tick(self, host: Host) -> None:
        host.ticks += 1
        self.at(host.clock.next_tick_us(), self._tick, host)
        self.feed(host, Ticked(host.clock.wall_ms(self.now_us)))
        self.judge.tick(host)

    def arrive(self, host: Host, sender: Host, message: bytes) -> None:
        """Let a message arrive; from who is no peer, nobody opens the door."""
        if sender.name not in host.peers:
            self.counts["messages from strangers"] += 1
            return
        host.heard[sender.name] = host.ticks
        self.feed(host, PeerSent(sender.name, message))

    def break_connection(self, one: Host, other: Host) -> None:
        """Break the channel between two nodes; each learns of it some time later."""
        self.counts["connections broken"] += 1
        for host, peer in ((one, other), (other, one)):
            self.at(int(self.rng.random() * 30 * MILLISECOND_US), self._peer_lost, host, peer.name)

    def _peer_lost(self, host: Host, peer: NodeID) -> None:
        self.feed(host, PeerLost(peer))

    def execute(self, host: Host, effect: Execute) -> None:
        """Have a node's adapter execute a batch, which takes a while."""
        if host.running is not None:
            raise ViolationError("stopped", f"{host.label} executes two batches at once")
        host.running = effect
        self.at(int(self.plan.execute_us * (0.5 + self.rng.random())), self._executed, host, effect)

    def _executed(self, host: Host, running: Execute) -> None:
        result: BatchResult | Exception
        try:
            if running.adapter == ADMINISTRATION:
                result = run_at_once(host.replica.administration.execute(running.batch, running.view))
            else:
                view = ScopedView(running.view, frozenset(host.adapter.manifest.maps))
                result = run_at_once(host.adapter.execute(running.batch, view))
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is its own fault
            self.counts["adapter faults"] += 1
            result = error
        else:
            self.counts["requests deferred"] += sum(isinstance(one, Deferred) for one in result.outcomes)
        self.counts["batches of several requests"] += len(running.batch.requests) > 1
        host.running = None
        wall_ms = host.clock.wall_ms(self.now_us)
        self.feed(host, BatchExecuted(running.number, result, wall_ms, running.number.to_bytes(32)))

    # ── who asks ─────────────────────────────────────────────────────────────────────────────────

    def wake(self, asker: Asker, delay_us: int) -> None:
        """Let somebody act after ``delay_us``, and not when it meant to before."""
        asker.alarm += 1
        self.at(delay_us, self._alarm, asker, asker.alarm)

    def _alarm(self, asker: Asker, number: int) -> None:
        if number == asker.alarm:
            self.wake(asker, asker.act(self))
        else:
            self.steps -= 1  # Nothing happened.

    def choose(self) -> Host | None:
        """Return some node whose process answers."""
        reachable = [host for host in self.alive if host.serves and host.stalled_until_us <= self.now_us]
        return self.rng.choice(reachable) if reachable else None

    def submit(self, asker: Asker, host: Host, names: Sequence[str], payloads: Sequence[bytes]) -> bool:
        """Hand in a group of transactions at ``host``'s front end; return whether it was taken."""
        return self._submit(_Ticket(asker, names, False), host, payloads, ANONYMOUS)

    def administer(self, asker: Asker, host: Host, payload: bytes, *, operator: bool) -> bool:
        """Hand in an administrative transaction at ``host``; return whether it was taken."""
        caller = self.operator if operator else ANONYMOUS
        return self._submit(_Ticket(asker, (asker.label,), True), host, [payload], caller)

    def _submit(self, ticket: _Ticket, host: Host, payloads: Sequence[bytes], caller: Caller) -> bool:
        if host.stalled_until_us > self.now_us:
            return True  # The request waits in the socket of a process that stands still.
        self._ticket += 1
        self._tickets[self._ticket] = ticket
        host.open_tickets.add(self._ticket)
        name = ADMINISTRATION if ticket.administers else host.adapter.manifest.name
        try:
            self.feed(host, Submitted(self._ticket, name, payloads, caller))
        except BusyError:
            self.counts["submissions refused as busy"] += 1
            host.open_tickets.discard(self._ticket)
            return False
        return True

    def answer(self, host: Host, effect: Answer) -> None:
        """Pass on what a node answers."""
        if effect.ticket not in host.open_tickets:
            raise ViolationError("answers", f"{host.label} answers ticket {effect.ticket} it does not owe")
        host.open_tickets.discard(effect.ticket)
        ticket = self._tickets.pop(effect.ticket)
        if ticket.administers:
            self.judge.administered(host, ticket.asker.label, effect.outcomes[0])
        else:
            self.judge.answer(host, ticket.names, effect.outcomes)
        self.wake(ticket.asker, ticket.asker.answered(self, host, ticket.names, effect.outcomes))

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────

    def end(self, host: Host) -> None:
        """End one node for ever: its disk keeps what was synced, its peers notice sooner or later."""
        host.ended = True
        host.leads_since = None
        host.disk.crash(self.rng.random())
        self.counts["torn tails"] += bool(host.disk.torn)
        self.counts["unsynced writes lost"] += len(host.disk.entries) < len(host.log)
        host.work.clear()
        for number in sorted(host.open_tickets):
            asker = self._tickets.pop(number).asker
            asker.sent_us = None
            self.wake(asker, self.plan.think_us)
        host.open_tickets.clear()
        for other in self.alive:
            if host.name in other.peers:
                self.at(int(self.rng.random() * 30 * MILLISECOND_US), self._peer_lost, other, host.name)

    def sample(self) -> None:
        """Count states that are seen by looking, not by an event."""
        for host in self.alive:
            full = host.replica.chain.uncommitted_batches >= limits.PIPELINE_BATCHES_MAX
            self.counts["pipeline full"] += full and host.leads_since is not None


def _nothing(_host: Host, _share: float) -> None:
    """Nobody is out for trouble."""
