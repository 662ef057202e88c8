"""The auditor of governance: every change of the governance maps had a cause that the rules of then allow.

Told of every entry in order (``note``), it judges those that a signature covers (``judge``) over the tables
as the entries before left them. What came before founding ended is what the founder set: whoever reads
the report says whether that is the consortium agreed on; only its nodes' admissions are judged once more. A
member's request is executed once more, under the constitution in force at that seqno; see ``audit_requests``.

Every failure is a :class:`GovernanceAuditError` that names file, offset, seqno and the rule broken. Pure:
awaits nothing but the runtime of constitutions. Must not know files or how signatures are checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Never

import attrs

from coco_core.crypto import sha256
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance.audit_keys import check_epoch
from coco_core.governance.audit_nodes import NODE_MAPS, check_founders, check_nodes
from coco_core.governance.audit_requests import check_request
from coco_core.governance.audit_rules import Fail, GovernanceAuditError, GovernanceRule
from coco_core.governance.audit_takeover import check_takeover
from coco_core.governance.consortium import read_consortium, read_constitution
from coco_core.governance.json_values import MALFORMED
from coco_core.governance.proposal_tables import read_proposal, read_proposals
from coco_core.governance.recovery_tables import read_epochs
from coco_core.governance.runtime import Runtime
from coco_core.governance.signed_requests import BALLOT
from coco_core.kv import Store, View, Writes, maps
from coco_core.ledger import AuditedEntry

# A founder may have put anything into the tables: what no node could go on with is the ledger's fault here.
_UNREADABLE = (*MALFORMED, AttributeError, IntegrityError, AttestationError, MemberError)
_KEY_MAPS = frozenset({maps.EPOCHS, maps.LEDGER_SECRETS})


@attrs.frozen
class InForce:
    """A constitution and the entries judged by it: those after ``first_seqno``, up to ``last_seqno``."""

    first_seqno: int
    """The entry that set it; where the audit began, if it was in force there."""
    last_seqno: int
    digest: str
    """SHA-256 of its text, in hex."""


@attrs.frozen(kw_only=True)
class GovernanceReport:
    """What an audit of governance established, up to the last entry that a signature covers."""

    last_judged: int
    changes: int
    """How many entries changed a governance map after founding."""
    founded_by: int
    """The last entry of founding; 0 for an audit that began behind it."""
    proposals: Mapping[str, int]
    """How many proposals there are in each state, with those the tables have forgotten since."""
    ballots: int
    """How many were cast in what was read."""
    members: Mapping[str, str]
    """Status by member ID."""
    epochs: int
    constitutions: tuple[InForce, ...]
    """Empty for a service that nobody governs."""


def _failing(entry: AuditedEntry) -> Fail:
    """Return what raises the failure of a rule in an entry."""

    def fail(rule: GovernanceRule, reason: str) -> Never:
        raise GovernanceAuditError(rule, entry.file, entry.offset, entry.txid.seqno, reason)

    return fail


class GovernanceAuditor:
    """One pass over what a ledger says of governance."""

    def __init__(self, runtime: Runtime) -> None:
        """Evaluate constitutions and ballots in ``runtime``."""
        self._runtime = runtime
        self._store = Store(history_versions_max=1)
        self._noted: list[AuditedEntry] = []
        self._signed = 0
        self._founding = True
        self._founded_by = 0
        self._last_judged = 0
        self._signed_at_ms = 0
        self._changes = 0
        self._requests: Counter[str] = Counter()
        self._forgotten: Counter[str] = Counter()
        self._constitutions: list[InForce] = []

    def begin(self, seqno: int, tables: Mapping[str, Mapping[bytes, bytes]]) -> None:
        """Go on from the state at ``seqno``, proven elsewhere; founding lies behind it."""
        kept = {name: dict(values) for name, values in tables.items() if name in maps.GOVERNANCE}
        self._store.restore(seqno, kept)
        self._founding = False
        self._last_judged = seqno
        self._note_constitution(seqno)

    def note(self, entry: AuditedEntry) -> None:
        """Remember an entry until it is judged."""
        changes = {name: keys for name, keys in entry.writes.items() if name in maps.GOVERNANCE}
        if changes or entry.signed_at_s is not None:
            self._noted.append(entry)
            if entry.signed_at_s is not None:
                self._signed = len(self._noted)

    async def judge(self) -> None:
        """Judge what was noted and is covered by a signature; raises GovernanceAuditError."""
        noted, self._noted = self._noted[: self._signed], self._noted[self._signed :]
        self._signed = 0
        waiting: list[AuditedEntry] = []
        for entry in noted:
            if entry.signed_at_s is None:
                waiting.append(entry)
                continue
            window = self._signed_at_ms, entry.signed_at_s * 1000 + 999
            for one in waiting:
                await self._judge(one, window)
            waiting = []
            self._end_founding(entry)
            self._signed_at_ms = entry.signed_at_s * 1000
            self._last_judged = entry.txid.seqno

    def finish(self) -> GovernanceReport:
        """Return what was established; raises GovernanceAuditError for tables that nobody can read."""
        view = self._store.view()
        try:
            return GovernanceReport(
                last_judged=self._last_judged,
                changes=self._changes,
                founded_by=self._founded_by,
                proposals=self._forgotten + Counter(one.state for one in read_proposals(view).values()),
                ballots=self._requests[BALLOT],
                members={name: one.status for name, one in read_consortium(view).items()},
                epochs=len(read_epochs(view)),
                constitutions=tuple(self._in_force()),
            )
        except _UNREADABLE as fault:
            reason = f"what the tables hold cannot be read: {fault!r}"
            raise GovernanceAuditError(GovernanceRule.TABLES, "", 0, self._last_judged, reason) from fault

    # ── one entry ────────────────────────────────────────────────────────────────────────────────

    async def _judge(self, entry: AuditedEntry, window: tuple[int, int]) -> None:
        fail = _failing(entry)
        seqno = entry.txid.seqno
        if not self._founding:
            self._changes += 1
            try:
                await self._check_cause(self._store.view(), entry.writes, window, fail)
            except GovernanceAuditError:
                raise
            except _UNREADABLE as fault:
                fail(GovernanceRule.TABLES, f"what the tables hold cannot be judged: {fault!r}")
        changes = {name: keys for name, keys in entry.writes.items() if name in maps.GOVERNANCE}
        self._note_forgotten(changes.get(maps.PROPOSALS_INFO, {}))
        self._store.append(seqno, changes)
        self._store.commit(seqno)
        if maps.CONSTITUTION in changes:
            self._note_constitution(seqno)
        if self._founding:
            self._founded_by = seqno
            if maps.ADAPTERS in changes:
                self._end_founding(entry)

    async def _check_cause(self, before: View, writes: Writes, window: tuple[int, int], fail: Fail) -> None:
        """Judge an entry behind founding by its cause, which the maps it writes tell."""
        others = sorted(writes.keys() - maps.GOVERNANCE)
        if others:
            fail(GovernanceRule.ALONE, f"an entry that changes governance maps writes {others[0]}, too")
        if maps.COSE_HISTORY in writes:
            request = await check_request(self._runtime, before, writes, window, fail)
            self._requests[request.kind] += 1
        elif maps.SERVICE_INFO in writes:
            check_takeover(before, writes, window, fail)
        elif writes.keys() & _KEY_MAPS:
            check_epoch(before, writes, window, fail)
        elif writes.keys() <= NODE_MAPS:
            check_nodes(before, writes, window, fail)
        else:
            names = ", ".join(sorted(writes.keys() - NODE_MAPS))
            fail(GovernanceRule.CAUSE, f"{names} changes, and no request of a member is in the entry")

    def _note_forgotten(self, records: Mapping[bytes, bytes | None]) -> None:
        """Count the proposals that the tables do not keep any longer."""
        for key, value in records.items():
            if value is None:
                known = read_proposal(self._store.view(), key.decode("ascii", "replace"))
                self._forgotten.update([known.state] if known is not None else [])

    def _end_founding(self, entry: AuditedEntry) -> None:
        """Let the rules hold from here on: founding ends where its ledgers are named, or it is signed."""
        if not self._founding:
            return
        self._founding, self._founded_by = False, entry.txid.seqno
        fail = _failing(entry)
        try:
            check_founders(self._store.view(), fail)
        except GovernanceAuditError:
            raise
        except _UNREADABLE as fault:
            fail(GovernanceRule.TABLES, f"what the founder set cannot be judged: {fault!r}")

    # ── constitutions ────────────────────────────────────────────────────────────────────────────

    def _note_constitution(self, seqno: int) -> None:
        """Note which constitution is in force from behind entry ``seqno`` on."""
        try:
            text = read_constitution(self._store.view())
        except IntegrityError as fault:
            raise GovernanceAuditError(GovernanceRule.TABLES, "", 0, seqno, str(fault)) from fault
        self._constitutions = list(self._in_force(seqno))
        if text is not None:
            self._constitutions.append(InForce(seqno, seqno, sha256(text.encode()).hex()))

    def _in_force(self, until: int | None = None) -> list[InForce]:
        """Return the constitutions so far, the newest in force until ``until``."""
        last = self._last_judged if until is None else until
        return [
            *self._constitutions[:-1],
            *(attrs.evolve(one, last_seqno=max(one.first_seqno, last)) for one in self._constitutions[-1:]),
        ]
