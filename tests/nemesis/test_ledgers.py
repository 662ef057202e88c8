"""What the check of ledgers notices: losses, doubles, strangers, differences."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import attrs
import pytest

from coco_core.base import TxID
from coco_core.ledger import AuditReport
from coco_core.testing.nemesis.clients import Call
from coco_core.testing.nemesis.ledgers import (
    SHOWN_MAX,
    Completeness,
    LedgerReading,
    check_alike,
    check_complete,
    check_ended,
    shortened,
    try_read,
)
from coco_core.testing.nemesis.tally_load import Addition


def reading(
    name: str, entries: list[str], *, view: int = 2, signed: int | None = None, first: int = 1
) -> LedgerReading:
    """A ledger with a signature at the end, or after entry ``signed``; an entry is a name in Tally."""
    signed = first + len(entries) - 1 if signed is None else signed
    return LedgerReading(
        name=name,
        report=AuditReport(
            start=None,
            entries=len(entries),
            signatures=1,
            last_verified=TxID(view, signed),
            unsigned_tail=len(entries) - signed,
            torn_tail_bytes=0,
            views=((view, 1),),
            nodes={},
            service_fingerprint="",
            recoveries=0,
            private_verified=False,
            size_bytes=0,
        ),
        first=first,
        digests=[sha256(f"{view} {entry}".encode()).digest() for entry in entries],
        txids=[TxID(view, number) for number, _ in enumerate(entries, first)],
        tally=Counter(entries),
        places={entry: number for number, entry in enumerate(entries, first)},
        times_ms=list(range(len(entries))),
    )


def addition(name: str, seqno: int | None) -> Addition:
    place = None if seqno is None else TxID(2, seqno)
    return Addition(name=name, counter="a", amount=1, returned=1.0, place=place)


WHOLE = reading("node 0", ["a", "b", "c"])


def judged(ledger: LedgerReading, additions: list[Addition], *transfers: Call) -> Completeness:
    """Judge a ledger beside one that has everything."""
    return check_complete(ledger, additions, transfers, WHOLE.places)


ADDITIONS = [addition("a", 1), addition("b", None), addition("c", 3)]


def test_a_complete_ledger_is_accepted() -> None:
    assert judged(WHOLE, ADDITIONS).violations == []
    assert check_alike([WHOLE, reading("node 1", ["a", "b", "c", "d"])]) == []


@pytest.mark.parametrize(
    ("additions", "lost", "told"),
    [
        ([*ADDITIONS, addition("d", 4)], 1, "d was acknowledged, and is not in the ledger of node 0"),
        ([*ADDITIONS, addition("d", None)], 1, "d was acknowledged, and is not in the ledger of node 0"),
        ([addition("a", 2), *ADDITIONS[1:]], 1, "a was acknowledged at 2.2, stands at 1"),
        (ADDITIONS[:2], 0, "c is in node 0, sent by nobody"),
    ],
)
def test_what_is_lost_or_invented_is_told(additions: list[Addition], lost: int, told: str) -> None:
    found = judged(WHOLE, additions)
    assert (len(found.lost), len(found.twice)) == (lost, 0)
    assert told in found.violations


def test_an_acknowledged_transfer_must_stand_where_it_was_said_to() -> None:
    there, gone = (
        Call(name=name, returned=1.0, place=TxID(2, seqno)) for name, seqno in (("x", 2), ("y", 9))
    )
    assert judged(WHOLE, ADDITIONS, there).lost == []
    assert len(judged(WHOLE, ADDITIONS, there, gone).lost) == 1
    elsewhere = Call(name="z", returned=1.0, place=TxID(3, 2))
    assert len(judged(WHOLE, ADDITIONS, elsewhere).lost) == 1, "another view is another entry"


def test_what_no_signature_covers_counts_as_lost() -> None:
    ledger = reading("node 0", ["a", "b", "c"], signed=2)
    assert len(judged(ledger, ADDITIONS).lost) == 1


def test_a_double_is_told() -> None:
    ledger = attrs.evolve(WHOLE, tally=Counter(["a", "b", "c", "a"]))
    assert judged(ledger, ADDITIONS).violations == ["a stands 2 times in node 0"]


def test_time_that_runs_backwards_is_told() -> None:
    ledger = attrs.evolve(WHOLE, times_ms=[5, 7, 6])
    assert judged(ledger, ADDITIONS).violations == ["the time of batches runs backwards in node 0"]


def test_ledgers_that_differ_are_told() -> None:
    other = reading("node 1", ["a", "x", "c"])
    assert check_alike([WHOLE, other]) == ["ledgers of node 0 and node 1 differ at 2"]


def test_a_killed_node_may_hold_more_only_where_nobody_was_told() -> None:
    ended = reading("node 2", ["a", "b", "x"])
    places = [TxID(2, 1), TxID(2, 2)]
    assert check_ended(ended, WHOLE, places) == []
    told = check_ended(ended, WHOLE, [*places, TxID(2, 3)])
    assert told == ["node 2 differs from 3 on, where 2.3 was acknowledged"]


def test_a_ledger_behind_a_snapshot_is_judged_from_there() -> None:
    ledger = reading("node 3", ["b", "c"], first=2)
    assert judged(ledger, ADDITIONS).violations == []
    assert check_alike([ledger, WHOLE]) == []
    assert len(judged(reading("node 3", ["c"], first=2), ADDITIONS).lost) == 2
    assert check_alike([reading("node 3", ["x", "c"], first=2), WHOLE]) != []
    assert check_ended(reading("node 3", ["x"], first=9), WHOLE, []) == [], "they have nothing in common"
    assert check_ended(reading("node 3", ["a"]), reading("node 0", ["x"], first=9), []) == []


def test_long_lists_are_shortened() -> None:
    assert len(shortened([str(number) for number in range(100)])) == SHOWN_MAX + 1
    assert shortened(["one"]) == ["one"]


def test_a_ledger_that_is_not_there_is_told(tmp_path) -> None:
    assert "holds no ledger files" in str(try_read("node 0", tmp_path, ""))
