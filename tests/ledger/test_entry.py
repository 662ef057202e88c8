"""Entries: what goes in comes out, anything changed is refused, the layout is CCF's."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import IntegrityError
from coco_core.kv.write_set import Writes, encode_domain
from coco_core.ledger import (
    NO_CLAIMS,
    EntryOpener,
    EntrySealer,
    LedgerSecrets,
    commit_evidence,
    entry_size_bytes,
    read_header,
    read_public,
)

SECRETS = LedgerSecrets([(1, b"a" * 32), (100, b"b" * 32)])
WRITES: Writes = {
    "public:a": {b"k": b"v", b"gone": None},
    "private": {b"x": b"y" * 50, b"z": None},
}
CLAIMS = bytes(range(32))

NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=6)
MAPS = st.dictionaries(
    NAMES | NAMES.map("public:{}".format),
    st.dictionaries(st.binary(max_size=9), st.none() | st.binary(max_size=40), min_size=1, max_size=4),
    max_size=4,
)


@given(MAPS, st.integers(1, 2**31 - 1), st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_what_is_sealed_opens(writes: Writes, view: int, seqno: int, claims: bytes) -> None:
    entry = EntrySealer(SECRETS).seal(TxID(view, seqno), writes, claims=claims)
    opened = EntryOpener(SECRETS).open(entry.raw)
    assert opened.txid == TxID(view, seqno)
    assert opened.writes == writes
    assert (opened.claims, opened.leaf) == (claims, entry.leaf)
    assert opened.commit_evidence == entry.commit_evidence == commit_evidence(SECRETS, opened.txid)
    seen = read_public(entry.raw)
    assert seen.public == {name: maps for name, maps in writes.items() if name.startswith("public:")}
    assert (seen.txid, seen.claims, seen.leaf) == (opened.txid, claims, entry.leaf)
    assert seen.write_set_digest == entry.write_set_digest == sha256(entry.raw).digest()


def test_layout_byte_by_byte() -> None:
    entry = EntrySealer(SECRETS).seal(TxID(3, 7), WRITES, claims=CLAIMS, flags=1)
    evidence = sha256(entry.commit_evidence.encode()).digest()
    public = b"\x04" + (7).to_bytes(8, "little") + CLAIMS + evidence + bytes(8)
    public += encode_domain({"public:a": WRITES["public:a"]})
    nonce = (7).to_bytes(8, "little") + (3).to_bytes(4, "little")
    box = AESGCM(b"a" * 32).encrypt(nonce, encode_domain({"private": WRITES["private"]}), public)
    body = box[-16:] + nonce + len(public).to_bytes(8, "little") + public + box[:-16]
    assert entry.raw == b"\x01\x01" + len(body).to_bytes(6, "little") + body
    assert entry.leaf == sha256(sha256(entry.raw).digest() + evidence + CLAIMS).digest()
    header = read_header(entry.raw)
    assert (header.txid, header.flags, header.claims) == (TxID(3, 7), 1, CLAIMS)
    assert header.private_size_bytes == len(box) - 16
    assert entry_size_bytes(entry.raw[:8]) == len(entry.raw)


def test_private_values_are_not_in_the_clear() -> None:
    entry = EntrySealer(SECRETS).seal(TxID(2, 1), {"private": {b"key of note": b"value of note"}})
    assert b"of note" not in entry.raw
    assert b"private" not in entry.raw


def test_every_flipped_bit_is_noticed_with_the_secrets() -> None:
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), WRITES, claims=CLAIMS).raw
    opener = EntryOpener(SECRETS)
    # Not authenticated by the entry alone, but by the leaf: the flags in the header.
    flags = {8 + 0, 8 + 1}
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        if bit in flags:
            assert opener.open(bytes(changed)).leaf != opener.open(raw).leaf
        else:
            with pytest.raises(IntegrityError):
                opener.open(bytes(changed))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 44, 100, -1])
def test_cut_entries_are_refused(cut: int) -> None:
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), WRITES).raw
    for read in (read_public, read_header, EntryOpener(SECRETS).open):
        with pytest.raises(IntegrityError):
            read(raw[:cut])
        with pytest.raises(IntegrityError):
            read(raw + b"\0")


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=12))
def test_rubbish_raises_nothing_but_integrity_errors(rubbish: bytes, at: int, patch: bytes) -> None:
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), WRITES).raw
    patched = raw[:at] + patch + raw[at + len(patch) :]
    for data in (rubbish, patched[: len(raw)]):
        for read in (read_public, EntryOpener(SECRETS).open):
            try:
                read(data)
            except IntegrityError:
                continue
            assert data == raw or read is read_public


def test_sizes_beyond_any_file_are_refused() -> None:
    raw = bytearray(EntrySealer(SECRETS).seal(TxID(2, 5), {"public:a": {b"k": b"v"}}).raw)
    name_size_at = 8 + 28 + 8 + 81
    for at in (name_size_at, name_size_at + 8 + len("public:a") + 24):
        changed = raw.copy()
        changed[at : at + 8] = b"\xff" * 8
        with pytest.raises(IntegrityError):
            read_public(bytes(changed))


def test_another_epoch_or_ledger_cannot_open() -> None:
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), WRITES).raw
    with pytest.raises(IntegrityError, match="commit evidence"):
        EntryOpener(LedgerSecrets([(1, b"c" * 32)])).open(raw)
    with pytest.raises(IntegrityError, match="no ledger secret"):
        EntryOpener(LedgerSecrets([(6, b"a" * 32)])).open(raw)


def test_epochs_seal_with_their_own_secret() -> None:
    raw = EntrySealer(SECRETS).seal(TxID(2, 100), WRITES).raw
    assert EntryOpener(LedgerSecrets([(100, b"b" * 32)])).open(raw).writes == WRITES


def test_a_private_map_in_the_clear_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coco_core.ledger.entry.is_public", lambda name: True)
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), {"private": {b"k": b"v"}}).raw
    monkeypatch.undo()
    for read in (read_public, EntryOpener(SECRETS).open):
        with pytest.raises(IntegrityError, match="private map 'private' stands in the clear"):
            read(raw)
    monkeypatch.setattr("coco_core.ledger.entry.is_public", lambda name: False)
    raw = EntrySealer(SECRETS).seal(TxID(2, 5), {"public:a": {b"k": b"v"}}).raw
    monkeypatch.undo()
    with pytest.raises(IntegrityError, match="a public map is in the sealed part"):
        EntryOpener(SECRETS).open(raw)


def test_a_nonce_is_never_used_twice() -> None:
    sealer = EntrySealer(SECRETS)
    sealer.seal(TxID(2, 5), WRITES)
    for reused in (TxID(2, 5), TxID(2, 4), TxID(1, 9)):
        with pytest.raises(BrokenInvariantError, match="nonce"):
            sealer.seal(reused, WRITES)
    sealer.seal(TxID(3, 4), WRITES)


@pytest.mark.parametrize("txid", [TxID(0, 1), TxID(1, 0), TxID(2**31, 1), TxID(1, 2**63)])
def test_places_out_of_range_are_our_own_bug(txid: TxID) -> None:
    with pytest.raises(BrokenInvariantError):
        EntrySealer(SECRETS).seal(txid, WRITES)


def test_a_transaction_may_write_nothing() -> None:
    entry = EntrySealer(SECRETS).seal(TxID(2, 1), {})
    opened = EntryOpener(SECRETS).open(entry.raw)
    assert (opened.writes, opened.claims, opened.flags) == ({}, NO_CLAIMS, 0)
