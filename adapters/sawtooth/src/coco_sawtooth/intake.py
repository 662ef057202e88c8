"""Batches on their way in: checked, submitted, and followed until it is known what became of them.

A client is told that its batches are taken before they are executed, so from then on it is this node that
hands a batch on again when primaries change or its family has no processor for a while, and keeps one whose
dependencies are not committed yet. Batches are refused when they are executed a second time, so handing one
on twice does no harm.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
from google.protobuf.message import DecodeError

from coco_core.adapter import (
    Caller,
    Committed,
    CommittedBatch,
    LedgerService,
    NotCommitted,
    ReadView,
    Rejected,
    Submission,
    TxID,
)
from coco_core.errors import BusyError, CallerError, MalformedError, RejectedError
from coco_sawtooth import batches, records
from coco_sawtooth.batches import Batch
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.limits import (
    PAGE_ITEMS_MAX,
    PARKED_BATCHES_MAX,
    PARKED_BATCHES_SIZE_MAX_BYTES,
    PARKED_MAX_S,
    PENDING_BATCHES_MAX,
    PENDING_BATCHES_SIZE_MAX_BYTES,
    PLACE_WAIT_S,
    PROCESSOR_WAIT_S,
    STATUSES_AT_ONCE,
    STATUSES_AWAITED_MAX,
    STATUSES_LOOKS_MAX,
    STATUSES_PAUSE_S,
    SUBMISSIONS_MAX,
    SUBMIT_AGAIN_MAX_S,
    SUBMIT_AGAIN_S,
)
from coco_sawtooth.messages import ClientBatchStatus
from coco_sawtooth.outside import Outside
from coco_sawtooth.permissions import check_signers
from coco_sawtooth.rejections import MISSING_DEPENDENCY, NO_PROCESSOR
from coco_sawtooth.statuses import Statuses


@attrs.frozen
class _Parked:
    batch: Batch
    caller: Caller
    until: float


class Intake:
    """Takes batches for one node."""

    def __init__(
        self, service: LedgerService, statuses: Statuses, outside: Outside, checked: CheckedBatches
    ) -> None:
        """Submit to ``service`` what is ``checked``, and note in ``statuses`` what becomes of it."""
        self._service = service
        self._statuses = statuses
        self._outside = outside
        self._checked = checked
        self._sizes: dict[str, int] = {}
        """Batches that are followed, to their bytes."""
        self._bytes = 0
        self._parked: dict[str, _Parked] = {}
        self._parked_bytes = 0
        self._awaited: dict[bytes, set[str]] = {}
        """Parked batches by transactions they wait for."""
        self._watched = 0
        """How many batches those wait for who asked what becomes of some."""
        self._unplaced: set[str] = set()
        """Committed batches this node took, of which it hears in a moment where they are."""

    async def take(self, raws: Sequence[bytes], caller: Caller) -> list[str]:
        """Take a list of serialised batches, all or none; return their ids once they are on their way.

        Raises MalformedError when one of them is not well formed, not signed by whom it says or by whom may
        not, BusyError when there is no room.
        """
        found = await self._outside.worker(lambda: [self._checked.check(raw) for raw in raws])
        view = self._service.view()
        self._check_permissions(view, found)
        new = {each.id: each for each in found if not self._is_known(view, each.id)}
        if self._statuses.pending + len(new) > PENDING_BATCHES_MAX:
            raise BusyError(f"{PENDING_BATCHES_MAX} batches are under way already")
        size = sum(len(each.raw) for each in new.values())
        if self._bytes + size > PENDING_BATCHES_SIZE_MAX_BYTES:
            raise BusyError(f"{self._bytes} bytes of batches are under way already")
        if new:
            self._submit(list(new.values()), caller)
        return [each.id for each in found]

    def _check_permissions(self, view: ReadView, found: Sequence[Batch]) -> None:
        """Refuse at once what could not be executed as things are; who executes it looks again."""
        for batch in found:
            try:
                check_signers(batch, lambda key: view.get(records.STATE, key) or b"")
            except RejectedError as error:
                raise MalformedError(str(error)) from None

    def _is_known(self, view: ReadView, batch_id: str) -> bool:
        return self._statuses.is_pending(batch_id) or records.number_of_batch(view, batch_id) is not None

    def _submit(self, taken: Sequence[Batch], caller: Caller) -> None:
        submission = self._service.submit([each.raw for each in taken], caller=caller)
        self._took(taken)
        self._outside.start(lambda: self._follow(taken, caller, submission))

    def _took(self, taken: Sequence[Batch]) -> None:
        """Note that batches are under way from now on, until ``_end``."""
        self._statuses.took(each.id for each in taken)
        for each in taken:
            self._bytes += len(each.raw) - self._sizes.get(each.id, 0)
            self._sizes[each.id] = len(each.raw)

    async def _follow(self, taken: Sequence[Batch], caller: Caller, submission: Submission) -> None:
        """Wait for the fates of batches, and submit again those that may have another one in a moment."""
        opened, until = 0, self._outside.pulse.now() + PROCESSOR_WAIT_S
        try:
            for attempt in itertools.count():
                fates = await submission.wait()
                in_time = self._outside.pulse.now() < until
                taken = [
                    batch
                    for batch, fate in zip(taken, fates, strict=True)
                    if not self._is_decided(batch, caller, fate, in_time=in_time)
                ]
                opened += any(isinstance(fate, NotCommitted) for fate in fates)
                if not taken or opened == SUBMISSIONS_MAX:
                    return
                pause_s = min(SUBMIT_AGAIN_S * 2 ** min(attempt, 10), SUBMIT_AGAIN_MAX_S)
                submission = await self._submit_again(taken, caller, pause_s)
        finally:
            self._end(taken)

    async def _submit_again(self, taken: Sequence[Batch], caller: Caller, pause_s: float) -> Submission:
        while True:
            await self._outside.pulse.wait((), self._outside.pulse.now() + pause_s)
            try:
                return self._service.submit([each.raw for each in taken], caller=caller)
            except BusyError:
                pause_s = max(pause_s, SUBMIT_AGAIN_S)

    def _is_decided(self, batch: Batch, caller: Caller, fate: object, *, in_time: bool) -> bool:
        """Note what became of a batch; return False when that may be otherwise in a moment."""
        committed = records.number_of_batch(self._service.view(), batch.id) is not None
        if isinstance(fate, Committed):
            self._statuses.placed(batch.id, fate.txid)
        if isinstance(fate, NotCommitted) and not committed:
            return False
        if isinstance(fate, Rejected) and not committed:
            if fate.code == NO_PROCESSOR and in_time:
                return False
            if fate.code == MISSING_DEPENDENCY:
                self._end([batch])
                self._park(batch, caller)
                return True
            self._statuses.refused(status_of(batch, fate))
        self._end([batch])
        return True

    def _end(self, ended: Iterable[Batch]) -> None:
        ids = [each.id for each in ended]
        self._bytes -= sum(self._sizes.pop(each, 0) for each in ids)
        self._statuses.ended(ids)
        self._unplaced.difference_update(ids)
        self._outside.pulse.beat(bytes.fromhex(each) for each in ids)

    # --- batches that wait for others ----------------------------------------------------------------------

    def _park(self, batch: Batch, caller: Caller) -> None:
        view, now = self._service.view(), self._outside.pulse.now()
        missing = [
            each for each in batches.dependencies(batch) if records.place_of_transaction(view, each) is None
        ]
        if not missing:
            # It came in the meantime.
            self._resume(batch, caller)
            return
        while self._parked and (
            len(self._parked) >= PARKED_BATCHES_MAX
            or self._parked_bytes + len(batch.raw) > PARKED_BATCHES_SIZE_MAX_BYTES
            or next(iter(self._parked.values())).until < now
        ):
            self._unpark(next(iter(self._parked)))
        self._unpark(batch.id)
        self._parked[batch.id] = _Parked(batch, caller, now + PARKED_MAX_S)
        self._parked_bytes += len(batch.raw)
        for each in missing:
            self._awaited.setdefault(bytes.fromhex(each), set()).add(batch.id)

    def _unpark(self, batch_id: str) -> _Parked | None:
        parked = self._parked.pop(batch_id, None)
        if parked is not None:
            self._parked_bytes -= len(parked.batch.raw)
            for each in map(bytes.fromhex, batches.dependencies(parked.batch)):
                waiting = self._awaited.get(each, set())
                waiting.discard(batch_id)
                if not waiting:
                    self._awaited.pop(each, None)
        return parked

    def _resume(self, batch: Batch, caller: Caller) -> None:
        """Hand on a batch whose dependencies came; from now on it is pending."""
        self._took([batch])
        self._outside.start(lambda: self._hand_on(batch, caller))

    async def _hand_on(self, batch: Batch, caller: Caller) -> None:
        await self._follow([batch], caller, await self._submit_again([batch], caller, 0))

    def committed(self, committed: CommittedBatch) -> None:
        """Note what is committed: wake who waits for it, and hand on batches that depended on it."""
        ids = committed.writes.get(records.BATCHES, {})
        names = [each.hex() for each in ids]
        self._unplaced.update(name for name in names if self._statuses.is_pending(name))
        self._statuses.ended(names)
        self._outside.pulse.beat(ids)
        transactions: Mapping[bytes, object] = committed.writes.get(records.TRANSACTIONS, {})
        for transaction_id in self._awaited.keys() & transactions.keys():
            for batch_id in list(self._awaited.get(transaction_id, ())):
                parked = self._unpark(batch_id)
                if parked is not None:
                    self._resume(parked.batch, parked.caller)

    # --- what became of batches -----------------------------------------------------------------------------

    async def statuses(self, batch_ids: Sequence[str], wait_s: float) -> list[ClientBatchStatus]:
        """Return the status of batches, after a wait of at most ``wait_s`` for those that are pending.

        The wait ends at once when others wait for STATUSES_AWAITED_MAX batches. Raises BusyError when too
        much waits to be looked up.
        """
        if wait_s > 0:
            await self._wait(list(dict.fromkeys(batch_ids)), self._outside.pulse.now() + wait_s)
        return await self._look(batch_ids)

    async def _wait(self, batch_ids: Sequence[str], until: float) -> None:
        """Wait until none of these batches is pending; nothing is kept of the others meanwhile."""
        pulse, in_time = self._outside.pulse, True
        while in_time:
            found = await self._look(batch_ids)
            batch_ids = [each.batch_id for each in found if each.status == ClientBatchStatus.PENDING]
            del found
            # What ended while the others were looked up would be waited for in vain.
            batch_ids = [each for each in batch_ids if self._statuses.is_pending(each)]
            if not batch_ids or self._watched + len(batch_ids) > STATUSES_AWAITED_MAX:
                return
            self._watched += len(batch_ids)
            try:
                in_time = await pulse.wait([bytes.fromhex(each) for each in batch_ids], until)
                if in_time and len(batch_ids) > STATUSES_AT_ONCE:
                    pause_s = STATUSES_PAUSE_S * max(1, len(batch_ids) / PAGE_ITEMS_MAX)
                    await pulse.wait((), min(pulse.now() + pause_s, until))
            finally:
                self._watched -= len(batch_ids)

    async def _look(self, batch_ids: Sequence[str]) -> list[ClientBatchStatus]:
        """Return statuses as they are. Many are looked up in a thread: others have their turn meanwhile."""
        if len(batch_ids) <= STATUSES_AT_ONCE:
            return self._noted(batch_ids)()
        for _ in range(STATUSES_LOOKS_MAX):
            try:
                return await self._outside.worker(self._noted(batch_ids))
            except BusyError:
                raise
            except CallerError:
                # So much was committed until there was a thread that this state is no longer kept.
                continue
        raise BusyError("more is committed all the time than can be looked up")

    def _noted(self, batch_ids: Sequence[str]) -> Callable[[], list[ClientBatchStatus]]:
        """Return what looks statuses up as they are at this moment, whatever is noted or committed since."""
        view, noted = self._service.view(), self._statuses.noted(batch_ids)
        return lambda: [noted.of(view, each) for each in batch_ids]

    async def places(self, batch_ids: Iterable[str]) -> list[TxID | None]:
        """Return where committed batches are in the core's ledger; None for one this node does not remember.

        Where one is that was committed this moment, this node hears in the next one, and waits for that.
        """
        pulse, ids = self._outside.pulse, list(batch_ids)
        until = pulse.now() + PLACE_WAIT_S
        while awaited := [bytes.fromhex(each) for each in ids if each in self._unplaced]:
            if not await pulse.wait(awaited, until):
                break
        return [self._statuses.place(each) for each in ids]


def status_of(batch: Batch, fate: Rejected) -> ClientBatchStatus:
    """Return what a rejection says of a batch: its data is the status itself, where there is more to say."""
    try:
        told = ClientBatchStatus.FromString(fate.data)
    except DecodeError:
        told = ClientBatchStatus()
    invalid = told.invalid_transactions or [
        ClientBatchStatus.InvalidTransaction(transaction_id=batch.transactions[0].id, message=fate.message)
    ]
    return ClientBatchStatus(
        batch_id=batch.id, status=ClientBatchStatus.INVALID, invalid_transactions=invalid
    )
