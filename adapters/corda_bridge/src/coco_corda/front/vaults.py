"""Whose states there are: an index by participant, and what changed lately. Follows what is committed.

Knows the maps; keeps nothing that cannot be made from them, but for the changes, which begin anew.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence

import attrs

from coco_corda import records
from coco_corda.limits import UPDATES_KEPT_MAX, UPDATES_TOLD_MAX
from coco_corda.records import State
from coco_core.adapter import CommittedBatch, ReadView

_CUT_AT = 2 * UPDATES_KEPT_MAX


@attrs.frozen
class Change:
    """A state was made or used up."""

    seqno: int
    key: bytes
    """Of the state in maps."""
    is_new: bool
    participants: Sequence[bytes]


@attrs.frozen
class Changes:
    """What a participant is told."""

    changes: Sequence[Change]
    seqno: int
    """To ask from next."""
    is_known: bool = True
    """False when it is not known here what happened since then."""


class Vaults:
    """States that are not used up, by participant (the SHA-256 of a key)."""

    def __init__(self) -> None:
        """Begin with nothing; ``restored`` or ``committed`` tell the rest."""
        self._participants: dict[bytes, Sequence[bytes]] = {}
        self._states: dict[bytes, dict[bytes, None]] = {}
        self._changes: list[Change] = []
        self._changes_of: dict[bytes, list[Change]] = {}
        """Those of each participant: strangers who ask for theirs cost nothing, however much happens."""
        self._known_from = 0
        self._seqno = 0

    @property
    def seqno(self) -> int:
        """The newest it heard of."""
        return self._seqno

    def restored(self, view: ReadView) -> None:
        """Begin with a state."""
        self._participants.clear()
        self._states.clear()
        self._changes.clear()
        self._changes_of.clear()
        self._known_from = self._seqno = view.version
        for key, row in view.items(records.STATE):
            if view.get(records.CONSUMED, key) is None:
                self._add(key, State.participants_of(row))

    def committed(self, batch: CommittedBatch) -> None:
        """Follow a committed batch."""
        self._seqno = seqno = batch.txid.seqno
        for key, row in batch.writes.get(records.STATE, {}).items():
            if row is not None:
                participants = State.participants_of(row)
                self._add(key, participants)
                self._note(Change(seqno, key, True, participants))
        for key in batch.writes.get(records.CONSUMED, {}):
            used = self._participants.pop(key, None)
            if used is None:
                continue
            for each in used:
                self._remove(each, key)
            self._note(Change(seqno, key, False, used))
        if len(self._changes) > _CUT_AT:
            self._known_from = self._changes[-UPDATES_KEPT_MAX - 1].seqno
            kept = self._changes[-UPDATES_KEPT_MAX:]
            self._changes.clear()
            self._changes_of.clear()
            for change in kept:
                self._note(change)

    def _note(self, change: Change) -> None:
        self._changes.append(change)
        for each in change.participants:
            self._changes_of.setdefault(each, []).append(change)

    def _add(self, key: bytes, participants: Sequence[bytes]) -> None:
        self._participants[key] = participants
        for each in participants:
            self._states.setdefault(each, {})[key] = None

    def _remove(self, participant: bytes, key: bytes) -> None:
        own = self._states[participant]
        del own[key]
        if not own:
            # Keys for one use only are common: they are forgotten with their last state.
            del self._states[participant]

    def knows(self, participant: bytes) -> bool:
        """Return whether somebody has states, or had some that are remembered."""
        return participant in self._states or participant in self._changes_of

    def page(self, participant: bytes, after: bytes, most: int) -> list[bytes]:
        """Return the names of a participant's states after one, ascending, ``most`` of them."""
        own = self._states.get(participant, {})
        return heapq.nsmallest(most, (key for key in own if key > after))

    def since(self, participant: bytes, seqno: int) -> Changes:
        """Return what changed for a participant after ``seqno``."""
        if seqno < self._known_from:
            return Changes((), self._seqno, is_known=False)
        own = self._changes_of.get(participant, [])
        first = bisect_right(own, seqno, key=lambda change: change.seqno)
        found: list[Change] = []
        for change in own[first:]:
            if len(found) >= UPDATES_TOLD_MAX and change.seqno != found[-1].seqno:
                return Changes(found, found[-1].seqno)
            found.append(change)
        return Changes(found, self._seqno)
