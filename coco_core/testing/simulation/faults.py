"""What goes wrong in a simulated world, one fault after the other, each undone after a while.

A crash ends a node for good, so it happens only while a majority of the members stays: of those now, and
of those that a change makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from coco_core.replica.events import HandOver
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.network import Way
from coco_core.testing.simulation.plan import MILLISECOND_US
from coco_core.testing.simulation.world import World

Fault = Callable[[], None]


class Nemesis:
    """Picks faults for one world; ``kinds`` holds each as often as it is likely."""

    def __init__(self, world: World) -> None:
        """Begin to make trouble in ``world``."""
        self._world = world
        self._rng = world.rng
        self._kinds: Sequence[Fault] = (
            *(
                self._isolate,
                self._depose,
                self._depose,
                self._depose,
                self._halve,
                self._deafen,
                self._mute,
                self._one_way,
                self._one_way,
            ),
            *(self._slow_ways, self._slow_ways, self._break_connection),
            *(self._crash, self._crash, self._fill_disk, self._slow_disk, self._slow_disk),
            *(self._forsake, self._interrupt, self._interrupt),
            *(self._stall, self._stall, self._move_clock, self._move_clock, self._change_pace),
            *(self._hand_over, self._hand_over),
        )
        self._schedule()
        world.worst_moment = self._worst_moment

    def _schedule(self) -> None:
        delay_us = int(self._world.plan.fault_interval_us * 2 * self._rng.random())
        self._world.at(delay_us, self._act)

    def _act(self) -> None:
        if not self._world.calm:
            self._rng.choice(self._kinds)()
            self._schedule()

    def _worst_moment(self, leader: Host, share: float) -> None:
        """Cut a leader off, perhaps: it just wrote of its members, or waits for who loads a snapshot."""
        if not self._world.calm and self._rng.random() < share:
            self._partition([way for way in self._ways() if leader.name in way], "partitions")

    # ── the network ──────────────────────────────────────────────────────────────────────────────

    def _partition(self, ways: list[Way], name: str) -> None:
        """Cut ``ways``; sometimes the ends are told, sometimes they only notice silence."""
        self._world.counts[name] += 1
        self._world.network.cut(ways)
        if self._rng.random() < 0.5:
            hosts = self._world.hosts
            for one, other in ways:
                self._world.break_connection(hosts[one], hosts[other])
        self._world.at(self._duration_us(), self._world.network.heal, ways)

    def _isolate(self) -> None:
        one = self._pick()
        self._partition([way for way in self._ways() if one.name in way], "partitions")

    def _forsake(self) -> None:
        """Cut a node off for so long that the others drop what it lacks."""
        one = self._rng.choice(self._world.alive)
        ways = [way for way in self._ways() if one.name in way]
        self._world.counts["partitions"] += 1
        self._world.network.cut(ways)
        self._world.at(5 * self._duration_us(), self._world.network.heal, ways)

    def _interrupt(self) -> None:
        """Cut who fetches a snapshot off from who sends it, or have another lead."""
        for host in self._world.alive:
            if host.fetches is None or not host.replica.statistics()["snapshot_received_bytes"]:
                continue
            way = (host.name, host.fetches[2])
            if self._rng.random() < 0.5:
                self._partition([way, way[::-1]], "partitions")
            else:
                self._hand_over()
            return

    def _depose(self) -> None:
        """Cut who leads off for about as long as the others need to elect another."""
        for leader in [host for host in self._world.alive if host.leads_since is not None]:
            self._partition([way for way in self._ways() if leader.name in way], "partitions")

    def _halve(self) -> None:
        names = [host.name for host in self._world.alive]
        self._rng.shuffle(names)
        side = set(names[: len(names) // 2])
        self._partition([way for way in self._ways() if (way[0] in side) != (way[1] in side)], "partitions")

    def _deafen(self) -> None:
        one = self._pick()
        self._partition([way for way in self._ways() if way[1] == one.name], "one-way partitions")

    def _mute(self) -> None:
        one = self._pick()
        self._partition([way for way in self._ways() if way[0] == one.name], "one-way partitions")

    def _one_way(self) -> None:
        if ways := self._ways():
            self._partition([self._rng.choice(ways)], "one-way partitions")

    def _slow_ways(self) -> None:
        one = self._pick()
        ways = [way for way in self._ways() if one.name in way]
        self._world.counts["slow ways"] += 1
        self._world.network.slow(ways, self._rng.randint(5, 60) * MILLISECOND_US)
        self._world.at(self._duration_us(), self._world.network.slow, ways, 0)

    def _break_connection(self) -> None:
        alive = self._world.alive
        if len(alive) > 1:
            self._world.break_connection(*self._rng.sample(alive, 2))

    # ── hosts ────────────────────────────────────────────────────────────────────────────────────

    def _crash(self) -> None:
        host = self._pick()
        if self._spare(host):
            self._world.counts["nodes crashed"] += 1
            self._world.end(host)

    def _fill_disk(self) -> None:
        disk = self._pick().disk
        disk.full = True
        self._world.at(self._duration_us(), setattr, disk, "full", False)

    def _slow_disk(self) -> None:
        disk = self._pick().disk
        disk.slow = True
        self._world.counts["slow disks"] += 1
        self._world.at(self._duration_us(), setattr, disk, "slow", False)

    def _stall(self) -> None:
        self._world.counts["stalls"] += 1
        self._pick().stalled_until_us = self._world.now_us + self._duration_us()

    def _move_clock(self) -> None:
        by_ms = self._rng.choice((-86_400_000, -3_000, -200, 200, 3_000, 86_400_000))
        self._world.counts["clocks moved forward" if by_ms > 0 else "clocks moved back"] += 1
        self._pick().clock.offset_ms += by_ms

    def _change_pace(self) -> None:
        self._world.counts["clocks changed pace"] += 1
        self._pick().clock.rate = self._rng.choice((0.5, 0.8, 1.0, 1.25, 2.0))

    def _hand_over(self) -> None:
        leaders = [host for host in self._world.alive if host.leads_since is not None]
        if leaders and leaders[0].stalled_until_us <= self._world.now_us:
            leaders[0].handing_over = True
            self._world.feed(leaders[0], HandOver())

    # ── chance ───────────────────────────────────────────────────────────────────────────────────

    def _pick(self) -> Host:
        """Return a living node, every other time the one that leads."""
        alive = self._world.alive
        leaders = [host for host in alive if host.leads_since is not None]
        return self._rng.choice(leaders if leaders and self._rng.random() < 0.5 else alive)

    def _ways(self) -> list[Way]:
        alive = self._world.alive
        return [(one.name, other.name) for one in alive for other in alive if one is not other]

    def _spare(self, host: Host) -> bool:
        """Return whether there is a service to keep, and it does without ``host``."""
        if not self._world.judge.agreed:
            return False  # A service whose founder ends before anything is agreed never began.
        return self._world.comings.operator.can_spare(host)

    def _duration_us(self) -> int:
        return int(self._rng.choice((20, 100, 300)) * (0.5 + self._rng.random()) * MILLISECOND_US)
