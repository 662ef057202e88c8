"""An adapter under watch: every call goes through, what breaks the contract is noted and put right.

Must not know what the transactions mean, nor who calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import trio

from coco_core.adapter import (
    Batch,
    BatchResult,
    Changes,
    CommittedBatch,
    LedgerAdapter,
    LedgerService,
    Manifest,
    ReadView,
    Writes,
)
from coco_core.errors import AdapterError
from coco_core.kv import maps
from coco_core.replica.checking import check_manifest
from coco_core.testing.conformance.judging import Judge
from coco_core.testing.conformance.notes import Kind, Notes

_Kept = tuple[Mapping[bytes, bytes | None], dict[bytes, bytes | None]]


class _Glass:
    """What one call is shown of the state; dictionaries are copies, so that changing them does no harm."""

    def __init__(self, core: ReadView, owned: frozenset[str], notes: Notes) -> None:
        self.core = core
        self.notes = notes
        self.done = False
        self._owned = owned
        self._handed: dict[str, tuple[_Kept, ...]] = {}

    def may_read(self, name: str) -> bool:
        """Note who reads what it may not; return whether there is anything to show."""
        if self.done:
            self.notes.note(Kind.LATE_READS, f"{name!r} is read after execution was over")
        if name not in self._owned:
            self.notes.note(Kind.FOREIGN_READS, f"{name!r} is read, which is not in the manifest")
            return False
        return True

    def chain(self, name: str) -> tuple[Changes, ...]:
        """Return copies of what the core would hand over."""
        if name not in self._handed:
            self._handed[name] = tuple((dict(rows), dict(rows)) for rows in self.core.chain(name))
        return tuple(given for given, _ in self._handed[name])

    def close(self) -> None:
        """Note what was changed."""
        self.done = True
        for name, pairs in self._handed.items():
            if any(given != kept for given, kept in pairs):
                self.notes.note(Kind.MUTATES, f"the dictionaries of {name!r} that the view gave were changed")


@attrs.frozen
class WatchedView:
    """A ReadView behind glass."""

    _glass: _Glass
    _view: ReadView

    @property
    def version(self) -> int:
        """See adapter.ReadView."""
        return self._view.version

    def get(self, name: str, key: bytes) -> bytes | None:
        """See adapter.ReadView; a foreign map is noted and shown empty."""
        return self._view.get(name, key) if self._glass.may_read(name) else None

    def chain(self, name: str) -> tuple[Changes, ...]:
        """See adapter.ReadView; what the adapter laid on top stays its own."""
        if not self._glass.may_read(name):
            return ({},)
        copies = self._glass.chain(name)
        whole = self._view.chain(name)
        return (*whole[: len(whole) - len(copies)], *copies)

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See adapter.ReadView; a foreign map is noted and shown empty."""
        return self._view.items(name, prefix) if self._glass.may_read(name) else iter(())

    def over(self, writes: Mapping[str, Changes]) -> WatchedView:
        """See adapter.ReadView."""
        return WatchedView(self._glass, self._view.over(writes))


def _sound(manifest: Manifest) -> Manifest:
    """Return a manifest that nodes take; what was wrong with it is the business of a test of its own."""
    try:
        check_manifest(manifest.name, manifest)
    except AdapterError:
        own = (f"{manifest.name}.", f"{maps.PUBLIC_PREFIX}{manifest.name}.")
        named = tuple(name for name in dict.fromkeys(manifest.maps) if name.startswith(own))
        return Manifest(name=manifest.name, version="0", engine="", maps=named, deterministic=False)
    return manifest


class Watched:
    """A LedgerAdapter that notes what another one does."""

    def __init__(self, adapter: LedgerAdapter, notes: Notes, execute_max_s: float = math.inf) -> None:
        """Watch ``adapter``, which may take so long for one batch."""
        self.adapter = adapter
        self._execute_max_s = execute_max_s
        self.manifest = _sound(adapter.manifest)
        self.notes = notes
        self.executed: list[tuple[Batch, BatchResult]] = []
        """What was executed, and what the pipeline was given for it."""
        self.in_committed = False
        self._submitted = False
        self._owned = frozenset(self.manifest.maps)
        self._judge = Judge(self._owned, notes.note)

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return the first entries, put right."""
        entries: Any = self.adapter.genesis(config, randomness)
        if type(entries) not in (list, tuple):
            self.notes.note(Kind.GENESIS, f"genesis returned a {type(entries).__name__}, no list of writes")
            return []
        return [self._judge.writes(writes, "writes at genesis", Kind.GENESIS) for writes in entries]

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute behind glass."""
        glass = _Glass(view, self._owned, self.notes)
        handed = attrs.evolve(batch, configuration=dict(batch.configuration))
        try:
            with trio.fail_after(self._execute_max_s) as limit:
                found = await self.adapter.execute(handed, WatchedView(glass, view))
        except SystemExit as error:
            # A node would end with it; here it would be the kit.
            self.notes.note(Kind.RAISES, f"execute raised {error!r:.300}")
            raise AdapterError(repr(error)) from error
        except Exception as error:
            if limit.cancelled_caught:
                size, most = len(batch.requests), self._execute_max_s
                self.notes.note(Kind.ENDLESS, f"a batch of {size} requests took more than {most:g} s")
            else:
                self.notes.note(Kind.RAISES, f"execute raised {error!r:.300}")
            raise
        finally:
            glass.close()
        if handed.configuration != batch.configuration:
            self.notes.note(Kind.MUTATES, "the batch's configuration was changed")
        result = self._judge.result(found, len(batch.requests))
        self.executed.append((batch, result))
        return result

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Pass on."""
        return await self.adapter.replay(entries, view)

    async def serve(self, service: LedgerService) -> None:
        """Pass on; note who does not go on until cancelled."""
        try:
            await self.adapter.serve(service)
        except Exception as error:  # noqa: BLE001 - whatever it raises is its fault, and noted as that
            self.notes.note(Kind.SERVE, f"serve raised {error!r:.300}")
        else:
            self.notes.note(Kind.SERVE, "serve returned before it was cancelled")

    def committed(self, batch: CommittedBatch) -> None:
        """Pass on; note what must not happen meanwhile."""
        self.in_committed, self._submitted = True, False
        handed = attrs.evolve(batch, writes={name: dict(rows) for name, rows in batch.writes.items()})
        started = time.perf_counter()
        try:
            self.adapter.committed(handed)
        except Exception as error:  # noqa: BLE001 - as on a node: the batch is committed all the same
            if not self._submitted:
                self.notes.note(Kind.COMMITTED_RAISES, f"committed raised {error!r:.300}")
        finally:
            self.in_committed = False
            self.notes.committed_s.append(time.perf_counter() - started)
        if handed.writes != batch.writes:
            self.notes.note(Kind.MUTATES, "the writes that it was told are committed were changed")

    def restored(self, view: ReadView) -> None:
        """Pass on; note what must not happen meanwhile."""
        glass = _Glass(view, self._owned, self.notes)
        self.in_committed, self._submitted = True, False
        try:
            self.adapter.restored(WatchedView(glass, view))
        except Exception as error:  # noqa: BLE001 - as on a node
            if not self._submitted:
                self.notes.note(Kind.COMMITTED_RAISES, f"restored raised {error!r:.300}")
        finally:
            self.in_committed = False
            glass.close()

    def check_submission(self) -> None:
        """Raise AdapterError, as a node does, for a submission while it is told of a commit."""
        if self.in_committed:
            self._submitted = True
            self.notes.note(Kind.COMMITTED_SUBMITS, "it submits while it is told what is committed")
            raise AdapterError("a ledger submitted synchronously, while it was told of a commit")
