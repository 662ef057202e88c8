"""Accounts, storage values, blooms and receipts as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import IntegrityError, OperatorError
from coco_ethereum import engines
from coco_ethereum.bloom import EMPTY_BLOOM, logs_bloom, may_contain, merge_blooms
from coco_ethereum.engine import Log
from coco_ethereum.receipts import Receipt, decode_receipt
from coco_ethereum.state import (
    ABSENT,
    EMPTY_CODE_HASH,
    Account,
    decode_account,
    decode_slot_value,
    encode_account,
    encode_slot_value,
    flatten,
    lookup,
    read_account,
    read_code,
    read_slot,
    slot_key,
)

words = st.binary(min_size=32, max_size=32)
accounts = st.builds(
    Account,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**256 - 1),
    st.just(EMPTY_CODE_HASH) | words,
)
logs = st.builds(
    Log,
    st.binary(min_size=20, max_size=20),
    st.lists(words, max_size=4).map(tuple),
    st.binary(max_size=70),
)
receipts = st.builds(
    Receipt,
    st.sampled_from((0, 1, 2, 4)),
    st.integers(0, 1),
    st.integers(0, 2**40),
    st.lists(logs, max_size=3).map(tuple),
)


@given(accounts)
def test_accounts(account: Account) -> None:
    stored = encode_account(account)
    assert (stored is None) == account.is_empty
    if stored is not None:
        assert len(stored) == (72 if account.has_code else 40)
        assert decode_account(stored) == account


@given(st.integers(0, 2**256 - 1))
def test_slot_values(value: int) -> None:
    stored = encode_slot_value(value)
    assert (stored is None) == (value == 0)
    if stored is not None:
        assert decode_slot_value(stored) == value


@pytest.mark.parametrize("broken", [b"", bytes(39), bytes(41), bytes(71), bytes(73)])
def test_broken_accounts(broken: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_account(broken)


@pytest.mark.parametrize("broken", [b"", b"\x00", b"\x00\x01", b"\x01" * 33])
def test_broken_slot_values(broken: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_slot_value(broken)


def test_chains_are_read_newest_first() -> None:
    address = b"\x01" * 20
    stored = encode_account(Account(3))
    assert stored is not None
    assert lookup([{address: None}, {address: stored}], address) is None
    assert read_account([{}, {address: stored}], address).nonce == 3
    assert read_account([{address: None}, {address: stored}], address) == ABSENT
    assert read_slot([{slot_key(address, 2): b"\x05"}], address, 2) == 5
    assert read_slot([], address, 2) == 0
    assert flatten([{b"a": None, b"b": b"2"}, {b"a": b"1", b"c": b"3"}]) == {b"b": b"2", b"c": b"3"}


def test_code_that_is_missing_breaks_integrity() -> None:
    assert read_code([{}], EMPTY_CODE_HASH) == b""
    with pytest.raises(IntegrityError, match="not stored"):
        read_code([{}], b"\x01" * 32)


@given(receipts)
def test_receipts(receipt: Receipt) -> None:
    encoded = receipt.encode()
    assert decode_receipt(encoded) == receipt
    with pytest.raises(IntegrityError):
        decode_receipt(encoded + b"\x00")
    with pytest.raises(IntegrityError):
        decode_receipt(encoded[:-1])


def test_a_receipt_in_another_than_its_canonical_encoding() -> None:
    encoded = Receipt(0, 1, 5, ()).encode()
    assert encoded[-257:] == EMPTY_BLOOM + b"\xc0"
    with pytest.raises(IntegrityError, match="canonical"):
        decode_receipt(encoded[:-257] + b"\x01" + encoded[-256:])


@given(st.lists(logs, max_size=3), st.lists(logs, max_size=3))
def test_blooms(some: list[Log], more: list[Log]) -> None:
    bloom = logs_bloom(some)
    for log in some:
        assert may_contain(bloom, log.address)
        assert all(may_contain(bloom, topic) for topic in log.topics)
    assert merge_blooms([bloom, logs_bloom(more)]) == logs_bloom(some + more)
    assert merge_blooms([]) == EMPTY_BLOOM


def test_a_known_bloom() -> None:
    # keccak256 of twenty zero bytes begins 5380c7b7ae81; each two bytes give a bit below 2048.
    bits = int.from_bytes(logs_bloom([Log(bytes(20), (), b"")]), "big")
    assert bits == 1 << (0x5380 & 2047) | 1 << (0xC7B7 & 2047) | 1 << (0xAE81 & 2047)


def test_engines_are_chosen_by_name() -> None:
    assert "py-evm" in [info.name for info in engines.available()]
    assert engines.load("py-evm").name == "py-evm"
    with pytest.raises(OperatorError, match="known are revm, py-evm"):
        engines.load("geth")


def test_a_missing_engine_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coco_ethereum.engines.choice.find_spec", lambda name: None)
    assert engines.available() == []
    with pytest.raises(OperatorError, match=r"pip install 'coco-framework-ethereum\[revm\]'"):
        engines.load("revm")
