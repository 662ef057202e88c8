"""The pool of JVM workers: one for each trust domain, two that read and execute nothing, one spare.

A worker that ends or is overdue is replaced. Whoever it had is tried again alone in another one, so that what
ends that one too is known to be at fault, and nobody else pays for it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
import trio

from coco_corda import wire
from coco_corda.limits import (
    FAILURES_REMEMBERED_MAX,
    FAILURES_REMEMBERED_S,
    GIVE_WAY_EVERY_MS,
    LATE_REMEMBERED_S,
    RESTART_PAUSE_MAX_MS,
    RESTART_PAUSE_MS,
    SHOWER_WAITING_MAX,
    WORKER_START_MS,
    WORKERS_LOST_MAX,
    WORKERS_MAX,
)
from coco_corda.notary_key import SCHEME, NotaryKey, Template
from coco_corda.shell.folders import remove_left
from coco_corda.shell.launching import Launch
from coco_corda.shell.verdicts import OWN, READER, SHOWER, at_fault, judged, mark_of, result
from coco_corda.shell.worker import Exchanged, Worker, WorkerError
from coco_corda.verification import Broken, Failure, Job, Unavailable

_TOO_OFTEN: Final = Unavailable("JVMs ended too often over what came with it: send it again")

_log: Final = logging.getLogger("coco.corda")


@attrs.define(eq=False)
class _Slot:
    """A domain's place: its worker, used by one at a time."""

    lock: trio.Lock = attrs.field(factory=trio.Lock)
    worker: Worker | None = None
    may_lose: int = WORKERS_LOST_MAX
    """Workers that may still end, or be ended, with work of this batch on their hands."""


class Workers:
    """A ``verification.Verifier`` over JVM processes, started when they are first needed."""

    def __init__(self, launch: Launch | str) -> None:
        """Start workers as ``launch`` says, or answer everybody with why there are none."""
        if isinstance(launch, Launch):
            remove_left()
            if launch.warning:
                _log.warning("%s", launch.warning)
        self._launch = launch
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()
        self._places: Final = trio.CapacityLimiter(WORKERS_MAX)
        """For domains that run at one time: whoever sends transactions says how many a batch has."""
        self._spare: Worker | None = None
        self._broken: OrderedDict[bytes, tuple[float, Broken]] = OrderedDict()
        self._template: tuple[bytes, Template] | None = None
        self._not_before = 0.0
        self._gives_way_at = 0.0
        """When the next domain may take another one's place."""
        self._pause_ms = RESTART_PAUSE_MS
        self.replaced = 0
        """How many workers ended or were ended with work on their hands."""

    @property
    def described(self) -> str:
        """What runs contract code here, in a few words, or why nothing does."""
        if isinstance(self._launch, str):
            return self._launch
        return f"confined to: {self._launch.level}; {self._launch.deadline_ms // 1000} s a transaction"

    @property
    def pids(self) -> list[int]:
        """Of every worker that runs."""
        workers = [slot.worker for slot in self._slots.values()] + [self._spare]
        return [each.pid for each in workers if each is not None and each.is_alive]

    # --- the questions ---------------------------------------------------------------------------------

    async def describe(self, transactions: Sequence[bytes]) -> Sequence[wire.Description | Failure]:
        """Read transactions."""
        requests = [wire.Request(describe=wire.Describe(stx=each)) for each in transactions]
        answers = await self._ask(READER, requests)
        return [result(each, lambda answer: answer.description) for each in answers]

    async def verify(self, jobs: Sequence[Job]) -> Sequence[wire.Verified | Failure]:
        """Verify transactions, those of different domains side by side."""
        places: dict[bytes, list[int]] = {}
        for place, job in enumerate(jobs):
            places.setdefault(job.domain, []).append(place)
        found: dict[int, wire.Response | Failure] = {}
        known = set(self._slots)
        for domain in self._without_place({domain: jobs[own[0]] for domain, own in places.items()}):
            told = Unavailable(
                f"JVMs run for {WORKERS_MAX} other sets of jars here: send it again in a moment"
            )
            found.update(dict.fromkeys(places.pop(domain), told))

        async def run(domain: bytes, of_domain: list[int]) -> None:
            own = [jobs[place] for place in of_domain]
            requests = [wire.Request(verify=job.request) for job in own]
            async with self._places:
                found.update(zip(of_domain, await self._ask(domain, requests, own), strict=True))

        async with trio.open_nursery() as nursery:
            for domain, of_domain in places.items():
                nursery.start_soon(run, domain, of_domain)
        if not places.keys() <= known:
            self._gives_way_at = trio.current_time() + GIVE_WAY_EVERY_MS / 1000
        return [result(found[place], lambda answer: answer.verified) for place in range(len(jobs))]

    def _without_place(self, domains: Mapping[bytes, Job]) -> list[bytes]:
        """Return which domains of a batch have to wait, each with one of its jobs.

        Those that have a worker do not, and who takes another's place is in nobody's way for long: that is
        one at a time, of the fewest jars. There are few publishers, but any number of sets of their jars.
        """
        new = [each for each in domains if each not in self._slots]
        new.sort(key=lambda each: len(domains[each].attachments))
        free = max(0, WORKERS_MAX - len(self._slots.keys() - set(OWN)))
        if trio.current_time() >= self._gives_way_at:
            free = max(1, free)
        return new[free:]

    async def inspect(self, attachment: bytes) -> wire.AttachmentInfo | Failure:
        """Read what a jar is."""
        request = wire.InspectAttachment(content=attachment)
        (answer,) = await self._ask(READER, [wire.Request(inspect_attachment=request)])
        return result(answer, lambda found: found.attachment)

    async def read_parameters(self, parameters: bytes) -> wire.NetworkParametersInfo | Failure:
        """Read network parameters."""
        request = wire.RegisterNetworkParameters(parameters=parameters)
        (answer,) = await self._ask(READER, [wire.Request(register_network_parameters=request)])
        return result(answer, lambda found: found.network_parameters)

    async def tear_off(
        self, transaction: bytes, groups: Sequence[int], outputs: Sequence[int]
    ) -> bytes | Failure:
        """Return a FilteredTransaction."""
        if self._slot(SHOWER).lock.statistics().tasks_waiting >= SHOWER_WAITING_MAX:
            return Unavailable("too many want to be shown transactions in part at this node")
        request = wire.TearOff(stx=transaction, groups=groups, outputs=outputs)
        (answer,) = await self._ask(SHOWER, [wire.Request(tear_off=request)])
        return result(answer, lambda found: found.torn_off.filtered_transaction)

    async def template(self, key: NotaryKey) -> Template | Failure:
        """Return what is signed; the first time, have Corda judge a signature made with it."""
        if self._template is not None and self._template[0] == key.public_key:
            return self._template[1]
        slot = self._slot(READER)
        async with slot.lock:
            worker = await self._worker(slot)
        if isinstance(worker, Unavailable) or worker.pong is None:
            return worker if isinstance(worker, Unavailable) else Unavailable("the JVM worker is not ready")
        version = worker.pong.platform_version
        asked = wire.SignableTemplate(platform_version=version, scheme_number_id=SCHEME)
        (answer,) = await self._ask(READER, [wire.Request(signable_template=asked)])
        found = result(answer, lambda response: response.template)
        if isinstance(found, Failure):
            return found
        template = Template(version, found.template, found.tx_id_offset)
        probe = bytes(range(1, 33))
        assembling = wire.AssembleSignature(
            tx_id=probe,
            signature=key.sign(template, probe),
            key=key.public_key,
            platform_version=version,
            scheme_number_id=SCHEME,
        )
        (judged,) = await self._ask(READER, [wire.Request(assemble_signature=assembling)])
        if isinstance(judged, Failure):
            return judged
        self._template = key.public_key, template
        return template

    # --- workers ---------------------------------------------------------------------------------------

    async def _ask(
        self, domain: bytes, requests: Sequence[wire.Request], jobs: Sequence[Job] = ()
    ) -> list[wire.Response | Failure]:
        """Return an answer to each request of one domain; what each needs to be there is in ``jobs``."""
        found: dict[int, wire.Response | Failure] = {}
        slot = self._slot(domain)
        async with slot.lock:
            found.update(self._remembered(requests))
            waiting = [place for place in range(len(requests)) if place not in found]
            slot.may_lose = WORKERS_LOST_MAX
            while waiting and slot.may_lose > 0:
                told = await self._exchange(slot, waiting, requests, jobs)
                if isinstance(told, Unavailable):
                    found.update(dict.fromkeys(waiting, told))
                    break
                found.update(judged(told))
                if told.is_late and len(told.lost) == 1 and not told.had_others:
                    found[told.lost.pop()] = at_fault(domain, is_late=True)
                for place in told.lost:
                    found[place] = await self._alone(domain, place, requests, jobs)
                waiting = told.unsent
            found.update({place: _TOO_OFTEN for place in range(len(requests)) if place not in found})
            self._remember(requests, found)
        return [found[place] for place in range(len(requests))]

    async def _alone(
        self, domain: bytes, place: int, requests: Sequence[wire.Request], jobs: Sequence[Job]
    ) -> wire.Response | Failure:
        """Try one that a worker was lost with, by itself; in the end on a worker that had nothing before."""
        slot = self._slot(domain)
        while slot.may_lose > 0:
            told = await self._exchange(slot, [place], requests, jobs)
            if isinstance(told, Unavailable):
                return told
            if place in told.answers:
                return judged(told)[place]
            if not told.had_others:
                return at_fault(domain, is_late=told.is_late)
        return _TOO_OFTEN

    def _remembered(self, requests: Sequence[wire.Request]) -> dict[int, Broken]:
        """Return the places of those that ended a worker before, and what was said of them."""
        now = trio.current_time()
        for mark in [mark for mark, (until, _) in self._broken.items() if until < now]:
            del self._broken[mark]
        if not self._broken:
            return {}
        marks = map(mark_of, requests)
        return {place: self._broken[mark][1] for place, mark in enumerate(marks) if mark in self._broken}

    def _remember(
        self, requests: Sequence[wire.Request], found: Mapping[int, wire.Response | Failure]
    ) -> None:
        for place, failure in found.items():
            if isinstance(failure, Broken) and (mark := mark_of(requests[place])) not in self._broken:
                kept_s = LATE_REMEMBERED_S if failure.is_late else FAILURES_REMEMBERED_S
                self._broken[mark] = trio.current_time() + kept_s, failure
                if len(self._broken) > FAILURES_REMEMBERED_MAX:
                    self._broken.popitem(last=False)

    async def _exchange(
        self, slot: _Slot, places: Sequence[int], requests: Sequence[wire.Request], jobs: Sequence[Job]
    ) -> Exchanged | Unavailable:
        """Exchange some of the requests with the slot's worker; the result names them by their place."""
        worker = await self._worker(slot)
        if isinstance(worker, Unavailable) or isinstance(self._launch, str):
            return worker if isinstance(worker, Unavailable) else Unavailable(str(self._launch))
        deadline_ms = self._launch.deadline_ms
        supplied = await _supply(worker, [jobs[place] for place in places] if jobs else ())
        if not supplied:
            self._note_lost(slot, is_late=False)
            # A jar whose classes cannot be loaded is found out when the one that names it is tried alone.
            return Exchanged(lost=list(places[:1]), unsent=list(places[1:]))
        had_others, worker.was_used = worker.was_used, True
        told = await worker.exchange([requests[place] for place in places], deadline_ms)
        if told.lost:
            self._note_lost(slot, is_late=told.is_late)
        return Exchanged(
            answers={places[at]: answer for at, answer in told.answers.items()},
            lost=[places[at] for at in told.lost],
            unsent=[places[at] for at in told.unsent],
            is_late=told.is_late,
            had_others=had_others,
        )

    def _note_lost(self, slot: _Slot, *, is_late: bool) -> None:
        slot.may_lose -= 1
        self.replaced += 1
        what = "was killed over a transaction that took too long" if is_late else "ended"
        _log.warning("a JVM worker %s; another takes its place", what)

    def _slot(self, domain: bytes) -> _Slot:
        """Return a domain's slot; the one used least recently, if nobody uses it now, gives way."""
        slot = self._slots.setdefault(domain, _Slot())
        self._slots.move_to_end(domain)
        others = [name for name in self._slots if name not in (*OWN, domain)]
        for name in others[: max(0, len(others) + (domain not in OWN) - WORKERS_MAX)]:
            if not self._slots[name].lock.locked():
                _end(self._slots.pop(name).worker)
        return slot

    async def _worker(self, slot: _Slot) -> Worker | Unavailable:
        """Return the slot's worker, ready; the spare takes the place of one that ended."""
        if isinstance(self._launch, str):
            return Unavailable(self._launch)
        if slot.worker is not None and not slot.worker.is_alive:
            _end(slot.worker)
            slot.worker = None
        if slot.worker is not None:
            return slot.worker
        if trio.current_time() < self._not_before:
            return Unavailable("JVM workers do not start here; the next try is in a moment")
        worker, self._spare = self._spare, None
        try:
            if worker is None or not worker.is_alive:
                _end(worker)
                worker = Worker(self._launch)
            await worker.ready()
        except WorkerError as error:
            self._not_before = trio.current_time() + self._pause_ms / 1000
            self._pause_ms = min(2 * self._pause_ms, RESTART_PAUSE_MAX_MS)
            _log.error("%s", error)
            return Unavailable(str(error))
        except BaseException:
            _end(worker)
            raise
        self._pause_ms = RESTART_PAUSE_MS
        slot.worker = worker
        return worker

    def warm(self) -> None:
        """Have a spare start, if none runs; nobody waits for it."""
        if isinstance(self._launch, str) or trio.current_time() < self._not_before:
            return
        if self._spare is not None and self._spare.is_alive:
            return
        _end(self._spare)
        self._spare = None
        try:
            self._spare = Worker(self._launch)
        except WorkerError as error:
            self._not_before = trio.current_time() + RESTART_PAUSE_MAX_MS / 1000
            _log.error("%s", error)

    def rest(self) -> None:
        """End the workers that nobody uses now."""
        for slot in self._slots.values():
            if not slot.lock.locked():
                _end(slot.worker)
                slot.worker = None
        _end(self._spare)
        self._spare = None

    def close(self) -> None:
        """End every worker."""
        for slot in self._slots.values():
            _end(slot.worker)
        _end(self._spare)
        self._slots.clear()
        self._spare = None


def _end(worker: Worker | None) -> None:
    if worker is not None:
        worker.kill()


async def _supply(worker: Worker, jobs: Iterable[Job]) -> bool:
    """Give a worker the jars and parameters that jobs need; return False when it was lost over that."""
    requests: list[wire.Request] = []
    attachments: set[bytes] = set()
    parameters: set[bytes] = set()
    for job in jobs:
        trusted = set(job.request.trusted_attachments)
        for digest in job.attachments.keys() - worker.attachments - attachments:
            attachments.add(digest)
            given = wire.RegisterAttachment(content=job.attachments[digest], load_classes=digest in trusted)
            requests.append(wire.Request(register_attachment=given))
        for digest in job.parameters.keys() - worker.parameters - parameters:
            parameters.add(digest)
            told = wire.RegisterNetworkParameters(parameters=job.parameters[digest])
            requests.append(wire.Request(register_network_parameters=told))
    if not requests:
        return True
    exchanged = await worker.exchange(requests, WORKER_START_MS)
    if any(each.failed.code == wire.Failed.TOO_LARGE for each in exchanged.answers.values()):
        # It holds as many as it may: another one begins with those that are needed now.
        worker.kill()
        return False
    worker.attachments |= attachments
    worker.parameters |= parameters
    return not exchanged.lost and not exchanged.unsent
