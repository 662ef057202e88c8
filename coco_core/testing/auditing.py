"""The production auditors over a ledger in memory: its own rules, and those of governance."""

from __future__ import annotations

from collections.abc import Iterable

from coco_core.crypto import read_certificate
from coco_core.governance import GovernanceAuditor, GovernanceReport, StarlarkRuntime
from coco_core.ledger import AuditReport, LedgerAuditor, LedgerSecrets, Snapshot
from coco_core.testing.at_once import run_at_once


def audit_all(
    chunks: Iterable[tuple[str, bytes]],
    *,
    service_cert_pem: str,
    secrets: LedgerSecrets | None = None,
    start: Snapshot | None = None,
) -> tuple[AuditReport, GovernanceReport]:
    """Audit like ``ledger.audit``, and governance with it; raises what either auditor raises."""
    governance = GovernanceAuditor(StarlarkRuntime())
    auditor = LedgerAuditor(secrets, governance.note)
    if start is not None:
        auditor.begin(start)
        governance.begin(start.place.txid.seqno, start.maps)
    for name, data in chunks:
        auditor.read_chunk(name, data)
        run_at_once(governance.judge())
    return auditor.finish(read_certificate(service_cert_pem)), governance.finish()
