"""Processors by connection: what each is registered for, what it has, whether it is there.

A registry without rules about time: it is told what happened and chooses among those who may be given work.
Knows neither messages nor sockets.
"""

from __future__ import annotations

import attrs

from coco_sawtooth.processors.jobs import Attempt, Family


@attrs.frozen
class Registration:
    """How a processor wants transactions of one family."""

    occupancy: int
    """How many at a time."""
    raw: bool
    """Whether with headers as signed."""


@attrs.define(eq=False)
class Peer:
    """One connection of a processor, by its socket identity."""

    identity: bytes
    heard_ms: int
    """When it last said anything."""
    ready_ms: int
    """From when on it may be asked anything."""
    registrations: dict[Family, Registration] = attrs.field(factory=dict)
    attempts: dict[str, Attempt] = attrs.field(factory=dict)
    """What it has, by correlation identifier, oldest first."""
    answered_ms: int = 0
    """When it last answered a transaction."""
    asked_ms: int | None = None
    """When it was asked whether it is there, if it has not answered that since."""
    there_ms: int = -1
    """When it last answered that."""
    suspended: bool = False
    """Whether it gets nothing until it answers something."""
    leaving_ms: int | None = None
    """Until when its answers count though it unregistered."""
    busy: dict[Family, int] = attrs.field(factory=dict)
    """Attempts by family."""
    alone: bool = False
    """Whether it works on a transaction that it must have nothing beside."""

    def add(self, correlation_id: str, attempt: Attempt) -> None:
        """Note that it was given something."""
        self.attempts[correlation_id] = attempt
        self.busy[attempt.family] = self.busy.get(attempt.family, 0) + 1
        self.alone = attempt.job is not None and attempt.job.alone

    def remove(self, correlation_id: str) -> Attempt | None:
        """Take back what it was given and return it; None when it does not have it."""
        attempt = self.attempts.pop(correlation_id, None)
        if attempt is not None:
            self.busy[attempt.family] -= 1
            if not self.attempts:
                self.alone = False
        return attempt


class Registry:
    """All processors, and whose turn it is."""

    def __init__(self) -> None:
        """Start with none."""
        self.peers: dict[bytes, Peer] = {}
        self._families: dict[Family, list[Peer]] = {}

    def of(self, family: Family) -> list[Peer]:
        """Return the processors registered for ``family``."""
        return self._families.get(family, [])

    def counts(self) -> dict[Family, int]:
        """Return how many processors each family has, whatever they are doing."""
        return {family: len(peers) for family, peers in self._families.items()}

    def add(self, peer: Peer, family: Family, registration: Registration) -> None:
        """Register ``peer`` for ``family``, instead of as before."""
        self.peers[peer.identity] = peer
        if family not in peer.registrations:
            self._families.setdefault(family, []).append(peer)
        peer.registrations[family] = registration

    def unregister(self, peer: Peer) -> None:
        """Drop all registrations of ``peer``; it stays known."""
        for family in peer.registrations:
            self._families[family].remove(peer)
            if not self._families[family]:
                del self._families[family]
        peer.registrations.clear()

    def forget(self, peer: Peer) -> None:
        """Drop ``peer`` altogether."""
        self.unregister(peer)
        del self.peers[peer.identity]

    def is_served(self, family: Family) -> bool:
        """Return whether somebody is there for ``family``, free or not."""
        return any(not peer.suspended for peer in self.of(family))

    def choose(self, family: Family, now_ms: int, *, alone: bool) -> Peer | None:
        """Return who is to be given a transaction of ``family``: of those with room the least busy.

        Among equals it is everybody's turn, one after the other.
        """
        chosen: Peer | None = None
        load = 0
        peers = self.of(family)
        for peer in peers:
            if peer.suspended or peer.alone or peer.ready_ms > now_ms or (alone and peer.attempts):
                continue
            busy = peer.busy.get(family, 0)
            if busy < peer.registrations[family].occupancy and (chosen is None or busy < load):
                chosen, load = peer, busy
        if chosen is not None and len(peers) > 1:
            peers.remove(chosen)
            peers.append(chosen)
        return chosen
