"""Transactions that came before their predecessor wait for it a moment instead of being refused.

Wallets send consecutive nonces over several connections at once; another node keeps what comes too
early in its pool. There is no pool here, so such a transaction is refused as "nonce too high" when it
is executed; this file then waits, where the client asked, until the sender's nonce has caught up,
and submits it again. Only senders that exist may wait, few transactions of each, and all of them
within bounds of time, number and bytes; beyond any of them the refusal stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from coco_core.adapter import Committed, LedgerService, NotCommitted, Rejected
from coco_core.errors import BusyError, CallerError, RejectedError
from coco_ethereum.limits import (
    NONCE_GAP_SENDER_MAX,
    NONCE_GAP_SIZE_MAX_BYTES,
    NONCE_GAP_WAIT_MS,
    NONCE_GAP_WAITING_MAX,
)
from coco_ethereum.records import ACCOUNTS
from coco_ethereum.rpc.outside import Outside
from coco_ethereum.state import ABSENT, Account, decode_account
from coco_ethereum.transactions import decode

TOO_HIGH: Final = "nonce-too-high"

Fate = Committed | Rejected | NotCommitted


# Compared by identity: values of this kind are told apart by being different requests.
@attrs.define(eq=False)
class _Early:
    """One transaction that waits; ``index`` is its place in what was asked."""

    index: int
    raw: bytes
    sender: bytes
    nonce: int
    fate: Fate


class NonceGaps:
    """Waits for missing predecessors on behalf of one node's clients."""

    def __init__(self, service: LedgerService, outside: Outside) -> None:
        """Submit again through ``service`` as ``outside.commits`` tells of progress."""
        self._service = service
        self._worker = outside.worker
        self._commits = outside.commits
        self._waiting: Counter[bytes] = Counter()
        self._count = 0
        self._size = 0

    async def resolve(self, payloads: Sequence[bytes], fates: Sequence[Fate]) -> list[Fate]:
        """Return the fates after those refused for a nonce too high had their second chance."""
        final = list(fates)
        early = [(index, payloads[index], fate) for index, fate in enumerate(fates) if _is_early(fate)]
        if not early or self._count >= NONCE_GAP_WAITING_MAX:
            return final
        try:
            read = await self._worker(lambda: [_read(*each) for each in early])
        except BusyError:
            return final
        admitted = self._admit([each for each in read if each is not None])
        try:
            for each in await self._wait(admitted):
                final[each.index] = each.fate
        finally:
            self._leave(admitted)
        return final

    def _admit(self, early: Sequence[_Early]) -> list[_Early]:
        """Return those that may wait, lowest nonces first, counted until they leave."""
        admitted: list[_Early] = []
        for each in sorted(early, key=_nonce):
            account = self._account(each.sender)
            if (
                (account.nonce or account.balance)
                and self._waiting[each.sender] < NONCE_GAP_SENDER_MAX
                and self._count < NONCE_GAP_WAITING_MAX
                and self._size + len(each.raw) <= NONCE_GAP_SIZE_MAX_BYTES
            ):
                admitted.append(each)
                self._waiting[each.sender] += 1
                self._count += 1
                self._size += len(each.raw)
        return admitted

    def _leave(self, admitted: Sequence[_Early]) -> None:
        for each in admitted:
            self._waiting[each.sender] -= 1
            if not self._waiting[each.sender]:
                del self._waiting[each.sender]
            self._count -= 1
            self._size -= len(each.raw)

    async def _wait(self, admitted: Sequence[_Early]) -> Sequence[_Early]:
        until = self._commits.now() + NONCE_GAP_WAIT_MS / 1000
        waiting = list(admitted)
        while waiting:
            ready = self._ready(waiting)
            if ready:
                await self._submit(ready)
                waiting = [each for each in waiting if _is_early(each.fate)]
            elif not await self._commits.wait({each.sender for each in waiting}, until):
                break
        return admitted

    def _ready(self, waiting: Sequence[_Early]) -> list[_Early]:
        """Return, for each sender, the run of waiting nonces that begins at the sender's own."""
        ready: list[_Early] = []
        expected: dict[bytes, int] = {}
        for early in waiting:
            if early.sender not in expected:
                expected[early.sender] = self._account(early.sender).nonce
            # One below the sender's nonce has been overtaken: executing it says "nonce too low".
            if early.nonce <= expected[early.sender]:
                ready.append(early)
                expected[early.sender] = max(expected[early.sender], early.nonce + 1)
        return ready

    def _account(self, address: bytes) -> Account:
        value = self._service.view().get(ACCOUNTS, address)
        return ABSENT if value is None else decode_account(value)

    async def _submit(self, ready: Sequence[_Early]) -> None:
        fates: Sequence[Fate]
        try:
            fates = await self._service.submit([early.raw for early in ready]).wait()
        except CallerError as error:
            fates = [NotCommitted(str(error))] * len(ready)
        for early, fate in zip(ready, fates, strict=True):
            early.fate = fate


def _nonce(early: _Early) -> int:
    return early.nonce


def _is_early(fate: Fate) -> bool:
    return isinstance(fate, Rejected) and fate.code == TOO_HIGH


def _read(index: int, raw: bytes, fate: Fate) -> _Early | None:
    try:
        transaction = decode(raw)
        return _Early(index, raw, transaction.sender(), transaction.nonce, fate)
    except RejectedError:
        return None
