"""What questions are answered from: committed state, and how a question is refused. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from coco_core.adapter import ReadView
from coco_core.errors import CallerError
from coco_sawtooth import records
from coco_sawtooth.addresses import is_id
from coco_sawtooth.messages import ClientSortControls


class RefusedError(CallerError):
    """A question has no answer; ``status`` is the name of the response's status that says why."""

    def __init__(self, status: str) -> None:
        """Keep the status."""
        super().__init__(status)
        self.status = status


@attrs.frozen
class Reading:
    """One reading of the chain; everything in one answer is from the same one."""

    newest: ReadView
    view_at: Callable[[int], ReadView]
    """Returns state as of a seqno of the core; raises CallerError when it is no longer kept."""
    name: str = ""
    """What this node calls itself."""

    def head(self, block_id: str = "") -> records.Block:
        """Return the block that is asked for as the head, the newest without an id.

        Raises RefusedError: NO_ROOT when there is no such block, NOT_READY before genesis.
        """
        newest = records.head(self.newest)
        if newest is None:
            raise RefusedError("NOT_READY")
        found = records.block_by_id(self.newest, block_id) if block_id else newest
        if found is None:
            raise RefusedError("NO_ROOT")
        return found

    def state(self, state_root: str) -> tuple[str, ReadView]:
        """Return a state root, the newest without one, and state with that root.

        Raises RefusedError: INVALID_ROOT for what is none, NO_ROOT for one that is not known or whose state
        is no longer kept.
        """
        head = self.head()
        if not state_root or state_root == head.header.state_root_hash:
            return head.header.state_root_hash, self.newest
        if len(state_root) != 64 or not set(state_root) <= set("0123456789abcdef"):
            raise RefusedError("INVALID_ROOT")
        block = records.block_by_root(self.newest, state_root)
        if block is None:
            raise RefusedError("NO_ROOT")
        try:
            return state_root, records.state_at(block, self.newest, self.view_at(block.base_seqno))
        except CallerError:
            raise RefusedError("NO_ROOT") from None


def check_ids(ids: Iterable[str]) -> None:
    """Raise RefusedError (INVALID_ID) unless all are identifiers."""
    if not all(is_id(each) for each in ids):
        raise RefusedError("INVALID_ID")


def is_reversed(sorting: Sequence[ClientSortControls], key: str) -> bool:
    """Tell whether the other order is wanted. Raises RefusedError (INVALID_SORT) for another key."""
    if not sorting:
        return False
    if list(sorting[0].keys) != [key]:
        raise RefusedError("INVALID_SORT")
    return sorting[0].reverse
