"""The end of a simulated world: everything heals, the network must come to rest, and is judged as a whole."""

from __future__ import annotations

from typing import Final

from coco_core.governance import GovernanceAuditError
from coco_core.kv import maps
from coco_core.ledger import LedgerAuditError, Snapshot, SnapshotName, audit, read_snapshot
from coco_core.testing.auditing import audit_all
from coco_core.testing.linearizability import Operation, check_linearizable
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.plan import SECOND_US
from coco_core.testing.simulation.storage import spoil
from coco_core.testing.simulation.world import World
from coco_core.testing.violation import ViolationError

CORRUPTED_EVERY: Final = 4
"""Worlds between two in which a ledger is spoiled at the end, for the auditor to find."""
_REST_MAX_US: Final = 20 * SECOND_US
"""How long, in its own time, a healed network may take until everything is certain and equal."""


def make_peace(world: World) -> None:
    """Heal everything and let the network come to rest; raises ViolationError if it does not."""
    world.calm = True
    world.network.calm()
    for host in world.hosts.values():
        host.disk.full = host.disk.slow = False
        host.clock.rate = 1.0
        host.stalled_until_us = 0
    # A way that was cut may have swallowed a request whose sender still believes in its connection.
    deadline_us = world.now_us + _REST_MAX_US
    while world.now_us < deadline_us:
        for _ in range(64):
            world.step()
        if _at_rest(world):
            return
    raise ViolationError("liveness", _unrest(world))


def _at_rest(world: World) -> bool:
    alive, agreed = world.alive, len(world.judge.agreed)
    return (
        all(client.idle for client in world.clients)
        and world.comings.idle
        and not any(host.open_tickets or host.running or host.work for host in alive)
        and all(host.committed == len(host.log) == len(host.disk.entries) == agreed for host in alive)
        and sum(host.leads_since is not None for host in alive) == 1
        and not world.model.state.get(maps.REKEY_WANTED, {}).get(maps.SINGLETON_KEY)
    )


def _unrest(world: World) -> str:
    hosts = ", ".join(
        f"{host.label} {host.replica.status().role} log {len(host.log)} committed {host.committed}"
        f" disk {len(host.disk.entries)} owes {sorted(host.open_tickets)}"
        for host in world.alive
    )
    clients = ", ".join(f"{one.label} {sorted(one.pending)}" for one in world.clients if not one.idle)
    seconds = _REST_MAX_US // SECOND_US
    return (
        f"no rest after {seconds} s without faults: {hosts}; uncertain: {clients or 'nobody'};"
        f" members: {world.comings.unrest()}"
    )


def judge_at_rest(world: World) -> bytes:
    """Judge a world at rest; return its ledger."""
    alive = world.alive
    for host in alive:
        world.judge.base(host)
        world.epochs.at_rest(host)
    for host in alive:
        if host.disk.entries != world.judge.agreed:
            raise ViolationError("bases", f"{host.label} has another ledger on its disk than is agreed")
    # Those who began behind a snapshot first: their ledgers are audited from there.
    dead = [host for host in world.hosts.values() if host.ended]
    for hosts in (alive, dead):
        if hosts:
            _audit(world, max(hosts, key=lambda host: (host.disk.compacted_index, host.label)))
    if world.plan.seed % CORRUPTED_EVERY == 0:
        _corrupt(world, alive[0])
    operations: dict[str, list[Operation]] = {}
    for client in world.clients:
        for counter, history in client.operations().items():
            operations.setdefault(counter, []).extend(history)
    for counter, history in sorted(operations.items()):
        check_linearizable(history, 0, counter)
    return b"".join(entry.data for entry in world.judge.agreed)


def _audit(world: World, host: Host) -> None:
    """Have the production auditor read what is on a disk; a crashed one's may be empty or torn."""
    disk, start = host.disk, _beginning(world, host)
    begins = disk.compacted_index
    if begins and start is None:
        return
    last = max((entry.index for entry in disk.entries if entry.committable), default=0)
    if last <= (start.evidence.seqno if start is not None else 0):
        return
    try:
        report, _ = audit_all(
            [disk.file()],
            service_cert_pem=world.consortium.service.certificate,
            secrets=world.epochs.secrets_of(disk.entries),
            start=start,
        )
    except (LedgerAuditError, GovernanceAuditError) as error:
        raise ViolationError("audit", f"ledger of {host.label}: {error}") from error
    world.counts["ledgers audited from a snapshot"] += bool(begins)
    found = report.entries, report.last_verified.seqno, report.torn_tail_bytes
    expected = len(disk.entries) - begins, last, len(disk.torn)
    if found != expected:
        raise ViolationError("audit", f"ledger of {host.label}: found {found}, expected {expected}")


def _beginning(world: World, host: Host) -> Snapshot | None:
    """Return the snapshot that a ledger begins behind."""
    begins = host.disk.compacted_index
    if begins not in host.shelf.proven:
        return None
    evidence, data = host.shelf.proven[begins]
    name = str(SnapshotName(begins, evidence))
    return read_snapshot(name, data, world.epochs.secrets, world.consortium.service.certificate)


def _corrupt(world: World, host: Host) -> None:
    """Spoil one byte that a signature covers: the auditor must find it."""
    disk = host.disk
    last = max(entry.index for entry in disk.entries if entry.committable)
    start = _beginning(world, host)
    if disk.compacted_index and (start is None or start.evidence.seqno >= last):
        return
    name, data = disk.file()
    covered = disk.offset_of(last)
    spoiled = spoil(data[:covered], world.rng.random(), world.rng.random()) + data[covered:]
    try:
        report = audit([(name, spoiled)], service_cert_pem=None, secrets=world.epochs.secrets, start=start)
    except LedgerAuditError:
        world.counts["corrupt sectors found by the audit"] += 1
        return
    # A size field that points beyond the file makes the rest of it an unfinished entry, which is told.
    if report.entries == len(disk.entries) - disk.compacted_index:
        raise ViolationError("audit", "a byte of the ledger was changed and nobody noticed")
