"""The notary's commit rule: a state is used up once, and a transaction may always be notarised again.

What Corda's ``PersistentUniquenessProvider`` does under a database transaction, as one question to a view and
one write set. It differs in one case, on purpose: a transaction that is committed already succeeds whatever
happened since. Corda's own fails when a *reference* state was used up meanwhile, which its tests call a known
failure.

Knows identifiers and maps, no transactions: whoever asks has verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import attrs

from coco_corda import records
from coco_corda.refs import StateRef, rehash
from coco_core.adapter import ReadView, Writes


@attrs.frozen
class TimeWindow:
    """When a transaction may be notarised, ``start <= now < end``, in nanoseconds of Unix time.

    None is no bound at that end.
    """

    start_ns: int | None = None
    end_ns: int | None = None

    def contains(self, now_ns: int) -> bool:
        """Return whether ``now_ns`` is within."""
        return (self.start_ns is None or self.start_ns <= now_ns) and (
            self.end_ns is None or now_ns < self.end_ns
        )


class ConsumedAs(Enum):
    """How the refused transaction wanted to use a state that is used up."""

    INPUT_STATE = "INPUT_STATE"
    REFERENCE_INPUT_STATE = "REFERENCE_INPUT_STATE"


@attrs.frozen
class Consumption:
    """What is told of a state that is used up; never by which transaction."""

    tx_id_hash: bytes
    consumed_as: ConsumedAs


@attrs.frozen(kw_only=True)
class Claim:
    """What a transaction wants of the notary."""

    tx_id: bytes
    inputs: Sequence[StateRef] = ()
    references: Sequence[StateRef] = ()
    time_window: TimeWindow | None = None


@attrs.frozen
class Granted:
    """Nothing stands against it: ``writes`` use its inputs up."""

    writes: Writes


@attrs.frozen
class CommittedBefore:
    """It was committed; ``receipt`` is what was answered."""

    receipt: bytes


@attrs.frozen
class Conflict:
    """States it wants are used up (Corda's ``NotaryError.Conflict``)."""

    tx_id: bytes
    consumed: Mapping[StateRef, Consumption]


@attrs.frozen
class OutOfTime:
    """It is not the time for it (Corda's ``NotaryError.TimeWindowInvalid``)."""

    now_ns: int
    time_window: TimeWindow


Verdict = Granted | CommittedBefore | Conflict | OutOfTime


def decide(claim: Claim, state: ReadView, now_ns: int) -> Verdict:
    """Return what becomes of a claim over ``state`` at ``now_ns``; a conflict goes before a wrong time."""
    receipt = records.receipt_of(state, claim.tx_id)
    if receipt is not None:
        return CommittedBefore(receipt)
    consumed = conflicts(claim, state)
    if consumed:
        return Conflict(claim.tx_id, consumed)
    if claim.time_window is not None and not claim.time_window.contains(now_ns):
        return OutOfTime(now_ns, claim.time_window)
    return Granted({records.CONSUMED: {each.key: claim.tx_id for each in claim.inputs}})


def conflicts(claim: Claim, state: ReadView) -> dict[StateRef, Consumption]:
    """Return the states of a claim that are used up."""
    found: dict[StateRef, Consumption] = {}
    wanted = (
        (claim.references, ConsumedAs.REFERENCE_INPUT_STATE),
        # Last, so that a state wanted both ways counts as an input.
        (claim.inputs, ConsumedAs.INPUT_STATE),
    )
    for refs, consumed_as in wanted:
        for ref in refs:
            by = records.consumer_of(state, ref)
            if by is not None:
                found[ref] = Consumption(rehash(by), consumed_as)
    return found
