"""What an adapter may read: its own maps at one version, nothing else.

The view enforces what the manifest promises, so that two ledgers on one network do not read each
other's state by accident. It is no wall against malice: adapters run in the node's own process, and
what keeps a hostile one out is that a network runs only the code it measured and agreed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from coco_core.errors import AdapterError
from coco_core.kv import View

Changes = Mapping[bytes, bytes | None]


class ReadView(Protocol):
    """A consistent reading of an adapter's maps."""

    @property
    def version(self) -> int:
        """The committed seqno below any speculative writes of this view."""
        ...

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return the value of ``key`` in map ``name``, or None. Raises AdapterError for foreign maps."""
        ...

    def chain(self, name: str) -> tuple[Changes, ...]:
        """Return the map as dictionaries, first hit wins (``None`` = removed), committed base last.

        For engines that read many keys in one call. The dictionaries must not be changed; the base moves on
        with every commit, so after the call they say the same of those keys only that nobody writes.
        """
        ...

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys with ``prefix`` and their values, ascending. Costs a pass over the whole map."""
        ...

    def over(self, writes: Mapping[str, Changes]) -> ReadView:
        """Return this view with ``writes`` laid on top; they may grow while it is read."""
        ...


class ScopedView:
    """A ReadView over the store that shows an adapter the maps its manifest owns."""

    __slots__ = ("_maps", "_view")

    def __init__(self, view: View, maps: frozenset[str]) -> None:
        """Show ``maps`` of ``view``."""
        self._view = view
        self._maps = maps

    @property
    def version(self) -> int:
        """The committed seqno below any speculative writes of this view."""
        return self._view.version

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return the value of ``key`` in map ``name``, or None. Raises AdapterError for foreign maps."""
        self._check(name)
        return self._view.get(name, key)

    def chain(self, name: str) -> tuple[Changes, ...]:
        """Return the map as dictionaries, newest first. Raises AdapterError for foreign maps."""
        self._check(name)
        return self._view.chain(name)

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys with ``prefix`` and their values, ascending. Raises AdapterError for foreign maps."""
        self._check(name)
        return self._view.items(name, prefix)

    def over(self, writes: Mapping[str, Changes]) -> ScopedView:
        """Return this view with ``writes`` laid on top."""
        return ScopedView(self._view.over(writes), self._maps)

    def _check(self, name: str) -> None:
        if name not in self._maps:
            raise AdapterError(f"map {name!r} is not in the adapter's manifest")
