"""Clients of Tally: they add to counters, by adding nothing they read them, and they keep a history.

Counters come into use one after the other, so that the history of each stays short enough to be searched
for an order; now and then a client goes back to an old one, which shows whether its total is still there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Final

import attrs
import trio

from coco_core.base import TxID
from coco_core.testing.linearizability import Operation
from coco_core.testing.nemesis.clients import Call, Doors, Record, until_certain
from coco_core.testing.tally import add
from coco_core.wire.http import Message

COUNTERS_AT_A_TIME: Final = 3
COUNTERS_LAST_S: Final = 8.0
GROUP_MAX: Final = 3
OLD_SHARE: Final = 0.15
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@attrs.define(kw_only=True, eq=False)
class Addition(Call):
    """One addition to one counter."""

    counter: str
    amount: int
    total: int | None = None
    """What the ledger answered; None when it only refused it as known."""

    def operation(self, place: int | None) -> Operation:
        """Return it for the linearizability checker; times are whole microseconds."""
        returned = None if self.returned is None else round(self.returned * 1e6)
        return Operation(self.amount, round(self.called * 1e6), returned, self.total, place)


class TallyClient:
    """One client, with one request under way at a time."""

    def __init__(self, label: str, doors: Doors, record: Record, chance: Random, pause_s: float) -> None:
        """Call its transactions ``label-1``, ``label-2``, …; wait ``pause_s`` on average between requests."""
        self.history: list[Addition] = []
        self._label = label
        self._doors = doors
        self._record = record
        self._chance = chance
        self._pause_s = pause_s

    async def run(self) -> None:
        """Send until the record says that it is enough and everything sent is certain."""
        began = trio.current_time()
        while self._record.sending:
            epoch = int((trio.current_time() - began) / COUNTERS_LAST_S)
            group = [self._addition(epoch) for _ in range(self._chance.randint(1, GROUP_MAX))]
            await self._until_certain(group)
            await trio.sleep(self._chance.uniform(0, 2 * self._pause_s))
        await self._doors.close()

    async def _until_certain(self, group: Sequence[Addition]) -> None:
        def waiting() -> list[Addition]:
            return [one for one in group if one.returned is None]

        def body() -> bytes:
            return b"\n".join(add(one.name, one.counter, one.amount) for one in waiting())

        def read(answer: Message) -> None:
            self._read(waiting(), answer)

        await until_certain(self._doors, self._record, group, body, read)

    def _addition(self, epoch: int) -> Addition:
        first = COUNTERS_AT_A_TIME * epoch
        if first and self._chance.random() < OLD_SHARE:
            number = self._chance.randrange(first)
        else:
            number = first + self._chance.randrange(COUNTERS_AT_A_TIME)
        name = f"{self._label}-{len(self.history) + 1}"
        addition = Addition(name=name, counter=counter_name(number), amount=self._chance.randint(-2, 4))
        self.history.append(addition)
        return addition

    def _read(self, calls: Sequence[Addition], answer: Message) -> None:
        fates = json.loads(answer.body) if answer.status == 200 else []
        if len(fates) != len(calls):
            self._record.violations.append(f"tally answered {answer.status}: {answer.body[:200]!r}")
            return
        for call, fate in zip(calls, fates, strict=True):
            match fate:
                case ["committed", place, total]:
                    call.total = int(total)
                    self._record.certain(call, TxID.parse(place))
                case ["rejected", "duplicate", _]:
                    self._known(call)
                case ["not committed", reason]:
                    call.unsure = reason
                case _:
                    self._record.violations.append(f"tally: {call.name} was answered {fate}")

    def _known(self, call: Addition) -> None:
        if call.attempts == 1:
            self._record.violations.append(f"tally: {call.name} was sent once and refused as known")
        self._record.certain(call, None)


def counter_name(number: int) -> str:
    """Return the name of the counter with this number: letters only, as the ledger wants."""
    name = ""
    while number >= 0:
        number, digit = divmod(number, len(_LETTERS))
        name = _LETTERS[digit] + name
        number -= 1
    return name


def histories(additions: Iterable[Addition], places: Mapping[str, int]) -> Mapping[str, list[Operation]]:
    """Return the operations on each counter; ``places`` tells where the ledger has each."""
    found: dict[str, list[Operation]] = {}
    for one in additions:
        found.setdefault(one.counter, []).append(one.operation(places.get(one.name)))
    return found
