"""Whom a node keeps its channel open to: those its welcome, a peer and its own ledger name."""

from __future__ import annotations

import attrs
import pytest

from coco_core.base import NodeID
from coco_core.governance import (
    PENDING,
    RETIRED,
    TRUSTED,
    MembershipChange,
    NodeRecord,
    change_writes,
    node_writes,
)
from coco_core.kv import Store
from coco_core.replica.effects import Channel, Effect, PeersChanged, SendToPeer
from coco_core.replica.messages import (
    MEMBERSHIP_QUESTION,
    RETIREMENT_NOTICE,
    MembersNotice,
    encode_members_notice,
)
from coco_core.replica.neighbours import Neighbours
from coco_core.testing import Consortium

CONSORTIUM = Consortium.of(8)
OWN = 0


def name(number: int) -> NodeID:
    return CONSORTIUM.identities[number].node_id


def record(number: int, status: str = TRUSTED, *, ended: bool = False) -> NodeRecord:
    return attrs.evolve(CONSORTIUM.joiner(number), status=status, retired_committed=ended)


def notice(seqno: int, *numbers: int) -> MembersNotice:
    return MembersNotice(seqno, {name(number): record(number).peer_address for number in numbers})


class Table:
    """One node's neighbours over a ledger in which everything is agreed."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.store = Store()
        self.neighbours = Neighbours(name(OWN), self.effects.append)

    def write(self, seqno: int, *records: NodeRecord, learners: tuple[int, ...] = ()) -> None:
        change = MembershipChange(tuple(map(name, learners)), (), "ab") if learners else None
        self.store.append(seqno, {**node_writes(records), **change_writes(change)})
        self.store.commit(seqno)
        self.neighbours.follow(self.store.head(), self.store.view(), frozenset(), None)

    def tell(self, told: MembersNotice) -> None:
        self.neighbours.told(told, self.store.view().version)

    @property
    def open(self) -> list[int]:
        """Return to whom the channel was opened last."""
        changes = [effect.peers for effect in self.effects if isinstance(effect, PeersChanged)]
        for number in range(8):
            assert (name(number) in self.neighbours) == (name(number) in changes[-1])
        return [number for number in range(8) if name(number) in changes[-1]]


@pytest.fixture
def table() -> Table:
    """The neighbours of node 0, whose ledger names nodes 0 to 2 from place 5 on."""
    table = Table()
    table.write(5, record(0), record(1), record(2))
    assert table.open == [1, 2]
    return table


# ── being told ───────────────────────────────────────────────────────────────────────────────────


def test_whom_a_peer_names_is_talked_to(table: Table) -> None:
    table.tell(notice(9, 0, 3, 4))
    assert table.open == [1, 2, 3, 4]
    changed = table.effects[-1]
    assert isinstance(changed, PeersChanged)
    assert changed.peers[name(3)] == Channel(record(3).peer_address, leaving=False)


@pytest.mark.parametrize("seqno", [1, 4, 5])
def test_who_knows_no_more_is_not_listened_to(seqno: int, table: Table) -> None:
    before = list(table.effects)
    table.tell(notice(seqno, 3))
    assert table.effects == before


@pytest.mark.parametrize("seqno", [6, 8, 9])
def test_who_knows_no_more_than_who_told_before_is_not_listened_to(seqno: int, table: Table) -> None:
    table.tell(notice(9, 3))
    before = list(table.effects)
    table.tell(notice(seqno, 4))
    assert table.effects == before


def test_newer_word_takes_the_place_of_an_older_one(table: Table) -> None:
    """However long a node does not catch up, it keeps one list of others."""
    for seqno in range(6, 100):
        table.tell(notice(seqno, 3 + seqno % 4))
    assert table.open == [1, 2, 3 + 99 % 4]


def test_word_lasts_until_as_much_is_agreed_here(table: Table) -> None:
    table.tell(notice(9, 3, 4))
    table.write(7, record(5))
    assert table.open == [1, 2, 3, 4, 5]
    table.write(9, record(4))
    assert table.open == [1, 2, 4, 5]


def test_what_is_only_written_does_not_end_it(table: Table) -> None:
    table.tell(notice(9, 3))
    table.store.append(9, node_writes([record(4)]))
    table.neighbours.follow(table.store.head(), table.store.view(), frozenset(), None)
    assert table.open == [1, 2, 3, 4]
    table.store.rollback(5)
    table.neighbours.follow(table.store.head(), table.store.view(), frozenset(), None)
    assert table.open == [1, 2, 3]


def test_own_ledger_knows_better_who_leaves(table: Table) -> None:
    table.tell(notice(9, 1, 3))
    table.write(7, record(1, RETIRED, ended=True))
    changed = table.effects[-1]
    assert isinstance(changed, PeersChanged)
    assert [changed.peers[name(number)].leaving for number in (1, 3)] == [True, False]


def test_word_does_not_end_the_welcome() -> None:
    table = Table()
    table.neighbours.join({name(number): record(number) for number in (0, 6, 7)})
    assert table.open == [6, 7]
    table.tell(notice(9, 3))
    table.write(3, record(1), record(2))
    assert table.open == [1, 2, 3, 6, 7]
    table.write(9, record(3))
    assert table.open == [1, 2, 3, 6, 7]
    table.write(12, record(0))
    assert table.open == [1, 2, 3]


def test_welcome_ends_before_the_word_does() -> None:
    table = Table()
    table.neighbours.join({name(7): record(7)})
    table.tell(notice(9, 3))
    table.write(4, record(0), record(1))
    assert table.open == [1, 3]


# ── telling ──────────────────────────────────────────────────────────────────────────────────────


def answers(table: Table, asker: int) -> list[Effect]:
    before = len(table.effects)
    table.neighbours.asked(name(asker), table.store.view())
    return table.effects[before:]


def test_who_asks_is_told_who_takes_part(table: Table) -> None:
    table.write(
        7,
        record(1, RETIRED),
        record(3, PENDING),
        record(4, PENDING),
        record(5, RETIRED, ended=True),
        learners=(3,),
    )
    told = encode_members_notice(notice(7, 0, 2, 3))
    for asker in (1, 2, 3):
        assert answers(table, asker) == [SendToPeer(name(asker), told)]
    assert answers(table, 5) == [SendToPeer(name(5), RETIREMENT_NOTICE)]


def test_who_is_no_peer_is_told_nothing(table: Table) -> None:
    table.write(7, record(4, PENDING))
    for asker in (OWN, 4, 6):
        assert answers(table, asker) == []


def test_who_knows_of_nothing_agreed_tells_nothing() -> None:
    table = Table()
    table.neighbours.join({name(1): record(1)})
    assert answers(table, 1) == []


def test_who_was_told_of_is_asked_too(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coco_core.base.limits.MEMBERSHIP_ASKED_TICKS", 2)
    table.tell(notice(9, 3))
    before = len(table.effects)
    for alone in (True, False, True, True):
        table.neighbours.tick(alone=alone)
    asked = sorted(name(number) for number in (1, 2, 3))
    assert table.effects[before:] == [SendToPeer(peer, MEMBERSHIP_QUESTION) for peer in asked]
