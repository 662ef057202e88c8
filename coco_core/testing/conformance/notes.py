"""What the kit noted while it watched an adapter at work.

The law: one kind of fault is one standard test's business. What is noted is put right before the pipeline
sees it, so that an adapter with one fault fails one test, and its author reads one message.
"""

from __future__ import annotations

from enum import StrEnum

import attrs


class Kind(StrEnum):
    """What an adapter may do wrong in a single call."""

    RAISES = "execute raises"
    ENDLESS = "execute does not return"
    OUTCOMES = "not one outcome for each request"
    FOREIGN_WRITES = "writes a map that is not its own"
    FOREIGN_READS = "reads a map that is not its own"
    WRITES = "writes something else than bytes"
    BOUNDS = "goes beyond a bound"
    CLAIMS = "claims no digest"
    REJECTIONS = "refuses without saying why"
    DEFERRED_FIRST = "defers before it applied anything"
    CLOSING = "closes where nothing was applied"
    MUTATES = "changes what it was handed"
    LATE_READS = "reads state after it was done"
    GENESIS = "genesis breaks the contract"
    COMMITTED_RAISES = "raises when told what is committed"
    COMMITTED_SUBMITS = "submits while it is told what is committed"
    SERVE = "does not serve until cancelled"


@attrs.define
class Notes:
    """Faults in the order in which they were seen, and how long the adapter took when told of commits."""

    faults: list[tuple[Kind, str]] = attrs.field(factory=list)
    committed_s: list[float] = attrs.field(factory=list)

    def note(self, kind: Kind, message: str) -> None:
        """Note a fault."""
        self.faults.append((kind, message))

    def of(self, kind: Kind) -> list[str]:
        """Return what was noted of one kind, each message once."""
        return list(dict.fromkeys(message for one, message in self.faults if one is kind))

    @property
    def kinds(self) -> frozenset[Kind]:
        """Return the kinds of fault that were seen."""
        return frozenset(kind for kind, _ in self.faults)
