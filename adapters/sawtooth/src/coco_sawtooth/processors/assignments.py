"""Which processor works on which job, and what its answer means.

Queues jobs by family, so that no family waits for another one's processors, and gives them to whoever has
room. Knows the registry and the policy; not the socket, nor when processors are judged to be gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError

from coco_sawtooth.execution import Invalid, Processed, Unavailable, Valid
from coco_sawtooth.messages import TpProcessResponse
from coco_sawtooth.processors import policy as bounds
from coco_sawtooth.processors.envelope import process_request
from coco_sawtooth.processors.jobs import Attempt, Family, Job
from coco_sawtooth.processors.peers import Peer, Registry
from coco_sawtooth.processors.policy import Policy

VALID: Final = Valid()


class Assignments:
    """Jobs that wait, jobs in hand, jobs that have a result.

    Whatever was with a processor when it ended is remembered by its transaction, since it is offered again
    when there was no other processor; and is given only to processors that have nothing else.
    """

    def __init__(
        self, registry: Registry, policy: Policy, nonce: bytes, outbox: list[tuple[bytes, bytes]], now_ms: int
    ) -> None:
        """Start with nothing; requests go into ``outbox``. ``nonce`` makes contexts' names this run's own."""
        self.results: list[tuple[Job, Processed]] = []
        self._registry = registry
        self._policy = policy
        self._outbox = outbox
        self._nonce = nonce.hex()[:16]
        self._count = 0
        self._start_ms = now_ms
        self._absent: dict[Family, int] = {}
        self._queues: dict[Family, deque[Job]] = {}
        self._paused: list[tuple[int, Job]] = []
        self._suspects: dict[str, int] = {}
        self._contexts: dict[str, tuple[Peer, Attempt]] = {}

    @property
    def are_any(self) -> bool:
        """Whether a job waits or is in hand."""
        return bool(self._queues or self._contexts or self._paused)

    @property
    def wait(self) -> bool:
        """Whether jobs wait for room: whoever has none of its own to do will be given one at once."""
        return bool(self._queues)

    def add(self, job: Job, now_ms: int) -> None:
        """Have ``job`` done; it is Unavailable when nobody has been there for too long."""
        job.crashes = self._suspects.get(job.transaction.id, 0)
        job.alone = job.crashes > 0
        self._queue(job.family).append(job)
        self._give(job.family, now_ms)

    def withdraw(self, job: Job) -> None:
        """Give ``job`` up; whoever has it is still busy with it."""
        job.done = True
        for attempt in [attempt for _, attempt in self._contexts.values() if attempt.job is job]:
            self._release(attempt)

    def give_all(self, now_ms: int) -> None:
        """Take up what has paused long enough, and give what waits."""
        if self._paused:
            due = [job for at_ms, job in self._paused if at_ms <= now_ms]
            self._paused = [each for each in self._paused if each[0] > now_ms]
            for job in due:
                self._queue(job.family).appendleft(job)
        for family in list(self._queues):
            self._give(family, now_ms)

    def find(self, peer: Peer, context_id: str) -> Attempt | None:
        """Return the attempt of ``peer`` that works with a context, as long as its result counts."""
        owner, attempt = self._contexts.get(context_id, (None, None))
        return attempt if owner is peer else None

    def answered(self, peer: Peer, correlation_id: str, content: bytes, now_ms: int) -> None:
        """Take a processor's answer to a request; one that nobody waits for only makes room."""
        attempt = peer.remove(correlation_id)
        if attempt is None:
            return
        peer.answered_ms = now_ms
        job = self._release(attempt)
        if job is not None:
            result = self._judge(job, attempt, content)
            if result is None:
                self._paused.append((now_ms + (self._policy.error_pause_ms << (job.errors - 1)), job))
            else:
                self._finish(job, result)
        self._give(attempt.family, now_ms)

    # --- from those who do not answer -------------------------------------------------------------

    def end_late(self, peer: Peer, late: Iterable[str], *, makes_room: bool) -> None:
        """Refuse what ``peer`` took too long for; unless it ``makes_room`` it is still busy with it."""
        seconds = self._policy.process_ms / 1000
        for correlation_id in late:
            attempt = peer.remove(correlation_id) if makes_room else peer.attempts[correlation_id]
            if attempt is not None and (job := self._release(attempt)) is not None:
                self._finish(job, Invalid(f"The transaction processor did not answer within {seconds:g} s"))

    def abandon(self, peer: Peer) -> None:
        """Give to others what ``peer`` has, which it may go on with for nobody."""
        for attempt in reversed(list(peer.attempts.values())):
            self._move(self._release(attempt))

    def take_back(self, peer: Peer, family: Family | None = None) -> None:
        """Give to others what ``peer`` has, of one family or of all, and does not have any longer."""
        for correlation_id, attempt in reversed(list(peer.attempts.items())):
            if family in {None, attempt.family}:
                peer.remove(correlation_id)
                self._move(self._release(attempt))

    def crashed(self, peer: Peer) -> None:
        """Give to others what ``peer`` had when it ended: any of it may be the reason.

        Each is then given to a processor that has nothing else, so that what ends a second one is
        certain, and is refused.
        """
        for correlation_id, attempt in list(peer.attempts.items()):
            peer.remove(correlation_id)
            job = self._release(attempt)
            if job is None:
                continue
            job.crashes += 1
            if job.alone and job.crashes >= self._policy.crashes_max:
                self._finish(job, Invalid("The transaction processor ended while it processed it"))
            else:
                job.alone = True
                self._suspects[job.transaction.id] = job.crashes
                self._queue(job.family).append(job)
        while len(self._suspects) > bounds.SUSPECTS_MAX:
            del self._suspects[next(iter(self._suspects))]

    def note_absence(self, families: Iterable[Family], now_ms: int) -> None:
        """Note since when those of ``families`` that nobody serves are not served."""
        for family in families:
            if not self._registry.is_served(family):
                self._absent[family] = now_ms
        # What is not noted counts as absent from the start, so the oldest need not be kept.
        while len(self._absent) > bounds.PEERS_MAX:
            del self._absent[next(iter(self._absent))]

    # --- one job ----------------------------------------------------------------------------------

    def _queue(self, family: Family) -> deque[Job]:
        return self._queues.setdefault(family, deque())

    def _give(self, family: Family, now_ms: int) -> None:
        queue = self._queues.get(family)
        while queue:
            job = queue[0]
            if not job.done:
                peer = self._registry.choose(family, now_ms, alone=job.alone)
                if peer is None:
                    if not self._registry.is_served(family):
                        self._refuse_absent(family, now_ms)
                    return
                self._request(peer, job, now_ms)
            queue.popleft()
        self._queues.pop(family, None)

    def _request(self, peer: Peer, job: Job, now_ms: int) -> None:
        self._count += 1
        correlation_id = f"{self._count:x}"
        context_id = f"{self._nonce}{self._count:016x}"
        job.context.reset()
        if not peer.attempts:
            peer.answered_ms = now_ms
        deadline_ms = now_ms + self._policy.process_ms * (len(peer.attempts) + 1)
        attempt = Attempt(job.family, context_id, now_ms, deadline_ms, job)
        peer.add(correlation_id, attempt)
        self._contexts[context_id] = (peer, attempt)
        raw = peer.registrations[job.family].raw
        self._outbox.append(
            (peer.identity, process_request(job.transaction, context_id, correlation_id, raw=raw))
        )

    def _judge(self, job: Job, attempt: Attempt, content: bytes) -> Processed | None:
        """Return what a processor's answer means, None when the job is to be tried again."""
        if attempt.fault:
            return Invalid(attempt.fault)
        try:
            response = TpProcessResponse.FromString(content)
        except DecodeError:
            unreadable = "an answer that cannot be read"
            response = TpProcessResponse(status=TpProcessResponse.INTERNAL_ERROR, message=unreadable)
        if response.status == TpProcessResponse.OK:
            return VALID
        if response.status != TpProcessResponse.INTERNAL_ERROR:
            return Invalid(response.message, response.extended_data)
        job.errors += 1
        if job.errors < self._policy.errors_max:
            return None
        said = f"Internal error of the transaction processor, {job.errors} times: {response.message}"
        return Invalid(said, response.extended_data)

    def _finish(self, job: Job, result: Processed) -> None:
        job.done = True
        self.results.append((job, result))
        if not isinstance(result, Unavailable):
            self._suspects.pop(job.transaction.id, None)

    def _release(self, attempt: Attempt) -> Job | None:
        """Let nothing more of ``attempt`` count and return its job, if it had one that did."""
        self._contexts.pop(attempt.context_id, None)
        job, attempt.job = attempt.job, None
        return None if job is None or job.done else job

    def _move(self, job: Job | None) -> None:
        if job is None:
            return
        job.moves += 1
        if job.moves >= self._policy.moves_max:
            self._finish(job, Invalid(f"{job.moves} transaction processors began and did not finish it"))
        else:
            self._queue(job.family).appendleft(job)

    def _refuse_absent(self, family: Family, now_ms: int) -> None:
        if now_ms - self._absent.get(family, self._start_ms) < self._policy.absent_ms:
            return
        name, version = family
        refusal = Unavailable(f"No transaction processor for the family {name!r}, version {version!r}")
        for job in self._queues.pop(family, ()):
            if not job.done:
                self._finish(job, refusal)
