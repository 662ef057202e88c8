"""Executing batches side by side: in which order, and what becomes of each. Sans-IO.

``add`` and ``finished`` return what processors have to execute next; when ``is_done``, there is an outcome
for every request that was added. Batches run side by side as ``schedule`` allows; blocks are made in the
order of requests.

A round may be handed over before it is done (``put_off``): what is in blocks has its outcome, the rest is
offered again, and comes to the same results over the same state.

Nothing waits here and nothing is written: a round that is dropped has changed the tree of ``roots`` at most,
which finds that out by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from coco_core.adapter import Deferred, Outcome, ReadView, Rejected
from coco_core.errors import MalformedError, RejectedError
from coco_sawtooth import records, rejections
from coco_sawtooth.addresses import (
    BLOCK_INFO_NAMESPACE,
    IDENTITY_NAMESPACE,
    SETTINGS_NAMESPACE,
    bad_prefixes,
    overlap,
)
from coco_sawtooth.batches import Batch, Transaction
from coco_sawtooth.chain import Chain, Injected
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Invalid, Processed, Unavailable, Valid
from coco_sawtooth.families import BUILT_IN, apply_built_in
from coco_sawtooth.gate import check_batch
from coco_sawtooth.limits import (
    BATCH_WRITES_SIZE_MAX_BYTES,
    HAND_OVER_DONE_MIN,
    HAND_OVER_LEFT_MAX,
    ROUND_WRITES_SIZE_MAX_BYTES,
)
from coco_sawtooth.permissions import check_family
from coco_sawtooth.rejections import rejected
from coco_sawtooth.schedule import GATE, Node, Schedule

_GATE_READS: Final = (SETTINGS_NAMESPACE, IDENTITY_NAMESPACE)
"""What checks at a gate read: a batch that changes settings or roles is decided before later ones begin."""

Prepared = Batch | MalformedError
"""A request whose form and signatures have been checked, or why it is refused."""


@attrs.frozen(eq=False)
class Job:
    """A transaction that a processor has to execute now, and where it reads and writes."""

    transaction: Transaction
    context: Context
    request: int
    """Whose transaction it is, counted in the order of requests."""
    node: Node = attrs.field(repr=False)


@attrs.define(eq=False)
class _Running:
    """A batch of the round."""

    request: int
    number: int
    batch: Batch
    bad: dict[int, str]
    """An input or output that is no prefix of an address, by position of the transaction."""
    sees_blocks: bool
    """Whether it may read or write what blocks are told of the blocks before."""
    injected: Injected | None = None
    writes: dict[bytes, bytes | None] = attrs.field(factory=dict)
    size: int = 0
    contexts: dict[int, Context] = attrs.field(factory=dict)
    refusals: dict[int, Rejected] = attrs.field(factory=dict)
    decided: bool = False
    valid: bool = False


class Round:
    """Batches that are executed together, under way."""

    def __init__(self, view: ReadView, chain: Chain) -> None:
        """Execute over ``view``, at whose newest block ``chain`` begins."""
        self._view = view
        self._chain = chain
        self._schedule = Schedule()
        self._batches: list[_Running] = []
        self._outcomes: list[Outcome | None] = []
        self._made = 0
        self._closed = self._full = False
        self._applied = False
        self._put_off_at: int | None = None
        self._done_transactions = self._left_transactions = 0
        self._written = 0
        self._batch_ids: dict[str, list[int]] = {}
        self._transaction_ids: dict[str, list[int]] = {}

    @property
    def is_done(self) -> bool:
        """Whether no more requests are taken and every one has its outcome."""
        return (self._closed or self._full) and self._made == len(self._batches)

    @property
    def has_applied(self) -> bool:
        """Whether any request is applied."""
        return self._applied

    @property
    def outcomes(self) -> list[Outcome]:
        """One outcome for each request, once the round is done."""
        return [each for each in self._outcomes if each is not None]

    def add(self, requests: Sequence[Prepared]) -> list[Job]:
        """Take further requests behind the others; return what to execute next."""
        for request in requests:
            self._outcomes.append(Deferred() if self._full else None)
            if self._full:
                continue
            if isinstance(request, MalformedError):
                self._outcomes[-1] = rejected(rejections.MALFORMED, str(request))
            else:
                self._add(len(self._outcomes) - 1, request)
        return self._go_on()

    def close(self) -> None:
        """Take no more requests."""
        self._closed = True

    @property
    def may_be_put_off(self) -> bool:
        """Whether it is worth while to hand over what is done, and the rest comes to the same later.

        What is done with the information of blocks depends on the time of a round.
        """
        return (
            self._closed
            and not self._full
            and self._applied
            and self._done_transactions >= HAND_OVER_DONE_MIN
            and 0 < self._left_transactions <= HAND_OVER_LEFT_MAX
            and not any(each.sees_blocks for each in self._batches[self._made :])
        )

    def put_off(self) -> None:
        """Be done: offer the first request whose block is not made, and all behind it, again."""
        self._put_off_at = self._batches[self._made].request
        self._put_off(self._put_off_at)

    @property
    def head(self) -> str:
        """The newest block made."""
        return self._chain.head.id

    @property
    def put_off_at(self) -> int | None:
        """The first request that ``put_off`` has offered again, None when it was not called."""
        return self._put_off_at

    def finished(self, job: Job, processed: Processed) -> list[Job]:
        """Take a result; return what to execute next."""
        if self._full:
            return []
        self._take_result(job.node, job.context, processed)
        return self._go_on()

    # ── what has been applied, for the gate ──────────────────────────────────────────────────────────

    def has_batch(self, batch_id: str) -> bool:
        """Whether a batch is committed or applied earlier in this round."""
        return self._is_known(records.BATCHES, batch_id, self._batch_ids)

    def has_transaction(self, transaction_id: str) -> bool:
        """Whether a transaction is committed or applied earlier in this round."""
        return self._is_known(records.TRANSACTIONS, transaction_id, self._transaction_ids)

    def _is_known(self, name: str, identifier: str, here: dict[str, list[int]]) -> bool:
        # Batches that are still open come later: the gate waited for those before.
        if any(self._batches[number].valid for number in here.get(identifier, ())):
            return True
        return self._view.get(name, bytes.fromhex(identifier)) is not None

    # ── order ───────────────────────────────────────────────────────────────────────────

    def _go_on(self) -> list[Job]:
        jobs: list[Job] = []
        while not self._full and (node := self._schedule.ready()) is not None:
            job = self._run(node)
            if job is not None:
                jobs.append(job)
        return jobs

    def _put_off(self, first: int) -> None:
        """Offer a request and all behind it again: they may depend on each other."""
        for index in range(first, len(self._outcomes)):
            self._outcomes[index] = Deferred()
        self._made = len(self._batches)
        self._full = True

    def _add(self, request: int, batch: Batch) -> None:
        number = len(self._batches)
        after = set(self._batch_ids.get(batch.id, ()))
        bad: dict[int, str] = {}
        declared: list[tuple[Sequence[str], Sequence[str]]] = []
        sees_blocks = False
        for position, transaction in enumerate(batch.transactions):
            for other in (transaction.id, *transaction.header.dependencies):
                after.update(self._transaction_ids.get(other, ()))
            wrong = bad_prefixes((*transaction.inputs, *transaction.outputs))
            if wrong:
                bad[position] = wrong[0]
                declared.append(((), ()))
                continue
            declared.append((transaction.inputs, transaction.outputs))
            sees_blocks = sees_blocks or any(
                overlap(prefix, BLOCK_INFO_NAMESPACE) for prefix in transaction.inputs + transaction.outputs
            )
        if sees_blocks:
            # What is injected into the blocks before is not known before they are made.
            after.update(range(number))
        for transaction in batch.transactions:
            self._transaction_ids.setdefault(transaction.id, []).append(number)
        self._batch_ids.setdefault(batch.id, []).append(number)
        self._batches.append(_Running(request, number, batch, bad, sees_blocks))
        self._left_transactions += len(batch.transactions)
        self._schedule.add(declared, gate_reads=_GATE_READS, after=after)

    # ── running ──────────────────────────────────────────────────────────────────────────────────────

    def _run(self, node: Node) -> Job | None:
        """Do what can be done here; return what a processor has to do."""
        running = self._batches[node.batch]
        if node.position == GATE:
            self._open_gate(running, node)
            return None
        transaction = running.batch.transactions[node.position]
        refusal = self._refusal(running, transaction, node.position)
        if refusal is not None:
            self._take_result(node, None, refusal)
            return None
        below = (running.writes, self._chain.overlay, *self._chain.base)
        context = Context(transaction.inputs, transaction.outputs, below)
        if transaction.family not in BUILT_IN:
            return Job(transaction, context, running.request, node)
        self._take_result(node, context, apply_built_in(transaction, context, self._chain.time_s))
        return None

    def _open_gate(self, running: _Running, node: Node) -> None:
        chain = self._chain
        refusal = check_batch(running.batch, self, chain.read, chain.signer.public_key)
        if refusal is not None:
            running.refusals[GATE] = refusal
        elif running.sees_blocks:
            running.injected = chain.inject()
            if running.injected is not None:
                running.writes.update(running.injected.context.writes)
        self._finish(node, valid=refusal is None)

    def _refusal(self, running: _Running, transaction: Transaction, position: int) -> Invalid | None:
        if position in running.bad:
            return Invalid(
                f"an input or output is not a prefix of an address: {running.bad[position][:80]!r}"
            )
        try:
            check_family(transaction, self._chain.read)
        except RejectedError as error:
            return Invalid(str(error))
        return None

    def _take_result(self, node: Node, context: Context | None, processed: Processed) -> None:
        running = self._batches[node.batch]
        if running.decided:
            return
        if isinstance(processed, Valid) and context is not None:
            running.contexts[node.position] = context
            running.writes.update(context.writes)
            running.size += context.size
        else:
            running.refusals[node.position] = _refused(running.batch, node.position, processed)
        self._finish(node, valid=isinstance(processed, Valid))

    def _finish(self, node: Node, *, valid: bool) -> None:
        for number in self._schedule.finish(node, valid=valid):
            self._decide(self._batches[number])
        while self._made < len(self._batches) and self._batches[self._made].decided:
            running = self._batches[self._made]
            self._made += 1
            self._done_transactions += len(running.batch.transactions)
            self._left_transactions -= len(running.batch.transactions)
            self._make_block(running)

    def _decide(self, running: _Running) -> None:
        running.decided = True
        failed_at = self._schedule.failed_at(running.number)
        if failed_at is not None:
            self._outcomes[running.request] = running.refusals[failed_at]
        elif running.size > BATCH_WRITES_SIZE_MAX_BYTES:
            message = f"the batch writes more than {BATCH_WRITES_SIZE_MAX_BYTES} bytes"
            self._outcomes[running.request] = rejected(
                rejections.TOO_LARGE, message, batch_id=running.batch.id
            )
        else:
            running.valid = True
            self._chain.overlay.update(running.writes)

    def _make_block(self, running: _Running) -> None:
        refusal = self._outcomes[running.request]
        if isinstance(refusal, Rejected):
            size = len(refusal.data) + 4 * len(refusal.message)
        else:
            # State is written to the state and to receipts.
            size = 2 * running.size + len(running.batch.raw)
        if self._applied and self._written + size > ROUND_WRITES_SIZE_MAX_BYTES:
            self._put_off(running.request)
            return
        self._written += size
        if not running.valid:
            return
        injected = running.injected if running.sees_blocks else self._chain.inject()
        contexts = [running.contexts[index] for index in range(len(running.batch.transactions))]
        self._outcomes[running.request] = self._chain.append(
            running.batch, contexts, running.writes, injected
        )
        self._applied = True


def _refused(batch: Batch, position: int, processed: Processed) -> Rejected:
    transaction_id = batch.transactions[position].id
    if isinstance(processed, Unavailable):
        return rejected(
            rejections.NO_PROCESSOR, processed.message, batch_id=batch.id, transaction_id=transaction_id
        )
    message, data = (
        (processed.message, processed.extended_data) if isinstance(processed, Invalid) else ("invalid", b"")
    )
    return rejected(
        rejections.INVALID_TRANSACTION,
        message,
        batch_id=batch.id,
        transaction_id=transaction_id,
        extended_data=data,
    )
