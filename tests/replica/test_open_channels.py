"""To whom a node's channel is open: who takes part, as its own ledger tells, or as its welcome did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coco_core.adapter import Committed, Rejected
from coco_core.governance import TRUSTED, cancel_payload, change_payload
from coco_core.replica.events import HandOver
from coco_core.replica.messages import Forward, decode
from coco_core.testing import add
from coco_core.testing.cluster import TIMING
from coco_core.testing.lagging import compact, fill
from coco_core.testing.operating import Operating
from coco_core.testing.tally import COUNTERS


@pytest.mark.parametrize("begins", ["with the first entry", "at a snapshot"])
def test_joiner_of_a_service_whose_founders_are_gone(begins: str, operate: Callable[..., Operating]) -> None:
    """The first it reads of the ledger names nobody that it could talk to now."""
    operating = operate(3, append_size_max_bytes=1000, log_cache_max_bytes=1, chunk_entries=8)
    cluster = operating.cluster
    fill(cluster, 6)
    operating.replace([3, 4], [0, 1, 2])
    operating.until(lambda: operating.record(2).retired_committed)  # type: ignore[union-attr] # known
    for gone in (0, 1, 2):
        cluster.crash(operating.node(gone))
    if begins == "at a snapshot":
        fill(cluster, 6, "u")
        compact(cluster)
    operating.welcome(5)
    operating.until(lambda: operating.members == [3, 4, 5])
    joiner = operating.node(5)
    assert bool(joiner.replica.chain.begins_after) == (begins == "at a snapshot")
    cluster.run(3)
    cluster.check_equal()
    assert joiner.peers == {*map(operating.name, range(6))} - {joiner.name}


def test_what_it_was_told_is_forgotten_once_its_ledger_tells(operating: Operating) -> None:
    cluster = operating.cluster
    operating.welcome(3, remove=[1])
    joiner = operating.node(3)
    assert joiner.peers == {operating.name(number) for number in (0, 1, 2)}
    operating.until(lambda: operating.members == [0, 2, 3])
    cluster.run(3)
    assert joiner.peers == {operating.name(number) for number in (0, 1, 2)}
    assert operating.name(1) in joiner.replica._neighbours
    assert joiner.replica._neighbours._welcoming == {}


# ── told by those who know more ──────────────────────────────────────────────────────────────────


def test_member_that_was_away_finds_the_new_primary(operating: Operating) -> None:
    """All it knew took part were replaced meanwhile, and it would turn away those who came."""
    cluster, away = operating.cluster, operating.node(2)
    cluster.cut(away)
    operating.replace([3, 4], [0, 1])
    cluster.heal()
    operating.until(lambda: away.replica.chain.committed == cluster.primary.replica.chain.committed)
    for gone in (0, 1, 3):
        cluster.crash(operating.node(gone))
    operating.until(operating.is_led)
    ticket = cluster.submit(cluster.primary, add("a", "x", 1))
    operating.until(lambda: ticket in cluster.primary.answers)
    assert isinstance(cluster.primary.answers[ticket][0], Committed)


@pytest.mark.parametrize("leaver", [0, 1])
def test_member_that_was_away_hears_of_a_newcomer_that_leads(leaver: int, operating: Operating) -> None:
    """Followers it knows live on, but only the primary, which it does not know, serves entries."""
    cluster, away = operating.cluster, operating.node(2)
    cluster.cut(away)
    operating.replace([3], [leaver])
    (other,) = {0, 1} - {leaver}
    if not operating.node(3).replica.is_primary:
        cluster.handle(operating.node(other), HandOver())
        operating.until(lambda: operating.node(3).replica.is_primary)
    operating.until(lambda: operating.record(leaver).retired_committed)  # type: ignore[union-attr] # known
    cluster.crash(operating.node(leaver))
    cluster.heal()
    operating.until(lambda: away.replica.chain.committed == cluster.primary.replica.chain.committed)
    cluster.run(3)
    assert operating.node(3).replica.is_primary
    assert away.peers == {operating.name(number) for number in (0, 1, 3)}


@pytest.mark.usefixtures("one_epoch")
@pytest.mark.parametrize("remove", [[0], [0, 1]])
def test_learner_hears_of_members_that_came_after_its_welcome(
    remove: list[int], operating: Operating
) -> None:
    cluster = operating.cluster
    for number in (3, 4):
        operating.ask(number)
        cluster.seat(number)
    operating.change([3], remove)
    members = sorted({0, 1, 2, 3} - {*remove})
    operating.until(lambda: operating.members == members)
    cluster.cut(*(operating.node(number) for number in members[:-2]))
    cluster.run(2 * TIMING.election_timeout_ticks_max)
    if cluster.primary is not operating.node(3):
        cluster.handle(cluster.primary, HandOver())
        cluster.settle()
    cluster.heal()
    operating.change([4])
    operating.until(lambda: operating.status(4) == TRUSTED)
    assert operating.node(3).replica.is_primary


@pytest.mark.usefixtures("one_epoch")
def test_learner_whose_addition_was_taken_back_is_not_brought_back_by_a_late_request(
    operating: Operating,
) -> None:
    """It was welcomed, and has no copy of the secret of the epoch that began without it."""
    cluster = operating.cluster
    operating.welcome(3)
    operating.cancel()
    late = operating.ask(3)
    assert isinstance(late, Rejected)
    assert late.code == "retired"
    assert operating.status(3) == ""
    operating.welcome(4)
    operating.until(lambda: operating.status(4) == TRUSTED)
    cluster.crash(operating.node(3))
    cluster.run(3)
    cluster.check_equal()


def test_learner_named_by_nothing_but_entries_in_between(operating: Operating) -> None:
    """The change, and that it is taken back, stand in the ledger and are not agreed yet."""
    cluster = operating.cluster
    operating.ask(3)
    primary = cluster.primary
    cluster.administer(primary, change_payload([operating.name(3)], []))
    assert operating.name(3) in primary.peers
    cluster.administer(primary, cancel_payload())
    assert operating.name(3) in primary.peers
    cluster.submit(primary, add("a", "x", 1))
    cluster.execute(primary)
    cluster.run(3)
    assert operating.name(3) not in primary.peers
    assert operating.change_under_way is None


def test_request_of_a_learner_whose_change_is_taken_back_meanwhile(operating: Operating) -> None:
    """Nobody is there to hear the answer when it comes."""
    cluster, primary = operating.cluster, operating.cluster.primary
    operating.ask(3)
    operating.ask(4)
    operating.change([3, 4])
    learner = cluster.seat(3)
    operating.until(lambda: learner.replica.leader == primary.name)
    cluster.submit(primary, add("hold", "x", 1))
    cluster.administer(primary, cancel_payload())
    ticket = cluster.submit(learner, add("a", "x", 1))
    while any(isinstance(decode(letter.message), Forward) for letter in cluster.pool):
        cluster.deliver()
    cluster.execute(primary)
    running, primary.running = primary.running, None
    assert running is not None
    cluster.settle()
    assert learner.name not in primary.peers
    primary.running = running
    cluster.run(3)
    assert primary.state()[COUNTERS] == {b"x": b"2"}
    assert ticket not in learner.answers


@pytest.mark.usefixtures("one_epoch")
def test_a_learner_keeps_the_channel_to_the_primary_while_it_passes_old_tables(
    operate: Callable[..., Operating],
) -> None:
    """Its own old ledger, and entries long past, know the primary as nobody."""
    operating = operate(3, append_size_max_bytes=1)
    cluster = operating.cluster
    old = operating.node(1)
    if old is cluster.primary:
        cluster.handle(old, HandOver())
        cluster.settle()
    cluster.crash(old)
    operating.replace([3, 4, 5], [0, 1, 2])
    operating.until(lambda: sorted(operating.members) == [3, 4, 5])
    operating.ask(6)
    node = cluster.seat(6, old=old)
    operating.change([6])
    operating.until(lambda: operating.status(6) == TRUSTED)
    assert cluster.primary.name in node.peers


def test_a_primary_named_by_nothing_but_entries_that_it_takes_back(operate: Callable[..., Operating]) -> None:
    """What stands in their place names it as well, and comes one by one, from the primary itself."""
    operating = operate(5, append_size_max_bytes=1)
    cluster, before = operating.cluster, operating.cluster.primary
    operating.ask(5)
    away, stays, *_ = cluster.backups
    cluster.cut(before, away)
    cluster.administer(before, change_payload([operating.name(5)], []))
    cluster.settle()
    assert operating.name(5) in away.peers
    cluster.crash(before)
    operating.until(operating.is_led)
    fill(cluster, 3)
    leaving = [number for number in range(5) if operating.node(number) not in (away, stays)]
    operating.change([5], leaving)
    newcomer = cluster.seat(5)
    operating.until(lambda: operating.change_under_way is None)
    if cluster.primary is not newcomer:
        cluster.handle(cluster.primary, HandOver())
    operating.until(lambda: away.replica.chain.committed == newcomer.replica.chain.committed)
    assert newcomer.replica.is_primary


def test_a_restored_node_talks_to_whom_its_own_ledger_names(operating: Operating) -> None:
    cluster = operating.cluster
    operating.ask(3)
    cluster.seat(3)
    cluster.cut(operating.node(3))
    operating.change([3])  # It waits for 3, which is a learner as far as the ledger tells.
    cluster.run(5)
    old = next(node for node in cluster.backups if node.name in (operating.name(1), operating.name(2)))
    cluster.crash(old)
    operating.ask(4)
    node = cluster.seat(4, old=old)  # Welcomed by 0, 1 and 2; its own ledger names 3 as well.
    assert operating.name(3) in node.peers
