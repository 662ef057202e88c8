"""Standard tests of executing the same again: on another node, in another process, for an auditor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from coco_core.adapter import ReadView, Writes, check_configuration, merge
from coco_core.errors import IntegrityError
from coco_core.testing.conformance.elsewhere import Digests, digests_elsewhere, digests_here
from coco_core.testing.conformance.kit_base import KitBase, same_results
from coco_core.testing.conformance.marking import Nonconformity, expect, standard
from coco_core.testing.conformance.pipeline import Pipeline, written


class AgainTests(KitBase):
    """What a ledger says it can execute anew, it can."""

    @standard
    async def test_every_node_executes_alike(self) -> None:
        """Over the same state another node's adapter comes to the same; a deterministic one byte for byte.

        Why: any node may lead next. It knows the maps and what it was told in ``committed``, not what this
        instance remembers, and it was never shown the genesis configuration.

        Mend: keep in maps whatever execution needs. If results differ for good reasons, say
        ``deterministic=False``; users must see the same all the same.
        """
        payloads = [self.harness.valid(1), *self.refused, *self.harness.conflict(1), self.harness.valid(2)]
        async with self.pipeline(3) as pipeline:
            await pipeline.send(self.harness.valid(0), self.harness.conflict(0)[0])
            await pipeline.run(2)
            primary = pipeline.cluster.primary
            await self.executed(pipeline, self.harness.valid(5))
            for other in pipeline.cluster.backups:
                mine = await self.executed(pipeline, *payloads, at=primary)
                theirs = await self.executed(pipeline, *payloads, at=other)
                self.expect_seen(theirs.seen, mine.seen, "executed by another node's adapter")
                if primary.adapter.manifest.deterministic:
                    one = await pipeline.aside(*payloads, at=primary)
                    two = await pipeline.aside(*payloads, at=other)
                    differs = same_results(one, two)
                    expect(not differs, f"two nodes' adapters differ in {differs}")

    @standard
    async def test_another_process_executes_alike(self) -> None:
        """A deterministic ledger writes the same bytes in another process, on another host, a year later.

        Why: an auditor executes anew, at another time and place. Reading the clock, drawing at random, the
        order of a set, the name of the host: each makes honest nodes look like forgers.

        Mend: take time and randomness from the batch, sort what you iterate over, encode in one way only; or
        say ``deterministic=False``.
        """
        if not self.harness.make().manifest.deterministic:
            return
        here: Digests = await digests_here(self.harness)
        there = await self.elsewhere()
        differs = next((mine[0] for mine, theirs in zip(here, there, strict=False) if mine != theirs), "")
        expect(not differs, f"another process comes to something else: {differs}")
        expect(len(here) == len(there), "another process writes more or less")

    @standard
    async def test_replay_gives_what_was_written(self) -> None:
        """``replay`` returns, entry by entry, what was written.

        Why: it is how an auditor checks that transactions did what they say, without trusting the node that
        executed them.

        Mend: whatever execution took from the batch (time, randomness, configuration, places) has to be in
        the entries: write it down, and read it from there.
        """
        if not self.harness.make().manifest.deterministic:
            return
        async with self.pipeline(1) as pipeline:
            await pipeline.send(self.harness.valid(0))
            view = _head(pipeline)
            for entries in await self._turns(pipeline):
                try:
                    again = await self.harness.make().replay(entries, view)
                except Exception as error:
                    raise Nonconformity(f"replay of what was written raised {error!r:.300}") from error
                expect(
                    list(again) == list(entries),
                    f"replay gives other entries than were written: {_difference(entries, again)}",
                )

    @standard
    async def test_replay_executes_anew(self) -> None:
        """Entries that were changed are not replayed as they are.

        Why: a ``replay`` that returns what it was given finds nothing, whatever was forged.

        Mend: execute the transactions that the entries hold, and return what comes of that. Raise
        IntegrityError for entries that you never wrote.
        """
        if not self.harness.make().manifest.deterministic:
            return
        async with self.pipeline(1) as pipeline:
            await pipeline.send(self.harness.valid(0))
            view = _head(pipeline)
            (entries, *_) = await self._turns(pipeline)
            results = [await self._replayed(forged, view) for forged in _forgeries(entries)]
            expect(
                any(results), "replay took every one of the changed entries for what it would have written"
            )
            name = pipeline.cluster.primary.adapter.manifest.maps[0]
            foreign: Sequence[Writes] = [{name: {b"no such key": b"no such value"}}]
            expect(await self._replayed(foreign, view), "replay takes for its own an entry it never writes")

    @standard
    async def test_configuration_is_obeyed(self) -> None:
        """What the consortium sets tells, and is replayed.

        Why: members vote on it, and believe that it holds from then on.

        Mend: read ``batch.configuration`` in ``execute``, not at start; write down what replay has to know of
        it.
        """
        fields = self.harness.make().manifest.configuration
        configured = self.harness.configured()
        expect(
            not fields or configured, "the manifest names configuration, the harness gives no configured()"
        )
        if configured is None:
            return
        try:
            check_configuration(fields, configured.values)
        except ValueError as error:
            raise Nonconformity(f"configured() gives what nobody may set: {error}") from error
        async with self.pipeline(1) as pipeline:
            payload, values = configured.payload, configured.values
            plain = await pipeline.aside(payload)
            told = await pipeline.aside(payload, configuration=values)
            expect(same_results(plain, told), f"{dict(values)} makes no difference to configured().payload")
            if pipeline.cluster.primary.adapter.manifest.deterministic and written(told):
                expect(
                    not await self._replayed(written(told), _head(pipeline)),
                    f"what was written under {dict(values)} is not replayed as it was written",
                )

    async def elsewhere(self) -> Digests:
        """Return what another process makes of the batches of ``digests_here``."""
        return await digests_elsewhere(self.harness)

    async def _turns(self, pipeline: Pipeline) -> list[list[Writes]]:
        """Return entries as batches hold them: of one turn, and of two in one batch."""
        one, other = self.harness.valid(1), self.harness.valid(2)
        first = written(await pipeline.aside(one, *self.refused, self.harness.conflict(1)[0], other))
        over: Writes = {}
        for entry in first:
            merge(over, entry)
        second = written(await pipeline.aside(self.harness.valid(3), over=over))
        return [first, [*first, *second], second and first]

    async def _replayed(self, entries: Sequence[Writes], view: ReadView) -> bool:
        """Tell whether replay finds that ``entries`` are not what it would have written."""
        try:
            again = await self.harness.make().replay(entries, view)
        except IntegrityError:
            return True
        except Exception as error:
            raise Nonconformity(
                f"replay of forged entries raised {error!r:.300}, not IntegrityError"
            ) from error
        return list(again) != list(entries)


def _head(pipeline: Pipeline) -> ReadView:
    return pipeline.scoped(pipeline.cluster.primary.replica.chain.store.head())


def _forgeries(entries: Sequence[Writes]) -> Iterator[list[Writes]]:
    """Yield entries with one value changed, for each value; and with one entry missing, for each entry."""
    for number, entry in enumerate(entries):
        for name, changes in entry.items():
            for key, value in changes.items():
                other = bytes([value[0] ^ 1]) + value[1:] if value else b"x"
                changed: Mapping[bytes, bytes | None] = {**changes, key: other}
                yield [*entries[:number], {**entry, name: dict(changed)}, *entries[number + 1 :]]
        yield [*entries[:number], *entries[number + 1 :]]


def _difference(entries: Sequence[Writes], again: Sequence[Writes]) -> str:
    if len(entries) != len(again):
        return f"{len(again)} of {len(entries)}"
    for number, (one, other) in enumerate(zip(entries, again, strict=True)):
        names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
        if names:
            return f"entry {number}, {', '.join(names)}"
    return "no difference"
