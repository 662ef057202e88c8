"""A governed ledger written step by step by an honest primary, or by one that lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from coco_core.adapter import Applied, Outcome
from coco_core.base import TxID
from coco_core.crypto import read_certificate
from coco_core.governance import (
    ACTIVE,
    Administration,
    GovernanceAuditError,
    GovernanceAuditor,
    GovernanceReport,
    ServiceConfig,
    StarlarkRuntime,
    charter_writes,
    escrow_epoch,
    founding_writes,
    opening_writes,
    shipped_constitution,
)
from coco_core.governance.consortium import Charter
from coco_core.kv import Store, Writes, merge
from coco_core.ledger import (
    IN_PROGRESS_HEADER,
    AuditedEntry,
    EntrySealer,
    LedgerAuditor,
    LedgerSigner,
    MerkleTree,
)
from coco_core.testing import Consortium, Tally
from coco_core.testing.cluster import run_at_once
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import NOW_MS, Council, Signatory

NETWORK = Consortium.of(6)
MEMBERS = tuple(Signatory.make(name) for name in ("alice", "bob", "carol"))


class GovernedLedger:
    """Entries as a primary writes them, each batch closed by a signature a second after the last."""

    def __init__(self, constitution: str | None = "majority", *, threshold: int = 2) -> None:
        self.network = NETWORK
        self.alice, self.bob, self.carol = MEMBERS
        self._sealer, self._tree = EntrySealer(NETWORK.secrets), MerkleTree()
        node = NETWORK.identities[0]
        self._signer = LedgerSigner(node.key, node.node_id, node.certificate, NETWORK.service.key)
        self._entries: list[bytes] = []
        self.seqno = 0
        self.now_ms = NOW_MS
        first: Writes = founding_writes(
            NETWORK.first(3).values(), NETWORK.service.certificate, [NETWORK.operator]
        )
        merge(
            first,
            escrow_epoch(Store().view(), first_seqno=1, secret=bytes(range(32)), created_ms=0, reason="x"),
        )
        if constitution is not None:
            members = tuple(one.member(status=ACTIVE) for one in MEMBERS)
            text = shipped_constitution(constitution) if constitution.isidentifier() else constitution
            config = ServiceConfig(recovery_threshold=threshold)
            merge(first, charter_writes(Charter(members=members, constitution=text, config=config)))
        last = opening_writes(
            NETWORK.service.certificate, [Tally().manifest], governed=constitution is not None
        )
        administration = Administration(
            ADMISSION,
            NETWORK.service.certificate,
            runtime=StarlarkRuntime(),
            secrets=NETWORK.secrets,
            entropy=bytes,
        )
        self.council = Council(administration, {})
        self.place(first, last)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def place(self, *entries: Writes) -> int:
        """Place what was executed, or is said to have been; return the last seqno before the signature."""
        for writes in entries:
            self._append(writes)
            self.council.write(writes)
        placed = self.seqno
        txid = TxID(2, self.seqno + 1)
        self._append(
            self._signer.writes(self._tree.root(), txid, self._tree.serialise(), self.now_ms // 1000)
        )
        self.now_ms += 1000
        return placed

    def _append(self, writes: Writes) -> None:
        self.seqno += 1
        sealed = self._sealer.seal(TxID(2, self.seqno), writes)
        self._tree.append(sealed.leaf)
        self._entries.append(sealed.raw)

    def executed(self, path: str, message: bytes) -> Outcome:
        """Execute a request, and place nothing."""
        return self.council.executed(path, message, now_ms=self.now_ms)

    def post(self, path: str, message: bytes) -> Any:
        """Execute a request that is granted, and place it; return the answer."""
        outcome = self.executed(path, message)
        assert isinstance(outcome, Applied), outcome
        self.place(outcome.writes)
        return json.loads(outcome.receipt)

    def propose(self, member: Signatory, *actions: Mapping[str, Any]) -> str:
        """Propose, and return the proposal's ID."""
        answer = self.post("/gov/members/proposals:create", self.proposal(member, *actions))
        return str(answer["proposalId"])

    def proposal(self, member: Signatory, *actions: Mapping[str, Any]) -> bytes:
        """Return a proposal made now, signed."""
        return member.sign("proposal", {"actions": list(actions)}, created_at_s=self.now_ms // 1000)

    def vote(self, member: Signatory, proposal_id: str, ballot: Any = True) -> str:
        """Vote, and return the proposal's state."""
        return str(self.post(*self.ballot(member, proposal_id, ballot))["proposalState"])

    def ballot(self, member: Signatory, proposal_id: str, ballot: Any = True) -> tuple[str, bytes]:
        """Return where a ballot is posted, and the ballot."""
        payload = {"vote": ballot} if isinstance(ballot, bool) else {"ballot": ballot}
        path = f"/gov/members/proposals/{proposal_id}/ballots/{member.member_id}:submit"
        return path, member.sign("ballot", payload, proposal_id=proposal_id)

    def decide(self, *actions: Mapping[str, Any]) -> str:
        """Have Alice propose, and Alice and Bob agree; return how it ended."""
        name = self.propose(self.alice, *actions)
        self.vote(self.alice, name)
        return self.vote(self.bob, name)

    def acknowledge(self, member: Signatory) -> None:
        """Make a member active."""
        path = f"/gov/members/state-digests/{member.member_id}"
        digest = self.post(f"{path}:update", member.sign("state_digest", b"{}"))["stateDigest"]
        self.post(f"{path}:ack", member.sign("ack", {"state_digest": digest}))

    # ── auditing ─────────────────────────────────────────────────────────────────────────────────

    def audit(self) -> GovernanceReport:
        """Audit the ledger, as files, under its own rules and those of governance."""
        governance = GovernanceAuditor(StarlarkRuntime())
        auditor = LedgerAuditor(watch=governance.note)
        auditor.read_chunk("ledger_1", IN_PROGRESS_HEADER + b"".join(self._entries))
        run_at_once(governance.judge())
        auditor.finish(read_certificate(NETWORK.service.certificate))
        return governance.finish()

    def watched(self) -> list[AuditedEntry]:
        """Return every entry as the ledger's auditor tells of it."""
        found: list[AuditedEntry] = []
        auditor = LedgerAuditor(watch=found.append)
        auditor.read_chunk("ledger_1", IN_PROGRESS_HEADER + b"".join(self._entries))
        return found

    def refused(self, rule: str, seqno: int) -> GovernanceAuditError:
        """Audit, and expect that rule to be named for that entry."""
        with pytest.raises(GovernanceAuditError) as caught:
            self.audit()
        assert (caught.value.rule, caught.value.seqno) == (rule, seqno), caught.value
        assert f"seqno {seqno}: [{rule}]" in str(caught.value)
        return caught.value


@pytest.fixture
def governed() -> Callable[..., GovernedLedger]:
    """Return how a ledger begins: under a shipped constitution, or None."""
    return GovernedLedger
