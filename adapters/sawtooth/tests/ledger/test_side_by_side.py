"""Execution side by side: transactions overtake each other, and the result is that of one after the other."""

from __future__ import annotations

import random

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coco_core.adapter import Applied, Deferred
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.development import development_ledger
from coco_sawtooth.testing import Client, Intkey, Ledger, intkey_transaction


class Shuffled(Intkey):
    """Answers in an order drawn from a seed, so that transactions overtake each other."""

    def __init__(self, chosen):
        self._random = chosen
        self.most = self._now = 0

    def start(self, transaction, context, done):
        scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._later, transaction, context, done, scope)
        return scope.cancel

    async def _later(self, transaction, context, done, scope):
        self._now += 1
        self.most = max(self.most, self._now)
        with scope:
            for _ in range(self._random.randrange(4)):
                await trio.lowlevel.checkpoint()
            processed = self.process(transaction, context)
            for _ in range(self._random.randrange(4)):
                await trio.lowlevel.checkpoint()
            done(processed)
        self._now -= 1


STEPS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["set", "inc", "dec"]), st.sampled_from("abcdef"), st.integers(0, 3)),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=8,
)


@given(steps=STEPS, seed=st.integers(0, 2**32 - 1), part=st.sampled_from([1, 3, 100]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_side_by_side_equals_one_after_the_other(steps, seed, part):
    alice = Client.named("alice")
    batches = [
        alice.batch(*(intkey_transaction(alice, verb, name, value) for verb, name, value in batch))
        for batch in steps
    ]

    async def run() -> None:
        config = dict(development_ledger().config)
        together = Ledger(SawtoothAdapter(Shuffled(random.Random(seed))), config)
        apart = Ledger(SawtoothAdapter(Intkey()), config)
        all_at_once = await together.attempt([each.SerializeToString() for each in batches])
        together.commit()
        one_by_one = []
        for each in batches:
            one_by_one += await apart.execute(each)
        assert [fate(each) for each in all_at_once] == [fate(each) for each in one_by_one]
        assert together.state() == apart.state()
        assert together.head.id == apart.head.id

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coco_sawtooth.adapter.PART_WEIGHT", part)
        trio.run(run)


def fate(outcome):
    if isinstance(outcome, Applied):
        return outcome.receipt, outcome.claims
    return outcome


MOSTLY_APART = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["set", "set", "set", "inc"]),
            st.sampled_from("abcdefghijklmnopqrstuvwxyz"),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=4,
    ),
    min_size=4,
    max_size=10,
)


@given(
    steps=MOSTLY_APART,
    seed=st.integers(0, 2**32 - 1),
    most=st.sampled_from([3, 8, 30]),
    losses=st.lists(st.integers(0, 2), max_size=6),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rounds_handed_over_before_they_are_done_equal_one_after_the_other(served, steps, seed, most, losses):
    """Whatever of them is lost with leadership, or comes again in another order."""
    alice = Client.named("alice")
    batches = [
        alice.batch(*(intkey_transaction(alice, verb, name, value) for verb, name, value in batch))
        for batch in steps
    ]

    async def run() -> None:
        config = dict(development_ledger().config)
        handed = Ledger(SawtoothAdapter(Shuffled(random.Random(seed))), config)
        apart = Ledger(SawtoothAdapter(Intkey()), config)
        left, lost = [each.SerializeToString() for each in batches], list(losses)
        fates = []
        async with served(handed):
            while left:
                found = await handed.attempt(left)
                loss = lost.pop() if lost else 0
                if loss:
                    handed.drop()
                    # Another one comes first, or the same come again.
                    left = [*left[1:], left[0]] if loss == 2 else left
                    continue
                handed.commit()
                decided = [each for each in found if not isinstance(each, Deferred)]
                for raw in left[: len(decided)]:
                    fates += await apart.execute(raw)
                assert [fate(each) for each in decided] == [fate(each) for each in fates[-len(decided) :]]
                left = left[len(decided) :]
        assert handed.state() == apart.state()
        assert handed.head.id == apart.head.id

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coco_sawtooth.round.HAND_OVER_DONE_MIN", 1)
        patch.setattr("coco_sawtooth.round.HAND_OVER_LEFT_MAX", most)
        trio.run(run)


async def test_what_does_not_overlap_is_under_way_at_once(make_world):
    shuffled = Shuffled(random.Random(1))
    world = make_world(shuffled)
    await world.applied(
        *(world.alice.batch(intkey_transaction(world.alice, "set", str(n), 1)) for n in range(10))
    )
    assert shuffled.most > 1
