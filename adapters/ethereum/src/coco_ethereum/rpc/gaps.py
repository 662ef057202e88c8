"""Transactions that came before their predecessor wait for it a moment instead of being refused.

Wallets send consecutive nonces over several connections at once; another node keeps what comes too
early in its pool. There is no pool here, so such a transaction is refused as "nonce too high" when it
is executed; this file then waits, where the client asked, until the sender's nonce has caught up,
and submits it again. Bounded in time and number; beyond either the refusal stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import attrs

from coco_core.adapter import Committed, LedgerService, NotCommitted, Rejected
from coco_core.errors import BusyError, RejectedError
from coco_ethereum.limits import NONCE_GAP_WAIT_MS, NONCE_GAP_WAITING_MAX
from coco_ethereum.records import ACCOUNTS
from coco_ethereum.state import ABSENT, decode_account
from coco_ethereum.transactions import decode

TOO_HIGH: Final = "nonce-too-high"

Fate = Committed | Rejected | NotCommitted


class Commits(Protocol):
    """Tells of new commits, and of the time."""

    async def wait(self, until: float) -> bool:
        """Wait for the next commit; return False when ``until`` came first."""
        ...

    def now(self) -> float:
        """Return the time in seconds of the clock ``until`` is of."""
        ...


@attrs.define
class _Early:
    """One transaction that waits; ``index`` is its place in what was asked."""

    index: int
    raw: bytes
    sender: bytes
    nonce: int
    fate: Fate


class NonceGaps:
    """Waits for missing predecessors on behalf of one node's clients."""

    def __init__(self, service: LedgerService, commits: Commits) -> None:
        """Submit again through ``service`` as ``commits`` tells of progress."""
        self._service = service
        self._commits = commits
        self._waiting = 0

    async def resolve(self, payloads: Sequence[bytes], fates: Sequence[Fate]) -> list[Fate]:
        """Return the fates after those refused for a nonce too high had their second chance."""
        final = list(fates)
        waiting = [
            early
            for index, fate in enumerate(fates)
            if isinstance(fate, Rejected) and fate.code == TOO_HIGH
            for early in _early(index, payloads[index], fate)
        ]
        if not waiting or self._waiting + len(waiting) > NONCE_GAP_WAITING_MAX:
            return final
        self._waiting += len(waiting)
        try:
            for early in await self._wait(waiting):
                final[early.index] = early.fate
        finally:
            self._waiting -= len(waiting)
        return final

    async def _wait(self, waiting: list[_Early]) -> list[_Early]:
        until = self._commits.now() + NONCE_GAP_WAIT_MS / 1000
        done: list[_Early] = []
        while waiting:
            ready = self._ready(waiting)
            if ready:
                await self._submit(ready)
            elif not await self._commits.wait(until):
                break
            settled = [early for early in ready if not _is_early(early.fate)]
            done += settled
            waiting = [early for early in waiting if early not in settled]
        return done + waiting

    def _ready(self, waiting: Sequence[_Early]) -> list[_Early]:
        """Return, for each sender, the run of waiting nonces that begins at the sender's own."""
        view = self._service.view()
        ready: list[_Early] = []
        expected: dict[bytes, int] = {}
        for early in sorted(waiting, key=lambda early: early.nonce):
            if early.sender not in expected:
                value = view.get(ACCOUNTS, early.sender)
                expected[early.sender] = (decode_account(value) if value else ABSENT).nonce
            # One below the sender's nonce has been overtaken: executing it says "nonce too low".
            if early.nonce <= expected[early.sender]:
                ready.append(early)
                expected[early.sender] = max(expected[early.sender], early.nonce + 1)
        return ready

    async def _submit(self, ready: Sequence[_Early]) -> None:
        try:
            submission = self._service.submit([early.raw for early in ready])
        except BusyError as error:
            for early in ready:
                early.fate = NotCommitted(str(error))
            return
        for early, fate in zip(ready, await submission.wait(), strict=True):
            early.fate = fate


def _is_early(fate: Fate) -> bool:
    return isinstance(fate, Rejected) and fate.code == TOO_HIGH


def _early(index: int, raw: bytes, fate: Fate) -> list[_Early]:
    try:
        transaction = decode(raw)
        return [_Early(index, raw, transaction.sender(), transaction.nonce, fate)]
    except RejectedError:
        return []
