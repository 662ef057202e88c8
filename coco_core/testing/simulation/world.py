"""A whole network in one thread: replicas that ship, on hosts, disks, clocks and ways that are simulated.

One queue holds everything that will happen, by virtual time; a step takes the next and carries its
effects out as ``node.driver`` does. All chance comes from one generator, so a seed is a world.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Any

from coco_core.adapter import ANONYMOUS, BatchResult, CommittedBatch, Deferred, NotCommitted, ScopedView
from coco_core.base import NodeID, limits
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import Role
from coco_core.errors import BusyError
from coco_core.ledger import CHUNK_AFTER
from coco_core.replica import Parts, Timing, found_service, join_service
from coco_core.replica.effects import (
    AdapterFailed,
    Answer,
    BatchCommitted,
    Effect,
    Execute,
    Persist,
    RoleChanged,
    SendToPeer,
)
from coco_core.replica.events import (
    BatchExecuted,
    Event,
    LogPersisted,
    PeerLost,
    PeerSent,
    Submitted,
    Ticked,
)
from coco_core.testing.cluster import run_at_once
from coco_core.testing.simulation.checkers import Judge
from coco_core.testing.simulation.clients import Client
from coco_core.testing.simulation.clock import EPOCH_MS, HostClock
from coco_core.testing.simulation.consortia import simulated_consortium
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.model import Model
from coco_core.testing.simulation.network import Network
from coco_core.testing.simulation.plan import MILLISECOND_US, Plan
from coco_core.testing.tally import Tally
from coco_core.testing.violation import ViolationError

Action = Callable[..., None]
_CONSENSUS = ord("C")
_FORWARD = ord("F")
_REASONS = {
    "the connection to the primary broke before it answered": "forwards abandoned",
    "the primary changed before it answered": "forwards abandoned",
    "the node asked is not the primary": "forwards refused by who does not lead",
    "leadership moved while the transaction was executed": "executions outlived by their leadership",
}


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
        self.recent: deque[tuple[int, str, str]] = deque(maxlen=40)
        self._digest = sha256()
        self._queue: list[tuple[int, int, Action, tuple[Any, ...]]] = []
        self._scheduled = 0
        self._tickets: dict[int, tuple[Client, Sequence[str]]] = {}
        self._ticket = 0
        self.consortium = simulated_consortium(plan.nodes)
        self.model = Model(self.consortium.secrets)
        effects: list[Effect] = []
        for number in range(plan.nodes):
            host, first = self.seat(number)
            self.hosts[host.name] = host
            effects += first
        founder = next(iter(self.hosts.values()))
        self.judge = Judge(self.model, founder, 2 * plan.election_timeout_ticks_min + 2)
        self.clients = [
            Client(label=f"c{number}", plan=plan, rng=rng, model=self.model, counts=self.counts)
            for number in range(plan.clients)
        ]
        self._carry_out(founder, effects)
        for host in self.hosts.values():
            self.at(int(rng.random() * plan.tick_us), self._tick, host)
        for client in self.clients:
            self.wake(client, int(rng.random() * plan.think_us))

    def seat(self, number: int) -> tuple[Host, list[Effect]]:
        """Put node ``number`` of the consortium on the table; the first one founds the service."""
        plan, identity = self.plan, self.consortium.identities[number]
        adapter, disk = Tally(batch_max=plan.batch_max), SimulatedDisk()
        parts = Parts(
            identity=identity,
            service=self.consortium.service,
            secrets=self.consortium.secrets,
            nodes=self.consortium.nodes,
            manifests=[adapter.manifest],
            timing=Timing(
                election_timeout_ticks_min=plan.election_timeout_ticks_min,
                election_timeout_ticks_max=plan.election_timeout_ticks_max,
                heartbeat_ticks=plan.heartbeat_ticks,
            ),
            draw=self.rng.randint,
            reader=disk,
            time_ms=EPOCH_MS,
            randomness=bytes(32),
            chunk_size_bytes=plan.chunk_size_bytes,
            append_size_max_bytes=plan.append_size_max_bytes,
            log_cache_max_bytes=plan.log_cache_max_bytes,
        )
        effects: list[Effect] = []
        if number:
            replica = join_service(parts)
        else:
            replica, effects = found_service(parts, adapter.genesis({"counters": {}}))
        clock = HostClock(plan.tick_us)
        host = Host(
            label=f"n{number}",
            name=identity.node_id,
            replica=replica,
            adapter=adapter,
            disk=disk,
            clock=clock,
            leads_since=None if number else replica.status().view,
        )
        return host, effects

    # ── time ─────────────────────────────────────────────────────────────────────────────────────

    def at(self, delay_us: int, action: Action, *args: Any) -> None:
        """Let ``action(*args)`` happen ``delay_us`` from now."""
        self._scheduled += 1
        heapq.heappush(self._queue, (self.now_us + delay_us, self._scheduled, action, args))

    def step(self) -> None:
        """Let the next thing happen."""
        self.now_us, _, action, args = heapq.heappop(self._queue)
        self.steps += 1
        label = args[0].label if args and isinstance(args[0], Host | Client) else ""
        self.recent.append((self.now_us, action.__name__, label))
        if label and isinstance(args[0], Host):
            host = args[0]
            if host.crashed:
                if action == self._arrive:
                    self._lost(args[1], host, args[2])
                return
            if host.stalled_until_us > self.now_us:
                self.steps -= 1
                self.at(host.stalled_until_us - self.now_us, action, *args)
                return
        action(*args)

    @property
    def alive(self) -> list[Host]:
        """The nodes that did not crash."""
        return [host for host in self.hosts.values() if not host.crashed]

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
            self._carry_out(host, effects)
        chain = host.replica.chain
        what = (
            f"{self.now_us} {host.label} {type(event).__name__} {len(effects)} {chain.head} {chain.committed}"
        )
        self._digest.update(what.encode())

    def _tick(self, host: Host) -> None:
        host.ticks += 1
        self.at(host.clock.next_tick_us(), self._tick, host)
        self.feed(host, Ticked(host.clock.wall_ms(self.now_us)))
        self.judge.tick(host, self.hosts.keys() - {host.name})

    def _arrive(self, host: Host, sender: Host, message: bytes) -> None:
        host.heard[sender.name] = host.ticks
        self.feed(host, PeerSent(sender.name, message))

    def _peer_lost(self, host: Host, peer: NodeID) -> None:
        self.feed(host, PeerLost(peer))

    def _begin_write(self, host: Host) -> None:
        if not host.crashed and host.disk.begin():
            slow = 20 if host.disk.slow else 1
            self.at(slow * int(self.plan.disk_us * (0.5 + self.rng.random())), self._written, host)

    def _written(self, host: Host) -> None:
        if host.disk.full:
            self.counts["full disks"] += 1
            self.crash(host)
            return
        newest = host.disk.complete()
        self._begin_write(host)
        if newest is not None:
            self.feed(host, LogPersisted(newest.index, newest.term))

    def _executed(self, host: Host, running: Execute) -> None:
        view = ScopedView(running.view, frozenset(host.adapter.manifest.maps))
        result: BatchResult | Exception
        try:
            result = run_at_once(host.adapter.execute(running.batch, view))
        except ValueError as error:
            self.counts["adapter faults"] += 1
            result = error
        else:
            self.counts["requests deferred"] += sum(isinstance(one, Deferred) for one in result.outcomes)
        self.counts["batches of several requests"] += len(running.batch.requests) > 1
        host.running = None
        wall_ms = host.clock.wall_ms(self.now_us)
        self.feed(host, BatchExecuted(running.number, result, wall_ms, running.number.to_bytes(32)))

    # ── clients ──────────────────────────────────────────────────────────────────────────────────

    def _client(self, client: Client) -> None:
        client.act(self, self.now_us, more=not self.calm)
        delay_us = self.plan.patience_us
        if client.sent_us is None:
            delay_us = max(self.plan.think_us, 30 * MILLISECOND_US) if client.pending else self.plan.think_us
        self.wake(client, int(delay_us * (0.5 + self.rng.random())))

    def wake(self, client: Client, delay_us: int) -> None:
        """Let a client act after ``delay_us``, and not when it meant to before."""
        client.alarm += 1
        self.at(delay_us, self._alarm, client, client.alarm)

    def _alarm(self, client: Client, number: int) -> None:
        if number == client.alarm:
            self._client(client)
        else:
            self.steps -= 1  # Nothing happened.

    def choose(self) -> Host | None:
        """Return some node whose process answers."""
        reachable = [host for host in self.alive if host.stalled_until_us <= self.now_us]
        return self.rng.choice(reachable) if reachable else None

    def submit(self, client: Client, host: Host, names: Sequence[str], payloads: Sequence[bytes]) -> bool:
        """Hand in a group of transactions at ``host``'s front end; return whether it was taken."""
        if host.stalled_until_us > self.now_us:
            return True  # The request waits in the socket of a process that stands still.
        self._ticket += 1
        self._tickets[self._ticket] = (client, names)
        host.open_tickets.add(self._ticket)
        try:
            self.feed(host, Submitted(self._ticket, host.adapter.manifest.name, payloads, ANONYMOUS))
        except BusyError:
            self.counts["submissions refused as busy"] += 1
            host.open_tickets.discard(self._ticket)
            return False
        return True

    # ── effects ──────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, host: Host, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendToPeer():
                    self._send(host, effect)
                case Persist():
                    self._persist(host, effect, effects)
                case Execute():
                    if host.running is not None:
                        raise ViolationError("stopped", f"{host.label} executes two batches at once")
                    host.running = effect
                    self.at(
                        int(self.plan.execute_us * (0.5 + self.rng.random())), self._executed, host, effect
                    )
                case Answer():
                    self._answer(host, effect)
                case BatchCommitted():
                    self.judge.commit(host, effect, self.hosts.values())
                    owned = {
                        name: effect.writes[name]
                        for name in host.adapter.manifest.maps
                        if name in effect.writes
                    }
                    if owned:
                        host.adapter.committed(CommittedBatch(effect.txid, owned))
                case AdapterFailed():
                    self.counts["adapter faults"] += 1
                case RoleChanged():
                    self._role(host, effect)

    def _send(self, host: Host, effect: SendToPeer) -> None:
        target = self.hosts[effect.to]
        self.counts["requests forwarded"] += effect.message[0] == _FORWARD
        arrivals = self.network.arrivals((host.name, effect.to), self.now_us)
        if not arrivals:
            self._lost(host, target, effect.message)
        self.counts["messages doubled"] += len(arrivals) > 1
        for arrival in arrivals:
            self.at(arrival - self.now_us, self._arrive, target, host, effect.message)

    def _lost(self, sender: Host, target: Host, message: bytes) -> None:
        """Lose a message. A request or an answer is lost only with its connection: both ends are told."""
        self.counts["messages lost"] += 1
        if message[0] != _CONSENSUS or self.rng.random() < 0.2:
            self.break_connection(sender, target)

    def break_connection(self, one: Host, other: Host) -> None:
        """Break the channel between two nodes; each learns of it some time later."""
        self.counts["connections broken"] += 1
        for host, peer in ((one, other), (other, one)):
            self.at(int(self.rng.random() * 30 * MILLISECOND_US), self._peer_lost, host, peer.name)

    def _persist(self, host: Host, effect: Persist, effects: Sequence[Effect]) -> None:
        if effect.truncate_after is not None:
            leads = any(
                isinstance(one, RoleChanged) and one.leadership.role is Role.LEADER for one in effects
            )
            name = "provisional tail dropped on election" if leads else "conflicting entries truncated"
            self.counts[name] += 1
        self.counts["chunks ended"] += sum(bool(entry.data[1] & CHUNK_AFTER) for entry in effect.entries)
        self.judge.persist(host, effect)
        host.disk.pending.append(effect)
        self._begin_write(host)

    def _answer(self, host: Host, effect: Answer) -> None:
        if effect.ticket not in host.open_tickets:
            raise ViolationError("answers", f"{host.label} answers ticket {effect.ticket} it does not owe")
        host.open_tickets.discard(effect.ticket)
        client, names = self._tickets.pop(effect.ticket)
        self.judge.answer(host, names, effect.outcomes)
        for fate in effect.outcomes:
            if isinstance(fate, NotCommitted) and fate.reason in _REASONS:
                self.counts[_REASONS[fate.reason]] += 1
        client.answered(names, effect.outcomes, self.now_us)
        self.wake(client, int(self.plan.think_us * (0.5 + self.rng.random())))

    def _role(self, host: Host, effect: RoleChanged) -> None:
        leadership = effect.leadership
        self.judge.role(host, effect)
        if leadership.role is Role.LEADER:
            self.counts["elections won"] += 1
            self.counts["leadership handed over on request"] += any(
                other.handing_over and other is not host for other in self.hosts.values()
            )
            for other in self.hosts.values():
                other.handing_over = False
            host.leads_since, host.leads_since_tick = leadership.term, host.ticks
            return
        if host.leads_since is not None:
            same = leadership.term == host.leads_since
            self.counts[
                "leadership given up without a quorum" if same else "leadership lost to a later view"
            ] += 1
        host.leads_since = None

    def crash(self, host: Host) -> None:
        """End one node for ever: its disk keeps what was synced, its peers notice sooner or later."""
        host.crashed = True
        host.leads_since = None
        self.counts["nodes crashed"] += 1
        host.disk.crash(self.rng.random())
        self.counts["torn tails"] += bool(host.disk.torn)
        self.counts["unsynced writes lost"] += len(host.disk.entries) < len(host.log)
        for ticket in sorted(host.open_tickets):
            client, _ = self._tickets.pop(ticket)
            client.sent_us = None
            self.wake(client, self.plan.think_us)
        host.open_tickets.clear()
        for other in self.alive:
            self.at(int(self.rng.random() * 30 * MILLISECOND_US), self._peer_lost, other, host.name)

    def sample(self) -> None:
        """Count states that are seen by looking, not by an event."""
        for host in self.alive:
            full = host.replica.chain.uncommitted_batches >= limits.PIPELINE_BATCHES_MAX
            self.counts["pipeline full"] += full and host.leads_since is not None
