"""Who takes part, read from entries anew: what every log tells of the members, and what is agreed of it.

Judges whatever is proposed about members: who learns first, who is taken in, whose end is told. Knows
tables and logs; must not read a replica.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.base import NodeID
from coco_core.consensus import Entry
from coco_core.governance import PENDING, RETIRED, TRUSTED
from coco_core.kv import maps
from coco_core.ledger import read_public
from coco_core.testing.violation import ViolationError

_MARKS: Final = (maps.NODES_INFO.encode(), maps.MEMBERSHIP_CHANGE.encode())
_STEPS: Final = {
    ("", PENDING),
    (PENDING, PENDING),
    (PENDING, TRUSTED),
    (PENDING, ""),
    (TRUSTED, RETIRED),
    (RETIRED, RETIRED),
    (RETIRED, ""),
}
"""What may become of a node's status from one entry to the next."""


@attrs.frozen(eq=False)
class Told:
    """What the tables say of the members after an entry that writes to them."""

    index: int
    term: int
    status: Mapping[NodeID, str]
    ended: frozenset[NodeID]
    """Who is retired, and the ledger says that this is agreed."""
    add: tuple[NodeID, ...]
    remove: tuple[NodeID, ...]

    @property
    def voters(self) -> frozenset[NodeID]:
        """Who elects and agrees."""
        return frozenset(name for name, status in self.status.items() if status == TRUSTED)

    @property
    def change(self) -> bool:
        """Whether a change is under way."""
        return bool(self.add or self.remove)


class Members:
    """What is agreed of the members of one world."""

    def __init__(self, founders: Sequence[NodeID], counts: Counter[str]) -> None:
        """Begin with ``founders``, before any entry; what happens is counted in ``counts``."""
        self._counts = counts
        self.agreed: list[Told] = [Told(0, 0, dict.fromkeys(founders, TRUSTED), frozenset(), (), ())]
        """What agreed entries tell, the founding first."""

    @property
    def newest(self) -> Told:
        """What is agreed now."""
        return self.agreed[-1]

    def read(self, entry: Entry, before: Told) -> Told | None:
        """Return what ``entry`` tells, in a log that told ``before``; None for most entries."""
        if not any(mark in entry.data for mark in _MARKS):
            return None
        writes = read_public(entry.data).public
        if maps.NODES_INFO not in writes and maps.MEMBERSHIP_CHANGE not in writes:
            return None
        status, ended = dict(before.status), set(before.ended)
        add, remove = before.add, before.remove
        for key, value in writes.get(maps.NODES_INFO, {}).items():
            name = NodeID(key.decode())
            if value is None:
                status.pop(name, None)
                continue
            info: dict[str, Any] = json.loads(value)
            status[name] = info["status"]
            if info["retired_committed"]:
                ended.add(name)
        for value in writes.get(maps.MEMBERSHIP_CHANGE, {}).values():
            change: dict[str, Any] = json.loads(value) if value is not None else {"add": [], "remove": []}
            add, remove = tuple(map(NodeID, change["add"])), tuple(map(NodeID, change["remove"]))
        return Told(entry.index, entry.term, status, frozenset(ended), add, remove)

    def agree(self, told: Told) -> None:
        """Note that what an entry tells is agreed."""
        before = self.agreed[-1]
        self.agreed.append(told)
        added, removed = told.voters - before.voters, before.voters - told.voters
        self._counts["changes made"] += told.voters != before.voters
        self._counts["learners promoted"] += len(added)
        self._counts["members removed"] += len(removed)
        self._counts["several replaced at once"] += len(added) > 1 and len(removed) > 1
        self._counts["changes cancelled"] += (
            before.change and not told.change and told.voters == before.voters
        )

    def up_to(self, index: int) -> list[Told]:
        """Return what agreed entries up to ``index`` tell."""
        return [told for told in self.agreed if told.index <= index]

    def deciding(self, before: int, index: int) -> list[frozenset[NodeID]]:
        """Return the sets of voters that must hold the entry at ``index`` if ``before`` is agreed."""
        sets: list[frozenset[NodeID]] = []
        for told in reversed(self.agreed):
            if told.index <= index and (not sets or sets[-1] != told.voters):
                sets.append(told.voters)
            if told.index <= before:
                break
        return sets


@attrs.frozen
class Proposer:
    """Who wrote an entry that tells of the members, and what it could know."""

    label: str
    name: NodeID
    committed: int
    up_to_date: Callable[[NodeID], bool]
    """Whether a node answered lately and holds nearly everything."""


def judge_told(told: Told, before: Told, agreed: Told, by: Proposer) -> None:
    """Judge an entry about members when it is written ("members").

    ``before`` is what the log told until then, ``agreed`` what of it its writer knew to be agreed.
    """
    if not before.index:
        return  # The founding.
    for name in sorted({*told.status, *before.status}):
        step = before.status.get(name, ""), told.status.get(name, "")
        if step[0] != step[1] and step not in _STEPS:
            _fail(told, f"node {name[:8]} becomes {step[1] or 'unknown'} after {step[0] or 'unknown'}")
    added = told.voters - before.voters
    if added:
        if not added <= set(before.add):
            _fail(told, f"{by.label} takes in who did not learn before")
        if not all(map(by.up_to_date, added)):
            _fail(told, f"{by.label} takes in who has not caught up")
    if told.voters != before.voters:
        up_to_date = sum(map(by.up_to_date, told.voters))
        if 2 * up_to_date <= len(told.voters):
            _fail(told, f"{by.label} makes a change with {up_to_date} of {len(told.voters)} up to date")
    for name in told.ended - before.ended:
        if agreed.status.get(name) != RETIRED:
            _fail(told, f"{by.label} tells the end of node {name[:8]} before its removal is agreed")


def _fail(told: Told, reason: str) -> None:
    raise ViolationError("members", f"{told.term}.{told.index}: {reason}")
