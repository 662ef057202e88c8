"""A governed ledger, written step by step by an honest primary or one that lies, soundly signed either way.

No network and no replica: what is executed, and what is placed, whoever uses it says. Must not know files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from coco_core.adapter import Applied, Outcome
from coco_core.base import TxID
from coco_core.governance import (
    ACTIVE,
    Administration,
    Charter,
    NodeRecord,
    ServiceConfig,
    StarlarkRuntime,
    admission_writes,
    charter_writes,
    escrow_epoch,
    founding_writes,
    node_writes,
    opening_writes,
    policy_writes,
    shipped_constitution,
)
from coco_core.kv import Store, Writes, merge
from coco_core.ledger import IN_PROGRESS_HEADER, EntrySealer, LedgerSigner, MerkleTree
from coco_core.testing.consortium import ADMISSION, POLICY, Consortium
from coco_core.testing.members import NOW_MS, Council, Signatory
from coco_core.testing.stage import SafetyError
from coco_core.testing.tally import Tally


class GovernedLedger:
    """Entries as a primary writes them, each batch closed by a signature a second after the last."""

    def __init__(
        self,
        network: Consortium,
        members: Sequence[Signatory],
        constitution: str | None = "majority",
        *,
        threshold: int = 2,
        also: Writes | None = None,
    ) -> None:
        """Found a service on the first three nodes of ``network``; three ``members`` govern it.

        They do under a shipped constitution, or the text given; with None nobody does. The founder puts
        into the tables what ``also`` says.
        """
        self.network = network
        self.alice, self.bob, self.carol = members
        self._sealer, self._tree = EntrySealer(network.secrets), MerkleTree()
        node = network.identities[0]
        self._signer = LedgerSigner(node.key, node.node_id, node.certificate, network.service.key)
        self._entries: list[bytes] = []
        self.seqno = 0
        self.now_ms = NOW_MS
        first: Writes = founding_writes(
            network.first(3).values(), network.service.certificate, [network.operator]
        )
        merge(first, policy_writes(POLICY))
        merge(
            first,
            escrow_epoch(Store().view(), first_seqno=1, secret=bytes(range(32)), created_ms=0, reason="x"),
        )
        if constitution is not None:
            founders = tuple(one.member(status=ACTIVE) for one in members)
            text = shipped_constitution(constitution) if constitution.isidentifier() else constitution
            config = ServiceConfig(recovery_threshold=threshold)
            merge(first, charter_writes(Charter(members=founders, constitution=text, config=config)))
        merge(first, also if also is not None else {})
        last = opening_writes(
            network.service.certificate, [Tally().manifest], governed=constitution is not None
        )
        administration = Administration(
            ADMISSION,
            network.service.key,
            runtime=StarlarkRuntime(),
            secrets=network.secrets,
            entropy=bytes,
        )
        self.council = Council(administration, {})
        self.place(first, last)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def place(self, *entries: Writes) -> int:
        """Place what was executed, or is said to have been; return the last seqno before the signature."""
        for writes in entries:
            self.append(writes)
            self.council.write(writes)
        placed = self.seqno
        txid = TxID(2, self.seqno + 1)
        self.append(self._signer.writes(self._tree.root(), txid, self._tree.serialise(), self.now_ms // 1000))
        self.now_ms += 1000
        return placed

    def append(self, writes: Writes) -> None:
        """Append one entry that no signature covers yet."""
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
        if not isinstance(outcome, Applied):
            raise SafetyError(f"an honest primary refuses this: {outcome}")
        self.place(outcome.writes)
        return json.loads(outcome.receipt)

    def joining(self, node: NodeRecord) -> Writes:
        """Return the writes by which ``node`` comes in pending, admitted now."""
        writes = node_writes([node])
        merge(writes, admission_writes(self.network.admissions([node.node_id], self.now_ms)))
        return writes

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

    @property
    def file(self) -> tuple[str, bytes]:
        """The ledger as one file in progress."""
        return "ledger_1", IN_PROGRESS_HEADER + b"".join(self._entries)
