"""Committed state as participants may read it: their own states and transactions, and nothing of others'."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import orjson

from coco_corda import records
from coco_corda.front.answers import JSON, RefusedError, text64
from coco_corda.front.calls import Call
from coco_corda.front.vaults import Vaults
from coco_corda.limits import PAGE_SIZE_MAX_BYTES, PAGE_STATES, PAGE_STATES_MAX, STATUS_REFS_MAX
from coco_corda.records import Kept, State
from coco_corda.refs import StateRef, hash_text
from coco_core.adapter import LedgerService


class Reading:
    """Questions to the newest committed state of this node."""

    def __init__(self, service: LedgerService, vaults: Vaults) -> None:
        """Read from ``service``; ``vaults`` knows whose states there are."""
        self._service = service
        self._vaults = vaults

    def notary_key(self) -> bytes:
        """Return the notary's key; raises RefusedError before the ledger has begun."""
        row = self._service.view().get(records.NOTARY, records.IDENTITY)
        if row is None:
            raise RefusedError(503, "this node has no ledger yet", retry=True)
        return base64.b64decode(orjson.loads(row)["key"])

    def state(self, ref: StateRef, participant: bytes) -> JSON:
        """Return a state to who participates in it; raises RefusedError."""
        view = self._service.view()
        row = view.get(records.STATE, ref.key)
        # How long reading it would take is nobody else's business.
        if row is None or participant not in State.participants_of(row):
            raise RefusedError(404, "there is no such state, or not for this key")
        found = State.unpack(row)
        is_consumed = records.consumer_of(view, ref) is not None
        return {**_told(ref, found), "status": "consumed" if is_consumed else "unconsumed"}

    def page(self, participant: bytes, after: bytes, call: Call) -> JSON:
        """Return a page of a participant's states."""
        most = max(1, call.number("limit", PAGE_STATES, PAGE_STATES_MAX))
        keys = self._vaults.page(participant, after, most + 1)
        view = self._service.view()
        told: list[JSON] = []
        size = 0
        next_: str | None = None
        for key in keys:
            ref, row = StateRef.of_key(key), view.get(records.STATE, key)
            if len(told) == most or size > PAGE_SIZE_MAX_BYTES:
                next_ = told[-1]["ref"]
                break
            # Used up between the index and this view: it is not theirs any more.
            if row is not None:
                state = State.unpack(row)
                told.append(_told(ref, state))
                size += len(state.output)
        return {"states": told, "seqno": self._vaults.seqno, **({"next": next_} if next_ else {})}

    def statuses(self, refs: Sequence[StateRef]) -> JSON:
        """Return whether states are used up; by which transaction is not told."""
        if not 0 < len(refs) <= STATUS_REFS_MAX:
            raise RefusedError(400, f"expected 1 to {STATUS_REFS_MAX} names of states in 'ref'")
        view = self._service.view()
        told: JSON = {}
        for ref in refs:
            if records.consumer_of(view, ref) is not None:
                told[str(ref)] = "consumed"
            else:
                told[str(ref)] = "unconsumed" if records.has_state(view, ref) else "unknown"
        return {"status": told}

    def transaction(self, tx_id: bytes, participant: bytes) -> Kept:
        """Return a whole transaction to who participates in it; raises RefusedError."""
        row = self._service.view().get(records.TX, tx_id)
        if row is None or participant not in Kept.participants_of(row):
            raise RefusedError(404, "there is no such transaction, or not for this key")
        return Kept.unpack(row)

    def blob(self, map_name: str, digest: bytes) -> bytes:
        """Return an attachment or parameters; raises RefusedError."""
        found = self._service.view().get(map_name, digest)
        if found is None:
            raise RefusedError(404, "nothing of this hash is here")
        return found

    def made(self, ref: StateRef) -> str | None:
        """Return a state's bytes for who is told that it was made; None when they are gone again."""
        found = records.state_of(self._service.view(), ref)
        return None if found is None else text64(found.output)


def _told(ref: StateRef, state: State) -> JSON:
    return {
        "ref": str(ref),
        "state": text64(state.output),
        "networkParametersHash": hash_text(state.params_hash),
    }
