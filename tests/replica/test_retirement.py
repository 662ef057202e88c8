"""A node that was removed: until when it is needed, how it learns that it is not, and what is kept of it."""

from __future__ import annotations

import random

import attrs
import pytest

from coco_core.adapter import Committed, NotCommitted
from coco_core.base import NodeID, limits
from coco_core.errors import BusyError
from coco_core.governance import RETIRED, NodeRecord, change_payload, node_writes, read_nodes
from coco_core.kv import Store, maps
from coco_core.ledger import read_public
from coco_core.replica.effects import Channel, Effect, PeersChanged, Retired, SendToPeer
from coco_core.replica.events import PeerSent
from coco_core.replica.messages import MEMBERSHIP_QUESTION, RETIREMENT_NOTICE, MembersNotice, decode
from coco_core.replica.neighbours import Neighbours
from coco_core.testing import Cluster, ClusterNode, Consortium, add
from coco_core.testing.operating import Operating


def newest(node: ClusterNode) -> dict[NodeID, NodeRecord]:
    return read_nodes(node.replica.chain.newest_view())


def ended(operating: Operating, *numbers: int) -> bool:
    """Tell whether it is agreed that the ends of these nodes are agreed."""
    records = [operating.record(number) for number in numbers]
    return all(record is not None and record.retired_committed for record in records)


def without(cluster: Cluster, node: ClusterNode) -> None:
    """Let everything happen but what needs ``node``: whatever is for it is held back."""
    held = []
    while cluster.pool or any(one.disk.pending for one in cluster.alive if one is not node):
        for one in cluster.alive:
            if one is not node:
                cluster.persist(one)
        if cluster.pool:
            if cluster.pool[0].to == node.name:
                held.append(cluster.pool.pop(0))
            else:
                cluster.deliver()
    cluster.pool += held


def test_end_is_said_when_the_removal_is_agreed_and_not_before(operating: Operating) -> None:
    cluster, gone, needed = operating.cluster, operating.node(1), operating.node(2)
    primary = operating.node(0)
    cluster.administer(primary, change_payload([], [gone.name]))
    without(cluster, needed)
    # Made, but without the one that is left beside the primary it cannot be agreed.
    for _ in range(3):
        assert newest(primary)[gone.name].status == RETIRED
        assert not newest(primary)[gone.name].retired_committed
        cluster.tick(primary)
        without(cluster, needed)
    removal = primary.replica.chain.head
    assert primary.replica.chain.committed.seqno < removal
    operating.until(lambda: ended(operating, 1))
    assert newest(primary)[gone.name].retired_committed
    assert primary.replica.chain.head > removal


def test_it_is_said_once(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace(remove=[1])
    operating.until(lambda: ended(operating, 1))
    head = cluster.primary.replica.chain.head
    cluster.run(50)
    assert cluster.primary.replica.chain.head == head
    public = [read_public(entry.data).public for entry in cluster.primary.disk.entries]
    assert sum(operating.name(1).encode() in one.get(maps.NODES_INFO, {}) for one in public) == 3


def test_removed_node_that_hears_of_it_ends(operating: Operating) -> None:
    gone = operating.node(1)
    operating.replace(remove=[1])
    assert not gone.retired
    operating.until(lambda: gone.retired)
    assert ended(operating, 1)


def test_removed_node_takes_no_requests(operating: Operating) -> None:
    cluster, gone = operating.cluster, operating.node(0)
    operating.replace(remove=[0])
    cluster.run(20)
    with pytest.raises(BusyError, match="no primary is known"):
        cluster.submit(gone, add("a", "x", 1))
    assert not gone.replica.is_primary


def test_requests_in_line_when_the_primary_is_removed_are_answered(operating: Operating) -> None:
    cluster, gone = operating.cluster, operating.node(0)
    running = cluster.submit(gone, add("a", "x", 1))
    operating.begin(change_payload([], [gone.name]))
    later = cluster.submit(gone, add("b", "x", 1))
    operating.until(lambda: operating.change_under_way is None and 0 not in operating.members)
    cluster.run(5)
    assert isinstance(gone.answers[running][0], Committed)
    assert isinstance(gone.answers[later][0], Committed | NotCommitted)


def test_removed_node_that_was_cut_off_asks_and_is_told(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEMBERSHIP_ASKED_TICKS", 30)
    cluster, gone = operating.cluster, operating.node(1)
    cluster.cut(gone)
    operating.replace(remove=[1])
    operating.until(lambda: ended(operating, 1))
    cluster.run(60)
    assert not gone.retired
    head, views = gone.replica.chain.head, [node.replica.status().view for node in cluster.backups]
    cluster.heal()
    cluster.run(31)
    assert gone.retired
    assert gone.replica.chain.head == head
    # Its campaigns deposed nobody.
    assert [node.replica.status().view for node in cluster.backups] == views


def test_question_is_asked_of_everybody_and_only_without_a_primary(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MEMBERSHIP_ASKED_TICKS", 20)
    cluster, node = operating.cluster, operating.node(1)

    def asked() -> list[NodeID]:
        return [letter.to for letter in cluster.pool if letter.message == MEMBERSHIP_QUESTION]

    for _ in range(60):
        for one in cluster.alive:
            cluster.tick(one)
        assert not asked()
        cluster.settle()
    for other in cluster.alive:
        if other is not node:
            cluster.crash(other)
    times = 0
    for _ in range(80):
        cluster.tick(node)
        if asked():
            assert asked() == sorted(node.peers)
            times += 1
        cluster.pool.clear()
    assert times == 3


def question(cluster: Cluster, asker: NodeID, asked: ClusterNode) -> list[Effect]:
    return list(cluster.handle(asked, PeerSent(asker, MEMBERSHIP_QUESTION)))


def told(operating: Operating, effects: list[Effect], asker: NodeID) -> tuple[int, list[int]]:
    """Return up to which place the asker is told who takes part, and who that is."""
    (effect,) = effects
    assert isinstance(effect, SendToPeer)
    assert effect.to == asker
    notice = decode(effect.message)
    assert isinstance(notice, MembersNotice)
    known = {operating.name(number): number for number in range(8)}
    for name, address in notice.nodes.items():
        assert address == operating.cluster.consortium.joiner(known[name]).peer_address
    return notice.seqno, sorted(known[name] for name in notice.nodes)


def test_members_and_learners_are_told_who_takes_part(operating: Operating) -> None:
    cluster = operating.cluster
    operating.ask(4)
    operating.welcome(3)
    primary, agreed = operating.node(0), operating.node(0).replica.chain.committed.seqno
    for asker in (operating.name(2), operating.name(3)):
        assert told(operating, question(cluster, asker, primary), asker) == (agreed, [0, 1, 2, 3])


def test_strangers_are_told_nothing(operating: Operating) -> None:
    operating.ask(4)
    for name in (operating.name(4), operating.name(5), NodeID("")):
        assert question(operating.cluster, name, operating.node(0)) == []


def test_while_nothing_is_agreed_nobody_is_told_anything() -> None:
    cluster = Cluster.found(3, draw=random.Random(7).randint)
    one, other = cluster.backups
    assert question(cluster, other.name, one) == []


def test_nobody_is_told_of_its_end_before_that_is_agreed(operating: Operating) -> None:
    """Until then it hears who takes part, itself among them as long as its removal is not agreed."""
    cluster, gone = operating.cluster, operating.node(1)
    cluster.cut(gone)
    operating.begin(change_payload([], [gone.name]))
    seen = []
    while not newest(cluster.primary)[gone.name].retired_committed:
        seen.append(told(operating, question(cluster, gone.name, cluster.primary), gone.name)[1])
        for node in cluster.alive:
            cluster.persist(node)
        if cluster.pool:
            cluster.deliver()
        else:
            cluster.tick(cluster.primary)
    seen.append(told(operating, question(cluster, gone.name, cluster.primary), gone.name)[1])
    assert [*dict.fromkeys(map(tuple, seen))] == [(0, 1, 2), (0, 2)]
    operating.until(lambda: ended(operating, 1))
    assert question(cluster, gone.name, cluster.primary) == [SendToPeer(gone.name, RETIREMENT_NOTICE)]


def test_removed_node_finds_somebody_who_knows_of_its_end(operating: Operating) -> None:
    """Of those it knows only one is left, which was removed too and knows no more than who came instead."""
    cluster, away = operating.cluster, operating.node(1)
    cluster.cut(away)
    operating.replace([3, 4], [0, 1, 2])
    operating.until(lambda: ended(operating, 0, 1, 2))
    cluster.crash(operating.node(0))
    cluster.heal()
    cluster.run(3 * limits.MEMBERSHIP_ASKED_TICKS)
    assert away.retired


def test_notice_ends_a_node(operating: Operating) -> None:
    node = operating.node(1)
    effects = operating.cluster.handle(node, PeerSent(operating.name(0), RETIREMENT_NOTICE))
    assert effects == [Retired()]
    assert node.retired


def test_records_of_retired_nodes_are_bounded(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETIRED_NODES_KEPT_MAX", 1)
    cluster = operating.cluster
    for added in (3, 4, 5, 6):
        operating.replace([added], [added - 3])
        operating.until(lambda gone=added - 3: ended(operating, gone))  # type: ignore[misc] # bound
    kept = [number for number in range(4) if operating.status(number) == RETIRED]
    assert 3 in kept
    assert len(kept) <= 2
    cluster.run(3)
    names = {operating.name(number) for number in (*kept, 4, 5, 6)}
    assert {*cluster.primary.peers, cluster.primary.name} == names
    state = cluster.primary.state()
    assert state[maps.NODES_INFO].keys() == {name.encode() for name in names}
    assert state[maps.NODES_ENDORSED_CERTIFICATES].keys() == state[maps.NODES_INFO].keys()


def test_forgotten_node_may_ask_to_join_anew(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETIRED_NODES_KEPT_MAX", 0)
    operating.replace([3], [1])
    operating.until(lambda: ended(operating, 1))
    operating.replace([4], [2])
    operating.until(lambda: ended(operating, 2))
    assert operating.status(1) == ""
    assert isinstance(operating.ask(1), Committed)


def test_node_that_sees_its_end_agreed_needs_no_notice() -> None:
    consortium = Consortium.of(2)
    effects: list[Effect] = []
    (one, other) = consortium.nodes.values()
    neighbours = Neighbours(one.node_id, effects.append)
    empty = Store()
    neighbours.follow(empty.head(), empty.view(), frozenset(), None)
    assert effects == []
    store = Store()
    store.append(1, node_writes([other, attrs.evolve(one, status=RETIRED)]))
    neighbours.follow(store.head(), store.view(), frozenset(), None)
    assert effects == [PeersChanged({other.node_id: Channel(other.peer_address)})]
    store.append(2, node_writes([attrs.evolve(one, status=RETIRED, retired_committed=True)]))
    store.commit(1)
    neighbours.follow(store.head(), store.view(), frozenset(), None)
    assert len(effects) == 1
    store.commit(2)
    neighbours.follow(store.head(), store.view(), frozenset(), None)
    assert effects[1:] == [Retired()]
