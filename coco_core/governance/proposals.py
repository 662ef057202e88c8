"""Proposals and ballots: what members sign, what the constitution says of it, and what it changes.

The law: a proposal is made, voted on and carried out only by what its members signed, under the
constitution in force at that moment. Whatever is decisive (a proposal, a ballot) and what is decided
become one entry. A proposal ends as **Accepted**, **Rejected**, **Withdrawn** (by its proposer), **Failed**
(accepted, and could not be carried out: nothing of it counts) or **Dropped** (the rules changed meanwhile).
The tables keep the newest that ended, the ledger all.

Every step refuses by raising RefusedError with a code; then nothing is written. Paths and messages are those
of CCF's governance API, so that its tools sign for this service. Must not know who asked over which wire.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import attrs
import orjson

from coco_core.base import limits
from coco_core.crypto import sha256
from coco_core.errors import IntegrityError, MemberError, ScriptError
from coco_core.governance.actions import Planned, carry_out, check_proposed, plan
from coco_core.governance.consortium import (
    ACTIVE,
    Charter,
    Member,
    charter_writes,
    member_writes,
    read_consortium,
    read_constitution,
)
from coco_core.governance.decision import Deal, Decision
from coco_core.governance.member_requests import (
    Moment,
    Signed,
    match_path,
    open_proposal,
    open_request,
    read_ballot,
    read_content,
    read_object,
    refuse_ahead,
    remembered,
    require_active,
)
from coco_core.governance.membership import founding_writes
from coco_core.governance.proposal_tables import (
    DECIDED,
    DROPPED,
    FAILED,
    PROPOSED,
    REJECTED,
    WITHDRAWN,
    Proposal,
    forgotten_proposals,
    proposal_writes,
    read_proposals,
    service_state,
)
from coco_core.governance.refusal import RefusedError
from coco_core.governance.runtime import JSON, Runtime
from coco_core.governance.shipped import BALLOT_FUNCTIONS, CONSTITUTION_FUNCTIONS
from coco_core.governance.signed_requests import BALLOT, PROPOSAL, STATE_DIGEST, WITHDRAWAL
from coco_core.kv import Store, View, Writes, maps, merge

_NO_PROPOSAL = "0" * 64


class Governance:
    """Executes what members signed."""

    def __init__(self, runtime: Runtime, deal: Deal) -> None:
        """Evaluate texts in ``runtime``; ``deal`` deals shares of the secrets."""
        self._runtime = runtime
        self._deal = deal

    async def execute(self, path: str, message: bytes, moment: Moment) -> tuple[Writes, JSON]:
        """Return the writes of one signed request and the answer; raises RefusedError."""
        kind, names = match_path(path)
        signed = open_request(message, kind, names, moment)
        if kind == PROPOSAL:
            writes, answer = await self._propose(signed)
        elif kind == BALLOT:
            writes, answer = await self._vote(signed)
        elif kind == WITHDRAWAL:
            writes, answer = _withdraw(signed)
        elif kind == STATE_DIGEST:
            writes, answer = _update_digest(signed)
        else:
            writes, answer = self._acknowledge(signed)
        if maps.PROPOSALS_INFO in writes:
            merge(writes, forgotten_proposals(signed.view.over(writes)))
        history = {signed.request.member_id.encode(): json.dumps(base64.b64encode(message).decode()).encode()}
        merge(writes, {maps.COSE_HISTORY: history})
        return writes, answer

    # ── proposing and voting ─────────────────────────────────────────────────────────────────────

    async def _propose(self, signed: Signed) -> tuple[Writes, JSON]:
        request, view = signed.request, signed.view
        require_active(signed)
        writes = remembered(signed)
        proposal = read_content(request.payload)
        constitution = _constitution(view)
        proposers = [one.proposer_id for one in read_proposals(view).values() if one.state == PROPOSED]
        if proposers.count(request.member_id) >= limits.MEMBERS_OPEN_PROPOSALS_MAX:
            raise RefusedError("too-many-proposals", "this member has too many open proposals: withdraw some")
        open_ones = len(proposers)
        if open_ones >= limits.OPEN_PROPOSALS_MAX:
            raise RefusedError("too-many-proposals", f"{open_ones} proposals are open already")
        proposal_id = sha256(b"coco proposal v1" + request.signed).hex()
        fault = await self._asked(constitution, "validate", [proposal], view, proposal_id)
        if fault is not None:
            raise RefusedError("invalid-proposal", f"the constitution says: {str(fault)[:1000]}")
        planned = await self._planned(constitution, proposal, view, proposal_id)
        try:
            check_proposed(planned, view)
        except MemberError as error:
            raise RefusedError("invalid-proposal", str(error)) from error
        made = Proposal(
            proposal_id=proposal_id,
            proposer_id=request.member_id,
            state=PROPOSED,
            ballots={},
            created_at_ms=signed.moment.time_ms,
        )
        merge(writes, {maps.PROPOSALS: {proposal_id.encode(): request.payload}})
        return await self._resolve(made, proposal, signed, writes)

    async def _vote(self, signed: Signed) -> tuple[Writes, JSON]:
        request, view = signed.request, signed.view
        require_active(signed)
        proposal = open_proposal(signed)
        if request.member_id in proposal.ballots:
            raise RefusedError("already-voted", "this member has voted on the proposal already")
        ballot = read_ballot(request.payload)
        if "ballot" in ballot:
            try:
                await self._runtime.check(str(ballot["ballot"]), BALLOT_FUNCTIONS)
            except ScriptError as error:
                raise RefusedError(f"ballot-{error.code}", f"the ballot: {error}") from error
        proposal = attrs.evolve(proposal, ballots={**proposal.ballots, request.member_id: ballot})
        payload = view.get(maps.PROPOSALS, proposal.proposal_id.encode())
        if payload is None:
            raise IntegrityError(f"{maps.PROPOSALS}: proposal {proposal.proposal_id} is missing")
        return await self._resolve(proposal, read_content(payload), signed, {})

    async def _resolve(
        self, proposal: Proposal, content: JSON, signed: Signed, writes: Writes
    ) -> tuple[Writes, JSON]:
        """Ask the constitution what it makes of the votes, and carry out what it accepts."""
        view = signed.view
        constitution = _constitution(view)
        members = read_consortium(view)
        votes, failures = await self._votes(proposal, content, members, view)
        known = _as_seen(members)
        cast: JSON = [{"member_id": name, "vote": vote} for name, vote in votes.items()]
        args: list[JSON] = [content, proposal.proposer_id, cast, known]
        state = await self._asked(constitution, "resolve", args, view, proposal.proposal_id)
        if state not in (PROPOSED, DECIDED, REJECTED):
            raise RefusedError(
                "constitution-result", f"resolve returned {str(state)[:40]!r}, not Open, Accepted or Rejected"
            )
        proposal = attrs.evolve(proposal, state=state)
        if state != PROPOSED:
            proposal = attrs.evolve(
                proposal,
                decided_at_ms=signed.moment.time_ms,
                final_votes=votes,
                vote_failures=failures or None,
            )
        if state == DECIDED:
            proposal = await self._carry_out(proposal, content, signed, writes)
        merge(writes, proposal_writes(proposal))
        return writes, proposal.to_json()

    async def _carry_out(self, proposal: Proposal, content: JSON, signed: Signed, writes: Writes) -> Proposal:
        moment = signed.moment
        decision = Decision(
            base=moment.view.over(writes),
            proposal_id=proposal.proposal_id,
            proposer=proposal.proposer_id,
            time_ms=moment.time_ms,
            deal=self._deal,
            begin_epoch=moment.begin_epoch,
            renew=moment.renew,
        )
        try:
            constitution = _constitution(moment.view)
            planned = await self._planned(constitution, content, moment.view, proposal.proposal_id)
            carry_out(planned, decision)
            if decision.drops_others:
                await self.try_constitution(decision.view)
            # Last, because who audits cannot tell what was drawn from entropy and then thrown away.
            decided = decision.finish()
        except (MemberError, RefusedError) as error:
            code = f"{error.code}: " if isinstance(error, RefusedError) else ""
            return attrs.evolve(proposal, state=FAILED, failure=f"{code}{error}"[:1000])
        merge(writes, decided)
        if decision.drops_others:
            for other in read_proposals(moment.view).values():
                if other.state == PROPOSED and other.proposal_id != proposal.proposal_id:
                    dropped = attrs.evolve(other, state=DROPPED, decided_at_ms=moment.time_ms)
                    merge(writes, proposal_writes(dropped))
        return proposal

    async def try_constitution(self, view: View) -> None:
        """Raise unless the new constitution can at least judge a proposal: else nobody could change it."""
        text = _constitution(view)
        consortium = read_consortium(view)
        members, proposer = _as_seen(consortium), next(iter(consortium))
        sample: JSON = {"actions": [{"name": "set_constitution", "args": {"constitution": text}}]}
        everybody: JSON = [
            {"member_id": name, "vote": True} for name, one in consortium.items() if one.status == ACTIVE
        ]
        try:
            await self._runtime.check(text, CONSTITUTION_FUNCTIONS)
            fault = await self._asked(text, "validate", [sample], view, _NO_PROPOSAL)
            first = await self._asked(text, "resolve", [sample, proposer, [], members], view, _NO_PROPOSAL)
            last = await self._asked(
                text, "resolve", [sample, proposer, everybody, members], view, _NO_PROPOSAL
            )
        except ScriptError as error:
            raise RefusedError(f"constitution-{error.code}", str(error)) from error
        if fault is not None or first not in (PROPOSED, DECIDED) or last != DECIDED:
            raise RefusedError(
                "constitution-final", "it would not let itself be replaced, though all active members want it"
            )
        await self._planned(text, sample, view, _NO_PROPOSAL)

    async def _votes(
        self, proposal: Proposal, content: JSON, members: Mapping[str, Member], view: View
    ) -> tuple[dict[str, bool], dict[str, str]]:
        """Return each present member's vote; a ballot that fails counts as no, and why is kept."""
        service = service_state(view, proposal.proposal_id)
        votes: dict[str, bool] = {}
        failures: dict[str, str] = {}
        for name, ballot in proposal.ballots.items():
            if name not in members or not isinstance(ballot, Mapping):
                continue
            if "vote" in ballot:
                votes[name] = ballot["vote"] is True
                continue
            try:
                args: list[JSON] = [content, proposal.proposer_id]
                votes[name] = await self._runtime.call(str(ballot["ballot"]), "vote", args, service) is True
            except ScriptError as error:
                votes[name] = False
                failures[name] = str(error)[:500]
        return votes, failures

    async def _planned(
        self, constitution: str, proposal: JSON, view: View, proposal_id: str
    ) -> Sequence[Planned]:
        actions = await self._asked(constitution, "apply", [proposal], view, proposal_id)
        try:
            return plan(actions)
        except MemberError as error:
            raise RefusedError("invalid-proposal", str(error)) from error

    async def _asked(
        self, constitution: str, function: str, args: Sequence[JSON], view: View, proposal_id: str
    ) -> JSON:
        try:
            return await self._runtime.call(constitution, function, args, service_state(view, proposal_id))
        except ScriptError as error:
            raise RefusedError(f"constitution-{error.code}", f"{function}: {error}") from error

    # ── joining the consortium ───────────────────────────────────────────────────────────────────

    def _acknowledge(self, signed: Signed) -> tuple[Writes, JSON]:
        """Make a member active that says which state it saw; the state holds the constitution."""
        name = signed.request.member_id
        asked = signed.view.get(maps.MEMBERS_ACKS, name.encode())
        if asked is None:
            raise RefusedError("no-state-digest", "ask for the state digest first (:update)")
        said = read_object(signed.request.payload).get("state_digest")
        row = orjson.loads(asked)
        if row["signed_req"] is not None:
            raise RefusedError("replay", "acknowledged already: ask for a newer digest")
        expected = row["state_digest"]
        if said != expected:
            raise RefusedError("other-state", f"the state to acknowledge is {expected}")
        writes = member_writes(attrs.evolve(signed.member, status=ACTIVE))
        row["signed_req"] = base64.b64encode(signed.raw).decode()
        merge(writes, {maps.MEMBERS_ACKS: {name.encode(): json.dumps(row).encode()}})
        if signed.member.status != ACTIVE and signed.member.encryption_key is not None:
            decision = Decision(
                base=signed.view.over(writes),
                proposal_id="",
                proposer=name,
                time_ms=signed.moment.time_ms,
                deal=self._deal,
                begin_epoch=signed.moment.begin_epoch,
                renew=signed.moment.renew,
            )
            decision.deal_shares()
            merge(writes, decision.finish())
        return writes, {"memberId": name, "stateDigest": expected}


async def try_founding(runtime: Runtime, charter: Charter, service_certificate: str) -> None:
    """Try the constitution a service is to begin with, as one that replaces another is tried.

    Founding members count as active, as all of them may become. Raises MemberError saying what is wrong.
    """
    members = tuple(attrs.evolve(one, status=ACTIVE) for one in charter.members)
    writes = founding_writes([], service_certificate)
    merge(writes, charter_writes(attrs.evolve(charter, members=members)))
    tables = Store()
    tables.append(1, writes)
    try:
        await Governance(runtime, _no_shares).try_constitution(tables.head())
    except RefusedError as error:
        raise MemberError(f"{error.code}: {error}") from error


def _no_shares(_view: View, _holders: Mapping[str, str], _threshold: int) -> Writes:
    raise MemberError("no shares are dealt before there is a service")


def _withdraw(signed: Signed) -> tuple[Writes, JSON]:
    proposal = open_proposal(signed)
    if proposal.proposer_id != signed.request.member_id:
        raise RefusedError("not-proposer", "only who made a proposal withdraws it")
    proposal = attrs.evolve(proposal, state=WITHDRAWN, decided_at_ms=signed.moment.time_ms)
    return proposal_writes(proposal), proposal.to_json()


def _update_digest(signed: Signed) -> tuple[Writes, JSON]:
    """Note which state a member is to acknowledge."""
    name, created = signed.request.member_id, signed.request.created_at_s
    row = signed.view.get(maps.MEMBERS_ACKS, name.encode())
    if row is not None and created <= orjson.loads(row)["created_at"]:
        raise RefusedError("replay", "this member asked later already")
    refuse_ahead(signed.request, signed.moment.time_ms)
    digest = signed.moment.state_digest()
    record = {"state_digest": digest, "signed_req": None, "created_at": created}
    writes: Writes = {maps.MEMBERS_ACKS: {name.encode(): json.dumps(record).encode()}}
    return writes, {"memberId": name, "stateDigest": digest}


def _constitution(view: View) -> str:
    text = read_constitution(view)
    if text is None:
        raise RefusedError("not-governed", "this service was founded without members and a constitution")
    return text


def _as_seen(members: Mapping[str, Member]) -> JSON:
    """Return the members as a constitution sees them."""
    return {
        name: {"status": one.status, "member_data": one.data, "recovery_role": None}
        for name, one in members.items()
    }
