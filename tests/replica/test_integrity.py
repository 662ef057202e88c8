"""A backup acknowledges nothing that contradicts its own proof; a peer's nonsense changes nothing."""

from __future__ import annotations

import random

import attrs
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import ANONYMOUS, Caller, Committed, NotCommitted, Rejected
from coco_core.base import TxID, limits
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError, PeerError
from coco_core.kv import Store, Writes, maps
from coco_core.ledger import EntryOpener, EntrySealer, LedgerSigner, MerkleTree
from coco_core.replica import Chain, signing_keys
from coco_core.replica.events import BatchExecuted, PeerSent
from coco_core.replica.following import Follower
from coco_core.replica.membership import founding_writes
from coco_core.replica.messages import Forward, ForwardAnswer, decode, encode_answer, encode_forward
from coco_core.replica.sequencing import Sequencer
from coco_core.testing import Cluster, Consortium, add, derived_key

CONSORTIUM = Consortium.of(3)


class Writer:
    """Writes a primary's entries, step by step, so that every step can lie."""

    def __init__(self) -> None:
        self.chain = Chain(Store(), MerkleTree())
        self.sealer = EntrySealer(CONSORTIUM.secrets)
        identity = CONSORTIUM.identities[0]
        self.signer = LedgerSigner(
            identity.key, identity.node_id, identity.certificate, CONSORTIUM.service.key
        )
        self.entries: list[Entry] = []

    def add(self, writes: Writes, *, signature: bool = False) -> None:
        txid = TxID(2, self.chain.head + 1)
        sealed = self.sealer.seal(txid, writes)
        self.chain.add(txid, sealed.leaf, writes, signature=signature, size_bytes=len(sealed.raw))
        self.entries.append(Entry(2, txid.seqno, sealed.raw, signature))

    def signature(self, signer: LedgerSigner | None = None, root: bytes | None = None) -> Writes:
        tree = self.chain.tree
        txid = TxID(2, self.chain.head + 1)
        signer = signer if signer is not None else self.signer
        return signer.writes(root if root is not None else tree.root(), txid, tree.serialise(), 1)

    def sign(self) -> None:
        self.add(self.signature(), signature=True)


def new_follower() -> Follower:
    chain = Chain(Store(), MerkleTree())
    return Follower(chain, EntryOpener(CONSORTIUM.secrets), signing_keys(CONSORTIUM.nodes))


def founding() -> Writer:
    """Return a writer of the founding entries, not signed yet."""

    writer = Writer()
    writer.add(founding_writes(CONSORTIUM.nodes.values(), CONSORTIUM.service.certificate))
    writer.add({"tally.counters": {b"x": b"1"}})
    return writer


def test_honest_entries_are_taken() -> None:
    writer = founding()
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    assert follower._chain.tree.root() == writer.chain.tree.root()


def refuse(writer: Writer, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        new_follower().add(writer.entries)


def test_wrong_root() -> None:
    writer = founding()
    writer.add(writer.signature(root=bytes(32)), signature=True)
    refuse(writer, "root")


def test_foreign_signer() -> None:
    stranger = Consortium.of(1, first_key=5000)
    identity = stranger.identities[0]
    signer = LedgerSigner(identity.key, identity.node_id, identity.certificate, CONSORTIUM.service.key)
    writer = founding()
    writer.add(writer.signature(signer), signature=True)
    refuse(writer, "not a trusted one")


def test_signer_whom_the_tables_do_not_trust_any_more() -> None:
    writer = founding()
    writer.sign()
    first = CONSORTIUM.identities[0].node_id.encode()
    info = writer.chain.store.head().get(maps.NODES_INFO, first)
    assert info is not None
    writer.add({maps.NODES_INFO: {first: info.replace(b'"Trusted"', b'"Retired"')}})
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    writer.sign()
    with pytest.raises(IntegrityError, match="not a trusted one"):
        follower.add(writer.entries[-1:])


@pytest.mark.parametrize("index", [0, 2])
def test_commit_flag_and_signature_table_disagree(index: int) -> None:
    writer = founding()
    writer.sign()
    entry = writer.entries[index]
    writer.entries[index] = attrs.evolve(entry, committable=not entry.committable)
    refuse(writer, "signature table and commit flag disagree")


def test_incomplete_signature() -> None:
    writer = founding()
    writes = writer.signature()
    del writes[maps.COSE_SIGNATURES]
    writer.add(writes, signature=True)
    refuse(writer, "signature entry")


@pytest.mark.parametrize(("term", "index"), [(3, 2), (2, 3)])
def test_entry_at_another_place(term: int, index: int) -> None:
    writer = founding()
    writer.entries[1] = attrs.evolve(writer.entries[1], term=term, index=index)
    refuse(writer, "holds transaction 2.2")


def test_any_bit_of_an_entry() -> None:
    writer = founding()
    writer.sign()
    rng = random.Random(1)
    for _ in range(200):
        number = rng.randrange(len(writer.entries))
        data = bytearray(writer.entries[number].data)
        bit = rng.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        entries = list(writer.entries)
        entries[number] = attrs.evolve(entries[number], data=bytes(data))
        with pytest.raises(IntegrityError):
            new_follower().add(entries)


def test_cut_inside_the_founding_batch_keeps_the_founding_keys() -> None:
    writer = founding()
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    follower.truncate(1)
    follower.add(writer.entries[1:])
    follower.truncate(0)
    follower.add(writer.entries)
    assert follower._chain.tree.root() == writer.chain.tree.root()


def test_cut_inside_a_batch_that_changes_nodes() -> None:
    writer = founding()
    writer.sign()
    first = CONSORTIUM.identities[0].node_id.encode()
    info = writer.chain.store.head().get(maps.NODES_INFO, first)
    assert info is not None
    writer.add({maps.NODES_INFO: {first: info.replace(b'"Trusted"', b'"Retired"')}})
    writer.add({"tally.counters": {b"x": b"2"}})
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    follower.truncate(4)
    follower.add(writer.entries[4:])
    writer.sign()
    with pytest.raises(IntegrityError, match="not a trusted one"):
        follower.add(writer.entries[-1:])


def test_sequencer_and_follower_agree(cluster: Cluster) -> None:
    assert isinstance(cluster.primary.replica._sequencer, Sequencer)
    cluster.submit(cluster.primary, add("a", "x", 1))
    cluster.settle()
    cluster.run(1)
    follower = Follower(
        Chain(Store(), MerkleTree()),
        EntryOpener(cluster.consortium.secrets),
        signing_keys(cluster.consortium.nodes),
    )
    follower.add(cluster.primary.disk.entries)
    assert follower._chain.tree.root() == cluster.primary.replica.chain.tree.root()


# ── messages ─────────────────────────────────────────────────────────────────────────────────────

FATES = [Committed(TxID(2, 5), b"r"), Rejected("code", "text", b"data"), NotCommitted("why")]


def test_messages_round_trip() -> None:
    forward = Forward(7, "tally", [b"one", b""], Caller(kind="certificate", identity="ab"))
    assert decode(encode_forward(forward)) == forward
    answer = ForwardAnswer(7, FATES, TxID(2, 9))
    assert decode(encode_answer(answer)) == answer
    assert decode(b"Craw") == b"raw"


NONSENSE = {
    "empty": b"",
    "unknown kind": b"X123",
    "no CBOR": b"F\xff",
    "nested": b"F" + b"\x81" * 100_000,
    "not a list": b"F" + cbor2.dumps(1),
    "short": b"F" + cbor2.dumps([1, "tally", [b"x"], "anonymous"]),
    "ticket is text": b"F" + cbor2.dumps(["1", "tally", [b"x"], "anonymous", ""]),
    "payload is text": b"F" + cbor2.dumps([1, "tally", ["x"], "anonymous", ""]),
    "no payloads": b"F" + cbor2.dumps([1, "tally", [], "anonymous", ""]),
    "too many payloads": b"F"
    + cbor2.dumps([1, "tally", [b""] * (limits.QUEUE_REQUESTS_MAX + 1), "anonymous", ""]),
    "large payload": b"F"
    + cbor2.dumps([1, "tally", [bytes(limits.PAYLOAD_SIZE_MAX_BYTES + 1)], "anonymous", ""]),
    "answer without fates": b"A" + cbor2.dumps([1]),
    "unknown fate": b"A" + cbor2.dumps([1, [[3, "x"]], 2, 5]),
    "empty fate": b"A" + cbor2.dumps([1, [[]], 2, 5]),
    "fate is a number": b"A" + cbor2.dumps([1, [1], 2, 5]),
    "fate with a wrong type": b"A" + cbor2.dumps([1, [[0, 2, "5", b""]], 2, 5]),
    "refusal without a reason": b"A" + cbor2.dumps([1, [[2]], 2, 5]),
    "fate outside any ledger": b"A" + cbor2.dumps([1, [[0, 2, -5, b""]], 2, 5]),
    "fate is yes": b"A" + cbor2.dumps([1, [[False, 2, 5, b""]], 2, 5]),
    "bytes after it": b"A" + cbor2.dumps([1, [], 2, 5]) + b"x",
    "consensus nonsense": b"Cnonsense",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_of_a_peer_changes_nothing(name: str, cluster: Cluster) -> None:
    backup = cluster.backups[0]
    cluster.submit(backup, add("a", "x", 1))
    before = backup.replica.statistics(), backup.replica.status()
    with pytest.raises(PeerError):
        backup.replica.handle(PeerSent(cluster.primary.name, NONSENSE[name]))
    assert (backup.replica.statistics(), backup.replica.status()) == before
    cluster.settle()
    cluster.run(2)
    cluster.check_equal()


@given(st.sampled_from(b"FA"), st.binary(max_size=60))
def test_any_bytes_decode_or_are_the_peers_fault(kind: int, body: bytes) -> None:
    try:
        message = decode(bytes([kind]) + body)
    except PeerError:
        return
    assert isinstance(message, Forward | ForwardAnswer)


@given(st.binary(max_size=40))
def test_any_changed_forward_decodes_or_is_the_peers_fault(noise: bytes) -> None:
    data = bytearray(encode_forward(Forward(7, "tally", [b"one"], ANONYMOUS)))
    for at, byte in enumerate(noise):
        data[1 + (at * 7 + byte) % (len(data) - 1)] ^= byte
    try:
        decode(bytes(data))
    except PeerError:
        return


def test_our_own_mistakes_break_an_invariant(cluster: Cluster) -> None:
    from coco_core.base.invariants import BrokenInvariantError

    with pytest.raises(BrokenInvariantError, match="is not running"):
        cluster.primary.replica.handle(BatchExecuted(1, ValueError(), 0, b""))
    with pytest.raises(BrokenInvariantError, match="no such event"):
        cluster.primary.replica.handle("nothing")  # type: ignore[arg-type] # the mistake
    with pytest.raises(BrokenInvariantError, match="only the founder"):
        cluster.backups[0].replica.found([])
    assert derived_key(1).public == derived_key(1).public
