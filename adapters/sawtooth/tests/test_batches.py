"""Batches: whole ones are read, and every other one is refused with the reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import MalformedError
from coco_sawtooth import messages
from coco_sawtooth.authoring import signed_batch
from coco_sawtooth.batches import dependencies, read, split, verify_signatures
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.testing import Client, intkey_transaction

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def alice() -> Client:
    return Client.named("alice")


@pytest.fixture
def bob() -> Client:
    return Client.named("bob")


def checked(batch: messages.Batch):
    found = read(batch.SerializeToString())
    verify_signatures(found)
    return found


def high_s(signature: str) -> str:
    return signature[:64] + (ORDER - int(signature[64:], 16)).to_bytes(32).hex()


def test_a_good_batch_is_read(alice):
    batch = alice.batch(*(intkey_transaction(alice, "set", f"n{i}", i) for i in range(3)))
    found = checked(batch)
    assert found.id == batch.header_signature
    assert [each.id for each in found.transactions] == [each.header_signature for each in batch.transactions]
    assert found.transactions[0].family == ("intkey", "1.0")
    assert found.transactions[0].inputs == found.transactions[0].outputs
    assert found.raw == batch.SerializeToString()


def test_somebody_may_batch_what_another_signed_for_him(alice, bob):
    checked(bob.batch(intkey_transaction(alice, "set", "n", 1, batcher=bob.public_key)))


def test_a_batch_list_is_split(alice):
    batches = [alice.batch(intkey_transaction(alice, "set", f"n{i}", i)) for i in range(2)]
    raw = messages.BatchList(batches=batches).SerializeToString()
    assert split(raw) == [batch.SerializeToString() for batch in batches]
    assert split(b"") == []
    with pytest.raises(MalformedError):
        split(b"\xff")


def test_altered_batches_are_refused(alice, bob):
    def altered(change):
        batch = alice.batch(
            intkey_transaction(alice, "set", "n", 1), intkey_transaction(alice, "set", "m", 1)
        )
        change(batch)
        return batch

    def other_signer(batch):
        header = messages.BatchHeader.FromString(batch.header)
        header.signer_public_key = bob.public_key
        batch.header = header.SerializeToString()

    def set_field(name, value):
        def change(batch):
            setattr(batch.transactions[0], name, value)

        return change

    changes = {
        "signature is not": lambda batch: setattr(batch, "header_signature", "11" * 64),
        "not that of the signer": other_signer,
        "payload_sha512": set_field("payload", b"other"),
        "transaction_ids": lambda batch: batch.transactions.pop(),
        "128 lower-case": set_field("header_signature", "AB" * 64),
        "does not decode": set_field("header", b"\xff"),
    }
    for reason, change in changes.items():
        with pytest.raises(MalformedError, match=reason):
            checked(altered(change))


def test_structure_is_checked(alice, bob):
    one = intkey_transaction(alice, "set", "n", 1)
    with pytest.raises(MalformedError, match="no transactions"):
        checked(alice.batch())
    with pytest.raises(MalformedError, match="twice"):
        checked(alice.batch(one, one))
    with pytest.raises(MalformedError, match="batcher_public_key"):
        checked(bob.batch(one))
    with pytest.raises(MalformedError, match="dependency"):
        checked(alice.batch(intkey_transaction(alice, "set", "n", 1, dependencies=[""])))


def test_identifiers_have_one_form(alice):
    batch = alice.batch(intkey_transaction(alice, "set", "n", 1))
    signature = batch.header_signature
    for form in (
        signature.upper(),
        " ".join(signature[i : i + 2] for i in range(0, 128, 2)),
        signature + "00",
    ):
        batch.header_signature = form
        with pytest.raises(MalformedError, match="128 lower-case"):
            checked(batch)
    batch.header_signature = high_s(signature)
    with pytest.raises(MalformedError, match="signature is not"):
        checked(batch)


def test_a_transaction_with_a_mirrored_signature_is_refused(alice):
    transaction = intkey_transaction(alice, "inc", "n", 1)
    transaction.header_signature = high_s(transaction.header_signature)
    with pytest.raises(MalformedError, match="signature is not"):
        checked(signed_batch(alice.signer, [transaction]))


@pytest.mark.shared
def test_what_the_real_validator_executed_twice_is_refused_here(shared, alice):
    """Its recorded answers: a changed notation of an identifier made a new transaction."""
    lines = (shared / "data" / "sawtooth" / "malleability.jsonl").read_text(encoding="utf-8").splitlines()
    theirs = {each["name"]: each["status"] for each in map(json.loads, lines)}
    transaction = intkey_transaction(alice, "inc", "n", 1)
    signature = transaction.header_signature
    forms = {
        "inc/same-txn-UPPERCASE-id": signature.upper(),
        "inc/same-txn-spaced-id": " ".join(signature[i : i + 2] for i in range(0, 128, 2)),
        "inc/same-txn-high-S": high_s(signature),
    }
    for name, form in forms.items():
        transaction.header_signature = form
        assert theirs[name] in (202, 400)
        with pytest.raises(MalformedError):
            checked(signed_batch(alice.signer, [transaction]))
    for name, form in {"batch/upper": str.upper, "batch/high-S": high_s}.items():
        batch = alice.batch(intkey_transaction(alice, "inc", "n", 1))
        batch.header_signature = form(batch.header_signature)
        assert theirs[name] in (202, 400)
        with pytest.raises(MalformedError):
            checked(batch)
    for name, form in {"key/uppercase-hex": str.upper}.items():
        key = form(alice.public_key)
        one = intkey_transaction(alice, "set", "k", 1, signer_public_key=key)
        checked(alice.batch(one))
        assert theirs[name] == 202


def test_numbers_are_bounded(alice, monkeypatch):
    batch = alice.batch(
        *(intkey_transaction(alice, "set", name, 1, dependencies=["ab" * 64] * 2) for name in "abc")
    )
    for name, reason in {
        "BATCH_TRANSACTIONS_MAX": "more than 2 transactions",
        "BATCH_DEPENDENCIES_MAX": "more than 2 dependencies",
        "TRANSACTION_ADDRESSES_MAX": "more than 1 inputs and outputs",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(f"coco_sawtooth.batches.{name}", 1 if name.startswith("TRANSACTION") else 2)
            with pytest.raises(MalformedError, match=reason):
                checked(batch)
    checked(batch)


def test_signatures_are_checked_once(alice, monkeypatch):
    monkeypatch.setattr("coco_sawtooth.checking.CHECKED_BATCHES_KEPT_MAX", 2)
    monkeypatch.setattr(CheckedBatches, "known", lambda *_: None)
    known = CheckedBatches()
    batches = [alice.batch(intkey_transaction(alice, "set", str(number), 1)) for number in range(3)]
    raw = [batch.SerializeToString() for batch in batches]
    for each in raw:
        known.check(each)
    # The first one was forgotten; the others are taken for good without looking again.
    monkeypatch.setattr("coco_sawtooth.batches.verify", refuse)
    assert known.check(raw[2]).id == batches[2].header_signature
    assert isinstance(known.checked(raw[0]), MalformedError)


def test_the_newest_batches_are_read_once(alice, monkeypatch):
    raw = [
        alice.batch(intkey_transaction(alice, "set", str(number), 1)).SerializeToString()
        for number in range(3)
    ]
    monkeypatch.setattr("coco_sawtooth.checking.READ_BATCHES_SIZE_MAX_BYTES", 2 * len(raw[0]))
    known = CheckedBatches()
    assert known.known(raw[0]) is None
    found = [known.check(each) for each in raw]
    assert [known.known(each) for each in raw] == [None, *found[1:]]
    assert known.check(raw[2]) is found[2]


def refuse(*_):
    raise MalformedError("looked at")


def test_dependencies_are_what_is_outside(alice):
    first = intkey_transaction(alice, "set", "n", 1, dependencies=["aa" * 64])
    second = intkey_transaction(
        alice, "inc", "n", 1, dependencies=[first.header_signature, "aa" * 64, "bb" * 64]
    )
    batch = checked(alice.batch(first, second))
    assert dependencies(batch) == ["aa" * 64, "bb" * 64]


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    try:
        found = read(raw)
    except MalformedError:
        return
    with pytest.raises(MalformedError):
        verify_signatures(found)


@given(position=st.integers(0, 400), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing_that_is_signed(position, bit):
    alice = Client.named("alice")
    raw = bytearray(alice.batch(intkey_transaction(alice, "set", "n", 1)).SerializeToString())
    raw[position % len(raw)] ^= 1 << bit
    try:
        found = read(bytes(raw))
        verify_signatures(found)
    except MalformedError:
        return
    good = read(alice.batch(intkey_transaction(Client.named("alice"), "set", "n", 1)).SerializeToString())
    assert (found.id, found.transactions[0].payload) == (good.id, good.transactions[0].payload)
