"""What the framework's conformance kit needs to know of Corda: real transactions of R3's contracts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from coco_corda import records
from coco_corda.identity import NAME
from coco_corda.payloads import Attachment, Parameters, Submission, decode, encode
from coco_corda.plugin import adapter
from coco_corda.refs import hashes_text
from coco_corda.shell import Workers, find_launch
from coco_corda.workloads import NUMBERED, Samples, find_samples
from coco_core.adapter import HTTPRequest, LedgerAdapter, ReadView
from coco_core.errors import MalformedError, OperatorError
from coco_core.testing.conformance import Configured, LedgerHarness, get, post

_OCTETS: Final = "application/octet-stream"


@functools.cache
def _samples() -> Samples:
    found = find_samples(NUMBERED)
    if isinstance(found, str):
        raise OperatorError(f"the ledger cannot be judged here: {found}")
    return found


@functools.cache
def _workers() -> Workers:
    """Return JVM workers that all adapters of this process share: they hold no state, and start slowly."""
    return Workers(find_launch({"verify_seconds": 60}))


class CordaHarness(LedgerHarness):
    """Cash that is issued and moved, over a genesis with some of it."""

    name = NAME

    def make(self) -> LedgerAdapter:
        """Return a new adapter on the workers of this process."""
        return adapter(_workers(), keeps=False)

    def genesis(self) -> Mapping[str, Any]:
        """Begin with the states that conflicting transactions want."""
        return _samples().genesis(NUMBERED)

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return a genesis with a name that is none, and other faults."""
        good = self.genesis()
        return {
            "notary_name": {**good, "notary_name": "nobody"},
            "notary_seed": {**good, "notary_seed": "00"},
            "keeps": {**good, "keeps": "nothing"},
            "attachments": {**good, "attachments": ["bm8gamFy"]},
            "network_parameters": {**good, "network_parameters": ["?"]},
            "trusted_signers": {**good, "trusted_signers": ["?"]},
            "states": {**good, "states": [{"ref": "?"}]},
        }

    def valid(self, number: int) -> bytes:
        """Issue money within a time window, for which the notary has to sign."""
        return _transaction(f"valid-{number}")

    def rejected(self, number: int) -> bytes:
        """Issue somebody else's money: the contract itself refuses."""
        return _transaction(f"rejected-{number}")

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two moves of one state."""
        return _transaction(f"left-{number}"), _transaction(f"right-{number}")

    def malformed(self) -> Sequence[bytes]:
        """Return what is no request, no transaction in one, one that is cut off, and no jar."""
        stx = _samples()["issue"]
        return [
            b"nonsense",
            b"\xff",
            encode(Submission(stx=b"no transaction")),
            encode(Submission(stx=stx[: len(stx) // 2])),
            encode(Submission(stx=stx))[:-1],
            encode(Attachment(b"no jar")),
            encode(Parameters(b"none")),
        ]

    def observe(self, view: ReadView) -> Any:
        """Return what states there are, which are used up, and what is committed, without the times."""
        committed = {key: records.Receipt.unpack(row).signature for key, row in view.items(records.COMMITTED)}
        return dict(view.items(records.STATE)), dict(view.items(records.CONSUMED)), committed

    def configured(self) -> Configured:
        """Trust no code that the transaction's contract is in."""
        values = {"trusted_attachments": hashes_text([bytes(32)])}
        return Configured(values=values, payload=self.valid(0))

    def questions(self) -> Sequence[HTTPRequest]:
        """Ask for the receipt of a transaction, and whether all outputs are there and used up."""
        names = [_samples().tx_id(f"valid-{number}") for number in range(NUMBERED)]
        refs = "&".join(f"ref={name}(0)" for name in names)
        return [get(f"/transactions/{names[0]}"), get(f"/status?{refs}")]

    def read(self, status: int, body: bytes) -> Any:
        """Return an answer without the time, which is another one in another run."""
        answer = orjson.loads(body)
        return status, {key: value for key, value in answer.items() if key not in ("time", "transaction")}

    def submission(self, payload: bytes) -> HTTPRequest:
        """Post the transaction, as clients do."""
        try:
            decoded = decode(payload)
        except MalformedError:
            return post("/transactions", payload, _OCTETS)
        if isinstance(decoded, Submission):
            return post("/transactions", decoded.stx, _OCTETS)
        return post("/attachments", decoded.content, _OCTETS)


def _transaction(name: str) -> bytes:
    return encode(Submission(stx=_samples()[name]))
