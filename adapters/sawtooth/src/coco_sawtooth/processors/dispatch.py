"""The validator's side of the processor protocol, without sockets, threads or clocks.

It is told what was received, submitted and lost, and at what time; it leaves behind what is to be sent
(``outbox``) and what has a result (``results``). Whatever processors do or do not do, every job gets a
result within the bounds of the policy: see ``policy``. Times are milliseconds of one steady clock.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from google.protobuf.message import DecodeError

from coco_sawtooth.execution import Processed
from coco_sawtooth.messages import (
    Message,
    MessageType,
    TpRegisterRequest,
    TpRegisterResponse,
    TpUnregisterResponse,
)
from coco_sawtooth.processors import policy as bounds
from coco_sawtooth.processors.assignments import Assignments
from coco_sawtooth.processors.clients import ClientMessage
from coco_sawtooth.processors.envelope import envelope
from coco_sawtooth.processors.jobs import Family, Job
from coco_sawtooth.processors.peers import Peer, Registration, Registry
from coco_sawtooth.processors.policy import Policy
from coco_sawtooth.processors.state import STATE_MESSAGES, answer_state

_REFUSED: Final = TpRegisterResponse(
    status=TpRegisterResponse.ERROR, protocol_version=bounds.PROTOCOL_VERSION
).SerializeToString()
_SIGNS_OF_LIFE: Final = {
    MessageType.PING_RESPONSE,
    MessageType.TP_PROCESS_RESPONSE,
    MessageType.TP_REGISTER_REQUEST,
}
"""What shows that a processor is done with what it was at; asking for state does not."""
_UNREGISTERED: Final = TpUnregisterResponse(status=TpUnregisterResponse.OK).SerializeToString()


class Dispatcher:
    """Gives jobs to processors and takes their answers."""

    def __init__(self, policy: Policy, nonce: bytes, now_ms: int) -> None:
        """Begin with nobody registered.

        ``nonce`` is at least 8 bytes of fresh randomness: contexts must not be called as those of an
        earlier run, which a processor may still be working for.
        """
        self.outbox: list[tuple[bytes, bytes]] = []
        """Socket identity and frame of each message to be sent, in order; who sends them takes them out."""
        self.malformed = 0
        """Messages that could not be read."""
        self.notes: list[str] = []
        """What an operator wants to know of who came and went; who tells of it takes it out."""
        self._policy = policy
        self._registry = Registry()
        self._work = Assignments(self._registry, policy, nonce, self.outbox, now_ms)
        self._pings = 0

    @property
    def results(self) -> list[tuple[Job, Processed]]:
        """Jobs with their results; who tells of them takes them out."""
        return self._work.results

    @property
    def is_busy(self) -> bool:
        """Whether any job has no result yet."""
        return self._work.are_any

    @property
    def has_waiting(self) -> bool:
        """Whether there are jobs for whoever is done with what it has."""
        return self._work.wait

    def registered(self) -> dict[Family, int]:
        """Return how many processors each family has."""
        return self._registry.counts()

    def submit(self, job: Job, now_ms: int) -> None:
        """Have ``job`` processed."""
        self._work.add(job, now_ms)

    def withdraw(self, job: Job) -> None:
        """Give ``job`` up: it gets no result, and its context is not touched any longer."""
        self._work.withdraw(job)

    def receive(self, identity: bytes, frame: bytes, now_ms: int) -> ClientMessage | None:
        """Take a message of the socket; return it when it is for somebody else.

        What cannot be read is counted and dropped, for it has nothing that an answer could refer to.
        """
        if not frame:  # a connection probe
            self.outbox.append((identity, b""))
            return None
        try:
            message = Message.FromString(frame)
        except DecodeError:
            self.malformed += 1
            return None
        kind, correlation_id = message.message_type, message.correlation_id
        peer = self._registry.peers.get(identity)
        if peer is not None:
            self._heard(peer, kind, now_ms)
        if kind == MessageType.TP_PROCESS_RESPONSE:
            if peer is not None:
                self._work.answered(peer, correlation_id, message.content, now_ms)
        elif kind in STATE_MESSAGES:
            find = _nowhere if peer is None else partial(self._work.find, peer)
            self._send(identity, correlation_id, *answer_state(kind, message.content, find))
        elif kind == MessageType.TP_REGISTER_REQUEST:
            answer = self._register(identity, message.content, now_ms)
            self._send(identity, correlation_id, MessageType.TP_REGISTER_RESPONSE, answer)
        elif kind == MessageType.TP_UNREGISTER_REQUEST:
            self._unregister(identity, now_ms)
            self._send(identity, correlation_id, MessageType.TP_UNREGISTER_RESPONSE, _UNREGISTERED)
        elif kind == MessageType.PING_REQUEST:
            self._send(identity, correlation_id, MessageType.PING_RESPONSE, b"")
        elif kind != MessageType.PING_RESPONSE:
            return ClientMessage(identity, kind, correlation_id, message.content)
        return None

    def lost(self, identity: bytes, now_ms: int) -> None:
        """Note that the connection of ``identity`` is gone: what it had is given to others."""
        peer = self._registry.peers.get(identity)
        if peer is None:
            return
        families = list(peer.registrations)
        if peer.leaving_ms is None:
            self._work.crashed(peer)
        else:
            self._work.take_back(peer)
        self._registry.forget(peer)
        self._note("ended", families)
        self._work.note_absence(families, now_ms)
        self._work.give_all(now_ms)

    def tick(self, now_ms: int) -> None:
        """Do what is due by now."""
        for peer in list(self._registry.peers.values()):
            if peer.leaving_ms is not None:
                self._let_go(peer, now_ms)
            elif peer.ready_ms <= now_ms and not peer.suspended:
                self._watch(peer, now_ms)
        self._work.give_all(now_ms)

    def ask_all(self, now_ms: int) -> None:
        """Ask every processor whether it is there: sending tells whose connection is gone."""
        for peer in self._registry.peers.values():
            if peer.ready_ms <= now_ms:
                self._ask(peer, now_ms)

    # --- registration -----------------------------------------------------------------------------

    def _register(self, identity: bytes, content: bytes, now_ms: int) -> bytes:
        try:
            request = TpRegisterRequest.FromString(content)
        except DecodeError:
            return _REFUSED
        peer = self._registry.peers.get(identity) or Peer(identity, now_ms, now_ms)
        family = (request.family, request.version)
        if request.protocol_version > bounds.PROTOCOL_VERSION or not self._has_room(peer, family):
            return _REFUSED
        # Registering again means it connected again, and knows nothing of what it had.
        self._work.take_back(peer, family)
        peer.ready_ms = now_ms + self._policy.fresh_ms
        peer.leaving_ms = None
        occupancy = min(request.max_occupancy or bounds.OCCUPANCY_DEFAULT, bounds.OCCUPANCY_MAX)
        raw = request.request_header_style == TpRegisterRequest.RAW
        self._registry.add(peer, family, Registration(occupancy, raw))
        self._note("registered", [family])
        # Python's SDK gives up when it is told another version than it asked for, be it a lower one.
        version = request.protocol_version
        return TpRegisterResponse(status=TpRegisterResponse.OK, protocol_version=version).SerializeToString()

    def _has_room(self, peer: Peer, family: Family) -> bool:
        return (
            max(map(len, family)) <= bounds.FAMILY_TEXT_MAX_CHARS
            and (family in peer.registrations or len(peer.registrations) < bounds.REGISTRATIONS_MAX)
            and (peer.identity in self._registry.peers or len(self._registry.peers) < bounds.PEERS_MAX)
        )

    def _unregister(self, identity: bytes, now_ms: int) -> None:
        peer = self._registry.peers.get(identity)
        if peer is not None:
            families = list(peer.registrations)
            self._registry.unregister(peer)
            self._note("unregistered", families)
            self._work.note_absence(families, now_ms)
            # It may still answer what it has; or it was interrupted in the middle, and never will.
            peer.leaving_ms = now_ms + self._policy.leaving_ms

    # --- watching ---------------------------------------------------------------------------------

    def _heard(self, peer: Peer, kind: int, now_ms: int) -> None:
        peer.heard_ms = now_ms
        if kind == MessageType.PING_RESPONSE:
            peer.there_ms = now_ms
            peer.asked_ms = None
        if peer.suspended and kind in _SIGNS_OF_LIFE:
            self._note("answers again", list(peer.registrations))
            peer.suspended = False
            peer.answered_ms = now_ms

    def _ask(self, peer: Peer, now_ms: int) -> None:
        self._pings += 1
        if peer.asked_ms is None:
            peer.asked_ms = now_ms
        self._send(peer.identity, f"ping-{self._pings:x}", MessageType.PING_REQUEST, b"")

    def _let_go(self, peer: Peer, now_ms: int) -> None:
        if not peer.attempts or (peer.leaving_ms is not None and peer.leaving_ms <= now_ms):
            self._work.take_back(peer)
            self._registry.forget(peer)

    def _watch(self, peer: Peer, now_ms: int) -> None:
        """Ask who is silent whether it is there, and take work from who does not do it."""
        if not peer.attempts:
            if peer.asked_ms is not None and now_ms - peer.asked_ms >= self._policy.silent_ms:
                self._suspend(peer, now_ms)
            elif peer.asked_ms is None and now_ms - peer.heard_ms >= self._policy.silent_ms:
                self._ask(peer, now_ms)
            return
        turn = max(next(iter(peer.attempts.values())).sent_ms, peer.answered_ms)
        if now_ms - turn < self._policy.process_ms:
            # While others are answered: one of many that are done at a time.
            overdue = [key for key, attempt in peer.attempts.items() if attempt.deadline_ms <= now_ms]
            self._work.end_late(peer, overdue, makes_room=True)
        self._watch_turn(peer, turn, now_ms)

    def _watch_turn(self, peer: Peer, turn: int, now_ms: int) -> None:
        """See to what ``peer`` is at since ``turn``."""
        limit = self._policy.process_ms
        # Asked halfway, so that by the deadline it is known whether it answers while it works.
        is_there = peer.there_ms - turn >= limit // 2
        if now_ms - turn >= limit // 2 and not is_there and peer.asked_ms is None:
            self._ask(peer, now_ms)
        elif now_ms - turn >= limit and is_there:
            # It does many at a time, and has had time for these.
            late = [key for key, attempt in peer.attempts.items() if now_ms - attempt.sent_ms >= limit]
            self._work.end_late(peer, late, makes_room=True)
        elif now_ms - turn >= limit and peer.asked_ms is not None and now_ms - peer.asked_ms >= limit // 2:
            # It does one after the other, so it is the first that takes too long, or made it a zombie.
            self._work.end_late(peer, list(peer.attempts)[:1], makes_room=False)
            self._work.abandon(peer)
            self._suspend(peer, now_ms)

    def _suspend(self, peer: Peer, now_ms: int) -> None:
        peer.suspended = True
        self._note("does not answer and is given nothing more", list(peer.registrations))
        self._work.note_absence(list(peer.registrations), now_ms)

    def _note(self, what: str, families: list[Family]) -> None:
        if len(self.notes) < bounds.NOTES_MAX:
            names = ", ".join(f"{name} {version}" for name, version in families[: bounds.NOTE_FAMILIES_MAX])
            self.notes.append(f"a transaction processor {what}: {names or 'of no family'}")

    def _send(self, identity: bytes, correlation_id: str, message_type: int, content: bytes) -> None:
        self.outbox.append((identity, envelope(message_type, correlation_id, content)))


def _nowhere(_context_id: str) -> None:
    return None
