"""Requests of a backup's clients: order, answers after its own commit, and every way to lose them."""

import pytest

from coco_core.adapter import ANONYMOUS, Committed, NotCommitted, Rejected
from coco_core.base import TxID, limits
from coco_core.errors import BusyError
from coco_core.replica.effects import SendToPeer
from coco_core.replica.events import HandOver, PeerLost, PeerSent, Submitted
from coco_core.replica.messages import Forward, ForwardAnswer, decode, encode_answer, encode_forward
from coco_core.testing import Cluster, ClusterNode, add
from coco_core.testing.tally import COUNTERS


def sent(cluster: Cluster, kind: type) -> list[object]:
    """Return the messages of one kind that are under way."""
    messages = [decode(letter.message) for letter in cluster.pool]
    return [message for message in messages if isinstance(message, kind)]


def drop(cluster: Cluster, kind: type) -> None:
    cluster.pool = [letter for letter in cluster.pool if not isinstance(decode(letter.message), kind)]


def test_forwarded_order_is_kept(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    tickets = [cluster.submit(backup, add(f"a{n}", "x", 1), add(f"b{n}", "x", 1)) for n in range(4)]
    cluster.settle()
    cluster.run(1)
    receipts = [fate.receipt for ticket in tickets for fate in backup.answers[ticket]]  # type: ignore[union-attr] # all committed
    assert receipts == [b"%d" % number for number in range(1, 9)]


def test_client_reads_its_writes_where_it_wrote(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    ticket = cluster.submit(backup, add("a", "x", 3))
    seen: list[bytes | None] = []
    for _ in range(40):
        for node in cluster.alive:
            cluster.persist(node)
            cluster.execute(node)
        for _ in list(cluster.pool):
            cluster.deliver()
        if ticket in backup.answers and not seen:
            seen.append(backup.replica.chain.store.view().get(COUNTERS, b"x"))
        cluster.tick(cluster.primary)
    assert seen == [b"3"]
    assert [type(fate) for fate in backup.answers[ticket]] == [Committed]


def test_answer_of_the_primary_alone_is_not_enough(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    ticket = cluster.submit(backup, add("a", "x", 3))
    cluster.deliver()
    cluster.execute(cluster.primary)
    answers = [letter for letter in cluster.pool if isinstance(decode(letter.message), ForwardAnswer)]
    cluster.deliver(cluster.pool.index(answers[0]))
    assert ticket not in backup.answers
    assert backup.replica.statistics()["waiting_groups"] == 1
    cluster.settle()
    cluster.run(1)
    assert ticket in backup.answers


def test_rejection_is_passed_back(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    ticket = cluster.submit(backup, b"nonsense")
    cluster.settle()
    assert backup.answers[ticket] == [Rejected("malformed", "expected: add ID COUNTER NUMBER")]


def test_unknown_ledger_is_refused(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    cluster.handle(backup, Submitted(99, "abacus", [b"x", b"y"], ANONYMOUS))
    cluster.settle()
    refusal = Rejected("unknown-adapter", "no ledger 'abacus' on this network")
    assert backup.answers[99] == [refusal, refusal]


def test_full_queue_of_the_primary(cluster: Cluster) -> None:
    cluster.submit(cluster.primary, b"hold")
    cluster.submit(cluster.primary, *[b"x"] * 9_999)
    backup = cluster.backups[0]
    ticket = cluster.submit(backup, b"y", b"z")
    while sent(cluster, Forward) or sent(cluster, ForwardAnswer):
        cluster.deliver()
    assert [type(fate) for fate in backup.answers[ticket]] == [NotCommitted, NotCommitted]
    assert "full" in backup.answers[ticket][0].reason  # type: ignore[union-attr] # the line above says so


def test_node_asked_is_not_the_primary(cluster: Cluster) -> None:
    one, other = cluster.backups
    forward = Forward(5, "tally", [b"x"], ANONYMOUS)
    (effect,) = cluster.handle(one, PeerSent(other.name, encode_forward(forward)))
    assert isinstance(effect, SendToPeer)
    assert effect.to == other.name
    assert decode(effect.message) == ForwardAnswer(5, [NotCommitted("the node asked is not the primary")])


def test_connection_to_the_primary_breaks(cluster: Cluster) -> None:
    backup, other = cluster.backups
    ticket = cluster.submit(backup, add("a", "x", 3))
    drop(cluster, Forward)
    cluster.handle(backup, PeerLost(other.name))
    assert ticket not in backup.answers
    cluster.handle(backup, PeerLost(cluster.primary.name))
    reason = "the connection to the primary broke before it answered"
    assert backup.answers[ticket] == [NotCommitted(reason)]
    assert backup.replica.statistics()["forwarded_groups"] == 0


def test_answer_that_is_lost_on_its_way_back(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection there stays sound, so nothing but time tells that no answer comes."""
    monkeypatch.setattr(limits, "FORWARDED_DEADLINE_TICKS", 50)
    backup = cluster.backups[0]
    lost = cluster.submit(backup, add("a", "x", 3))
    drop(cluster, Forward)
    for _ in range(49):
        cluster.tick(backup)
        cluster.tick(cluster.primary)
        cluster.settle()
    later = cluster.submit(backup, add("b", "x", 3))
    assert lost not in backup.answers
    cluster.tick(backup)
    assert backup.answers == {lost: [NotCommitted("the primary did not answer in time; it may still commit")]}
    assert backup.replica.statistics()["forwarded_groups"] == 1
    cluster.settle()
    assert [type(fate) for fate in backup.answers[later]] == [Committed]


@pytest.mark.parametrize("sender", ["primary", "backup"])
def test_answers_nobody_waits_for_are_ignored(cluster: Cluster, sender: str) -> None:
    backup, other = cluster.backups
    node: ClusterNode = cluster.primary if sender == "primary" else other
    ticket = cluster.submit(backup, add("a", "x", 3))
    fates = [Rejected("no", "no")]
    late = encode_answer(ForwardAnswer(ticket + 1, fates))
    assert cluster.handle(backup, PeerSent(node.name, late)) == []
    too_many = encode_answer(ForwardAnswer(ticket, fates * 2))
    assert cluster.handle(backup, PeerSent(node.name, too_many)) == []
    if sender == "backup":
        assert cluster.handle(backup, PeerSent(node.name, encode_answer(ForwardAnswer(ticket, fates)))) == []
    cluster.settle()
    cluster.run(1)
    assert [type(fate) for fate in backup.answers[ticket]] == [Committed]


def test_without_a_primary_a_backup_is_busy(cluster: Cluster) -> None:
    backup = cluster.backups[0]
    cluster.crash(cluster.primary)
    while backup.replica.leader is not None:
        cluster.tick(backup)
    assert not backup.replica.status().leader_known
    with pytest.raises(BusyError, match="no primary is known"):
        cluster.submit(backup, add("a", "x", 1))


def test_primary_changes_before_it_answered(cluster: Cluster) -> None:
    backup, other = cluster.backups
    ticket = cluster.submit(backup, add("a", "x", 3))
    drop(cluster, Forward)
    cluster.handle(cluster.primary, HandOver())
    cluster.settle()
    assert cluster.primary in (backup, other)
    assert backup.answers[ticket] == [NotCommitted("the primary changed before it answered")]


def test_receipts_too_large_for_one_message_are_not_passed_on() -> None:
    receipt = bytes(1024 * 1024)
    fates = [Committed(TxID(2, seqno), receipt) for seqno in range(1, 70)]
    answer = decode(encode_answer(ForwardAnswer(7, fates, TxID(2, 70))))
    assert isinstance(answer, ForwardAnswer)
    assert answer.ticket == 7
    assert len(answer.fates) == 69
    assert all(isinstance(fate, NotCommitted) for fate in answer.fates)
