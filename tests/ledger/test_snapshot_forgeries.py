"""Snapshots whose digest the ledger proves, but which are not what we write: each refused, with its offset.

Their author holds the ledger secrets and gets his evidence signed, so nothing but the content gives
him away.
"""

from __future__ import annotations

import io
import struct
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coco_core.base import TxID
from coco_core.errors import IntegrityError
from coco_core.kv import Store
from coco_core.kv.maps import COSE_SIGNATURES, SERVICE_INFO, SIGNATURES, SINGLETON_KEY, TREE
from coco_core.ledger import (
    Snapshot,
    SnapshotName,
    cose_receipt,
    read_public_snapshot,
    read_snapshot,
    snapshot_evidence,
    snapshots,
    write_snapshot,
)

PUBLIC_AT = 44
SEQNO = 4


def u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def record(key: bytes, value: bytes, version: int = SEQNO, pad: bytes = b"\0") -> bytes:
    parts = u64(len(key)), key, pad * (-len(key) % 8), u64(8 + len(value), version), value
    return b"".join(parts) + pad * (-len(value) % 8)


def section(name: bytes, records: bytes, version: int = SEQNO) -> bytes:
    return u64(len(name)) + name + u64(version, len(records)) + records


class Forger:
    """Takes an honest snapshot apart, and proves whatever is made of its parts."""

    def __init__(self, writer) -> None:
        self.writer = writer
        writer.found()
        writer.tx({"m": {b"k": b"v", b"long key": b"12345678"}, "public:m": {b"k": b"v"}})
        self.name, data = writer.snapshot()
        self.entry = data[: 8 + int.from_bytes(data[2:8], "little")]
        self.public_end = PUBLIC_AT + int.from_bytes(data[36:44], "little")
        self.head = self.entry[PUBLIC_AT : PUBLIC_AT + 65 + 16]
        self.public = self.entry[PUBLIC_AT : self.public_end]
        self.private = self._aead.decrypt(
            self.entry[24:36], self.entry[self.public_end :] + self.entry[8:24], self.public
        )

    @property
    def _aead(self):
        return self.writer.secrets.at(SEQNO).aead

    def seal(
        self, public: bytes, private: bytes, nonce: bytes = struct.pack("<QI", SEQNO, 2 | 1 << 31)
    ) -> bytes:
        sealed = self._aead.encrypt(nonce, private, public)
        rest = sealed[-16:] + nonce + u64(len(public)) + public + sealed[:-16]
        return b"\1\0" + len(rest).to_bytes(6, "little") + rest

    def prove(self, entry: bytes, *, cose: bool = False) -> tuple[str, bytes]:
        digest = sha256(entry).digest()
        proof = self.writer.tx(snapshot_evidence(digest, SEQNO), claims=digest)
        path_size = self.writer.tree.size
        receipt = self.writer.receipt(proof)
        if cose:
            path = self.writer.tree.path(proof, path_size)
            receipt = cose_receipt(self.writer.components(proof), path, self.writer.signature)
        return str(SnapshotName(SEQNO, proof)), entry + receipt

    def read(self, entry: bytes, **how: object) -> Snapshot:
        return read_snapshot(*self.prove(entry, **how), self.writer.secrets, self.writer.ids.service)

    def refused(self, offset: int, entry: bytes, match: str, **how: object) -> None:
        with pytest.raises(IntegrityError, match=match) as caught:
            self.read(entry, **how)
        assert f".committed offset {offset}: " in str(caught.value)

    def public_refused(self, offset: int, public: bytes, match: str) -> None:
        self.refused(PUBLIC_AT + offset, self.seal(public, self.private), match)

    def private_refused(self, offset: int, private: bytes, match: str) -> None:
        self.refused(self.public_end + offset, self.seal(self.public, private), match)


@pytest.fixture
def forger(new_writer, quick_ids) -> Forger:
    return Forger(new_writer(quick_ids))


def test_the_parts_make_the_whole(forger) -> None:
    assert forger.seal(forger.public, forger.private) == forger.entry
    assert forger.private == section(b"m", record(b"k", b"v") + record(b"long key", b"12345678"))
    assert forger.read(forger.entry).place.txid == TxID(2, SEQNO)


# ── what stands before the maps ──────────────────────────────────────────────────────────────────────


def test_header(forger) -> None:
    entry = forger.entry
    forger.refused(0, b"\2" + entry[1:], "format version 2")
    forger.refused(0, entry[:1] + b"\1" + entry[2:], "flags 0x01")
    forger.refused(2, entry[:7] + b"\1" + entry[8:], "entry ends at")
    forger.refused(2, entry[:2] + (60).to_bytes(6, "little") + entry[8:], "entry ends at")
    forger.refused(36, entry[:36] + u64(1 << 63) + entry[44:], "public part of 9223372036854775808 bytes")
    forger.refused(36, entry[:36] + u64(10) + entry[44:], "public part of 10 bytes")


@pytest.mark.parametrize(("seqno", "view"), [(0, 2 | 1 << 31), (1 << 63, 2 | 1 << 31), (4, 2), (4, 1 << 31)])
def test_nonce(forger, seqno: int, view: int) -> None:
    nonce = struct.pack("<QI", seqno, view)
    forger.refused(24, forger.seal(forger.public, forger.private, nonce), "is not that of a snapshot")


def test_a_receipt_in_another_form(forger) -> None:
    forger.refused(len(forger.entry), forger.entry, "receipt is in our canonical JSON", cose=True)


def test_a_receipt_for_something_else(forger) -> None:
    name, data = forger.prove(forger.entry + b"\0")
    receipt = data[len(forger.entry) + 1 :]
    with pytest.raises(IntegrityError, match=f"offset {len(forger.entry)}: receipt is for "):
        read_snapshot(name, forger.entry + receipt, forger.writer.secrets, forger.writer.ids.service)


def test_proved_in_an_earlier_view(forger) -> None:
    public = forger.head[:-24] + u64(8 * 3, 1, 1, 3) + forger.public[len(forger.head) :]
    entry = forger.seal(public, forger.private, struct.pack("<QI", SEQNO, 3 | 1 << 31))
    forger.refused(len(entry), entry, "is proved by 2.")


@pytest.mark.parametrize(
    "head",
    [
        b"\4" + struct.pack("<qqQ", SEQNO, 0, 32),
        b"\1" + struct.pack("<qqQ", SEQNO + 1, 0, 32),
        b"\1" + struct.pack("<qqQ", SEQNO, 1, 32),
        b"\1" + struct.pack("<qqQ", SEQNO, 0, 31),
    ],
)
def test_beginning_of_the_public_part(forger, head: bytes) -> None:
    forger.public_refused(0, head + forger.public[25:], "does not begin as that of a snapshot at 4")


@pytest.mark.parametrize(
    ("size", "views", "at", "match"),
    [
        (8, (1,), 57, "8 bytes of views do not fit 2.4"),
        (24, (1, 1, 3), 57, "24 bytes of views do not fit 2.4"),
        (17, (1, 1), 57, "17 bytes"),
        (1 << 60, (1, 1), 57, "bytes of views"),
        (16, (2, 2), 65, "do not lead from 1 to 4"),
        (16, (1, 5), 65, "do not lead"),
        (16, (1, 0), 65, "do not lead"),
    ],
)
def test_views(forger, size: int, views: tuple[int, ...], at: int, match: str) -> None:
    public = forger.head[:57] + u64(size) + u64(*views) + forger.public[len(forger.head) :]
    forger.public_refused(at, public, match)


def test_more_views_than_a_snapshot_may_state(forger, monkeypatch) -> None:
    monkeypatch.setattr(snapshots, "SNAPSHOT_VIEWS_MAX", 1)
    forger.public_refused(57, forger.public, "16 bytes of views do not fit 2.4")


def test_larger_than_a_snapshot_may_be(forger, monkeypatch) -> None:
    name, data = forger.prove(forger.entry)
    monkeypatch.setattr(snapshots, "SNAPSHOT_SIZE_MAX_BYTES", 100)
    monkeypatch.setattr(snapshots, "RECEIPT_SIZE_MAX_BYTES", len(data) - 101)
    with pytest.raises(IntegrityError, match=f"{name} offset {len(data)}: {len(data)} bytes is not the size"):
        read_snapshot(name, data, forger.writer.secrets, forger.writer.ids.service)


# ── maps and records ─────────────────────────────────────────────────────────────────────────────────

MAPS = {
    "a size without its name": (0, u64(3), "runs past the end"),
    "half a size": (0, b"\1\0\0", "cut off"),
    "an endless name": (0, u64(1 << 63) + b"m", "runs past the end"),
    "a name that is not UTF-8": (0, section(b"\xff", record(b"k", b"v")), "not text"),
    "a name and nothing else": (0, u64(1) + b"m", "cut off"),
    "no name": (0, section(b"", record(b"k", b"v")), "out of place"),
    "no records": (0, section(b"m", b""), "has 0 bytes of records"),
    "more records than bytes": (0, u64(1) + b"m" + u64(SEQNO, 1 << 62), "bytes of records"),
    "another version": (0, section(b"m", record(b"k", b"v"), version=3), "out of place"),
    "a public map": (0, section(b"public:m", record(b"k", b"v")), "out of place"),
    "a map twice": (65, section(b"m", record(b"k", b"v")) * 2, "out of place"),
    "maps out of order": (65, section(b"n", record(b"k", b"v")) + section(b"m", record(b"k", b"v")), "place"),
    "half a record": (0, section(b"m", b"\1\0"), "cut off"),
    "a key beyond its map": (25, section(b"m", u64(99) + record(b"k", b"v")), "key of 99 bytes runs past"),
    "an endless key": (25, section(b"m", u64(1 << 63) + bytes(32)), "runs past its map"),
    "a key without value": (0, section(b"m", u64(1) + bytes(8)), "cut off"),
    "a value beyond its map": (41, section(b"m", u64(1, 0, 99, SEQNO) + bytes(8)), "value of 99 bytes"),
    "a value too short for its version": (
        41,
        section(b"m", u64(1) + b"k" + bytes(7) + u64(7, SEQNO)),
        "value of 7 bytes at version 4",
    ),
    "a value of another version": (
        41,
        section(b"m", record(b"k", b"v", version=3)),
        "at version 3 does not fit",
    ),
    "a removal, as there were once": (
        41,
        section(b"m", record(b"k", b"v", version=-1 % 2**64)),
        "does not fit",
    ),
    "padding that says something": (25, section(b"m", record(b"k", b"12345678", pad=b"x")), "padding"),
    "padding of a value": (25, section(b"m", record(b"12345678", b"v", pad=b"x")), "padding"),
    "a key twice": (65, section(b"m", record(b"k", b"v") * 2), "key out of order"),
    "keys out of order": (65, section(b"m", record(b"k", b"v") + record(b"j", b"v")), "key out of order"),
}


@pytest.mark.parametrize("case", MAPS)
def test_maps_in_the_sealed_part(forger, case: str) -> None:
    offset, private, match = MAPS[case]
    forger.private_refused(offset, private, match)


def test_a_private_map_in_the_clear(forger) -> None:
    public = forger.head + section(b"m", record(b"k", b"v")) + forger.public[len(forger.head) :]
    forger.public_refused(len(forger.head), public, "map 'm' is out of place")


def tables(forger: Forger, **changed: bytes | None) -> bytes:
    """Return the public part with the values of built-in maps changed, or the maps left out."""
    maps = {name: dict(values) for name, values in forger.read(forger.entry).maps.items()}
    for name, value in changed.items():
        where = {"tree": TREE, "signatures": SIGNATURES, "cose": COSE_SIGNATURES, "service": SERVICE_INFO}[
            name
        ]
        maps[where] = {SINGLETON_KEY: value} if value is not None else {}
    body = b"".join(
        section(name.encode(), b"".join(record(key, value) for key, value in sorted(values.items())))
        for name, values in sorted(maps.items())
        if name.startswith("public:") and values
    )
    return forger.head + body


def test_tables_of_the_signature_the_snapshot_stands_behind(forger) -> None:
    assert tables(forger) == forger.public
    tree_at = PUBLIC_AT + tables(forger).index(TREE.encode()) - 8

    def refused(offset: int, match: str, **changed: bytes | None) -> None:
        forger.refused(offset, forger.seal(tables(forger, **changed), forger.private), match)

    refused(PUBLIC_AT, "signature entry writes", tree=None)
    refused(PUBLIC_AT, "holds no signature", tree=None, signatures=None, cose=None)
    refused(tree_at, "serialised tree", tree=b"nonsense")
    writer = forger.writer
    refused(tree_at, "tree of 3 leaves, expected 4", tree=writer.tree.serialise(3))
    other = bytearray(writer.tree.serialise(4))
    other[16] ^= 1
    refused(tree_at, "signed root", tree=bytes(other))
    later = writer.signature_writes()
    signatures, cose = (later[name][SINGLETON_KEY] for name in (SIGNATURES, COSE_SIGNATURES))
    for changed in ({"signatures": signatures}, {"cose": cose}):
        at = tables(forger, **changed).index(TREE.encode()) - 8
        refused(PUBLIC_AT + at, "signed root|COSE signature for", **changed)


def test_the_service_of_a_snapshot_read_on_its_own(forger) -> None:
    for value, match in (
        (None, "no service information"),
        (b"{", "no service information"),
        (b"[]", "no certificate"),
        (b'{"cert":1}', "no certificate"),
        (b'{"cert":"nonsense"}', "certificate"),
    ):
        name, data = forger.prove(forger.seal(tables(forger, service=value), forger.private))
        with pytest.raises(IntegrityError, match=match) as caught:
            read_public_snapshot(name, data, None)
        assert f"{name} offset " in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_another_state_or_refused(forger, data: st.DataObject) -> None:
    """What is accepted is exactly what we would write of the state it holds: one state, one encoding."""
    parts = [bytearray(forger.public), bytearray(forger.private)]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    entry = forger.seal(*map(bytes, parts))
    name, proven = forger.prove(entry)
    try:
        read = read_snapshot(name, proven, forger.writer.secrets, forger.writer.ids.service)
    except IntegrityError as error:
        told = str(error)
    else:
        told = f"{name} offset "
        store, file = Store(), io.BytesIO()
        store.restore(SEQNO, read.maps)
        write_snapshot(file, read.place, store.pin(SEQNO), forger.writer.secrets)
        assert file.getvalue() == entry
    assert told.startswith(f"{name} offset ")
