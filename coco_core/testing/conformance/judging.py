"""A result of execution, judged rule by rule and put right where a rule is broken.

The core refuses the whole of such a result (``replica.checking``); here each rule is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from coco_core.adapter import NO_CLAIMS, Applied, BatchResult, Deferred, Outcome, Rejected, Writes
from coco_core.base import limits
from coco_core.testing.conformance.notes import Kind

Note = Callable[[Kind, str], None]

_MENDED = Rejected("adapter-fault", "put right by the conformance kit")


@attrs.frozen
class Judge:
    """Judges what one adapter returns; ``owned`` are the maps of its manifest."""

    owned: frozenset[str]
    note: Note

    def result(self, found: object, requests: int) -> BatchResult:
        """Return ``found`` as the pipeline may have it."""
        if not isinstance(found, BatchResult):
            self.note(Kind.OUTCOMES, f"execute returned {type(found).__name__}, not a BatchResult")
            return BatchResult([_MENDED] * requests)
        given: Any = found.outcomes
        if type(given) not in (list, tuple):
            self.note(Kind.OUTCOMES, f"outcomes are a {type(given).__name__}, neither list nor tuple")
            given = []
        if len(given) != requests:
            self.note(Kind.OUTCOMES, f"{len(given)} outcomes for {requests} requests")
            given = [*given, *[_MENDED] * requests][:requests]
        outcomes: list[Outcome] = []
        applied = False
        for one in given:
            outcome = self._outcome(one, applied=applied)
            applied = applied or isinstance(outcome, Applied)
            outcomes.append(outcome)
        closing = self.writes(found.closing, "closing writes")
        if closing and not applied:
            self.note(Kind.CLOSING, f"closing writes to {', '.join(closing)} of a batch that applied nothing")
            closing = {}
        return self._bounded(BatchResult(outcomes, closing))

    def _outcome(self, outcome: object, *, applied: bool) -> Outcome:
        match outcome:
            case Applied():
                return self._applied(outcome)
            case Rejected():
                return self._rejected(outcome)
            case Deferred():
                if applied:
                    return outcome
                self.note(Kind.DEFERRED_FIRST, "a request is deferred before any was applied")
                return _MENDED
        self.note(Kind.OUTCOMES, f"{type(outcome).__name__} is no outcome")
        return _MENDED

    def _applied(self, outcome: Applied) -> Applied:
        claims: object = outcome.claims
        if type(claims) is not bytes or len(claims) != len(NO_CLAIMS):
            size = f"{len(claims)} bytes" if isinstance(claims, bytes) else type(claims).__name__
            self.note(Kind.CLAIMS, f"the claims digest is {size}")
            outcome = attrs.evolve(outcome, claims=NO_CLAIMS)
        receipt: object = outcome.receipt
        most = limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES
        if type(receipt) is not bytes:
            self.note(Kind.BOUNDS, f"a receipt is a {type(receipt).__name__}, not bytes")
            outcome = attrs.evolve(outcome, receipt=b"")
        elif len(receipt) > most:
            self.note(Kind.BOUNDS, f"a receipt of {len(receipt)} bytes; there may be {most}")
            outcome = attrs.evolve(outcome, receipt=b"")
        return attrs.evolve(outcome, writes=self.writes(outcome.writes, "writes"))

    def _rejected(self, outcome: Rejected) -> Rejected:
        code, message, data = (getattr(outcome, name) for name in ("code", "message", "data"))
        if type(code) is not str or type(message) is not str or type(data) is not bytes:
            self.note(Kind.REJECTIONS, f"a rejection is not text, text and bytes: {outcome!r:.200}")
            return _MENDED
        if not code or not message or len(code.split()) != 1 or not code.isascii():
            self.note(
                Kind.REJECTIONS, f"a rejection needs a code of one word and a message: {outcome!r:.200}"
            )
        try:
            size = len(code.encode()) + len(message.encode()) + len(data)
        except UnicodeEncodeError:
            self.note(Kind.REJECTIONS, "a rejection is not Unicode text")
            return _MENDED
        if size > limits.REJECTION_SIZE_MAX_BYTES:
            self.note(
                Kind.BOUNDS, f"a rejection of {size} bytes; there may be {limits.REJECTION_SIZE_MAX_BYTES}"
            )
            return _MENDED
        return outcome

    def writes(self, writes: object, what: str, foreign: Kind = Kind.FOREIGN_WRITES) -> Writes:
        """Return writes as one entry may hold them."""
        if type(writes) is not dict:
            self.note(Kind.WRITES, f"{what} are a {type(writes).__name__}, not a dict")
            return {}
        mended: Writes = {}
        for name, changes in writes.items():
            if name not in self.owned:
                self.note(foreign, f"{what} to {name!r}, which is not in the manifest")
            elif type(changes) is not dict or not all(map(_is_change, changes.items())):
                self.note(Kind.WRITES, f"{what} to {name!r} are not a dict of bytes to bytes or None")
            else:
                mended[name] = self._keys(name, changes)
        size = _size(mended)
        if size > limits.WRITE_SET_SIZE_MAX_BYTES:
            self.note(Kind.BOUNDS, f"{what} of {size} bytes; there may be {limits.WRITE_SET_SIZE_MAX_BYTES}")
            return {}
        return mended

    def _keys(self, name: str, changes: dict[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        if any(len(key) > limits.KEY_SIZE_MAX_BYTES for key in changes):
            self.note(Kind.BOUNDS, f"a key in {name!r} of more than {limits.KEY_SIZE_MAX_BYTES} bytes")
            return {key: value for key, value in changes.items() if len(key) <= limits.KEY_SIZE_MAX_BYTES}
        return changes

    def _bounded(self, result: BatchResult) -> BatchResult:
        applied = [one for one in result.outcomes if isinstance(one, Applied)]
        size = _size(result.closing) + sum(_size(one.writes) + len(one.receipt) for one in applied)
        if size <= limits.BATCH_RESULT_MAX_BYTES:
            return result
        self.note(
            Kind.BOUNDS,
            f"a batch's results of {size} bytes; there may be {limits.BATCH_RESULT_MAX_BYTES}: defer",
        )
        return BatchResult([_MENDED] * len(result.outcomes))


def _is_change(item: tuple[object, object]) -> bool:
    key, value = item
    return type(key) is bytes and (value is None or type(value) is bytes)


def _size(writes: Mapping[str, Mapping[bytes, bytes | None]]) -> int:
    return sum(len(key) + len(value or b"") + 16 for rows in writes.values() for key, value in rows.items())
