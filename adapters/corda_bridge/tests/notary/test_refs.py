"""Names of states and hashes: two ways to write one, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_corda.records import Receipt, RequestRecord, State
from coco_corda.refs import INDEX_MAX, StateRef, hashes_text, parse_hash, parse_hashes
from coco_core.errors import IntegrityError, MalformedError

HASHES = st.binary(min_size=32, max_size=32)
REFS = st.builds(StateRef, HASHES, st.integers(0, INDEX_MAX))


@given(REFS)
def test_a_ref_is_read_back(ref: StateRef) -> None:
    assert StateRef.parse(str(ref)) == ref
    assert StateRef.of_key(ref.key) == ref


@given(st.lists(REFS, max_size=8))
def test_keys_sort_as_refs_do(refs: list[StateRef]) -> None:
    assert [each.key for each in sorted(refs)] == sorted(each.key for each in refs)


@pytest.mark.parametrize("text", ["", "AB(0)", "AA" * 32, f"{'AA' * 32}(-1)", f"{'AA' * 32}(9999999999)"])
def test_what_names_no_state_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        StateRef.parse(text)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(MalformedError):
        StateRef.of_key(bytes(35))
    with pytest.raises(MalformedError):
        StateRef(bytes(31), 0)


@given(st.frozensets(HASHES, max_size=8))
def test_lists_of_hashes_are_read_back(hashes: frozenset[bytes]) -> None:
    assert parse_hashes(hashes_text(hashes)) == hashes


def test_what_is_no_hash_is_refused() -> None:
    with pytest.raises(MalformedError):
        parse_hash("zz")
    with pytest.raises(MalformedError):
        parse_hashes("aa " + "aa" * 32)


@given(HASHES, st.lists(HASHES, max_size=4), st.binary(max_size=99))
def test_a_state_is_read_back(params_hash: bytes, participants: list[bytes], output: bytes) -> None:
    state = State(params_hash=params_hash, participants=tuple(participants), output=output)
    packed = state.pack()
    assert State.unpack(packed) == state
    assert State.participants_of(packed) == state.participants
    with pytest.raises(IntegrityError):
        State.unpack(packed[: 33 + 32 * len(participants)])


def test_receipts_and_requests_are_read_back() -> None:
    receipt = Receipt(
        tx_id=bytes(range(32)),
        time_ms=5,
        is_notarised=True,
        platform_version=12,
        scheme=4,
        signature=bytes(range(64)),
    )
    assert Receipt.unpack(receipt.pack()) == receipt
    with pytest.raises(IntegrityError):
        Receipt.unpack(receipt.pack() + b"x")
    request = RequestRecord(tx_id=bytes(range(32)), caller="user:abc", signature=b"signed")
    assert RequestRecord.unpack(request.pack()) == request
    with pytest.raises(IntegrityError):
        RequestRecord.unpack(b"short")
