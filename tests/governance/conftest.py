"""A governed ledger of an honest primary, or one that lies, and what the auditors say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coco_core.governance import GovernanceAuditError, GovernanceReport
from coco_core.ledger import AuditedEntry, LedgerAuditor
from coco_core.testing import Consortium
from coco_core.testing.auditing import audit_all
from coco_core.testing.governed_ledger import GovernedLedger
from coco_core.testing.members import Signatory

NETWORK = Consortium.of(6)
MEMBERS = tuple(Signatory.make(name) for name in ("alice", "bob", "carol"))


class AuditedLedger(GovernedLedger):
    """Audited by the production auditors."""

    def audit(self) -> GovernanceReport:
        """Audit under the ledger's own rules and those of governance."""
        _, report = audit_all([self.file], service_cert_pem=self.network.service.certificate)
        return report

    def watched(self) -> list[AuditedEntry]:
        """Return every entry as the ledger's auditor tells of it."""
        found: list[AuditedEntry] = []
        LedgerAuditor(watch=found.append).read_chunk(*self.file)
        return found

    def refused(self, rule: str, seqno: int) -> GovernanceAuditError:
        """Audit, and expect that rule to be named for that entry."""
        with pytest.raises(GovernanceAuditError) as caught:
            self.audit()
        assert (caught.value.rule, caught.value.seqno) == (rule, seqno), caught.value
        assert f"seqno {seqno}: [{rule}]" in str(caught.value)
        return caught.value


@pytest.fixture
def governed() -> Callable[..., AuditedLedger]:
    """Return how a ledger begins: under a shipped constitution, a text, or None."""

    def begin(constitution: str | None = "majority", **config: Any) -> AuditedLedger:
        return AuditedLedger(NETWORK, MEMBERS, constitution, **config)

    return begin
