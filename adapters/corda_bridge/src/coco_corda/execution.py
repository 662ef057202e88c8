"""Executing one batch: transactions are read together, verified side by side, and decided one by one.

What a transaction is verified on does not depend on whether others are committed: a state's bytes follow
from its name. So everything that does not use another one's outputs is verified at one time, then what does,
and so on; in the end each is decided in order, on what those before it left. The results are those of taking
them one by one.

Knows no JVM, only who is asked (``verification.Verifier``).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_corda import rejections
from coco_corda.deciding import Decider
from coco_corda.limits import ROUND_TRANSACTIONS_MAX
from coco_corda.notary_key import NotaryKey
from coco_corda.payloads import Submission, decode
from coco_corda.preparing import Prepared, Preparing
from coco_corda.supplying import Supplied, Supplying, why
from coco_corda.terms import Terms
from coco_corda.verification import Failure, Verifier
from coco_core.adapter import Applied, Batch, Deferred, Outcome, ReadView, Rejected, Request, Writes, merge
from coco_core.errors import AdapterError, MalformedError


@attrs.frozen(kw_only=True)
class Notary:
    """What stays the same from batch to batch."""

    verifier: Verifier
    key: NotaryKey


async def execute(batch: Batch, view: ReadView, notary: Notary) -> list[Outcome]:
    """Return one outcome for each request of a batch, in order."""
    terms = Terms.of(view, batch.configuration)
    written: Writes = {}
    state = view.over(written)
    supplying = Supplying(terms, notary.verifier)
    outcomes: list[Outcome] = []
    has_applied = False
    while len(outcomes) < len(batch.requests):
        seqno = batch.first_seqno + sum(isinstance(each, Applied) for each in outcomes)
        part = _part(batch.requests[len(outcomes) :])
        if has_applied and len(outcomes) >= ROUND_TRANSACTIONS_MAX:
            outcomes += [Deferred()] * (len(batch.requests) - len(outcomes))
            break
        if isinstance(part, _Transactions):
            decider = Decider(state, written, terms, notary.key, batch.time_ms, seqno)
            found: Sequence[Outcome] = await _notarise(part, state, terms, notary, decider)
        else:
            found = [await supplying.take(part, state)]
            for each in found:
                if isinstance(each, Applied):
                    merge(written, each.writes)
        has_applied = has_applied or any(isinstance(each, Applied) for each in found)
        outcomes += found
    return outcomes


@attrs.frozen
class _Transactions:
    """Submissions that follow each other, with whoever sent them; None stands for what is no request."""

    items: Sequence[tuple[Request, Submission | Rejected]]


def _part(requests: Sequence[Request]) -> _Transactions | Supplied:
    """Return what is next: one jar or parameters, or all submissions up to the next of these."""
    items: list[tuple[Request, Submission | Rejected]] = []
    for request in requests[:ROUND_TRANSACTIONS_MAX]:
        try:
            payload = decode(request.payload)
        except MalformedError as error:
            items.append((request, rejections.malformed(str(error))))
            continue
        if not isinstance(payload, Submission):
            if items:
                break
            return payload
        items.append((request, payload))
    return _Transactions(items)


async def _notarise(
    part: _Transactions, state: ReadView, terms: Terms, notary: Notary, decider: Decider
) -> list[Outcome]:
    submissions = [each for _, each in part.items if isinstance(each, Submission)]
    template = await notary.verifier.template(notary.key)
    if isinstance(template, Failure):
        refusal = rejections.no_verifier(why(template))
        return [each if isinstance(each, Rejected) else refusal for _, each in part.items]
    described = await notary.verifier.describe([each.stx for each in submissions])
    preparing = Preparing(state, terms, notary.key.public_key)
    prepared = [
        preparing.take(submission, description)
        for submission, description in zip(submissions, described, strict=True)
    ]
    await _verify(preparing, prepared, notary.verifier)
    following = iter(prepared)
    return [
        each if isinstance(each, Rejected) else decider.decide(request.caller, next(following), template)
        for request, each in part.items
    ]


async def _verify(preparing: Preparing, prepared: Sequence[Prepared], verifier: Verifier) -> None:
    """Verify everything, what depends on others after them."""
    while jobs := preparing.ready():
        results = await verifier.verify([job for _, job in jobs])
        for (index, _), result in zip(jobs, results, strict=True):
            preparing.verified(index, result)
    if any(each.fate is None for each in prepared):
        raise AdapterError("a transaction was left without a verdict")
