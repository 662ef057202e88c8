"""Standard tests of single calls: what execute returns and leaves alone, what committed may not do."""

from __future__ import annotations

from typing import ClassVar

from coco_core.testing.conformance.kit_base import KitBase
from coco_core.testing.conformance.marking import expect, standard
from coco_core.testing.conformance.notes import Kind


class CallTests(KitBase):
    """Every call keeps to the contract, whatever it is asked."""

    committed_max_s: ClassVar[float] = 0.1
    """What the fastest of all calls of ``committed`` may take, on any machine."""

    @standard
    async def test_execute_raises_nothing(self) -> None:
        """Whatever a request holds, ``execute`` returns and does not raise.

        Why: anything raised costs the batch of everybody: nothing of it is written, and each request is
        executed again alone. Anybody can send anything, so whoever sends that payload again stalls your
        ledger.

        Mend: refuse with ``Rejected`` what cannot be read; catch what your parser and your engine raise.
        """
        await self.expect_none(Kind.RAISES, "Return Rejected instead")

    @standard
    async def test_execute_returns(self) -> None:
        """``execute`` returns, whatever a request holds.

        Why: the next batch of every ledger waits for it. A request for which it never returns stops the
        network until somebody ends the primary's process, and is there again then.

        Mend: bound what you wait for, and refuse what takes longer. If your ledger is that slow, let the
        harness say so: ``execute_max_s``.
        """
        await self.expect_none(Kind.ENDLESS, "Bound what execution waits for and works on")

    @standard
    async def test_every_request_has_one_outcome(self) -> None:
        """``execute`` returns a BatchResult with one outcome for each request, in order.

        Why: outcomes are matched with requests by their place, so one missing gives clients another's answer.
        The core refuses the whole batch.

        Mend: append to ``outcomes`` in every branch of the loop over requests, also before ``continue``.
        """
        await self.expect_none(Kind.OUTCOMES, "Append exactly one outcome for each request")

    @standard
    async def test_only_own_maps_are_written(self) -> None:
        """Writes, also closing ones, go to maps of the manifest only.

        Why: other maps belong to other ledgers or to the consortium. The core refuses the batch.

        Mend: name the map in ``Manifest.maps``; it must begin with the ledger's name and a dot.
        """
        await self.expect_none(Kind.FOREIGN_WRITES, "Name every map you own in the manifest")

    @standard
    async def test_only_own_maps_are_read(self) -> None:
        """Only maps of the manifest are read.

        Why: the view raises AdapterError for others, which fails the batch; and what another ledger holds is
        not yours to see.

        Mend: name the map in the manifest, or keep what you need in maps of your own.
        """
        await self.expect_none(Kind.FOREIGN_READS, "Read the maps of your manifest only")

    @standard
    async def test_writes_are_dictionaries_of_bytes(self) -> None:
        """A write set is a dict of map names to dicts of bytes to bytes, or None for what is removed.

        Why: it is encoded as it is, hashed and replicated; nothing is converted on the way. The core refuses
        the batch.

        Mend: encode keys and values yourself, in one way only, and build plain dicts.
        """
        await self.expect_none(Kind.WRITES, "Write plain dicts of bytes")

    @standard
    async def test_results_are_within_bounds(self) -> None:
        """Receipts, keys, write sets, rejections and batches as a whole keep the bounds of the core.

        Why: what one request may cost is bounded on every node, or one client could fill them all. The core
        refuses the batch, and at last the request.

        Mend: refuse what would write too much, cut messages, do not quote payloads; put off with ``Deferred``
        what does not fit into this batch. The bounds are on the page of limits.
        """
        await self.expect_none(Kind.BOUNDS, "See docs/reference/limits.md for the bounds")

    @standard
    async def test_claims_are_32_bytes(self) -> None:
        """``Applied.claims`` is a digest of 32 bytes.

        Why: it is part of the Merkle leaf, and so of every receipt. The core refuses the batch.

        Mend: give SHA-256 of a prefix of your own and whatever a receipt should prove; or nothing at all, for
        ``NO_CLAIMS``.
        """
        await self.expect_none(Kind.CLAIMS, "Claims are a SHA-256, or left out")

    @standard
    async def test_rejections_say_why(self) -> None:
        """A rejection has a code of one ASCII word, and a message.

        Why: programs decide by the code, people read the message.

        Mend: keep codes stable, ``nonce-too-low``; put details into the message and ``data``.
        """
        await self.expect_none(Kind.REJECTIONS, "Give a code of one word and a message")

    @standard
    async def test_the_first_request_is_never_deferred(self) -> None:
        """Nothing is deferred before something was applied.

        Why: deferred requests come first in the next batch, so such a batch would come again for ever. The
        core refuses it.

        Mend: refuse what can never be executed; defer only what an applied request left no room for.
        """
        await self.expect_none(Kind.DEFERRED_FIRST, "Refuse what does not even fit alone")

    @standard
    async def test_nothing_is_closed_where_nothing_was_applied(self) -> None:
        """``closing`` is empty unless a request of the batch was applied.

        Why: a block without transactions would let anybody grow the ledger with requests that are refused.
        The core refuses the batch.

        Mend: return ``BatchResult(outcomes)`` when no outcome is Applied.
        """
        await self.expect_none(Kind.CLOSING, "Close only what applied something")

    @standard
    async def test_what_is_handed_over_is_left_alone(self) -> None:
        """``execute`` changes neither its view's dictionaries nor the batch, ``committed`` no writes.

        Why: they are the store's own, shared with readers and with batches under way; a change there is never
        replicated, so this node's state would be another than its ledger says.

        Mend: keep what you write in a dict of your own and read through ``view.over(written)``.
        """
        await self.expect_none(Kind.MUTATES, "Lay your writes over the view: view.over(written)")

    @standard
    async def test_nothing_is_read_after_execution(self) -> None:
        """Views that ``execute`` and ``restored`` were given are not read once they returned.

        Why: the state under them moves on, so what is read then is of no version at all.

        Mend: read what later work needs before you return; a front end reads ``service.view()``.
        """
        await self.expect_none(Kind.LATE_READS, "Read before you return")

    @standard
    async def test_being_told_raises_nothing(self) -> None:
        """``committed`` and ``restored`` do not raise.

        Why: the batch is committed whatever happens there; an exception marks the ledger as failed on every
        node.

        Mend: index what may be missing or odd with care; log and go on where you cannot.
        """
        await self.expect_none(Kind.COMMITTED_RAISES, "Catch what your indexing raises")

    @standard
    async def test_committed_submits_nothing(self) -> None:
        """``committed`` and ``restored`` submit no requests.

        Why: the node is in the middle of an event; a submission there is refused as the adapter's fault.

        Mend: wake a task that ``serve`` runs, and submit there.
        """
        await self.expect_none(Kind.COMMITTED_SUBMITS, "Submit from a task of serve")

    @standard
    async def test_committed_is_fast(self) -> None:
        """Being told of a committed batch takes a moment.

        Why: the node does nothing else meanwhile, neither answer others nor say that it is alive.

        Mend: note what to do and let a task or a thread of ``serve`` do it.
        """
        taken = (await self.survey()).notes.committed_s
        fastest = min(taken, default=0.0)
        expect(
            fastest <= self.committed_max_s,
            f"committed took {fastest:.2f} s at best; {self.committed_max_s} s is far too much already",
        )

    @standard
    async def test_serve_runs_until_cancelled(self) -> None:
        """``serve`` neither raises nor returns by itself.

        Why: the node runs it as long as it lives; when it ends, clients are left alone while all seems well.

        Mend: end with ``await service.serve_http(handler)``, or ``trio.sleep_forever()`` without a front end.
        """
        await self.expect_none(Kind.SERVE, "Await serve_http, or sleep for ever")
