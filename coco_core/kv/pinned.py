"""One committed version, held whole for as long as it takes to write it down.

A view lives as long as the history it reads; a pin keeps its own. The law is the store's: whoever
changes the base *first* publishes the old values here. So a reader in another thread that takes the
base first and the undone values second never sees a later state, whatever is committed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from typing import Final

from coco_core.errors import CallerError

_RUN_KEYS: Final = 2_000
"""Keys sorted in one step: other threads wait that long, well under a millisecond."""

_Undone = dict[bytes, bytes | None]


class Pinned:
    """The state at ``version``; the store publishes, anybody reads, until ``release``."""

    __slots__ = ("_base", "_names", "_undo", "released", "version")

    def __init__(
        self,
        version: int,
        base: dict[str, dict[bytes, bytes]],
        diffs: Iterable[Mapping[str, Mapping[bytes, bytes | None]]],
    ) -> None:
        """Hold ``base`` as it was before the commits that ``diffs`` undo, which come oldest first."""
        self.version = version
        self.released = False
        self._base = base
        self._undo: dict[str, _Undone] = {}
        for diff in diffs:
            self.publish(diff)
        self._names = tuple(sorted(name for name, values in list(base.items()) if self._keys(name, values)))

    def publish(self, before: Mapping[str, Mapping[bytes, bytes | None]]) -> None:
        """Take the old values of what the store changes next; those taken earlier stay."""
        for name, values in before.items():
            undone = self._undo.get(name)
            if undone is None:
                undone = self._undo.setdefault(name, {})
            for key, value in values.items():
                undone.setdefault(key, value)

    def names(self) -> tuple[str, ...]:
        """Return the names of maps that hold any key, in ascending order."""
        self._check()
        return self._names

    def items(self, name: str, *, in_order: bool = True) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of every key of map ``name``, in ascending order of keys if wanted.

        Collects and sorts the keys in steps that are short for other threads, and reads values one by
        one. Raises CallerError once the pin is released.
        """
        base = self._base.get(name, {})
        # In this order, see above: what is removed in between is in the undone values by then.
        keys = list(base)
        undone = self._undo.setdefault(name, {})
        if early := set(undone):
            keys = [*(key for key in keys if key not in early), *early]
        runs = [sorted(keys[at : at + _RUN_KEYS]) for at in range(0, len(keys) * in_order, _RUN_KEYS)]
        for key in merge(*runs) if in_order else keys:
            value = base.get(key)
            value = undone.get(key, value)
            # Looked at last: as long as it is not released, what was just read had been published.
            self._check()
            if value is not None:
                yield key, value
        self._check()

    def release(self) -> None:
        """Let go of the version, from any thread; the store forgets the pin with its next commit."""
        self.released = True
        self._base, self._undo = {}, {}

    def _keys(self, name: str, values: Mapping[bytes, bytes]) -> int:
        """Count the keys of a map at this version, while nobody changes anything."""
        undone = self._undo.get(name, {})
        return len(values) + sum((value is not None) - (key in values) for key, value in undone.items())

    def _check(self) -> None:
        if self.released:
            raise CallerError(f"version {self.version} was pinned, but is released")
