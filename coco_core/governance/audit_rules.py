"""What the auditor insists on of governance, by name: nothing changes without a cause the rules allow."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Never

from coco_core.errors import IntegrityError


class GovernanceRule(enum.Enum):
    """One rule of a ledger that is governed as it says; the value is the code an error carries."""

    CAUSE = "governance-cause"
    """After founding, only requests, joins, changes of nodes, epochs and recovery write governance maps."""
    ALONE = "governance-alone"
    """An entry that changes a governance map has one cause, and writes nothing that is not part of it."""
    TABLES = "governance-tables"
    """Governance maps hold what they should, in our form."""
    REQUEST = "member-request"
    """A request is signed by a member of that moment, valid then, for exactly what it is used for."""
    REPLAY = "member-replay"
    """A request is made once; a proposal is new among those remembered, and not from the future."""
    NOT_ALLOWED = "request-not-allowed"
    """The request could be granted: its proposal was open, its ballot new, its member active, and so on."""
    CONSTITUTION = "constitution"
    """The constitution in force answers what it is asked, within the bounds of a run."""
    PROPOSAL = "proposal-state"
    """A proposal's record follows from its ballots under the constitution in force."""
    TIME = "governance-time"
    """Times in the tables lie between those of the signatures around the entry."""
    EFFECT = "request-effect"
    """A request writes what executing it once more writes; of keys and secrets, as many and for the same."""
    JOIN = "node-join"
    """A node that asks to join comes in pending, under a certificate of the service, and its evidence passes
    the policy in force once more, as that of the first nodes and of who recovers does; its old entry goes."""
    MEMBERSHIP = "node-membership"
    """Nodes are trusted and retired by the change under way, that an operator or proposal began."""
    EPOCH = "ledger-epoch"
    """Epochs follow each other, each begun in an entry of its own or by a request."""
    SERVICE = "service-change"
    """The service's identity and status change by proposal or recovery."""


class GovernanceAuditError(IntegrityError):
    """A ledger is not governed as it says; names the rule broken, and where."""

    def __init__(self, rule: GovernanceRule, file: str, offset: int, seqno: int, reason: str) -> None:
        super().__init__(f"{file} offset {offset} seqno {seqno}: [{rule.value}] {reason}")
        self.rule = rule.value
        self.file = file
        self.offset = offset
        self.seqno = seqno
        self.reason = reason


Fail = Callable[[GovernanceRule, str], Never]
"""Raises GovernanceAuditError for the entry that is judged."""
