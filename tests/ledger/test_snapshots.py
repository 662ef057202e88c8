"""A snapshot says what the state was, proves it, and is one sequence of bytes; nothing else passes."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from hashlib import sha256

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import CallerError, IntegrityError, OperatorError
from coco_core.kv import Store
from coco_core.kv.maps import SERVICE_INFO, SINGLETON_KEY, SNAPSHOT_EVIDENCE, is_public
from coco_core.ledger import (
    LedgerSecrets,
    Snapshot,
    SnapshotName,
    SnapshotPlace,
    read_public_snapshot,
    read_snapshot,
    read_snapshot_evidence,
    snapshot_evidence,
    snapshot_layout,
    write_snapshot,
)

SECRETS = LedgerSecrets([(1, bytes(range(32)))])
STATE = {
    "public:records": {b"": b"", b"key": b"value", b"eight by": b"12345678"},
    "records": {b"secret": b"kept", b"\xff" * 40: bytes(100)},
    "other": {b"k": b""},
}


@pytest.fixture
def sample(writer) -> tuple[str, bytes]:
    writer.genesis()
    writer.view = 5
    writer.tx(STATE)
    return writer.snapshot()


def test_a_snapshot_holds_the_state_and_its_place(writer, ids, sample) -> None:
    read = read_snapshot(*sample, writer.secrets, ids.service)
    seqno = read.place.txid.seqno
    assert read.place == SnapshotPlace(TxID(5, 5), writer.tree.leaf(5), ((2, 1), (5, 4)))
    assert read.evidence == TxID(5, 6)
    assert read.size_bytes == len(sample[1])
    view = writer.store.view(seqno)
    assert {name: read.maps[name] for name in STATE} == STATE
    assert read.maps == {name: dict(view.items(name)) for name in writer.store.pin(seqno).names()}
    assert all(list(values) == sorted(values) for values in read.maps.values())
    for tree in (read.tree(), read.frontier()):
        assert (tree.size, tree.root()) == (seqno + 1, writer.tree.root(seqno + 1))
    assert read.tree().path(seqno) == writer.tree.path(seqno, seqno + 1)
    assert "secret" not in repr(read)


@pytest.mark.parametrize("pinned", [True, False])
def test_anybody_can_read_the_public_part(writer, ids, sample, pinned) -> None:
    name, data = sample
    whole = read_snapshot(name, memoryview(data), writer.secrets, ids.service)
    public = read_public_snapshot(name, data, ids.service if pinned else None)
    assert public.maps == {name: values for name, values in whole.maps.items() if is_public(name)}
    assert (public.place, public.evidence, public.digest) == (whole.place, whole.evidence, whole.digest)
    assert b"kept" not in data
    assert b"value" in data


def test_a_state_without_private_maps_is_sealed_too(writer, ids) -> None:
    writer.genesis()
    name, data = writer.snapshot()
    assert read_snapshot(name, data, writer.secrets, ids.service).maps[SERVICE_INFO]
    with pytest.raises(IntegrityError, match=rf"{name} offset 8: .*another secret"):
        read_snapshot(name, data, LedgerSecrets([(1, bytes(32))]), ids.service)
    with pytest.raises(IntegrityError, match=rf"{name} offset 24: no ledger secret for seqno 4"):
        read_snapshot(name, data, LedgerSecrets([(5, bytes(32))]), ids.service)


# ── one state, one sequence of bytes ─────────────────────────────────────────────────────────────────

PLACE = SnapshotPlace(TxID(3, 9), bytes(range(32)), ((2, 1), (3, 4)))
MAPS = st.dictionaries(
    st.sampled_from(["a", "b", "public:a", "public:b"]),
    st.dictionaries(st.binary(max_size=20), st.binary(max_size=20), max_size=5),
)


def written(store: Store, place: SnapshotPlace = PLACE, secrets: LedgerSecrets = SECRETS) -> bytes:
    file = io.BytesIO()
    digest = write_snapshot(file, place, store.pin(place.txid.seqno), secrets)
    assert sha256(file.getvalue()).digest() == digest
    return file.getvalue()


@given(MAPS, st.data())
def test_equal_states_have_equal_bytes_however_they_came_about(maps, data) -> None:
    at_once, step_by_step = Store(), Store()
    at_once.restore(1_000, {name: dict(values) for name, values in maps.items()})
    records = [(name, *record) for name, values in maps.items() for record in values.items()]
    for number, (name, key, value) in enumerate(data.draw(st.permutations(records))):
        step_by_step.append(2 * number + 1, {name: {key: None if number % 3 else b"other"}})
        step_by_step.append(2 * number + 2, {name: {key: value}, "gone": {b"k": b"v", b"l": None}})
    step_by_step.append(1_000, {"gone": {b"k": None}})
    step_by_step.commit(1_000)
    place = SnapshotPlace(TxID(3, 1_000), bytes(32), ((3, 1),))
    assert written(at_once, place) == written(step_by_step, place)


def test_layout_from_its_description() -> None:
    store = Store()
    store.restore(9, {"public:m": {b"b": b"2", b"a": bytes(8)}, "n": {b"k": b"v"}})
    data = written(store)

    def record(key: bytes, value: bytes) -> bytes:
        value = struct.pack("<q", 9) + value
        return b"".join(struct.pack("<Q", len(x)) + x + bytes(-len(x) % 8) for x in (key, value))

    records = record(b"a", bytes(8)) + record(b"b", b"2")
    head = b"\x01" + struct.pack("<qqQ", 9, 0, 32) + bytes(range(32)) + struct.pack("<Q3Q", 24, 1, 1, 4)
    public = head + struct.pack("<Q", 8) + b"public:m" + struct.pack("<QQ", 9, len(records)) + records
    size = 28 + 8 + len(public) + 8 + 1 + 16 + len(record(b"k", b"v"))
    assert data[:8] == bytes((1, 0)) + size.to_bytes(6, "little")
    assert data[24:44] == struct.pack("<QIQ", 9, 3 | 1 << 31, len(public))
    assert data[44 : 44 + len(public)] == public
    assert len(data) == 8 + size
    sealed = data[44 + len(public) :] + data[8:24]
    opened = SECRETS.at(9).aead.decrypt(data[24:36], sealed, public)
    assert opened == struct.pack("<Q", 1) + b"n" + struct.pack("<QQ", 9, 40) + record(b"k", b"v")


def test_writing_keeps_to_a_buffer(monkeypatch) -> None:
    store = Store()
    store.restore(9, {name: {b"%d" % n: bytes(50) for n in range(500)} for name in ("m", "public:m")})
    expected = written(store)
    monkeypatch.setattr(snapshot_layout, "SNAPSHOT_BUFFER_SIZE_BYTES", 1_000)
    sizes: list[int] = []

    class Watched(io.BytesIO):
        def write(self, data) -> int:
            sizes.append(len(data))
            return super().write(data)

    file = Watched()
    write_snapshot(file, PLACE, store.pin(9), SECRETS)
    assert file.getvalue() == expected
    assert max(sizes) < 1_200


def test_what_cannot_be_written() -> None:
    store = Store()
    store.restore(9, {"m": {b"k": b"v"}})
    pinned = store.pin(9)
    far = SnapshotPlace(TxID(1_000_001, 9), bytes(32), ((1, 1), (1_000_001, 5)))
    with pytest.raises(OperatorError, match="view 1000001: a snapshot states at most 1000000 views"):
        write_snapshot(io.BytesIO(), far, pinned, SECRETS)
    for place, match in (
        (SnapshotPlace(TxID(3, 8), bytes(32), ((3, 1),)), "version 9 is pinned, the snapshot is at 8"),
        (SnapshotPlace(TxID(3, 9), bytes(32), ((2, 1),)), "do not lead to 3.9"),
        (SnapshotPlace(TxID(3, 9), bytes(32), ((3, 2),)), "do not lead to 3.9"),
        (SnapshotPlace(TxID(3, 9), bytes(32), ((2, 1), (3, 10))), "do not lead to 3.9"),
        (SnapshotPlace(TxID(3, 9), bytes(32), ((2, 1), (3, 1))), "only grow"),
        (SnapshotPlace(TxID(3, 9), bytes(32), ((3, 1), (2, 4))), "only grow"),
    ):
        with pytest.raises(BrokenInvariantError, match=match):
            write_snapshot(io.BytesIO(), place, pinned, SECRETS)
    pinned.release()
    with pytest.raises(CallerError, match="released"):
        write_snapshot(io.BytesIO(), PLACE, pinned, SECRETS)


def test_a_state_beyond_the_bound_is_the_operators_business(monkeypatch) -> None:
    store = Store()
    store.restore(9, {"m": {b"k": b"v"}})
    size = len(written(store))
    monkeypatch.setattr(snapshot_layout, "SNAPSHOT_SIZE_MAX_BYTES", size - 1)
    with pytest.raises(OperatorError, match=f"snapshot of {size} bytes exceeds the largest of {size - 1}"):
        written(store)


def test_a_state_that_changes_while_it_is_written_is_our_own_bug() -> None:
    store = Store()
    base = {b"k": b"v"}
    store.restore(9, {"m": base})

    class Meddling(io.BytesIO):
        def write(self, data) -> int:
            base[b"l"] = b"behind the store's back"
            return super().write(data)

    with pytest.raises(BrokenInvariantError, match="bytes of a snapshot of"):
        write_snapshot(Meddling(), PLACE, store.pin(9), SECRETS)


# ── names and evidence ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "name"),
    [("snapshot_7", SnapshotName(7)), ("snapshot_7_12.committed", SnapshotName(7, 12))],
)
def test_names(text: str, name: SnapshotName) -> None:
    assert SnapshotName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "snapshot_",
        "snapshot_0",
        "snapshot_07",
        "snapshot_7.committed",
        "snapshot_7_12",
        "snapshot_7_7.committed",
        "snapshot_7_6.committed",
        "snapshot_7_12.committed\n",
        "snapshot_\N{ARABIC-INDIC DIGIT SEVEN}",
        "snapshot_" + "9" * 20,
        "ledger_7",
    ],
)
def test_other_names(text: str) -> None:
    with pytest.raises(IntegrityError):
        SnapshotName.parse(text)


def test_evidence_is_read_as_it_is_written() -> None:
    digest = sha256(b"snapshot").digest()
    writes = snapshot_evidence(digest, 7)
    assert writes[SNAPSHOT_EVIDENCE] == {SINGLETON_KEY: b'{"hash":"%s","version":7}' % digest.hex().encode()}
    assert read_snapshot_evidence(writes) == (7, digest)
    assert read_snapshot_evidence({"public:records": {b"k": b"v"}}) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[]",
        orjson.dumps({"hash": "00" * 32}),
        orjson.dumps({"hash": "00" * 31, "version": 7}),
        orjson.dumps({"hash": "AA" * 32, "version": 7}),
        orjson.dumps({"hash": "00" * 32, "version": 0}),
        orjson.dumps({"hash": "00" * 32, "version": True}),
        orjson.dumps({"hash": "00" * 32, "version": "7"}),
        orjson.dumps({"version": 7, "hash": "00" * 32}),
        orjson.dumps({"hash": "00" * 32, "version": 7, "more": 1}),
        orjson.dumps({"hash": "00" * 32, "version": 7}) + b" ",
    ],
)
def test_other_evidence_is_refused(value: bytes | None) -> None:
    with pytest.raises(IntegrityError, match="snapshot evidence"):
        read_snapshot_evidence({SNAPSHOT_EVIDENCE: {SINGLETON_KEY: value}})


def test_evidence_holds_one_value() -> None:
    writes = snapshot_evidence(bytes(32), 7)
    writes[SNAPSHOT_EVIDENCE][b"other"] = b""
    with pytest.raises(IntegrityError, match="canonical"):
        read_snapshot_evidence(writes)


# ── what does not pass ───────────────────────────────────────────────────────────────────────────────


class Small:
    """A small snapshot of a service whose signatures verify quickly, and its judge."""

    def __init__(self, writer) -> None:
        writer.found()
        writer.tx({"m": {b"k": b"v"}, "public:m": {b"k": b"v"}})
        self.name, self.data = writer.snapshot()
        self.entry_size = 8 + int.from_bytes(self.data[2:8], "little")
        self.secrets, self.service = writer.secrets, writer.ids.service
        self.honest = self.read(self.data)

    def read(self, data: bytes, name: str | None = None) -> Snapshot:
        return read_snapshot(self.name if name is None else name, data, self.secrets, self.service)

    def refused(self, data: bytes, name: str | None = None) -> str:
        with pytest.raises(IntegrityError) as caught:
            self.read(data, name)
        assert str(caught.value).startswith(self.name if name is None else name)
        return str(caught.value)


@pytest.fixture
def small(new_writer, quick_ids) -> Small:
    return Small(new_writer(quick_ids))


# The library warns of a serial number that such a change makes negative.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_every_byte_counts(small) -> None:
    for at in range(len(small.data)):
        changed = bytearray(small.data)
        changed[at] ^= 1
        if at < small.entry_size:
            assert " offset " in small.refused(bytes(changed)), at
            continue
        # Of the receipt's certificate not every bit means something.
        with suppress(IntegrityError):
            assert small.read(bytes(changed)) == small.honest
            continue
        assert f"offset {small.entry_size}: " in small.refused(bytes(changed))


def test_every_truncation_and_every_excess_is_refused(small) -> None:
    for size in range(len(small.data)):
        assert " offset " in small.refused(small.data[:size]), size
    for more in (b"\0", b" ", b"{}", bytes(100_000)):
        assert f"offset {small.entry_size}: " in small.refused(small.data + more)


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(ids, data: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"snapshot_7_9\.committed offset "):
        read_snapshot("snapshot_7_9.committed", data, SECRETS, ids.service)


def test_names_that_do_not_fit(small) -> None:
    seqno, evidence = small.honest.place.txid.seqno, small.honest.evidence.seqno
    assert "without proof" in small.refused(small.data, f"snapshot_{seqno}")
    assert "not where its name says" in small.refused(
        small.data, f"snapshot_{seqno - 1}_{evidence}.committed"
    )
    assert f"proved by 2.{evidence}" in small.refused(
        small.data, f"snapshot_{seqno}_{evidence + 1}.committed"
    )
