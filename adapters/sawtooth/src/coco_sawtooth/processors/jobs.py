"""A transaction on its way through processors. Knows nothing of who processes it."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context

Family: TypeAlias = tuple[str, str]
"""Name and version of a transaction family."""


@attrs.define(eq=False)
class Job:
    """One transaction to be processed, and what was tried so far."""

    transaction: Transaction
    context: Context = attrs.field(repr=False)
    """Used by one thread at a time."""
    errors: int = 0
    """Internal errors it was answered with."""
    crashes: int = 0
    """Processors that ended while they had it."""
    moves: int = 0
    """Times it was taken from a processor that it had done nothing to."""
    alone: bool = False
    """Whether it is given only to a processor that has nothing else: it may be what ended another one."""
    done: bool = False
    """Whether it has a result, or nobody waits for one."""
    family: Family = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Look the family up once."""
        self.family = self.transaction.family


@attrs.define(eq=False)
class Attempt:
    """One try of one processor at a job."""

    family: Family
    context_id: str
    sent_ms: int
    deadline_ms: int
    """When it must be answered even if the processor does its transactions one by one."""
    job: Job | None
    """None when its result no longer counts; it still occupies the processor."""
    fault: str = ""
    """Why it is invalid whatever the processor says."""
