"""Doing to a network what the plan says, and undoing it: signals, ways, cables, disks, clocks.

Every fault is a context: entered when it comes, left when it has lasted, also when the run is cut short.
A node that is ended stays ended: what comes into its place after a while is a new node.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import trio

from coco_core.errors import OperatorError
from coco_core.testing.nemesis.injected import move_clock
from coco_core.testing.nemesis.links import Trouble
from coco_core.testing.nemesis.plan import ENDING, Planned
from coco_core.testing.nemesis.stage import Stage
from coco_core.testing.nemesis.standing import Happened

CLOCK_OFFSETS_MS = (-86_400_000, -3_000, -200, 200, 3_000, 86_400_000)
RESETS_EVERY_S = 0.25
_RESUMER = ("sh", "-c", 'read _; kill -CONT "$1" 2>/dev/null', "sh")
"""Resumes the process whose number follows when its own input ends."""

Pairs = Iterable[tuple[int, int]]
Step = Callable[[], Awaitable[None]]
Context = AbstractAsyncContextManager[str]


class Nemesis:
    """Carries out one round's plan."""

    def __init__(self, stage: Stage, say: Callable[[str], None], *, replace: bool) -> None:
        """Trouble ``stage``; with ``replace``, a new node comes into the place of one that was ended."""
        self.happened: list[Happened] = []
        self.skipped: list[str] = []
        """Faults that would have ended one node too many."""
        self.replaced = 0
        self.waiting: dict[int, str] = {}
        """Nodes on their way into the place of one that was ended, and what they are."""
        self._resumers: dict[int, trio.Process] = {}
        self._held: Counter[tuple[str, int]] = Counter()
        self._stage = stage
        self._say = say
        self._replace = replace

    async def run(self, plan: Sequence[Planned]) -> None:
        """Carry out ``plan`` from now on; return when every fault is undone."""
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for planned in plan:
                await trio.sleep_until(began + planned.at_s)
                nursery.start_soon(self._inflict, planned)

    async def _inflict(self, planned: Planned) -> None:
        if not self._stage.standing.alive or (planned.kind in ENDING and not self._stage.standing.spare):
            self.skipped.append(planned.kind)
            return
        began = trio.current_time()
        async with self._context(planned) as what:
            self._say(f"{planned.kind}: {what}, {planned.lasts_s:.1f} s")
            try:
                await trio.sleep(planned.lasts_s)
            finally:
                if planned.kind not in ENDING:
                    self.happened.append(Happened(planned.kind, what, began, trio.current_time()))

    def _context(self, planned: Planned) -> Context:
        one = self._target(planned.dice)
        kinds: Mapping[str, Callable[[], Context]] = {
            "kill": lambda: self._kill(one, silent=False, with_disk=planned.dice[2] < 0.5),
            "power": lambda: self._kill(one, silent=True, with_disk=planned.dice[2] < 0.5),
            "pause": lambda: self._pause(one),
            "isolate": lambda: self._cut(self._around(one), f"node {one}", planned),
            "depose": lambda: self._depose(one, planned),
            "halve": lambda: self._halve(planned),
            "mute": lambda: self._cut(self._from(one), f"from node {one}", planned),
            "deafen": lambda: self._cut(self._to(one), f"to node {one}", planned),
            "one way": lambda: self._one_way(one, planned),
            "cable": lambda: self._cable(one),
            "delay": lambda: self._delay(one, planned.dice[2]),
            "loss": lambda: self._lose(one, planned.dice[2]),
            "reset": lambda: self._reset(one),
            "disk full": lambda: self._fill_disk(one),
            "clock": lambda: self._clock(one, planned.dice[2]),
        }
        return kinds[planned.kind]()

    # ── which ────────────────────────────────────────────────────────────────────────────────────

    def leader(self) -> int | None:
        """Return the living node that leads, as far as it is known."""
        return self._stage.network.leader(self._stage.standing.dead)

    def _target(self, dice: tuple[float, float, float]) -> int:
        leader = self.leader()
        if leader is not None and dice[0] < 0.5:
            return leader
        alive = self._stage.standing.alive
        return alive[int(dice[1] * len(alive))]

    def _other(self, one: int, die: float) -> int:
        others = [node for node in self._stage.standing.alive if node != one] or [one]
        return others[int(die * len(others))]

    def _from(self, one: int) -> list[tuple[int, int]]:
        return [(one, other.index) for other in self._stage.network.nodes if other.index != one]

    def _to(self, one: int) -> list[tuple[int, int]]:
        return [(other, one) for _, other in self._from(one)]

    def _around(self, one: int) -> list[tuple[int, int]]:
        return self._from(one) + self._to(one)

    # ── what ─────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _kill(self, one: int, *, silent: bool, with_disk: bool) -> AsyncIterator[str]:
        began = trio.current_time()
        self._stage.standing.died(one)
        async with AsyncExitStack() as host:
            if silent:
                await host.enter_async_context(self._burden(one, Trouble(cut=True), ""))
            if silent and self._stage.site.has_cables:
                await host.enter_async_context(self._cable(one))
            self._stage.network.kill(one)
            self.happened.append(Happened("power" if silent else "kill", f"node {one}", began, began))
            yield f"node {one}"
        if self._replace:
            await self._put_new(one, with_disk=with_disk)

    async def _put_new(self, one: int, *, with_disk: bool) -> None:
        what = f"node {one} {'with' if with_disk else 'without'} its old disk"
        began = trio.current_time()
        self.waiting[one] = what
        try:
            await self._stage.replace(one, with_disk=with_disk)
        except* OperatorError as group:
            self.waiting[one] = f"{what}: {'; '.join(map(str, group.exceptions))}"
        else:
            del self.waiting[one]
            self.replaced += 1
            self.happened.append(Happened("replace", what, began, trio.current_time()))
            self._say(f"replaced: {what}, in {trio.current_time() - began:.1f} s")

    @asynccontextmanager
    async def _hold(self, name: str, one: int, begin: Step, end: Step) -> AsyncIterator[str]:
        """Keep a node unusable by ``begin`` until the last fault of this name on it is over: then ``end``."""
        self._held[name, one] += 1
        if self._held[name, one] == 1:
            self._stage.standing.unusable(one)
            await begin()
        try:
            yield f"node {one}"
        finally:
            with trio.CancelScope(shield=True):
                self._held[name, one] -= 1
                if not self._held[name, one]:
                    await end()
                    self._stage.standing.usable(one)

    def _pause(self, one: int) -> Context:
        return self._hold("pause", one, partial(self._stop, one), partial(self._continue, one))

    async def _stop(self, one: int) -> None:
        # Whatever becomes of this process: a node that sleeps for ever would never notice that it is gone.
        command = (*_RESUMER, str(self._stage.network.nodes[one].pid))
        self._resumers[one] = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE)
        self._stage.network.pause(one)

    async def _continue(self, one: int) -> None:
        self._stage.network.resume(one)
        resumer = self._resumers.pop(one)
        if resumer.stdin is not None:
            await resumer.stdin.aclose()
        await resumer.wait()

    def _cable(self, one: int) -> Context:
        site = self._stage.site
        return self._hold("cable", one, partial(site.pull_cable, one), partial(site.plug_in, one))

    def _fill_disk(self, one: int) -> Context:
        site, folder = self._stage.site, self._stage.network.nodes[one].folder
        return self._hold("disk", one, partial(site.fill_disk, folder), partial(site.free_disk, folder))

    @asynccontextmanager
    async def _cut(self, ways: Pairs, what: str, planned: Planned) -> AsyncIterator[str]:
        """Cut ways; for every third fault the ends are told by resets, else they only notice silence."""
        told = planned.dice[2] < 1 / 3
        trouble = Trouble(refused=True) if told else Trouble(cut=True)
        self._stage.links.put(trouble, ways)
        try:
            yield f"{what}, {'told' if told else 'silent'}"
        finally:
            self._stage.links.take_off(trouble)

    def _depose(self, one: int, planned: Planned) -> Context:
        leader = self.leader()
        one = one if leader is None else leader
        return self._cut(self._around(one), f"primary {one}", planned)

    def _one_way(self, one: int, planned: Planned) -> Context:
        other = self._other(one, planned.dice[1])
        return self._cut([(one, other)], f"from node {one} to {other}", planned)

    def _halve(self, planned: Planned) -> Context:
        alive = self._stage.standing.alive
        turn = int(planned.dice[1] * len(alive))
        order = alive[turn:] + alive[:turn]
        side = order[: len(order) // 2]
        ways = [pair for one in side for pair in self._around(one) if {*pair} - {*side}]
        return self._cut(ways, f"nodes {side} from the others", planned)

    def _delay(self, one: int, die: float) -> Context:
        delay_ms = int(10 + 140 * die)
        trouble = Trouble(delay_s=delay_ms / 1000, jitter_s=delay_ms / 2000)
        return self._burden(one, trouble, f"{delay_ms} to {delay_ms * 3 // 2} ms at node {one}")

    def _lose(self, one: int, die: float) -> Context:
        trouble = Trouble(lost_share=0.02 + 0.18 * die)
        return self._burden(one, trouble, f"{trouble.lost_share:.0%} at node {one}")

    @asynccontextmanager
    async def _burden(self, one: int, trouble: Trouble, what: str) -> AsyncIterator[str]:
        self._stage.links.put(trouble, self._around(one))
        try:
            yield what
        finally:
            self._stage.links.take_off(trouble)

    @asynccontextmanager
    async def _reset(self, one: int) -> AsyncIterator[str]:
        async with trio.open_nursery() as nursery:

            async def again() -> None:
                while True:
                    for _, other in self._from(one):
                        self._stage.links.reset(one, other)
                    await trio.sleep(RESETS_EVERY_S)

            nursery.start_soon(again)
            yield f"node {one}"
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def _clock(self, one: int, die: float) -> AsyncIterator[str]:
        offset_ms = CLOCK_OFFSETS_MS[int(die * len(CLOCK_OFFSETS_MS))]
        folder = self._stage.network.nodes[one].folder
        move_clock(folder, offset_ms)
        try:
            yield f"node {one} by {offset_ms:+d} ms"
        finally:
            move_clock(folder, 0)
