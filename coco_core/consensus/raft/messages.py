"""Peer messages and their bytes. Strict: what this room would not write itself, it does not read.

A message is ``head length (u32, big-endian) | head | body``. The head is one CBOR array (RFC 8949 §4.2
deterministic encoding) of integers, booleans and flat arrays of integers, the message kind first. Only
an append has a body: the data of its entries, end to end, cut by the sizes in its head. So a
megabyte of entries is copied once, never walked byte by byte, and a hostile head cannot ask for more
memory than a fixed multiple of its own bound.

The sender is not in a message: the channel authenticates it. Everything a decoder can check without
the state of a node it checks here, and raises PeerError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeGuard

import attrs
import cbor2

from coco_core.base import invariant, limits
from coco_core.consensus.contract import Entry
from coco_core.errors import PeerError
from coco_core.wire import cbor

_INTEGER_LIMIT: Final = 2**63
_LENGTH_SIZE: Final = 4


@attrs.frozen(slots=True)
class Append:
    """The leader of ``term``: after ``previous_index`` (of ``previous_term``) come ``entries``.

    Without entries it is a heartbeat and is answered at once.
    """

    term: int
    previous_index: int
    previous_term: int
    commit_index: int
    entries: tuple[Entry, ...]


@attrs.frozen(slots=True)
class CommitNotice:
    """The leader of ``term``: everything up to ``commit_index`` is agreed. Not answered."""

    term: int
    commit_index: int


@attrs.frozen(slots=True)
class Acknowledge:
    """A follower: my log matches yours, and up to ``match_index`` it is durable."""

    term: int
    match_index: int


@attrs.frozen(slots=True)
class Reject:
    """A follower: I do not hold ``previous_index`` as you do; look no higher than the hint."""

    term: int
    previous_index: int
    hint_index: int
    hint_term: int


@attrs.frozen(slots=True)
class StaleTerm:
    """To a leader of an earlier term: ``term`` has begun."""

    term: int


@attrs.frozen(slots=True)
class VoteRequest:
    """A candidate for ``term``: my last committable entry is ``last_index`` of ``last_term``.

    ``pre``: would you vote for me, were I to start ``term``? ``transfer``: the leader itself asked
    me to stand, so do not refuse for its sake.
    """

    term: int
    last_index: int
    last_term: int
    pre: bool
    transfer: bool


@attrs.frozen(slots=True)
class VoteReply:
    """An answer to a candidate: granted in the term asked for, or refused in the voter's own."""

    term: int
    pre: bool
    granted: bool


@attrs.frozen(slots=True)
class TimeoutNow:
    """The leader of ``term``: stand for election at once."""

    term: int


_Small = CommitNotice | Acknowledge | Reject | StaleTerm | VoteRequest | VoteReply | TimeoutNow
Message = Append | _Small

_APPEND_KIND: Final = 0
_SMALL_KINDS: Final[dict[int, type[_Small]]] = {
    1: CommitNotice,
    2: Acknowledge,
    3: Reject,
    4: StaleTerm,
    5: VoteRequest,
    6: VoteReply,
    7: TimeoutNow,
}
_KIND_OF: Final = {cls: kind for kind, cls in _SMALL_KINDS.items()}
_FIELD_TYPES: Final = {
    kind: tuple(bool if field.type == "bool" else int for field in attrs.fields(cls))
    for kind, cls in _SMALL_KINDS.items()
}


# ── encoding ─────────────────────────────────────────────────────────────────────────────────────


def encode(message: Message) -> bytes:
    """Return the bytes of ``message``."""
    if isinstance(message, Append):
        return _encode_append(message)
    fields = [getattr(message, field.name) for field in attrs.fields(type(message))]
    head = cbor2.dumps([_KIND_OF[type(message)], *fields])
    return len(head).to_bytes(_LENGTH_SIZE, "big") + head


def _encode_append(message: Append) -> bytes:
    entries = message.entries
    runs: list[int] = []
    if entries:
        runs += (0, entries[0].term)
        if entries[-1].term != entries[0].term:
            for offset, (before, entry) in enumerate(pairwise(entries), start=1):
                if entry.term != before.term:
                    runs += (offset, entry.term)
    committables = [offset for offset, entry in enumerate(entries) if entry.committable]
    chunks = [entry.data for entry in entries]
    sizes = list(map(len, chunks))
    head = cbor2.dumps(
        [
            _APPEND_KIND,
            message.term,
            message.previous_index,
            message.previous_term,
            message.commit_index,
            runs,
            committables,
            sizes,
        ]
    )
    encoded = b"".join([len(head).to_bytes(_LENGTH_SIZE, "big"), head, *chunks])
    invariant(len(encoded) <= limits.MESSAGE_SIZE_MAX_BYTES, "an append fits a peer message")
    return encoded


# ── decoding ─────────────────────────────────────────────────────────────────────────────────────


def decode(data: bytes) -> Message:
    """Return the message that ``data`` encodes; raises PeerError for anything :func:`encode` cannot write."""
    if len(data) > limits.MESSAGE_SIZE_MAX_BYTES:
        raise PeerError(f"consensus message of {len(data)} bytes exceeds {limits.MESSAGE_SIZE_MAX_BYTES}")
    head, body = _split(data)
    kind, *fields = head
    if not _is_integer(kind):
        raise PeerError("consensus message has no kind")
    if kind == _APPEND_KIND:
        return _decode_append(fields, data, body)
    types = _FIELD_TYPES.get(kind)
    if types is None:
        raise PeerError(f"consensus message of unknown kind {kind}")
    if len(fields) != len(types) or body != len(data):
        raise PeerError(f"consensus message of kind {kind} has the wrong shape")
    for value, expected in zip(fields, types, strict=True):
        if not (_is_integer(value) if expected is int else isinstance(value, bool)):
            raise PeerError(f"consensus message of kind {kind} has a field of the wrong type or range")
    make: Callable[..., Message] = _SMALL_KINDS[kind]
    return make(*fields)


def _split(data: bytes) -> tuple[list[object], int]:
    """Return the decoded head and where the body begins."""
    start = _LENGTH_SIZE
    end = start + int.from_bytes(data[:start], "big")
    if end > len(data) or end - start > limits.CONSENSUS_HEAD_MAX_BYTES:
        raise PeerError("consensus message is cut short or its head too long")
    encoded = bytes(data[start:end])
    try:
        head = cbor2.loads(encoded)
        cbor.check_tree(head)
        canonical = isinstance(head, list) and cbor2.dumps(head) == encoded
    except (cbor2.CBORError, RecursionError, ValueError, TypeError, OverflowError) as error:
        raise PeerError("consensus message head is not CBOR") from error
    if not canonical or not head:
        raise PeerError("consensus message head is not a deterministically encoded array")
    return head, end


def _decode_append(fields: list[object], data: bytes, body: int) -> Append:
    if len(fields) != 7:
        raise PeerError("append has the wrong shape")
    *integers, runs, committables, sizes = fields
    message_term, previous_index, previous_term, commit_index = _integers(integers)
    run_list, offsets, size_list = _integers(runs), _integers(committables), _integers(sizes)
    count = len(size_list)
    if count > limits.APPEND_ENTRIES_MAX or previous_index + count >= _INTEGER_LIMIT:
        raise PeerError(f"append of {count} entries is out of bounds")
    if body + sum(size_list) != len(data):
        raise PeerError("append body does not have the size its head states")
    if (previous_index == 0) != (previous_term == 0):
        raise PeerError("append claims a previous entry without a term, or the reverse")
    _check_runs(run_list, count, previous_term, message_term)
    _check_offsets(offsets, count)
    starts = [*run_list[::2], count]
    terms = [term for at, term in enumerate(run_list[1::2]) for _ in range(starts[at + 1] - starts[at])]
    flags = [False] * count
    for offset in offsets:
        flags[offset] = True
    cuts = list(accumulate(size_list, initial=body))
    chunks = [data[start:end] for start, end in pairwise(cuts)]
    entries = tuple(map(Entry, terms, range(previous_index + 1, previous_index + 1 + count), chunks, flags))
    return Append(message_term, previous_index, previous_term, commit_index, entries)


def _check_runs(runs: Sequence[int], count: int, previous_term: int, term: int) -> None:
    """Raise PeerError unless ``runs`` (offset, term, offset, term, …) describe rising terms."""
    starts, terms = list(runs[::2]), list(runs[1::2])
    if len(starts) != len(terms) or starts[:1] != [0][:count] or starts[-1:] > [count - 1]:
        raise PeerError("append has term runs that do not cover its entries")
    if any(a >= b for a, b in pairwise(starts)) or any(a >= b for a, b in pairwise(terms)):
        raise PeerError("append has term runs out of order")
    if not previous_term <= (terms[0] if terms else term) or (
        terms and not 1 <= terms[0] <= terms[-1] <= term
    ):
        raise PeerError("append has an entry term outside the terms around it")


def _check_offsets(offsets: Sequence[int], count: int) -> None:
    if any(a >= b for a, b in pairwise(offsets)) or (offsets and offsets[-1] >= count):
        raise PeerError("append has committable marks out of order or out of range")


def _integers(values: object) -> list[int]:
    """Return ``values`` if it is a list of integers in range; checked in C, as there are many."""
    if not isinstance(values, list) or not set(map(type, values)) <= {int}:
        raise PeerError("append has an array that is not of integers")
    if values and not 0 <= min(values) <= max(values) < _INTEGER_LIMIT:
        raise PeerError("append has an integer out of range")
    return values


def _is_integer(value: object) -> TypeGuard[int]:
    """Return whether ``value`` is an integer (a bool is none here) that fits a signed 64-bit field."""
    return type(value) is int and 0 <= value < _INTEGER_LIMIT
