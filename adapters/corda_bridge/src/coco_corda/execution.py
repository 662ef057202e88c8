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

from coco_corda import records, rejections
from coco_corda.deciding import Decider
from coco_corda.limits import ROUND_TRANSACTIONS_MAX
from coco_corda.notary_key import NotaryKey
from coco_corda.payloads import Attachment, Parameters, Submission, decode
from coco_corda.preparing import Prepared, Preparing
from coco_corda.refs import sha256
from coco_corda.terms import Terms
from coco_corda.verification import Broken, Failure, Unavailable, Verifier
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
            found = [await _supply(part, state, terms, notary)]
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


def _part(requests: Sequence[Request]) -> _Transactions | Attachment | Parameters:
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
        refusal = rejections.no_verifier(_why(template))
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


async def _supply(
    supplied: Attachment | Parameters, state: ReadView, terms: Terms, notary: Notary
) -> Applied | Rejected:
    """Take a jar or network parameters, if the consortium agreed on them."""
    digest = sha256(supplied.content)
    map_name = records.ATTACHMENT if isinstance(supplied, Attachment) else records.PARAMS
    if state.get(map_name, digest) is not None:
        return rejections.committed_before(digest)
    if isinstance(supplied, Parameters):
        if digest not in terms.network_parameters:
            return rejections.not_trusted("the consortium did not agree on these network parameters")
        read = await notary.verifier.read_parameters(supplied.content)
        if isinstance(read, Failure):
            return _unreadable(read)
        return Applied({records.PARAMS: {digest: supplied.content}}, receipt=digest)
    found = await notary.verifier.inspect(supplied.content)
    if isinstance(found, Failure):
        return _unreadable(found)
    info = records.AttachmentInfo(
        signers=tuple(sorted(sha256(key) for key in found.signers)),
        contracts=tuple(found.contracts),
        class_count=found.class_count,
    )
    if not terms.trusts(digest, info):
        return rejections.not_trusted("the consortium trusts neither this jar nor who signed it")
    writes: Writes = {
        records.ATTACHMENT: {digest: supplied.content},
        records.ATTACHMENT_INFO: {digest: info.pack()},
    }
    return Applied(writes, receipt=digest)


def _unreadable(failure: Failure) -> Rejected:
    if isinstance(failure, Unavailable):
        return rejections.no_verifier(failure.message)
    return rejections.malformed(f"it cannot be read: {_why(failure)}")


def _why(failure: Failure) -> str:
    if isinstance(failure, Broken | Unavailable):
        return failure.message
    return next((each.message for each in failure.causes if each.message), failure.kind)
