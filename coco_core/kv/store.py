"""Versioned state in memory: a committed base under a short chain of uncommitted layers.

The law of this file: a layer is never changed once appended, the base changes only in ``commit``,
and a layer is folded into the base only *after* its reverse diff is visible. So a view can be read
from another thread while the store moves on: whatever it misses in the base it finds in the diffs.
Pins (``coco_core.kv.pinned``) get what a fold undoes at the same moment as the diffs. ``restore``
replaces the base by another one after it has declared every version before it forgotten.

Versions are ledger seqnos. One layer holds everything one batch wrote.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from coco_core.base import invariant, limits
from coco_core.errors import CallerError
from coco_core.kv.pinned import Pinned
from coco_core.kv.write_set import Writes

Changes = Mapping[bytes, bytes | None]

_KEY_COST_BYTES: Final = 128
"""What a key of a reverse diff costs beside its own bytes and the old value's, about."""


@attrs.frozen(slots=True)
class _Layer:
    """All changes up to and including ``seqno`` since the layer below."""

    seqno: int
    writes: Mapping[str, Changes]


@attrs.frozen(slots=True)
class _Diff(_Layer):
    """A reverse diff: the values from before the commit ``seqno``, and what it costs to keep them."""

    size: int
    """Bytes, about."""


class Store:
    """Named maps of bytes to bytes at a committed version plus speculative layers above it."""

    def __init__(
        self,
        history_versions_max: int = limits.HISTORY_VERSIONS_MAX,
        history_size_max: int = limits.HISTORY_SIZE_MAX_BYTES,
    ) -> None:
        """Start empty at version 0; keep reverse diffs of the last commits within both bounds.

        HISTORY_VERSIONS_MIN of them stay whatever their size, for readings that are under way.
        """
        self._base: dict[str, dict[bytes, bytes]] = {}
        self._bytes: dict[str, int] = {}
        self._layers: tuple[_Layer, ...] = ()
        # Appended to in place, but shortened only by replacing it: who reads it keeps what is there.
        self._history: list[_Diff] = []
        self._history_size = 0
        self._pins: list[Pinned] = []
        self._history_max = history_versions_max
        self._history_size_max = history_size_max
        self._committed = 0
        self._oldest = 0

    @property
    def committed_version(self) -> int:
        """The seqno up to which the base holds everything."""
        return self._committed

    @property
    def head_version(self) -> int:
        """The seqno of the newest layer, or of the base when there is none."""
        return self._layers[-1].seqno if self._layers else self._committed

    @property
    def oldest_version(self) -> int:
        """The oldest committed version still readable."""
        return self._oldest

    def append(self, seqno: int, writes: Mapping[str, Changes]) -> None:
        """Put an uncommitted layer on top: everything written in ``(head_version, seqno]``."""
        invariant(seqno > self.head_version, f"layer {seqno} is not above {self.head_version}")
        self._layers = (*self._layers, _Layer(seqno, writes))

    def commit(self, seqno: int) -> None:
        """Fold every layer up to ``seqno`` into the base; a layer is folded whole or not at all."""
        while self._layers and self._layers[0].seqno <= seqno:
            layer = self._layers[0]
            self._fold(layer)
            self._layers = self._layers[1:]

    def rollback(self, seqno: int) -> None:
        """Drop every layer above ``seqno``; committed versions cannot be dropped."""
        invariant(seqno >= self._committed, f"rollback to {seqno} below committed {self._committed}")
        self._layers = tuple(layer for layer in self._layers if layer.seqno <= seqno)

    def head(self) -> View:
        """Return a view of the speculative head: base and all layers of this moment."""
        return View(self, self._committed, tuple(layer.writes for layer in reversed(self._layers)))

    def view(self, seqno: int | None = None) -> View:
        """Return a view of a committed version, the newest when None.

        ``seqno`` may name any seqno; the view is of the last commit at or before it. Raises
        CallerError when that is older than the kept history or not yet committed.
        """
        if seqno is None:
            return View(self, self._committed, ())
        self._check_kept(seqno)
        return View(self, seqno, ())

    def pin(self, seqno: int) -> Pinned:
        """Hold the committed version ``seqno`` for a reader in another thread, until it is released.

        Cheap: what it costs grows with what is committed meanwhile, at most to the size of the state.
        Raises CallerError like ``view``.
        """
        self._check_kept(seqno)
        pinned = Pinned(seqno, self._base, self._diffs_after(seqno))
        self._pins.append(pinned)
        return pinned

    def restore(self, version: int, maps: dict[str, dict[bytes, bytes]]) -> None:
        """Put the store at a snapshot: ``maps``, taken over as they are, are the state at ``version``.

        Layers and history are gone, so views handed out before raise CallerError from now on; pins
        keep the state they hold.
        """
        invariant(version > self._committed, f"snapshot {version} is not after {self._committed}")
        counted = {
            name: sum(map(len, values)) + sum(map(len, values.values())) for name, values in maps.items()
        }
        self._layers = ()
        self._pins = []
        # In this order: who reads the new base finds out afterwards that its own version is forgotten.
        self._oldest = version
        self._base = maps
        self._committed = version
        self._history, self._history_size = [], 0
        self._bytes = counted

    @property
    def state_size_bytes(self) -> int:
        """Bytes of keys and values of the whole base; no pass over the state."""
        return sum(list(self._bytes.values()))

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return keys and bytes of keys plus values per map of the base, for operators.

        Kept as commits come, because counting is a pass over the whole state.
        """
        return {name: (len(values), self._bytes.get(name, 0)) for name, values in list(self._base.items())}

    def _fold(self, layer: _Layer) -> None:
        reverse: Writes = {
            name: {key: base.get(key) for key in changes}
            for name, changes in layer.writes.items()
            for base in (self._base.setdefault(name, {}),)
        }
        # The reverse diff undoes this commit, so it serves views of versions before layer.seqno.
        kept = sum(
            _KEY_COST_BYTES + len(key) + (len(value) if value is not None else 0)
            for changes in reverse.values()
            for key, value in changes.items()
        )
        self._history.append(_Diff(layer.seqno, reverse, kept))
        self._history_size += kept
        self._committed = layer.seqno
        if self._pins:
            self._pins = [pin for pin in self._pins if not pin.released]
            for pin in self._pins:
                pin.publish(reverse)
        for name, changes in layer.writes.items():
            base, before, size = self._base[name], reverse[name], 0
            for key, value in changes.items():
                old = before[key]
                if old is not None:
                    size -= len(key) + len(old)
                if value is None:
                    base.pop(key, None)
                else:
                    base[key] = value
                    size += len(key) + len(value)
            self._bytes[name] = self._bytes.get(name, 0) + size
        self._forget()

    def _forget(self) -> None:
        """Drop the oldest reverse diffs that exceed the bounds."""
        count, size = 0, self._history_size
        while len(self._history) - count > self._history_max or (
            size > self._history_size_max and len(self._history) - count > limits.HISTORY_VERSIONS_MIN
        ):
            size -= self._history[count].size
            count += 1
        if count:
            # Said before they are gone: a reader that misses a diff must find out that it does.
            self._oldest = self._history[count - 1].seqno
            self._history = self._history[count:]
            self._history_size = size

    def _check_kept(self, seqno: int) -> None:
        if seqno > self._committed:
            raise CallerError(f"version {seqno} is not committed yet; the newest is {self._committed}")
        if seqno < self._oldest:
            raise CallerError(f"version {seqno} is no longer in memory; the oldest is {self._oldest}")

    def _diffs_after(self, version: int) -> list[Mapping[str, Changes]]:
        """Return the reverse diffs of commits after ``version``, oldest first."""
        history = self._history
        # Checked after taking it on purpose: what was dropped before that is reported here.
        if version < self._oldest:
            raise CallerError(f"version {version} is no longer in memory; the oldest is {self._oldest}")
        if version >= self._committed:
            return []
        start = bisect_right(history, version, key=_seqno)
        return [diff.writes for diff in history[start:]]

    def _map(self, name: str) -> dict[bytes, bytes]:
        existing = self._base.get(name)
        if existing is None:
            # Kept in place, so that a chain handed out stays the live base of this map.
            existing = self._base.setdefault(name, {})
        return existing


def _seqno(layer: _Layer) -> int:
    return layer.seqno


class View:
    """A consistent, read-only reading of a store, optionally with layers of its own on top.

    A view stays consistent while the store commits further versions, for as long as they are within
    the kept history; after that, reads raise CallerError.
    """

    __slots__ = ("_overlays", "_store", "version")

    def __init__(self, store: Store, version: int, overlays: tuple[Mapping[str, Changes], ...]) -> None:
        """Read ``store`` at committed ``version`` under ``overlays``, newest first."""
        self._store = store
        self.version = version
        self._overlays = overlays

    def over(self, writes: Mapping[str, Changes]) -> View:
        """Return this view with ``writes`` laid on top; they may still grow while it is read."""
        return View(self._store, self.version, (writes, *self._overlays))

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return the value of ``key`` in map ``name``, or None."""
        for overlay in self._overlays:
            changes = overlay.get(name)
            if changes is not None and key in changes:
                return changes[key]
        value = self._store._map(name).get(key)  # noqa: SLF001 - a view is the store's own reader
        # Read after the base on purpose: a commit that got in between has published its diff.
        for diff in self._store._diffs_after(self.version):  # noqa: SLF001
            changes = diff.get(name)
            if changes is not None and key in changes:
                return changes[key]
        return value

    def chain(self, name: str) -> tuple[Changes, ...]:
        """Return map ``name`` as dictionaries, first hit wins, the committed base last.

        For engines that read many keys in one call without giving up the interpreter in between.
        """
        # The base first, as in get: a restored store says in the diffs that this version is gone.
        base = self._store._map(name)  # noqa: SLF001
        diffs = (diff[name] for diff in self._store._diffs_after(self.version) if name in diff)  # noqa: SLF001
        overlays = (overlay[name] for overlay in self._overlays if name in overlay)
        return (*overlays, *diffs, base)

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of every key with ``prefix``, in ascending order of keys.

        Collects the matching keys first: cost is that of the whole map.
        """
        # The base first and in one step, the diffs after it: see get.
        base = list(self._store._map(name).items())  # noqa: SLF001
        found: dict[bytes, bytes | None] = {key: value for key, value in base if key.startswith(prefix)}
        for changes in reversed(self.chain(name)[:-1]):
            found.update((key, value) for key, value in list(changes.items()) if key.startswith(prefix))
        for key in sorted(found):
            value = found[key]
            if value is not None:
                yield key, value
