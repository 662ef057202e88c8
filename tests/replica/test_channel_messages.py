"""Messages between nodes: what was sent is read; a peer's nonsense is its own fault and changes nothing."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import ANONYMOUS, Caller, Committed, NotCommitted, Rejected
from coco_core.base import NodeID, TxID, limits
from coco_core.errors import PeerError
from coco_core.replica.events import PeerSent
from coco_core.replica.messages import (
    MEMBERSHIP_QUESTION,
    RETIREMENT_NOTICE,
    Forward,
    ForwardAnswer,
    MembershipQuestion,
    MembersNotice,
    Message,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    decode,
    encode_answer,
    encode_consensus,
    encode_forward,
    encode_members_notice,
    encode_snapshot_offer,
    encode_snapshot_part,
    encode_snapshot_request,
)
from coco_core.testing import Cluster, add

FATES = [Committed(TxID(2, 5), b"r"), Rejected("code", "text", b"data"), NotCommitted("why")]
LARGEST = limits.SNAPSHOT_SIZE_MAX_BYTES + limits.RECEIPT_SIZE_MAX_BYTES
BEYOND = 1 << 63
"""A whole number that is no place of a ledger."""


def encoded(message: Message) -> bytes:
    match message:
        case bytes():
            return encode_consensus(message)
        case Forward():
            return encode_forward(message)
        case ForwardAnswer():
            return encode_answer(message)
        case SnapshotOffer():
            return encode_snapshot_offer(message)
        case SnapshotRequest():
            return encode_snapshot_request(message)
        case SnapshotPart():
            return encode_snapshot_part(message)
        case MembersNotice():
            return encode_members_notice(message)
        case MembershipQuestion.ASKED:
            return MEMBERSHIP_QUESTION
        case MembershipQuestion.RETIRED:
            return RETIREMENT_NOTICE


def node(number: int) -> NodeID:
    return NodeID(f"{number:064x}")


LONGEST_ADDRESS = ".".join(["a" * 63] * 3 + ["b" * 61]) + ":65535"
MOST_MEMBERS = 2 * limits.NODES_MAX

MESSAGES: dict[str, Message] = {
    "consensus": b"raw",
    "consensus, empty": b"",
    "forward": Forward(7, "tally", [b"one", b""], Caller(kind="certificate", identity="ab")),
    "largest payload": Forward(7, "coco", [bytes(limits.PAYLOAD_SIZE_MAX_BYTES)], ANONYMOUS),
    "answer": ForwardAnswer(7, FATES, TxID(2, 9)),
    "answer over no state": ForwardAnswer(0, []),
    "offer": SnapshotOffer(TxID(3, 40), 44, 5, 123_456),
    "smallest offer": SnapshotOffer(TxID(1, 1), 2, 1, 1),
    "largest offer": SnapshotOffer(TxID(3, BEYOND - 2), BEYOND - 1, BEYOND - 1, LARGEST),
    "request": SnapshotRequest(BEYOND - 1, BEYOND - 1),
    "first request": SnapshotRequest(40, 0),
    "part": SnapshotPart(40, 7, b"x"),
    "largest part": SnapshotPart(40, 0, bytes(limits.SNAPSHOT_PART_MAX_BYTES)),
    "members": MembersNotice(BEYOND - 1, {node(1): "node-1.example:7001", node(2): "[::1]:1"}),
    "largest list of members": MembersNotice(9, {node(one): LONGEST_ADDRESS for one in range(MOST_MEMBERS)}),
    "question": MembershipQuestion.ASKED,
    "notice": MembershipQuestion.RETIRED,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_round_trip(name: str) -> None:
    data = encoded(MESSAGES[name])
    assert decode(data) == MESSAGES[name]
    assert len(data) <= limits.MESSAGE_SIZE_MAX_BYTES


def message(kind: str, *body: object) -> bytes:
    return kind.encode() + cbor2.dumps(list(body), canonical=True)


NONSENSE = {
    "empty": b"",
    "unknown kind": b"X123",
    "consensus nonsense": b"Cnonsense",
    "no CBOR": b"F\xff",
    "nested": b"F" + b"\x81" * 100_000,
    "not a list": b"F" + cbor2.dumps(1),
    "short forward": message("F", 1, "tally", [b"x"], "anonymous"),
    "ticket is text": message("F", "1", "tally", [b"x"], "anonymous", ""),
    "payload is text": message("F", 1, "tally", ["x"], "anonymous", ""),
    "no payloads": message("F", 1, "tally", [], "anonymous", ""),
    "too many payloads": message("F", 1, "tally", [b""] * (limits.QUEUE_REQUESTS_MAX + 1), "anonymous", ""),
    "large payload": message("F", 1, "tally", [bytes(limits.PAYLOAD_SIZE_MAX_BYTES + 1)], "anonymous", ""),
    "answer without fates": message("A", 1),
    "unknown fate": message("A", 1, [[3, "x"]], 2, 5),
    "empty fate": message("A", 1, [[]], 2, 5),
    "fate is a number": message("A", 1, [1], 2, 5),
    "fate with a wrong type": message("A", 1, [[0, 2, "5", b""]], 2, 5),
    "refusal without a reason": message("A", 1, [[2]], 2, 5),
    "fate outside any ledger": message("A", 1, [[0, 2, -5, b""]], 2, 5),
    "fate beyond any ledger": message("A", 1, [[0, 2, BEYOND, b""]], 2, 5),
    "answer over a state beyond any ledger": message("A", 1, [], BEYOND, 5),
    "fate is a map": message("A", 1, [{0: 1, 2: 3, 5: 6, b"": 7}], 2, 5),
    "fate is yes": message("A", 1, [[False, 2, 5, b""]], 2, 5),
    "bytes after it": message("A", 1, [], 2, 5) + b"x",
    "question with a body": MEMBERSHIP_QUESTION + b"\x00",
    "notice with a body": RETIREMENT_NOTICE + b"R",
}

# What each kind's numbers and bytes may not be, by its body as it should be.
SOUND: dict[str, list[Any]] = {
    "S": [2, 40, 44, 3, 1000],
    "G": [40, 0],
    "D": [40, 0, b"data"],
    "N": [40, {node(1): "127.0.0.1:7001"}],
}
BAD_NAMES: list[Any] = [
    *("", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "\u0660" * 64, "é" + "0" * 63),
    *(7, b"0" * 64, True, None),
]
BAD_ADDRESSES: list[Any] = [
    *("", "host", "host:", ":7001", "host:0", "host:65536", "host:7001 ", "ho st:7001", "::1:7001"),
    *("[host]:7001", "host:+1", "host:\u0661", "a" * 64 + ":7001", "a." * 130 + "b:7001", "host:7001\n"),
    *(7001, b"host:7001", None, ["host", 7001]),
]
BAD: dict[str, list[list[Any]]] = {
    "S": [
        [0, 40, 44, 3, 1000],
        [2, 0, 44, 3, 1000],
        [2, 40, 40, 3, 1000],
        [2, 40, 39, 3, 1000],
        [4, 40, 44, 3, 1000],
        [2, 40, 44, 3, 0],
        [2, 40, 44, 3, LARGEST + 1],
    ],
    "G": [],
    "D": [[40, 0, b""], [40, 0, bytes(limits.SNAPSHOT_PART_MAX_BYTES + 1)], [40, 0, "data"]],
    "N": [
        [40, {}],
        [40, [node(1), "127.0.0.1:7001"]],
        [40, {node(one): "127.0.0.1:7001" for one in range(MOST_MEMBERS + 1)}],
        *([40, {name: "127.0.0.1:7001"}] for name in BAD_NAMES),
        *([40, {node(1): address}] for address in BAD_ADDRESSES),
    ],
}


def malformed() -> dict[str, bytes]:
    """Return sound messages of the new kinds with one thing wrong at a time."""
    found: dict[str, bytes] = {}
    for kind, body in SOUND.items():
        for number, bad in enumerate(BAD[kind]):
            found[f"{kind} bad {number}"] = message(kind, *bad)
        for at in range(len(body)):
            for wrong in (-1, BEYOND, True, None, "1", 1.0, [1], {}):
                found[f"{kind} field {at} is {wrong!r}"] = message(kind, *body[:at], wrong, *body[at + 1 :])
            found[f"{kind} without field {at}"] = message(kind, *body[:at], *body[at + 1 :])
        found[f"{kind} with more"] = message(kind, *body, 1)
        found[f"{kind} and bytes behind"] = message(kind, *body) + b"\x00"
        found[f"{kind} empty"] = kind.encode()
        found[f"{kind} a number"] = kind.encode() + b"\x01"
        found[f"{kind} text"] = kind.encode() + cbor2.dumps("text")
        found[f"{kind} a map"] = kind.encode() + cbor2.dumps(dict.fromkeys(range(len(body))))
        found[f"{kind} not in the one form"] = kind.encode() + b"\x9f" + cbor2.dumps(body)[1:] + b"\xff"
        found[f"{kind} nested"] = kind.encode() + b"\x81" * 100_000
    return found


NONSENSE |= malformed()


def test_only_what_is_wrong_is_refused() -> None:
    for kind, body in SOUND.items():
        decode(message(kind, *body))


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_decodes_to_nothing(name: str) -> None:
    if name == "consensus nonsense":
        return  # Opaque here: the engine refuses it, see below.
    with pytest.raises(PeerError):
        decode(NONSENSE[name])


def test_nonsense_of_a_peer_changes_nothing(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    cluster.submit(backup, add("a", "x", 1))
    before = backup.replica.statistics(), backup.replica.status()
    for nonsense in NONSENSE.values():
        for node in cluster.alive:
            for sender in cluster.alive:
                if sender is not node:
                    with pytest.raises(PeerError):
                        node.replica.handle(PeerSent(sender.name, nonsense))
    assert (backup.replica.statistics(), backup.replica.status()) == before
    cluster.settle()
    cluster.run(2)
    cluster.check_equal()


# ── any bytes at all ─────────────────────────────────────────────────────────────────────────────

NATURALS = st.integers(min_value=0, max_value=BEYOND - 1)


@given(st.sampled_from(b"FASGDNQR"), st.binary(max_size=60))
def test_any_bytes_decode_or_are_the_peers_fault(kind: int, body: bytes) -> None:
    data = bytes([kind]) + body
    try:
        found = decode(data)
    except PeerError:
        return
    assert encoded(found) == data


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=40))
def test_any_changed_message_decodes_or_is_the_peers_fault(name: str, noise: bytes) -> None:
    if "largest" in name:
        return  # Slow to encode, and like the others in all that may be changed.
    data = bytearray(encoded(MESSAGES[name]))
    for at, byte in enumerate(noise):
        data[(at * 7 + byte) % len(data)] ^= byte
    try:
        found = decode(bytes(data))
    except PeerError:
        return
    assert encoded(found) == bytes(data)


@given(st.tuples(NATURALS, NATURALS, NATURALS, NATURALS, NATURALS))
def test_any_offer_that_makes_sense_round_trips(body: tuple[int, ...]) -> None:
    view, seqno, evidence, leader_term, size = body
    data = message("S", *body)
    if 0 < view <= leader_term and 0 < seqno < evidence and 0 < size <= LARGEST:
        assert encoded(decode(data)) == data
    else:
        with pytest.raises(PeerError):
            decode(data)


@given(NATURALS, NATURALS, st.binary(min_size=1, max_size=50))
def test_any_request_and_part_round_trips(seqno: int, offset: int, data: bytes) -> None:
    for one in (SnapshotRequest(seqno, offset), SnapshotPart(seqno, offset, data)):
        assert decode(encoded(one)) == one


NAMES = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(NATURALS, st.dictionaries(NAMES, st.sampled_from(["a:1", "[::1]:65535", "10.0.0.1:80"]), max_size=5))
def test_any_list_of_members_round_trips(seqno: int, members: dict[str, str]) -> None:
    notice = MembersNotice(seqno, {NodeID(name): address for name, address in members.items()})
    if members:
        assert decode(encoded(notice)) == notice
    else:
        with pytest.raises(PeerError):
            decode(encoded(notice))


@given(NATURALS, st.dictionaries(st.text(max_size=66), st.text(max_size=20), min_size=1, max_size=3))
def test_any_list_of_members_is_sound_or_the_peers_fault(seqno: int, members: dict[str, str]) -> None:
    with pytest.raises(PeerError):
        decode(message("N", seqno, members))


@given(st.text(max_size=80))
def test_any_address_is_sound_or_the_peers_fault(address: str) -> None:
    data = message("N", 1, {node(1): address})
    try:
        found = decode(data)
    except PeerError:
        return
    assert encoded(found) == data
    host, _, port = address.rpartition(":")
    assert host
    assert 0 < int(port) < 1 << 16
