"""File names and file contents, complete, in progress and damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import TxID
from coco_core.errors import IntegrityError
from coco_core.ledger import (
    IN_PROGRESS_HEADER,
    ChunkName,
    EntrySealer,
    LedgerSecrets,
    completed_header,
    encode_chunk,
    parse_chunk,
    positions_table,
)

_SEALER = EntrySealer(LedgerSecrets([(1, b"a" * 32)]))
ENTRIES = [_SEALER.seal(TxID(2, n), {"public:a": {b"k": bytes(n)}}).raw for n in range(1, 6)]
COMPLETE = encode_chunk(ENTRIES)
OPEN = IN_PROGRESS_HEADER + b"".join(ENTRIES)


@given(st.integers(1, 10**18), st.none() | st.integers(0, 10**6), st.booleans())
def test_names_return(first: int, more: int | None, committed: bool) -> None:
    name = ChunkName(first, None if more is None else first + more, committed and more is not None)
    assert ChunkName.parse(str(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ledger_",
        "ledger_0",
        "ledger_01",
        "ledger_1-",
        "ledger_5-4",
        "ledger_1.committed",
        "ledger_1-2.recovery",
        "ledger_1-2.committed.ignored",
        "snapshot_1_2",
        "ledger_\uff11-2",
        "ledger_1-2\n",
        "x/ledger_1-2",
        "ledger_" + "9" * 20,
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(IntegrityError):
        ChunkName.parse(name)


def test_complete_chunk_returns_its_entries_and_offsets() -> None:
    chunk = parse_chunk("ledger_1-5.committed", COMPLETE)
    assert [bytes(raw) for _, raw in chunk.entries()] == ENTRIES
    assert [offset for offset, _ in chunk.entries()] == list(chunk.offsets)
    assert (chunk.complete, chunk.torn_tail_bytes, len(chunk)) == (True, 0, 5)
    assert completed_header(chunk.end) + b"".join(ENTRIES) + positions_table(chunk.offsets) == COMPLETE


def test_a_chunk_whose_renaming_was_cut_off_is_complete() -> None:
    assert parse_chunk("ledger_1", COMPLETE).complete


def test_chunk_in_progress_may_end_anywhere() -> None:
    ends, at = [8], 8
    for raw in ENTRIES:
        at += len(raw)
        ends.append(at)
    for size in range(8, len(OPEN) + 1):
        chunk = parse_chunk("ledger_1", OPEN[:size])
        whole = max(n for n, end in enumerate(ends) if end <= size)
        assert (len(chunk), chunk.torn_tail_bytes) == (whole, size - ends[whole])
        assert not chunk.complete
        assert [bytes(raw) for _, raw in chunk.entries()] == ENTRIES[:whole]
    assert parse_chunk("ledger_1", b"\0\0\0").torn_tail_bytes == 3


def test_zero_bytes_after_a_power_cut_are_a_torn_tail() -> None:
    assert parse_chunk("ledger_1", OPEN + bytes(100)).torn_tail_bytes == 100
    with pytest.raises(IntegrityError, match="entry format version 0"):
        parse_chunk("ledger_1", OPEN + bytes(100) + b"\1")


def test_a_positions_table_without_its_header_is_a_torn_tail() -> None:
    table = positions_table(parse_chunk("ledger_1", OPEN).offsets)
    for size in range(len(table) + 1):
        assert parse_chunk("ledger_1", OPEN + table[:size]).torn_tail_bytes == size
    with pytest.raises(IntegrityError, match="entry format version 8"):
        parse_chunk("ledger_1", OPEN + table[:-1] + b"\xff")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("ledger_1-5", OPEN, "no positions table"),
        ("ledger_1-4", COMPLETE, "holds 5 entries"),
        ("ledger_1-6", COMPLETE, "holds 5 entries"),
        ("ledger_1-5", COMPLETE[:-1], "does not name the entries"),
        ("ledger_1-5", COMPLETE + bytes(4), "does not name the entries"),
        ("ledger_1-5", COMPLETE[:5], "is not the size of a chunk"),
        ("ledger_1-5", completed_header(10**9) + COMPLETE[8:], "outside the file"),
        ("ledger_1-5", completed_header(4) + COMPLETE[8:], "outside the file"),
        ("ledger_1-5", completed_header(60) + COMPLETE[8:], "behind the last at 60"),
        ("ledger_1-5", completed_header(11) + COMPLETE[8:], "entry header is cut off"),
        ("ledger_1", completed_header(8), "complete without an entry"),
        ("ledger_1", IN_PROGRESS_HEADER + b"\2" + ENTRIES[0][1:], "offset 8: entry format version 2"),
        ("ledger_1", IN_PROGRESS_HEADER + b"\1\4" + ENTRIES[0][2:], "offset 8: unknown entry flags"),
        ("ledger_1", IN_PROGRESS_HEADER + b"\1\0" + b"\xff" * 60, "offset 8: entry size"),
        ("ledger_1", IN_PROGRESS_HEADER + b"\1\0\1" + bytes(60), "offset 8: entry size 1"),
    ],
)
def test_damage_is_refused_with_its_place(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(IntegrityError, match=reason) as caught:
        parse_chunk(name, data)
    assert name in str(caught.value)


def test_every_flipped_bit_outside_the_entries_is_refused() -> None:
    table_at = parse_chunk("ledger_1-5", COMPLETE).end
    for at in [*range(8), *range(table_at, len(COMPLETE))]:
        for bit in range(8):
            changed = bytearray(COMPLETE)
            changed[at] ^= 1 << bit
            with pytest.raises(IntegrityError):
                parse_chunk("ledger_1-5", bytes(changed))
