"""What the ported cases leave open: windows' bounds, a state wanted both ways, what a conflict tells."""

from __future__ import annotations

import hashlib

import pytest

from coco_corda import records
from coco_corda.commit import Claim, Conflict, ConsumedAs, Granted, TimeWindow, decide
from coco_corda.refs import StateRef
from coco_core.adapter import Writes, merge
from coco_core.kv import Store

TX, OTHER = bytes(range(32)), bytes(range(32, 64))
REF = StateRef(hashlib.sha256(b"maker").digest(), 3)


@pytest.mark.parametrize(
    ("now_ns", "is_within"), [(9, False), (10, True), (19, True), (20, False), (21, False)]
)
def test_a_window_holds_its_beginning_and_not_its_end(now_ns: int, is_within: bool) -> None:
    assert TimeWindow(10, 20).contains(now_ns) is is_within
    assert TimeWindow(None, 20).contains(now_ns) is (now_ns < 20)
    assert TimeWindow(10, None).contains(now_ns) is (now_ns >= 10)
    assert TimeWindow().contains(now_ns)


def test_what_is_granted_uses_up_inputs_and_no_references() -> None:
    reference = StateRef(OTHER, 0)
    verdict = decide(Claim(tx_id=TX, inputs=[REF], references=[reference]), Store().head(), 0)
    assert verdict == Granted({records.CONSUMED: {REF.key: TX}})


def test_a_state_wanted_both_ways_is_told_as_an_input() -> None:
    written: Writes = {}
    merge(written, {records.CONSUMED: {REF.key: OTHER}})
    verdict = decide(Claim(tx_id=TX, inputs=[REF], references=[REF]), Store().head().over(written), 0)
    assert isinstance(verdict, Conflict)
    assert verdict.consumed[REF].consumed_as is ConsumedAs.INPUT_STATE


def test_a_conflict_does_not_say_which_transaction_it_was() -> None:
    written: Writes = {records.CONSUMED: {REF.key: OTHER}}
    verdict = decide(Claim(tx_id=TX, inputs=[REF]), Store().head().over(written), 0)
    assert isinstance(verdict, Conflict)
    assert OTHER.hex() not in repr(verdict).lower()
    assert OTHER not in [each.tx_id_hash for each in verdict.consumed.values()]
    assert verdict.consumed[REF].tx_id_hash == hashlib.sha256(OTHER).digest()
