"""Standard tests of what execution means: effects, refusals, duplicates, what is thrown away, bundles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coco_core.adapter import BUNDLES, BundlePart, Committed, Outcome, Rejected, encode_bundle
from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.marking import expect, standard
from coco_core.testing.conformance.serving import BESIDE, Fate
from coco_core.testing.tally import add

_LATER: Final = 100
"""So many other transactions later one is still known."""
_AT_ONCE: Final = 20


def told(fates: Sequence[Fate | Outcome]) -> str:
    """Return fates for a message."""
    return ", ".join(
        f"{type(fate).__name__}({fate.code}: {fate.message:.60})"
        if isinstance(fate, Rejected)
        else type(fate).__name__
        for fate in fates
    )


class ExecutionTests(KitBase):
    """What is applied takes effect once and as a whole; anything else leaves no trace."""

    @standard
    async def test_valid_transactions_take_effect(self) -> None:
        """A valid transaction is committed, and users see its effect.

        Why: everything else in the kit builds on it.

        Mend: see what the rejection says; check that ``genesis`` of the harness makes ``valid`` applicable,
        and that ``observe`` shows what it changes.
        """
        async with self.pipeline(1) as pipeline:
            for number in range(2):
                before = pipeline.observe()
                fates = await pipeline.send(self.harness.valid(number))
                expect(isinstance(fates[0], Committed), f"valid({number}) became {told(fates)}")
                expect(pipeline.observe() != before, f"users see nothing of valid({number})")

    @standard
    async def test_what_is_refused_leaves_no_trace(self) -> None:
        """In a batch with refused requests the others come out as without them.

        Why: what a refused request wrote before it was refused is not replicated, but the next request of the
        batch would build on it: then the state holds effects of something that never happened.

        Mend: execute each request over a savepoint of its own, ``view.over(...)``, and merge it into the
        batch's only once it is applied.
        """
        first, second = self.harness.conflict(0)
        valid = self.harness.valid(0)
        async with self.pipeline(1) as pipeline:
            without = await self.executed(pipeline, first, valid)
            among = await self.executed(pipeline, first, second, *self.refused, valid, second)
            self.expect_seen(among.seen, without.seen, "after a batch with refused requests in between")
            alone = await self.executed(pipeline, *self.refused)
            expect(not alone.entries, f"a batch of refused requests wrote {len(alone.entries)} entries")
            before = pipeline.state(pipeline.cluster.primary)
            await pipeline.send(*self.refused)
            expect(before == pipeline.state(pipeline.cluster.primary), "refused requests changed the state")

    @standard
    async def test_malformed_bytes_are_refused(self) -> None:
        """What is no transaction is Rejected: neither applied nor put off.

        Why: an entry for it would be in the ledger for ever, and clients would believe that they did
        something.

        Mend: parse strictly, also what comes behind a transaction; the empty payload is one of them.
        """
        async with self.pipeline(1) as pipeline:
            payloads = [*self.harness.malformed(), b""]
            for payload, fate in zip(payloads, await pipeline.send(*payloads), strict=True):
                expect(isinstance(fate, Rejected), f"malformed {payload[:60]!r} became {told([fate])}")

    @standard
    async def test_rules_are_enforced(self) -> None:
        """What the harness says is rejected is, alone and beside others.

        Why: a harness whose ``rejected`` is applied proves nothing of rejections.

        Mend: the rule, or the sample.
        """
        async with self.pipeline(1) as pipeline:
            alone = await pipeline.send(self.harness.rejected(0))
            expect(isinstance(alone[0], Rejected), f"rejected(0) became {told(alone)}")
            fates = await pipeline.send(self.harness.valid(0), self.harness.rejected(1))
            expect(isinstance(fates[1], Rejected), f"rejected(1) became {told(fates[1:])}")

    @standard
    async def test_nothing_is_applied_twice(self) -> None:
        """The same transaction again is refused: in the same batch, in the next, after many others.

        Why: after a failover clients send again what may have been committed: NotCommitted means that it is
        not known. Without this an adapter pays twice.

        Mend: nonces, or a map of transaction IDs; look it up over what the batch wrote so far and in the
        view, not in what ``committed`` told: the batch before may not be committed yet. Forget no ID.
        """
        valid, other = self.harness.valid(0), self.harness.valid(1)
        async with self.pipeline(1) as pipeline:
            fates = await pipeline.send(valid, valid, other)
            expect(isinstance(fates[0], Committed), f"valid(0) became {told(fates[:1])}")
            expect(
                isinstance(fates[1], Rejected), f"valid(0) again in the same batch became {told(fates[1:2])}"
            )
            again = await pipeline.send(valid)
            expect(isinstance(again[0], Rejected), f"valid(0) again in a later batch became {told(again)}")
            wanted = await self.reference(valid, other)
            self.expect_seen(pipeline.observe(), wanted, "after a transaction was sent three times")
            for number in range(2, _LATER, _AT_ONCE):
                await pipeline.send(*map(self.harness.valid, range(number, number + _AT_ONCE)))
            again = await pipeline.send(valid)
            expect(
                isinstance(again[0], Rejected), f"valid(0) again after {_LATER} others became {told(again)}"
            )
        async with self.pipeline(3) as pipeline:
            primary = pipeline.cluster.primary
            tickets = []
            for _ in range(2):
                tickets.append(pipeline.cluster.submit(primary, valid))
                await pipeline.execute(primary)
            await pipeline.until(lambda: all(ticket in primary.answers for ticket in tickets))
            again = list(primary.answers[tickets[1]])
            expect(
                isinstance(again[0], Rejected),
                f"valid(0) again, executed before the first was committed, became {told(again)}",
            )

    @standard
    async def test_a_transaction_has_one_encoding(self) -> None:
        """A transaction with a blank, a line's end or a zero byte around it is not another one.

        Why: what carries transactions may add such bytes, and anybody who sees one can. If it is read as the
        same transaction and not known as the same, it is applied twice.

        Mend: parse strictly, also what comes before and behind; or take the ID from what you read, not from
        the bytes.
        """
        valid = self.harness.valid(0)
        around = [valid + b"\n", valid + b"\r\n", valid + b" ", valid + b"\0", b" " + valid, b"\n" + valid]
        async with self.pipeline(1) as pipeline:
            await pipeline.send(valid)
            wanted = pipeline.observe()
            for payload, fate in zip(around, await pipeline.send(*around), strict=True):
                changed = f"valid(0) as {payload[:10]!r}…{payload[-10:]!r}"
                expect(not isinstance(fate, Committed), f"{changed}, after valid(0), became {told([fate])}")
            self.expect_seen(pipeline.observe(), wanted, "after a transaction was sent with bytes around it")

    @standard
    async def test_of_two_that_conflict_one_is_applied(self) -> None:
        """Of two transactions that exclude each other the first is applied and the second refused.

        Why: a double spend is just this. In one batch the second must see what the first wrote.

        Mend: read through ``view.over(written)``, with ``written`` merged after each applied request.
        """
        for together in (True, False):
            for swapped in (False, True):
                first, second = self.harness.conflict(0)[:: -1 if swapped else 1]
                where = "in one batch" if together else "in two batches"
                async with self.pipeline(1) as pipeline:
                    if together:
                        fates = await pipeline.send(first, second)
                    else:
                        fates = [*await pipeline.send(first), *await pipeline.send(second)]
                    right = isinstance(fates[0], Committed) and isinstance(fates[1], Rejected)
                    expect(right, f"two that conflict, {where}, became {told(fates)}")
                    wanted = await self.reference(first)
                    self.expect_seen(pipeline.observe(), wanted, f"after two that conflict, {where}")

    @standard
    async def test_execution_may_be_discarded(self) -> None:
        """What is executed and then thrown away leaves no trace in the adapter.

        Why: a primary that loses its lead, and a bundle that another ledger refuses, have executed what is
        never written. An adapter that remembers it goes on from a state that does not exist.

        Mend: keep no state of execution beside the maps; what you cache, key by what is in the view, or fill
        it in ``committed``.
        """
        valid, first = self.harness.valid(1), self.harness.conflict(1)[0]
        second = self.harness.conflict(1)[1]
        async with self.pipeline(1) as pipeline:
            await pipeline.send(self.harness.valid(0))
            once = await self.executed(pipeline, valid, first, self.harness.rejected(1))
            await self.executed(pipeline, self.harness.valid(2), second)
            again = await self.executed(pipeline, valid, first, self.harness.rejected(1))
            self.expect_seen(again.seen, once.seen, "executed again after it was discarded")
            fates = await pipeline.send(valid, second)
            expect(
                all(isinstance(fate, Committed) for fate in fates),
                f"after executions that were discarded, two valid transactions became {told(fates)}",
            )
            wanted = await self.reference(self.harness.valid(0), valid, second)
            self.expect_seen(pipeline.observe(), wanted, "after executions that were discarded")

    @standard
    async def test_bundles_are_whole(self) -> None:
        """A transaction in a bundle that another ledger refuses never happened; in a good one it is applied.

        Why: bundles are what several ledgers on one network are for. An adapter sees an ordinary batch, of
        which nothing is written when another part fails.

        Mend: as for execution that is discarded.
        """
        name, valid = self.harness.name, self.harness.valid(0)
        good, bad = add("paid", "x", 1), b"nonsense"
        async with self.pipeline(1, beside=True) as pipeline:
            before = pipeline.observe()
            bundle = [BundlePart(name, valid), BundlePart(BESIDE, bad)]
            fates = await pipeline.send(encode_bundle(bundle), to=BUNDLES)
            expect(isinstance(fates[0], Rejected), f"a bundle with a bad part became {told(fates)}")
            self.expect_seen(pipeline.observe(), before, "after a bundle that was refused")
            bundle = [BundlePart(BESIDE, good), BundlePart(name, self.harness.rejected(0))]
            fates = await pipeline.send(encode_bundle(bundle), to=BUNDLES)
            expect(isinstance(fates[0], Rejected), f"a bundle with rejected(0) became {told(fates)}")
            bundle = [BundlePart(BESIDE, good), BundlePart(name, valid)]
            fates = await pipeline.send(encode_bundle(bundle), to=BUNDLES)
            expect(isinstance(fates[0], Committed), f"a bundle of good parts became {told(fates)}")
            self.expect_seen(pipeline.observe(), await self.reference(valid), "after a bundle was committed")
            bundle = [BundlePart(BESIDE, add("paid-again", "x", 1)), BundlePart(name, valid)]
            fates = await pipeline.send(encode_bundle(bundle), to=BUNDLES)
            expect(isinstance(fates[0], Rejected), f"a bundle with valid(0) again became {told(fates)}")
