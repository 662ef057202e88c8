"""Deciding one transaction after the other: the commit rule, the notary's signature, and what is written."""

from __future__ import annotations

import hashlib
from typing import Final

from coco_corda import records, rejections, wire
from coco_corda.commit import CommittedBefore, Conflict, OutOfTime, conflicts, decide
from coco_corda.limits import OUTPUTS_MAX_BYTES, PARTICIPANTS_MAX
from coco_corda.notary_key import SCHEME, NotaryKey, Template
from coco_corda.preparing import Prepared, state_made
from coco_corda.refs import StateRef
from coco_corda.terms import Terms
from coco_core.adapter import Applied, Caller, ReadView, Rejected, Writes, merge
from coco_core.errors import AdapterError

_MS_IN_NS: Final = 1_000_000
_CLAIMS: Final = {True: b"coco.corda.notarised.v1", False: b"coco.corda.recorded.v1"}


def claims(receipt: records.Receipt) -> bytes:
    """Return a transaction's claims digest: with it a receipt of the node's proves that it is committed."""
    return hashlib.sha256(_CLAIMS[receipt.is_notarised] + receipt.tx_id).digest()


class Decider:
    """Decides over a state that grows."""

    def __init__(
        self, state: ReadView, written: Writes, terms: Terms, key: NotaryKey, time_ms: int, seqno: int
    ) -> None:
        """Decide over ``state``, which shows ``written``, at ``time_ms``, from ``seqno`` on."""
        self._state = state
        self._written = written
        self._terms = terms
        self._key = key
        self._time_ms = time_ms
        self._seqno = seqno

    def decide(self, caller: Caller, taken: Prepared, template: Template) -> Applied | Rejected:
        """Return what becomes of a transaction that was verified."""
        claim, fate = taken.claim, taken.fate
        if claim is None or taken.description is None:
            return fate if isinstance(fate, Rejected) else rejections.malformed("it cannot be read")
        receipt = records.receipt_of(self._state, claim.tx_id)
        if receipt is not None:
            return rejections.committed_before(receipt)
        gone = [ref for ref in (*claim.inputs, *claim.references) if not records.has_state(self._state, ref)]
        if gone:
            # Used up, and its bytes are not kept; or made by a transaction that was refused, or by none here.
            consumed = conflicts(claim, self._state)
            if consumed:
                return rejections.conflict(Conflict(claim.tx_id, consumed))
            return rejections.unresolved(gone[0])
        if not isinstance(fate, wire.Verified):
            return fate or rejections.general("it was not verified")
        if any(each.notary.key != self._key.public_key for each in fate.outputs):
            return rejections.invalid("IllegalArgumentException", "an output is another notary's")
        made = [state_made(each, taken.description.network_parameters_hash) for each in fate.outputs]
        if (excess := _excess(taken, made)) is not None:
            return rejections.invalid("IllegalArgumentException", excess)
        verdict = decide(claim, self._state, self._time_ms * _MS_IN_NS)
        if isinstance(verdict, CommittedBefore):
            return rejections.committed_before(verdict.receipt)
        if isinstance(verdict, Conflict):
            return rejections.conflict(verdict)
        if isinstance(verdict, OutOfTime):
            return rejections.out_of_time(verdict)
        return self._granted(caller, taken, made, verdict.writes, template)

    def _granted(
        self, caller: Caller, taken: Prepared, made: list[records.State], writes: Writes, template: Template
    ) -> Applied:
        """Write what a transaction uses up and makes, and sign it where it needs a notary."""
        claim, description = taken.claim, taken.description
        if claim is None or description is None:
            raise AdapterError("a transaction was granted unread")
        receipt = self._receipt(claim.tx_id, template, is_notarised=description.notary_required)
        packed = receipt.pack()
        writes[records.COMMITTED] = {claim.tx_id: packed}
        states: dict[bytes, bytes | None] = {
            StateRef(claim.tx_id, index).key: state.pack() for index, state in enumerate(made)
        }
        if self._terms.keeps_transactions:
            kept = records.Kept(participants=_keys(taken, made), stx=taken.submission.stx)
            writes[records.TX] = {claim.tx_id: kept.pack()}
        else:
            states.update({ref.key: None for ref in claim.inputs})
        writes[records.STATE] = states
        proof = taken.submission.proof
        request = records.RequestRecord(
            tx_id=claim.tx_id,
            caller=f"{caller.kind}:{caller.identity}" if caller.identity else caller.kind,
            signature=b"" if proof is None else proof.pack(),
        )
        writes[records.REQUEST] = {records.seqno_key(self._seqno): request.pack()}
        merge(self._written, writes)
        self._seqno += 1
        return Applied(writes, receipt=packed, claims=claims(receipt))

    def _receipt(self, tx_id: bytes, template: Template, *, is_notarised: bool) -> records.Receipt:
        if not is_notarised:
            return records.Receipt(tx_id=tx_id, time_ms=self._time_ms, is_notarised=False)
        return records.Receipt(
            tx_id=tx_id,
            time_ms=self._time_ms,
            is_notarised=True,
            platform_version=template.platform_version,
            scheme=SCHEME,
            signature=self._key.sign(template, tx_id),
        )


def _keys(taken: Prepared, made: list[records.State]) -> list[bytes]:
    """Return whose a transaction is: who participates in what it uses up or makes."""
    return sorted({key for state in (*taken.states, *made) for key in state.participants})


def _excess(taken: Prepared, made: list[records.State]) -> str | None:
    """Return what is too much of a transaction to be kept. Its contract says who participates."""
    told = sum(len(each.participants) for each in made)
    used = sum(len(each.participants) for each in taken.states)
    is_much = told + used > PARTICIPANTS_MAX
    if is_much and max(told, len(_keys(taken, made))) > PARTICIPANTS_MAX:
        return f"more than {PARTICIPANTS_MAX} participate in what it uses and makes"
    if sum(len(each.output) for each in made) > OUTPUTS_MAX_BYTES:
        return f"its outputs have more than {OUTPUTS_MAX_BYTES} bytes"
    return None
