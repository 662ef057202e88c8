"""Running worlds: one seed from founding to the final judgement, and many seeds side by side.

The same seed and number of steps give the same world, step by step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from random import Random
from typing import Final

import attrs

from coco_core.ledger import LedgerAuditError, audit
from coco_core.testing.linearizability import Operation, check_linearizable
from coco_core.testing.simulation.faults import Nemesis
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.plan import SECOND_US, Plan
from coco_core.testing.simulation.world import World
from coco_core.testing.violation import ViolationError

STEPS: Final = 2_000
CORRUPTED_EVERY: Final = 4
"""Worlds between two in which a ledger is spoiled at the end, for the auditor to find."""
_REST_MAX_US: Final = 20 * SECOND_US
"""How long, in its own time, a healed network may take until everything is certain and equal."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one world."""

    seed: int
    steps: int
    """Steps taken, those of the healed world at the end included."""
    virtual_us: int
    counts: Counter[str]
    digest: str
    """Of every step: equal wherever the seed is run."""
    ledger_digest: str
    """Of the ledger at the end, byte for byte: equal within one process, which makes its own certificates."""
    checker: str = ""
    """Who saw a violation, empty when nobody did."""
    violation: str = ""
    recent: tuple[str, ...] = ()
    """The last steps before it."""


def run_seed(seed: int, steps: int = STEPS) -> Outcome:
    """Run world ``seed``: faults and load for ``steps`` steps, then peace, then judgement."""
    rng = Random(seed)  # noqa: S311 - a world must follow from its seed; no secret depends on it
    world = World(Plan.draw(seed, steps, rng), rng)
    Nemesis(world)
    checker = violation = ""
    ledger = b""
    try:
        while world.steps < steps:
            world.step()
            if not world.steps & 63:
                world.sample()
        _make_peace(world)
        ledger = _judge(world)
    except ViolationError as error:
        checker, violation = error.checker, str(error)
    world.counts["messages overtaken"] = world.network.overtaken
    world.counts["log read back from disk"] = sum(host.disk.reads for host in world.hosts.values())
    return Outcome(
        seed=seed,
        steps=world.steps,
        virtual_us=world.now_us,
        counts=world.counts,
        digest=world.digest(),
        ledger_digest=sha256(ledger).hexdigest(),
        checker=checker,
        violation=violation,
        recent=tuple(f"{at} {what} {who}" for at, what, who in world.recent) if violation else (),
    )


def run_seeds(seeds: Iterable[int], steps: int = STEPS, jobs: int = 1) -> Iterator[Outcome]:
    """Run many worlds in ``jobs`` processes; yield what became of each, in the order of ``seeds``."""
    if jobs == 1:
        yield from (run_seed(seed, steps) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = list(seeds)
        yield from pool.map(run_seed, waiting, [steps] * len(waiting), chunksize=4)


# ── the end of a world ───────────────────────────────────────────────────────────────────────────


def _make_peace(world: World) -> None:
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
    alive = world.alive
    return (
        all(client.idle for client in world.clients)
        and not any(host.open_tickets or host.running for host in alive)
        and all(host.committed == len(host.log) == len(world.judge.agreed) for host in alive)
        and all(len(host.disk.entries) == len(host.log) for host in alive)
        and sum(host.leads_since is not None for host in alive) == 1
    )


def _unrest(world: World) -> str:
    hosts = ", ".join(
        f"{host.label} {host.replica.status().role} log {len(host.log)} committed {host.committed}"
        f" owes {sorted(host.open_tickets)}"
        for host in world.alive
    )
    clients = ", ".join(f"{one.label} {sorted(one.pending)}" for one in world.clients if not one.idle)
    seconds = _REST_MAX_US // SECOND_US
    return f"no rest after {seconds} s without faults: {hosts}; uncertain: {clients or 'nobody'}"


def _judge(world: World) -> bytes:
    """Judge a world at rest; return its ledger."""
    for host in world.alive:
        world.judge.base(host)
    first, *others = world.alive
    for other in others:
        if [entry.data for entry in other.disk.entries] != [entry.data for entry in first.disk.entries]:
            raise ViolationError("bases", f"{first.label} and {other.label} have other bytes on their disks")
    _audit(world, first)
    for host in world.hosts.values():
        if host.crashed:
            _audit(world, host)
    if world.plan.seed % CORRUPTED_EVERY == 0:
        _corrupt(world, first)
    operations: dict[str, list[Operation]] = {}
    for client in world.clients:
        for counter, history in client.operations().items():
            operations.setdefault(counter, []).extend(history)
    for counter, history in sorted(operations.items()):
        check_linearizable(history, 0, counter)
    return first.disk.file()[1]


def _audit(world: World, host: Host) -> None:
    """Have the production auditor read what is on a disk; a crashed one's may be empty or torn."""
    last = max((entry.index for entry in host.disk.entries if entry.committable), default=0)
    if not last:
        return
    try:
        report = audit(
            [host.disk.file()],
            service_cert_pem=world.consortium.service.certificate,
            secrets=world.consortium.secrets,
        )
    except LedgerAuditError as error:
        raise ViolationError("audit", f"ledger of {host.label}: {error}") from error
    found = report.entries, report.last_verified.seqno, report.torn_tail_bytes
    expected = len(host.disk.entries), last, len(host.disk.torn)
    if found != expected:
        raise ViolationError("audit", f"ledger of {host.label}: found {found}, expected {expected}")


def _corrupt(world: World, host: Host) -> None:
    """Spoil one byte that a signature covers: the auditor must find it."""
    last = max(entry.index for entry in host.disk.entries if entry.committable)
    name, data = host.disk.file()
    at = int(world.rng.random() * host.disk.offset_of(last))
    spoiled = data[:at] + bytes([data[at] ^ 1 << int(world.rng.random() * 8)]) + data[at + 1 :]
    try:
        report = audit([(name, spoiled)], service_cert_pem=None, secrets=world.consortium.secrets)
    except LedgerAuditError:
        world.counts["corrupt sectors found by the audit"] += 1
        return
    # A size field that points beyond the file makes the rest of it an unfinished entry, which is told.
    if report.entries == len(host.disk.entries):
        raise ViolationError("audit", f"byte {at} of the ledger was changed and nobody noticed")
