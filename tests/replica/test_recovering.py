"""One node goes on with the ledger of a lost service, under an identity that others can follow."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance import TRUSTED, read_nodes, read_service_info
from coco_core.kv import maps
from coco_core.ledger import EntryOpener, LedgerSecrets, audit, read_public, verify_receipt
from coco_core.replica import Chain, LedgerKeys, Restoration, make_receipt, plan_receipt
from coco_core.replica.following import Follower
from coco_core.replica.lineage import Lineage
from coco_core.testing import Cluster, ClusterNode
from coco_core.testing.lagging import fill
from coco_core.testing.operating import Operating
from coco_core.testing.recovering import recovered, restored_from
from coco_core.testing.tally import add


@pytest.fixture
def lost(operate: Callable[..., Operating]) -> Cluster:
    """A service of three nodes with a few transactions, all of whose nodes are gone."""
    cluster = operate(3).cluster
    fill(cluster, 5)
    cluster.run(3)
    for node in list(cluster.alive):
        cluster.crash(node)
    return cluster


def one_of(cluster: Cluster) -> ClusterNode:
    return next(reversed(cluster.nodes.values()))


def receipt(cluster: Cluster, node: ClusterNode, txid: TxID, *, cose: bool) -> bytes:
    plan = plan_receipt(node.replica.chain, txid)
    raw, signature = (node.disk.entries[seqno - 1].data for seqno in (plan.seqno, plan.signature_seqno))
    return make_receipt(plan, raw, signature, cluster.secrets, cose=cose)


def follower_of(
    cluster: Cluster, endorsements: tuple[str, ...] | None = None, told_until: int = 1000
) -> Follower:
    service = cluster.consortium.service
    endorsements = service.endorsements if endorsements is None else endorsements
    lineage = Lineage(service.certificate, endorsements)
    keys = LedgerKeys(cluster.secrets.begun_by(told_until), cluster.consortium.identities[0])
    return Follower(Chain(keys), EntryOpener(keys.secrets), lineage)


# ── going on ─────────────────────────────────────────────────────────────────────────────────────


def test_everything_agreed_is_there_and_more_is_agreed(lost: Cluster) -> None:
    old = one_of(lost)
    before = old.replica.chain.committed
    after = recovered(lost, old)
    after.settle()
    node = after.primary
    assert node.replica.chain.committed == TxID(before.view + 100, before.seqno + 2)
    assert node.disk.entries[: before.seqno] == old.disk.entries[: before.seqno]
    owned = node.adapter.manifest.maps
    assert {name: node.state()[name] for name in owned} == {name: old.state()[name] for name in owned}
    ticket = after.submit(node, add("later", "x", 1))
    after.settle()
    assert ticket in node.answers
    info = read_service_info(node.replica.chain.store.view())
    assert (info["status"], info["recovery_count"]) == ("Opening", 1)


def test_whoever_held_the_old_secrets_reads_nothing_new(lost: Cluster) -> None:
    old = LedgerSecrets.from_bytes(lost.secrets.to_bytes())
    after = recovered(lost, one_of(lost))
    after.settle()
    first = after.primary.disk.entries[-2:]
    fill(after, 1, "later")
    entries = after.primary.disk.entries
    for entry in first[:1]:
        EntryOpener(old).open(entry.data)  # The last entry of the epoch before.
    for entry in entries[entries.index(first[-1]) :]:
        if read_public(entry.data).private:
            with pytest.raises(IntegrityError):
                EntryOpener(old).open(entry.data)
    assert any(read_public(entry.data).private for entry in entries[entries.index(first[-1]) :])


def test_other_nodes_join_and_hold_all_of_it(lost: Cluster) -> None:
    after = recovered(lost, one_of(lost))
    after.settle()
    after.run(2)
    Operating(after).replace(add=[1, 2])
    fill(after, 3, "later")
    after.run(5)
    after.check_equal()
    assert len(after.alive) == 3
    trusted = [
        one for one in read_nodes(after.primary.replica.chain.store.view()).values() if one.status == TRUSTED
    ]
    assert len(trusted) == 3
    after.crash(after.primary)
    after.elect()
    fill(after, 2, "without the first")
    after.check_equal()


def test_an_old_ledger_from_before_is_read_back_by_who_joins(lost: Cluster) -> None:
    first, second = list(lost.nodes.values())[:2]
    after = recovered(lost, first)
    after.settle()
    after.run(2)
    operating = Operating(after)
    operating.ask(1)
    operating.change([1])
    after.seat(1, old=second)
    operating.until(lambda: operating.change_under_way is None)
    after.run(5)
    after.check_equal()


def test_a_service_is_recovered_again(lost: Cluster) -> None:
    once = recovered(lost, one_of(lost))
    once.settle()
    fill(once, 3, "between")
    node = once.primary
    once.crash(node)
    twice = recovered(once, node, first_key=9000)
    twice.settle()
    fill(twice, 3, "after")
    follower_of(twice).add(twice.primary.disk.entries)
    report = audit([twice.primary.disk.file()], service_cert_pem=twice.consortium.service.certificate)
    assert report.recoveries == 2
    for cose in (False, True):
        proof = receipt(twice, twice.primary, TxID(2, 5), cose=cose)
        verified = verify_receipt(proof, twice.consortium.service.certificate)
        assert (verified.txid, verified.recoveries) == (TxID(2, 5), 2)


def test_what_no_signature_closes_is_cut(lost: Cluster) -> None:
    old = one_of(lost)
    last = len(old.disk.entries)
    restored = restored_from(lost, old, last, 200, lost.consortium.identities[0])
    assert restored.chain.head == last
    # The host kept the last batch without its signature.
    old.disk.entries.pop()
    after = recovered(lost, old)
    after.settle()
    assert after.primary.disk.entries[len(old.disk.entries) - 1 :] != old.disk.entries[-1:]
    audit([after.primary.disk.file()], service_cert_pem=after.consortium.service.certificate)


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cose", [False, True])
def test_receipts_prove_themselves_under_the_new_identity(cose: bool, lost: Cluster) -> None:
    old = one_of(lost)
    given_out = receipt(lost, old, TxID(2, 5), cose=cose)
    after = recovered(lost, old)
    after.settle()
    fill(after, 1, "later")
    service = after.consortium.service
    again = receipt(after, after.primary, TxID(2, 5), cose=cose)
    assert verify_receipt(again, service.certificate).txid == TxID(2, 5)
    assert verify_receipt(given_out, service.certificate, service.endorsements).txid == TxID(2, 5)
    newer = after.primary.replica.chain.committed
    newer = TxID(newer.view, newer.seqno - 1)
    assert (
        verify_receipt(receipt(after, after.primary, newer, cose=cose), service.certificate).recoveries == 0
    )
    with pytest.raises((AttestationError, IntegrityError)):
        verify_receipt(given_out, service.certificate)


def test_the_whole_ledger_passes_its_audit(lost: Cluster) -> None:
    after = recovered(lost, one_of(lost))
    after.settle()
    fill(after, 2, "later")
    report = audit([after.primary.disk.file()], service_cert_pem=after.consortium.service.certificate)
    assert (report.recoveries, report.unsigned_tail) == (1, 0)
    assert sorted(report.nodes.values()) == ["Retired", "Retired", "Retired", "Trusted"]


# ── who follows ──────────────────────────────────────────────────────────────────────────────────


def test_who_was_told_of_no_identity_before_follows_nothing(lost: Cluster) -> None:
    after = recovered(lost, one_of(lost))
    after.settle()
    with pytest.raises(IntegrityError, match=r"founding node .* is not endorsed by"):
        follower_of(after, ()).add(after.primary.disk.entries)


def test_who_knows_the_old_identity_does_not_follow_another(lost: Cluster) -> None:
    """Whoever holds a ledger can go on with it under an identity of its own, and nobody goes there."""
    after = recovered(lost, one_of(lost))
    after.settle()
    with pytest.raises(IntegrityError, match="no copy of its secret is for node"):
        follower_of(lost).add(after.primary.disk.entries)
    other = recovered(lost, one_of(lost), first_key=9000)
    other.settle()
    with pytest.raises(IntegrityError, match="identity is replaced"):
        follower_of(after).add(other.primary.disk.entries)


def test_the_new_identity_begins_where_it_said(lost: Cluster) -> None:
    """Not after something else that the old nodes signed."""
    old = one_of(lost)
    shorter = attrs.evolve(old, disk=type(old.disk)())
    signed = [entry.index for entry in old.disk.entries if entry.committable]
    shorter.disk.entries = old.disk.entries[: signed[-2]]
    after = recovered(lost, shorter)
    after.settle()
    follower_of(after).add(after.primary.disk.entries)
    tail: list[Entry] = after.primary.disk.entries[: signed[-2]]
    follower = follower_of(after, told_until=signed[-2])
    follower.add(tail)
    longer = recovered(lost, old, first_key=5000)
    longer.settle()
    with pytest.raises(IntegrityError, match="identity is replaced"):
        follower.add(longer.primary.disk.entries[signed[-2] :])


def test_no_old_node_signs_on(lost: Cluster) -> None:
    after = recovered(lost, one_of(lost))
    after.settle()
    records = read_nodes(after.primary.replica.chain.store.view())
    assert sum(one.retired_committed for one in records.values()) == 3
    assert after.primary.replica.chain.store.view().get(maps.MEMBERSHIP_CHANGE, maps.SINGLETON_KEY) is None


def test_restoring_needs_the_right_identity(lost: Cluster) -> None:
    after = recovered(lost, one_of(lost))
    after.settle()
    agreed = restored_from(
        after, after.primary, after.primary.replica.chain.committed.seqno, 300, after.consortium.identities[0]
    )
    assert agreed.chain.head == after.primary.replica.chain.head
    with pytest.raises(AttestationError):
        Restoration(
            lost.consortium.keys(0),
            lost.consortium.service.certificate,
            agreed._agreed,
            after.consortium.service.endorsements,
        )
