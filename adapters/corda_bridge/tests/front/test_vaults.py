"""Whose states there are: the index follows what is committed, and is what a new one would be."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_corda import records
from coco_corda.front import vaults as vaults_module
from coco_corda.front.vaults import Vaults
from coco_corda.records import State
from coco_corda.refs import StateRef
from coco_core.adapter import CommittedBatch, TxID, Writes
from coco_core.kv import Store

ALICE, BOB = (hashlib.sha256(name).digest() for name in (b"alice", b"bob"))
OWNERS = ((ALICE,), (BOB,), (ALICE, BOB))


def ref(number: int) -> StateRef:
    return StateRef(hashlib.sha256(number.to_bytes(4)).digest(), number)


def made(number: int) -> dict[bytes, bytes | None]:
    owners = tuple(sorted(OWNERS[number % len(OWNERS)]))
    return {ref(number).key: State(params_hash=bytes(32), participants=owners, output=b"output").pack()}


def batch(seqno: int, new: list[int], used: list[int]) -> CommittedBatch:
    writes: Writes = {
        records.STATE: {key: row for number in new for key, row in made(number).items()},
        records.CONSUMED: {ref(number).key: bytes(32) for number in used},
    }
    return CommittedBatch(TxID(2, seqno), writes)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=12))
def test_an_index_that_followed_is_one_made_anew(steps: list[tuple[int, int]]) -> None:
    store, following = Store(), Vaults()
    alive: list[int] = []
    number = 0
    for seqno, (creating, using) in enumerate(steps, 1):
        new = list(range(number, number + creating))
        number += creating
        alive += new
        used, alive = alive[:using], alive[using:]
        committed = batch(seqno, new, used)
        store.append(seqno, committed.writes)
        store.commit(seqno)
        following.committed(committed)
    anew = Vaults()
    anew.restored(store.view())
    for owner in (ALICE, BOB):
        expected = sorted(ref(each).key for each in alive if owner in OWNERS[each % len(OWNERS)])
        assert following.page(owner, b"", 1000) == expected
        assert anew.page(owner, b"", 1000) == expected
        paged: list[bytes] = []
        while page := following.page(owner, paged[-1] if paged else b"", 2):
            paged += page
        assert paged == expected


def test_only_participants_hear_of_a_change() -> None:
    vaults = Vaults()
    vaults.committed(batch(3, [0, 1], []))
    vaults.committed(batch(5, [], [0]))
    told = vaults.since(ALICE, 0)
    assert [(each.seqno, each.key, each.is_new) for each in told.changes] == [
        (3, ref(0).key, True),
        (5, ref(0).key, False),
    ]
    assert told.seqno == 5
    assert [each.key for each in vaults.since(BOB, 0).changes] == [ref(1).key]
    assert vaults.since(BOB, 3).changes == []


def test_who_asks_for_what_is_forgotten_is_told_to_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vaults_module, "UPDATES_KEPT_MAX", 4)
    monkeypatch.setattr(vaults_module, "_CUT_AT", 8)
    vaults = Vaults()
    for seqno in range(1, 10):
        vaults.committed(batch(seqno, [3 * seqno], []))
    assert not vaults.since(ALICE, 4).is_known
    told = vaults.since(ALICE, 5)
    assert told.is_known
    assert [each.seqno for each in told.changes] == [6, 7, 8, 9]


def test_a_node_that_begins_with_a_snapshot_knows_nothing_before() -> None:
    store = Store()
    store.append(7, batch(7, [0], []).writes)
    store.commit(7)
    vaults = Vaults()
    vaults.restored(store.view())
    assert not vaults.since(ALICE, 6).is_known
    assert vaults.since(ALICE, 7).is_known
