"""What became of a transaction, receipts for it, and the chain underneath."""

import pytest

from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import CallerError
from coco_core.ledger import LEAF_ZERO, ReceiptKind, verify_receipt
from coco_core.replica import Chain, TransactionStatus, make_receipt, plan_receipt, status_of
from coco_core.testing import Cluster, Consortium, add


def leaf(number: int) -> bytes:
    return number.to_bytes(32)


def chain_of(*places: str) -> Chain:
    """Return a chain with entries at ``places``; a star marks a signature."""
    chain = Chain(Consortium.of(1).keys(0))
    for text in places:
        txid = TxID.parse(text.rstrip("*"))
        writes = {"m": {b"k": str(txid).encode(), str(txid).encode(): b""}}
        chain.add(txid, leaf(txid.seqno), writes, signature=text.endswith("*"), size_bytes=100)
    return chain


def test_four_states() -> None:
    chain = chain_of("2.1", "2.2*", "2.3", "2.4*", "4.5*", "4.6*", "4.7")
    chain.commit(5)
    states = {
        "2.1": "Committed",
        "2.5": "Invalid",
        "3.5": "Invalid",
        "4.5": "Committed",
        "4.6": "Pending",
        "4.7": "Pending",
        "4.8": "Unknown",
        "5.6": "Unknown",
        "3.9": "Invalid",
        "9.9": "Unknown",
    }
    assert {text: status_of(chain, TxID.parse(text)).value for text in states} == states


@pytest.mark.parametrize("cose", [False, True])
@pytest.mark.parametrize("seqno", [1, 2, 5, 7, 8])
def test_receipts_of_committed_entries_verify(cluster: Cluster, seqno: int, cose: bool) -> None:
    for name in ("a", "b"):
        cluster.submit(cluster.primary, add(name, "x", 1))
        cluster.settle()
    cluster.run(1)
    node = cluster.backups[0]
    chain = node.replica.chain
    plan = plan_receipt(chain, TxID(2, seqno))
    entry, signature = (node.disk.entries[at - 1].data for at in (plan.seqno, plan.signature_seqno))
    receipt = make_receipt(plan, entry, signature, cluster.secrets, cose=cose)
    verified = verify_receipt(receipt, cluster.consortium.service.certificate)
    assert verified.txid == TxID(2, seqno)
    assert verified.kind is (ReceiptKind.COSE if cose else ReceiptKind.JSON)
    with pytest.raises(CallerError, match="is not a signature"):
        make_receipt(plan, entry, node.disk.entries[0].data, cluster.secrets, cose=cose)


def test_no_receipt_without_a_later_signature(cluster: Cluster) -> None:
    chain = cluster.primary.replica.chain
    with pytest.raises(CallerError, match="newest signature itself"):
        plan_receipt(chain, TxID(2, 4))
    for text, state in (("2.9", "unknown"), ("1.2", "invalid")):
        with pytest.raises(CallerError, match=state):
            plan_receipt(chain, TxID.parse(text))


def test_signature_that_covers_must_be_committed() -> None:
    chain = chain_of("2.1*", "2.2*", "2.3*")
    chain.commit(2)
    assert [chain.signature_covering(seqno) for seqno in range(4)] == [1, 2, None, None]
    assert chain.signature_count == 3


def test_cut_inside_a_batch_leaves_its_first_entries_open() -> None:
    chain = chain_of("2.1*", "2.2", "2.3", "2.4*", "2.5")
    chain.truncate(3)
    assert (chain.head, chain.uncommitted_batches, chain.signature_count) == (3, 1, 1)
    assert chain.store.head().get("m", b"k") == b"2.1"
    chain.add(TxID(3, 4), leaf(4), {}, signature=True, size_bytes=100)
    expected = chain_of("2.1*", "2.2", "2.3")
    expected.add(TxID(3, 4), leaf(4), {}, signature=True, size_bytes=100)
    assert chain.tree.root() == expected.tree.root()
    assert chain.store.head().get("m", b"k") == b"2.3"
    batches = chain.commit(4)
    assert [layer.txid for layer in batches] == [TxID(2, 1), TxID(3, 4)]
    assert batches[1].writes == {"m": {b"k": b"2.3", b"2.2": b"", b"2.3": b""}}
    assert [chain.views.at(seqno) for seqno in range(6)] == [0, 2, 2, 2, 3, 3]


def test_cut_over_several_batches_keeps_the_order_of_entries() -> None:
    chain = chain_of("2.1*", "2.2", "2.3*", "2.4", "2.5*", "2.6")
    chain.truncate(2)
    chain.truncate(2)
    chain.add(TxID(4, 3), leaf(3), {}, signature=True, size_bytes=100)
    layer = chain.commit(3)[1]
    assert (layer.txid, layer.writes) == (TxID(4, 3), {"m": {b"k": b"2.2", b"2.2": b""}})


def test_cut_of_everything() -> None:
    chain = chain_of("2.1", "2.2*", "2.3")
    chain.truncate(0)
    assert chain.head == 0
    assert chain.tree.leaf(0) == LEAF_ZERO
    assert chain.views.at(1) == 0


def test_chain_refuses_what_cannot_be() -> None:
    chain = chain_of("2.1", "2.2*", "2.3", "2.4*")
    with pytest.raises(BrokenInvariantError, match="does not follow"):
        chain.add(TxID(2, 6), leaf(6), {}, signature=False, size_bytes=100)
    with pytest.raises(BrokenInvariantError, match="only grow"):
        chain.add(TxID(1, 5), leaf(5), {}, signature=False, size_bytes=100)
    chain = chain_of("2.1", "2.2*", "2.3", "2.4*")
    with pytest.raises(BrokenInvariantError, match="no signature entry"):
        chain.commit(3)
    with pytest.raises(BrokenInvariantError, match="below commit"):
        chain.truncate(1)


def test_status_has_ccf_names() -> None:
    assert {state.value for state in TransactionStatus} == {"Unknown", "Pending", "Committed", "Invalid"}


def test_chunk_fill_follows_commits_and_cuts() -> None:
    def fill() -> tuple[int, int]:
        return chain.fill.size_bytes, chain.fill.entries

    chain = chain_of("2.1", "2.2*", "2.3", "2.4*", "2.5")
    assert fill() == (500, 5)
    chain.commit(2)
    chain.truncate(3)
    assert fill() == (300, 3)
    chain.add(TxID(3, 4), leaf(4), {}, signature=True, size_bytes=100, ends_chunk=True)
    assert fill() == (0, 0)
    chain.add(TxID(3, 5), leaf(5), {}, signature=False, size_bytes=70)
    assert fill() == (70, 1)
    chain.truncate(4)
    assert fill() == (0, 0)
    chain.truncate(2)
    assert fill() == (200, 2)
