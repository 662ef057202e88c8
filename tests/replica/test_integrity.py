"""A backup acknowledges nothing that contradicts its own proof."""

from __future__ import annotations

import random

import attrs
import pytest

from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError
from coco_core.governance import PENDING, RETIRED, founding_writes, node_writes
from coco_core.kv import Writes, maps
from coco_core.ledger import EntryOpener, EntrySealer, LedgerSigner
from coco_core.replica import Chain
from coco_core.replica.events import BatchExecuted
from coco_core.replica.following import Follower
from coco_core.replica.lineage import Lineage
from coco_core.replica.sequencing import Sequencer
from coco_core.testing import Cluster, Consortium, add, derived_key

CONSORTIUM = Consortium.of(3)
STRANGERS = Consortium.of(1, first_key=5000)
FIRST = CONSORTIUM.nodes[CONSORTIUM.identities[0].node_id]


class Writer:
    """Writes a primary's entries, step by step, so that every step can lie."""

    def __init__(self) -> None:
        self.chain = Chain(CONSORTIUM.keys(0))
        self.sealer = EntrySealer(self.chain.keys.secrets)
        identity = CONSORTIUM.identities[0]
        self.signer = LedgerSigner(
            identity.key, identity.node_id, identity.certificate, CONSORTIUM.service.key
        )
        self.entries: list[Entry] = []
        self.view = 2

    def add(self, writes: Writes, *, signature: bool = False) -> None:
        txid = TxID(self.view, self.chain.head + 1)
        sealed = self.sealer.seal(txid, writes)
        self.chain.add(txid, sealed.leaf, writes, signature=signature, size_bytes=len(sealed.raw))
        self.entries.append(Entry(self.view, txid.seqno, sealed.raw, signature))

    def signature(self, signer: LedgerSigner | None = None, root: bytes | None = None) -> Writes:
        tree = self.chain.tree
        txid = TxID(self.view, self.chain.head + 1)
        signer = signer if signer is not None else self.signer
        return signer.writes(root if root is not None else tree.root(), txid, tree.serialise(), 1)

    def sign(self) -> None:
        self.add(self.signature(), signature=True)


def new_follower() -> Follower:
    keys = CONSORTIUM.keys(1)
    return Follower(Chain(keys), EntryOpener(keys.secrets), Lineage(CONSORTIUM.service.certificate))


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
    identity = STRANGERS.identities[0]
    signer = LedgerSigner(identity.key, identity.node_id, identity.certificate, CONSORTIUM.service.key)
    writer = founding()
    writer.add(writer.signature(signer), signature=True)
    refuse(writer, "not a trusted one")


def test_founders_whom_the_service_did_not_endorse() -> None:
    identity = STRANGERS.identities[0]
    writer = Writer()
    writer.add(founding_writes(STRANGERS.nodes.values(), CONSORTIUM.service.certificate))
    signer = LedgerSigner(identity.key, identity.node_id, identity.certificate, CONSORTIUM.service.key)
    writer.add(writer.signature(signer), signature=True)
    refuse(writer, f"entry 2.2: founding node {identity.node_id}: .* is not endorsed by")


def test_ledger_that_names_no_founders() -> None:
    writer = Writer()
    writer.add({"tally.counters": {b"x": b"1"}})
    writer.sign()
    refuse(writer, "not a trusted one")


def test_founder_that_only_waits() -> None:
    writer = Writer()
    waiting = attrs.evolve(FIRST, status=PENDING)
    writer.add(founding_writes([waiting], CONSORTIUM.service.certificate))
    writer.sign()
    refuse(writer, "not a trusted one")


def retire_first(writer: Writer, *, agreed: bool) -> None:
    writer.add(node_writes([attrs.evolve(FIRST, status=RETIRED, retired_committed=agreed)]))


def test_signer_whose_removal_the_tables_do_not_say_is_agreed() -> None:
    writer = founding()
    writer.sign()
    retire_first(writer, agreed=False)
    writer.sign()
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    assert follower._chain.tree.root() == writer.chain.tree.root()


def test_signer_whom_the_tables_do_not_trust_any_more() -> None:
    writer = founding()
    writer.sign()
    retire_first(writer, agreed=True)
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
    retire_first(writer, agreed=True)
    writer.add({"tally.counters": {b"x": b"2"}})
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    follower.truncate(4)
    follower.add(writer.entries[4:])
    writer.sign()
    with pytest.raises(IntegrityError, match="not a trusted one"):
        follower.add(writer.entries[-1:])


def test_cut_of_a_batch_that_changes_nodes_trusts_them_again() -> None:
    writer = founding()
    writer.sign()
    follower = new_follower()
    follower.add(writer.entries)
    retire_first(writer, agreed=True)
    writer.sign()
    follower.add(writer.entries[3:])
    follower.truncate(3)
    writer.chain.truncate(3)
    writer.view = 3
    writer.sign()
    follower.add(writer.entries[-1:])
    assert follower._chain.tree.root() == writer.chain.tree.root()


def test_sequencer_and_follower_agree(cluster: Cluster) -> None:
    assert isinstance(cluster.primary.replica._sequencer, Sequencer)
    cluster.submit(cluster.primary, add("a", "x", 1))
    cluster.settle()
    cluster.run(1)
    keys = cluster.consortium.keys(1)
    follower = Follower(
        Chain(keys), EntryOpener(keys.secrets), Lineage(cluster.consortium.service.certificate)
    )
    follower.add(cluster.primary.disk.entries)
    assert follower._chain.tree.root() == cluster.primary.replica.chain.tree.root()


def test_our_own_mistakes_break_an_invariant(cluster: Cluster) -> None:
    with pytest.raises(BrokenInvariantError, match="is not running"):
        cluster.primary.replica.handle(BatchExecuted(1, ValueError(), 0, b""))
    with pytest.raises(BrokenInvariantError, match="no such event"):
        cluster.primary.replica.handle("nothing")  # type: ignore[arg-type] # the mistake
    with pytest.raises(BrokenInvariantError, match="only the founder"):
        cluster.backups[0].replica.found([])
    assert derived_key(1).public == derived_key(1).public
