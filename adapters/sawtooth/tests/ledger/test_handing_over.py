"""Rounds that are handed over before they are done: what goes on at processors is used, or given up."""

from __future__ import annotations

from functools import partial

import attrs
import pytest
import trio
import trio.testing

from coco_core.adapter import Applied, Batch, Deferred, Rejected, Request
from coco_sawtooth.testing import Intkey, intkey_transaction


class Held(Intkey):
    """Answers a transaction when it is let go; counts how often each is asked for, and given up."""

    def __init__(self):
        self.asked, self.given_up = [], []
        self._held, self._waiting = set(), {}

    def hold(self, *transactions):
        self._held = {each.header_signature for each in transactions}

    def let_go(self, *transactions):
        """Answer these, or all that are held."""
        for identifier in [each.header_signature for each in transactions] or list(self._waiting):
            self._held.discard(identifier)
            self._waiting.pop(identifier)()

    def start(self, transaction, context, done):
        self.asked.append(transaction.id)
        processed = self.process(transaction, context)
        if transaction.id not in self._held:
            return processed
        self._waiting[transaction.id] = partial(done, processed)
        return partial(self._give_up, transaction.id)

    def _give_up(self, identifier):
        del self._waiting[identifier]
        self.given_up.append(identifier)


@attrs.frozen
class Story:
    """A world whose processors hold the last of three batches."""

    world: object
    held: Held
    raw: list[bytes]
    last: object

    def number(self, name):
        return self.world.number(name)


@pytest.fixture
async def story(make_world, served, monkeypatch):
    """Hand ``first``, ``second`` and ``last`` out; the round ends while ``last`` is under way."""
    monkeypatch.setattr("coco_sawtooth.round.HAND_OVER_DONE_MIN", 2)
    held = Held()
    world = make_world(held)
    alice = world.alice
    await world.applied(alice.batch(intkey_transaction(alice, "set", "n", 1)))
    steps = [intkey_transaction(alice, "inc", "n", 1), intkey_transaction(alice, "set", "m", 5)]
    last = intkey_transaction(alice, "inc", "n", 10)
    held.hold(last)
    raw = [alice.batch(each).SerializeToString() for each in (*steps, last)]
    async with served(world):
        outcomes = await world.attempt(raw)
        assert [type(each) for each in outcomes] == [Applied, Applied, Deferred]
        assert held.asked[-1] == last.header_signature
        yield Story(world, held, raw[2:], last.header_signature)


async def test_what_is_under_way_is_taken_up_by_the_next_round(story):
    world = story.world
    world.commit()
    # A result that comes between rounds, and a batch that comes with the next.
    story.held.let_go()
    await trio.testing.wait_all_tasks_blocked()
    more = world.alice.batch(intkey_transaction(world.alice, "inc", "n", 100)).SerializeToString()
    outcomes = await world.attempt([*story.raw, more])
    world.commit()
    assert Deferred() not in outcomes
    assert (story.number("n"), story.number("m")) == (112, 5)
    assert story.held.asked.count(story.last) == 1


async def test_what_ran_over_state_that_was_dropped_runs_again(story):
    world = story.world
    world.drop()
    story.held.let_go()
    await trio.testing.wait_all_tasks_blocked()
    [outcome] = await world.attempt(story.raw)
    world.commit()
    assert isinstance(outcome, Applied)
    assert (story.number("n"), story.number("m")) == (11, None)
    assert story.held.asked.count(story.last) == 2


async def test_another_request_before_it_and_it_runs_again(story):
    world = story.world
    world.commit()
    before = world.bob.batch(intkey_transaction(world.bob, "inc", "n", 100)).SerializeToString()
    story.held.hold()
    await world.execute(before, *story.raw)
    assert story.number("n") == 112
    assert story.held.asked.count(story.last) == 2
    assert story.held.given_up == [story.last]


async def test_it_is_given_up_when_state_is_another_one(story):
    story.world.adapter.restored(story.world.store.view())
    await trio.testing.wait_all_tasks_blocked()
    assert story.held.given_up == [story.last]


@pytest.mark.parametrize("together", [False, True])
async def test_requests_of_a_bundle_are_never_put_off(make_world, served, monkeypatch, together):
    monkeypatch.setattr("coco_sawtooth.round.HAND_OVER_DONE_MIN", 1)
    held = Held()
    world = make_world(held)
    first, last = (intkey_transaction(world.alice, "set", name, 1) for name in "ab")
    held.hold(last)
    batch = Batch(
        requests=tuple(Request(world.alice.batch(each).SerializeToString()) for each in (first, last)),
        view=2,
        first_seqno=world.seqno + 1,
        time_ms=0,
        randomness=bytes(32),
        together=together,
    )
    results = []

    async def execute():
        results.append(await world.adapter.execute(batch, world.store.head()))

    async with served(world), trio.open_nursery() as nursery:
        nursery.start_soon(execute)
        while last.header_signature not in held.asked:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        assert bool(results) is not together
        held.let_go()
    expected = Applied if together else Deferred
    assert isinstance(results[0].outcomes[1], expected)


async def test_a_batch_whose_later_transactions_are_under_way_fails(make_world, served, monkeypatch):
    """What is not needed any longer is given up with the round."""
    monkeypatch.setattr("coco_sawtooth.round.HAND_OVER_DONE_MIN", 1)
    held = Held()
    world = make_world(held)
    alice = world.alice
    first = intkey_transaction(alice, "set", "a", 1)
    bad, slow = intkey_transaction(alice, "inc", "b", 1), intkey_transaction(alice, "set", "c", 1)
    held.hold(bad, slow)
    raw = [alice.batch(first).SerializeToString(), alice.batch(bad, slow).SerializeToString()]
    async with served(world):
        assert isinstance((await world.attempt(raw))[1], Deferred)
        world.commit()
        held.let_go(bad)
        [outcome] = await world.attempt(raw[1:])
        assert isinstance(outcome, Rejected)
        await trio.testing.wait_all_tasks_blocked()
    assert held.given_up == [slow.header_signature]
    assert held.asked.count(slow.header_signature) == 1
    assert (world.number("a"), world.number("c")) == (1, None)
