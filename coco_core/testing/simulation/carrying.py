"""Effects of simulated nodes, carried out in order, each one judged and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from coco_core.adapter import CommittedBatch, NotCommitted
from coco_core.consensus import Role
from coco_core.ledger import CHUNK_AFTER
from coco_core.replica import messages
from coco_core.replica.effects import (
    AdapterFailed,
    Answer,
    BatchCommitted,
    Effect,
    Execute,
    InstallSnapshot,
    LoadSnapshot,
    PeersChanged,
    Persist,
    ProveSnapshot,
    Retired,
    RoleChanged,
    SendToPeer,
    StoreSnapshotPart,
    TakeSnapshot,
)
from coco_core.testing.simulation.epochs import begins_epoch
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.plan import MILLISECOND_US
from coco_core.testing.violation import ViolationError

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World

_REASONS: Final = {
    "the connection to the primary broke before it answered": "forwards abandoned",
    "the primary changed before it answered": "forwards abandoned",
    "the node asked is not the primary": "forwards refused by who does not lead",
    "leadership moved while the transaction was executed": "executions outlived by their leadership",
}
_KINDS: Final = {
    messages.FORWARD: "requests forwarded",
    messages.SNAPSHOT_OFFER: "snapshots offered",
    messages.SNAPSHOT_PART: "parts of snapshots sent",
    ord(messages.MEMBERSHIP_QUESTION): "nodes asked whether they belong",
    ord(messages.RETIREMENT_NOTICE): "nodes told that they do not belong",
    messages.MEMBERS_NOTICE: "nodes told who takes part",
}
_LOST_WITH_CONNECTION: Final = {messages.FORWARD, messages.ANSWER}
"""What is lost only when its connection breaks; both ends are told then."""


class Carrier:
    """Carries out what the nodes of one world ask for."""

    def __init__(self, world: World) -> None:
        """Carry out effects in ``world``."""
        self._world = world
        self._rng = world.rng
        self._counts = world.counts

    def carry_out(self, host: Host, effects: Sequence[Effect]) -> None:
        """Do what one node asks for, in order."""
        if any(isinstance(effect, BatchCommitted) for effect in effects):
            self._world.snapshots.committed(host, effects)
        for effect in effects:
            match effect:
                case SendToPeer():
                    self._send(host, effect)
                case Persist():
                    self._persist(host, effect, effects)
                case Execute():
                    self._world.execute(host, effect)
                case Answer():
                    self._count_reasons(effect)
                    self._world.answer(host, effect)
                case BatchCommitted():
                    self._committed(host, effect)
                case AdapterFailed():
                    self._counts["adapter faults"] += 1
                case RoleChanged():
                    self._role(host, effect)
                case _:
                    self._carry_out_rare(host, effect)

    def _carry_out_rare(self, host: Host, effect: Effect) -> None:
        world = self._world
        match effect:
            case PeersChanged():
                host.peers = frozenset(effect.peers)
            case Retired():
                world.judge.retired(host)
                if not host.retired:
                    host.retired = True
                    self._counts["removed nodes switched off"] += 1
                    world.at(int(self._rng.random() * 50 * MILLISECOND_US), world.end, host)
            case StoreSnapshotPart():
                world.storage.store(host, effect)
            case TakeSnapshot() | ProveSnapshot() | LoadSnapshot():
                world.storage.work(host, effect)
            case InstallSnapshot():
                self._counts["snapshots installed"] += 1
                missed = world.judge.agreed[host.committed : effect.snapshot.place.txid.seqno]
                self._counts["epochs learnt from a snapshot"] += any(map(begins_epoch, missed))
                world.judge.install(host, effect.snapshot)
                world.storage.put(host, effect)
                world.seats.tell_restored(host)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────

    def _send(self, host: Host, effect: SendToPeer) -> None:
        if effect.to not in host.peers:
            raise ViolationError("stopped", f"{host.label} writes to {effect.to[:8]}, which is no peer")
        target = self._world.hosts.get(effect.to)
        if target is None:
            return  # It was welcomed, and does not listen yet.
        message = effect.message
        if message[0] in _KINDS:
            self._counts[_KINDS[message[0]]] += 1
        elif message[0] == messages.SNAPSHOT_REQUEST:
            self._count_request(host, effect)
        now_us = self._world.now_us
        arrivals = self._world.network.arrivals((host.name, effect.to), now_us)
        if not arrivals:
            self.lose(host, target, message)
        self._counts["messages doubled"] += len(arrivals) > 1
        for arrival in arrivals:
            self._world.at(arrival - now_us, self._world.arrive, target, host, message)

    def _count_request(self, host: Host, effect: SendToPeer) -> None:
        request = messages.decode(effect.message)
        if not isinstance(request, messages.SnapshotRequest):
            return
        before, host.fetches = host.fetches, (request.seqno, request.offset, effect.to)
        if before is not None and before[0] == request.seqno and request.offset:
            self._counts["snapshots resumed with another leader"] += before[2] != effect.to
            self._counts["parts of snapshots asked for again"] += before == host.fetches

    def lose(self, sender: Host, target: Host, message: bytes) -> None:
        """Lose a message, sometimes with its connection."""
        self._counts["messages lost"] += 1
        if message[0] in _LOST_WITH_CONNECTION or self._rng.random() < 0.2:
            self._world.break_connection(sender, target)

    # ── the ledger ───────────────────────────────────────────────────────────────────────────────

    def _persist(self, host: Host, effect: Persist, effects: Sequence[Effect]) -> None:
        if effect.truncate_after is not None:
            leads = any(
                isinstance(one, RoleChanged) and one.leadership.role is Role.LEADER for one in effects
            )
            name = "provisional tail dropped on election" if leads else "conflicting entries truncated"
            self._counts[name] += 1
            dropped = host.told[-1].index > effect.truncate_after
            self._counts["sets of members dropped with the log"] += dropped
            self._counts["epochs dropped with the log"] += any(
                map(begins_epoch, host.log[effect.truncate_after :])
            )
        self._counts["chunks ended"] += sum(bool(entry.data[1] & CHUNK_AFTER) for entry in effect.entries)
        told = host.told[-1]
        self._world.judge.persist(host, effect)
        self._world.storage.put(host, effect)
        if host.leads_since is not None and host.told[-1] is not told:
            self._world.worst_moment(host, 0.3)

    def _committed(self, host: Host, effect: BatchCommitted) -> None:
        self._world.judge.commit(host, effect)
        maps = host.adapter.manifest.maps
        owned = {name: effect.writes[name] for name in maps if name in effect.writes}
        if owned:
            host.adapter.committed(CommittedBatch(effect.txid, owned))

    def _count_reasons(self, effect: Answer) -> None:
        for fate in effect.outcomes:
            if isinstance(fate, NotCommitted) and fate.reason in _REASONS:
                self._counts[_REASONS[fate.reason]] += 1

    # ── leaders ──────────────────────────────────────────────────────────────────────────────────

    def _role(self, host: Host, effect: RoleChanged) -> None:
        leadership = effect.leadership
        self._world.judge.role(host, effect)
        if leadership.role is Role.LEADER:
            self._counts["elections won"] += 1
            self._counts["removed nodes elected once more"] += host.name not in host.told[-1].voters
            handed_over = False
            for other in self._world.hosts.values():
                handed_over |= other.handing_over and other is not host
                other.handing_over = False
            self._counts["leadership handed over on request"] += handed_over
            host.leads_since, host.leads_since_tick = leadership.term, host.ticks
            return
        if host.leads_since is not None:
            same = leadership.term == host.leads_since
            removed = not any(host.name in told.voters for told in host.told[-1:])
            name = "leadership given up without a quorum" if same else "leadership lost to a later view"
            self._counts["leaders removed" if same and removed else name] += 1
        host.leads_since = None
