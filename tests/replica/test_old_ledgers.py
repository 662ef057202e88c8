"""What an old ledger must be to be believed: proven, in its place, and agreed by what the service says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import attrs
import pytest

from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError
from coco_core.replica import Agreed, LedgerKeys, Restoration
from coco_core.testing import Cluster, ClusterNode, Consortium
from coco_core.testing.lagging import fill
from coco_core.testing.operating import Operating


@pytest.fixture
def service(operate: Callable[..., Operating]) -> Operating:
    operating = operate(3)
    fill(operating.cluster, 5)
    return operating


def agreed_by(node: ClusterNode) -> Agreed:
    chain = node.replica.chain
    return Agreed(
        committed=chain.committed,
        views=chain.views.runs(chain.committed.seqno),
        view=node.replica.status().view,
    )


def restoring(cluster: Cluster, agreed: Agreed | None = None) -> Restoration:
    agreed = agreed if agreed is not None else agreed_by(cluster.primary)
    return Restoration(
        LedgerKeys(cluster.secrets.begun_by(agreed.committed.seqno), cluster.consortium.identities[-1]),
        cluster.consortium.service.certificate,
        agreed,
    )


def read(restoration: Restoration, entries: Iterable[Entry]) -> None:
    for entry in entries:
        restoration.read_back(entry.data)


def test_ledger_of_another_service(service: Operating) -> None:
    """Even one sealed under the same secrets."""
    stranger = Cluster.found(1, draw=random.Random(7).randint, consortium=Consortium.of(1, first_key=5000))
    stranger.settle()
    restoration = restoring(service.cluster)
    with pytest.raises(IntegrityError, match=r"entry 2\.4: founding node .* is not endorsed by"):
        read(restoration, stranger.primary.disk.entries)


def test_every_changed_byte_is_found(service: Operating) -> None:
    entries = [entry.data for entry in service.cluster.primary.disk.entries]
    restoration = restoring(service.cluster)
    for raw in entries[:4]:
        restoration.read_back(raw)
    target = entries[4]
    for at in range(len(target)):
        changed = target[:at] + bytes([target[at] ^ 0xFF]) + target[at + 1 :]
        with pytest.raises(IntegrityError):
            restoration.read_back(changed)
        assert restoration.chain.head == 4
    for at in range(len(target)):
        with pytest.raises(IntegrityError):
            restoration.read_back(target[:at])
    assert restoration.read_back(target) == TxID(2, 5)


def test_every_changed_byte_of_a_signature_is_found(service: Operating) -> None:
    entries = [entry.data for entry in service.cluster.primary.disk.entries]
    rng = random.Random(3)
    for _ in range(60):
        at = rng.randrange(len(entries[3]))
        changed = bytearray(entries[3])
        changed[at] ^= 1 << rng.randrange(8)
        restoration = restoring(service.cluster)
        for raw in entries[:3]:
            restoration.read_back(raw)
        with pytest.raises(IntegrityError):
            restoration.read_back(bytes(changed))


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([1], "entry 2.2 does not follow seqno 0"),
        ([0, 1, 3], "entry 2.4 does not follow seqno 2"),
        ([0, 1, 1], "entry 2.2 does not follow seqno 2"),
        ([0, 2, 1], "entry 2.3 does not follow seqno 1"),
        ([0, 1, 2, 3, 3], "entry 2.4 does not follow seqno 4"),
    ],
)
def test_entries_out_of_place(order: list[int], message: str, service: Operating) -> None:
    entries = service.cluster.primary.disk.entries
    restoration = restoring(service.cluster)
    with pytest.raises(IntegrityError, match=message):
        read(restoration, [entries[at] for at in order])


def test_entry_of_an_earlier_view_than_the_one_before(service: Operating) -> None:
    """Both are genuine: the one of a view that lost, the other of the view that won."""
    agreed = service.cluster.primary.replica.chain.committed.seqno
    old = service.lose_tail(2)
    fill(service.cluster, 3, "instead")
    won, lost = service.cluster.primary.disk.entries, old.disk.entries
    restoration = restoring(service.cluster)
    for entry in won[: agreed + 1]:
        restoration.read_back(entry.data)
    with pytest.raises(IntegrityError, match=f"entry 2.{agreed + 2} is of an earlier view"):
        restoration.read_back(lost[agreed + 1].data)


def test_nothing_is_read_behind_what_is_agreed(service: Operating) -> None:
    cluster = service.cluster
    restoration = restoring(cluster)
    for entry in cluster.primary.disk.entries:
        assert restoration.read_back(entry.data) == TxID(entry.term, entry.index)
    assert restoration.read_back(b"nonsense") is None


@pytest.mark.parametrize(
    ("place", "covered"),
    [
        ((2, 1), True),
        ((2, 9), True),
        ((2, 10), False),
        ((4, 10), True),
        ((4, 20), True),
        ((4, 21), False),
        ((2, 21), False),
        ((3, 10), False),
        ((5, 20), False),
        ((1, 1), False),
        ((0, 1), False),
        ((2, 0), False),
        ((0, 0), True),
    ],
)
def test_what_agreed_covers(place: tuple[int, int], covered: bool) -> None:
    agreed = Agreed(committed=TxID(4, 20), views=((2, 1), (4, 10)), view=6)
    assert agreed.covers(TxID(*place)) is covered


def test_tail_that_is_agreed_but_not_known_to_be_where_it_asked(service: Operating) -> None:
    """Its old ledger is ahead of the one that tells it what is agreed."""
    cluster, old = service.cluster, service.node(1)
    agreed = cluster.primary.replica.chain.committed
    restoration = restoring(cluster, attrs.evolve(agreed_by(cluster.primary), committed=TxID(2, 7)))
    for entry in old.disk.entries:
        if restoration.read_back(entry.data) is None:
            break
    start = restoration.finish()
    assert (start.last_index, start.last_term, start.committed_index) == (7, 2, 7)
    assert restoration.chain.head == 7 < agreed.seqno


def test_snapshot_that_is_not_agreed_where_it_asked(operate: Callable[..., Operating]) -> None:
    operating = operate(3, chunk_entries=8)
    fill(operating.cluster, 12)
    cluster, old = operating.cluster, operating.node(1)
    snapshot = old.shelf.newest()
    assert snapshot is not None
    agreed = agreed_by(cluster.primary)
    place = snapshot.place.txid
    for other in (
        attrs.evolve(agreed, committed=TxID(2, place.seqno - 1)),
        attrs.evolve(agreed, views=((3, 1),)),
    ):
        restoration = restoring(cluster, other)
        assert not restoration.begin_at(snapshot)
        assert (restoration.chain.head, restoration.snapshot_seqno) == (0, 0)
    restoration = restoring(cluster, agreed)
    assert restoration.begin_at(snapshot)
    assert (restoration.chain.head, restoration.snapshot_seqno) == (place.seqno, place.seqno)
    start = restoration.finish()
    assert (start.last_index, start.last_term, start.agreed_term) == (place.seqno, place.view, agreed.view)
