"""The tree of state roots beside the maps, at the speculative head, whatever became of what was executed.

The maps decide; the tree remembers which addresses may differ from it and reads those again when it must
stand at another head than it does: after leadership came and went, or batches were made elsewhere. Knows maps
and the tree, not execution.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs

from coco_core.adapter import CommittedBatch, ReadView
from coco_sawtooth.merkle import Tree
from coco_sawtooth.records import BLOCK_IDS, STATE, Block


@attrs.define
class _Made:
    """A block made here that is not committed yet, and what it changed."""

    block_id: bytes
    keys: tuple[bytes, ...]


@attrs.frozen(eq=False)
class Warming:
    """All of a state, of which somebody makes a tree."""

    items: list[tuple[bytes, bytes]] = attrs.field(repr=False)


class StateRoots:
    """State roots of one node's ledger."""

    def __init__(self) -> None:
        """Begin without a tree: it is made when a root is needed first."""
        self._tree: Tree | None = None
        self._warming: Warming | None = None
        self._at = ""
        self._stale: set[bytes] = set()
        self._made: deque[_Made] = deque()

    @property
    def is_cold(self) -> bool:
        """Whether the tree has to be made of all of state: a second for some ten thousand addresses."""
        return self._tree is None

    def begin_warming(self, view: ReadView) -> Warming:
        """Return all of ``view``'s state: make a tree of it (``merkle.tree_of``) for ``warm``."""
        self.forget()
        self._stale = _uncommitted(view)
        self._warming = Warming(list(view.items(STATE)))
        return self._warming

    def warm(self, warming: Warming, tree: Tree) -> None:
        """Take the tree of a warming, unless another one began since.

        What was committed meanwhile is read again.
        """
        if self._warming is warming:
            self._tree, self._warming = tree, None

    def stand_at(self, head: Block, view: ReadView) -> None:
        """Make the tree that of ``view``, whose newest block is ``head``. Needs a tree that is not cold."""
        if self._at == head.id and not self._stale:
            return
        uncommitted = _uncommitted(view)
        suspects = self._stale | uncommitted
        for made in self._made:
            suspects.update(made.keys)
        self._read_again(suspects, view)
        self._made.clear()
        self._stale = set()
        if uncommitted:
            # Whoever made it, it may yet be dropped.
            self._made.append(_Made(bytes.fromhex(head.id), tuple(uncommitted)))
        self._at = head.id

    def root_after(self, changes: Mapping[bytes, bytes | None]) -> str:
        """Change state and return its root; ``made`` says afterwards which block this became."""
        tree = self._warm_tree()
        self._at = ""
        self._made.append(_Made(b"", tuple(changes)))
        tree.update(changes)
        return tree.root

    def made(self, block: Block) -> None:
        """Take note that the state after the last changes is that of ``block``."""
        self._made[-1].block_id = bytes.fromhex(block.id)
        self._at = block.id

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of what was committed: what was made here stands, anything else is read again."""
        ids = set(batch.writes.get(BLOCK_IDS, ()))
        if not ids or (self._tree is None and self._warming is None):
            return
        while self._made and self._made[0].block_id in ids:
            ids.discard(self._made.popleft().block_id)
        if not ids:
            return
        self._stale.update(batch.writes.get(STATE, ()))
        for made in self._made:
            self._stale.update(made.keys)
        self._made.clear()
        self._at = ""

    def forget(self) -> None:
        """Drop the tree: state is another one now."""
        self._tree, self._warming, self._at = None, None, ""
        self._stale.clear()
        self._made.clear()

    @property
    def stale(self) -> int:
        """How many addresses have to be read again."""
        return len(self._stale)

    def catch_up(self, view: ReadView, count: int) -> None:
        """Read some stale addresses again from committed state, so that less is left to do at once."""
        if self._tree is None:
            return
        some = {self._stale.pop() for _ in range(min(count, len(self._stale)))}
        self._read_again(some, view)
        self._tree.hash()

    def _read_again(self, keys: set[bytes], view: ReadView) -> None:
        self._warm_tree().update({key: view.get(STATE, key) for key in keys})

    def _warm_tree(self) -> Tree:
        if self._tree is None:
            raise RuntimeError("the tree of state roots is used before it is made")
        return self._tree


def _uncommitted(view: ReadView) -> set[bytes]:
    """Return the addresses that layers above the committed state change."""
    return {key for layer in view.chain(STATE)[:-1] for key in layer}
