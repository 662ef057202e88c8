"""Events: what a block tells, and what of it a subscriber wants to hear. Pure.

Expressions of subscribers are matched by an engine whose time grows with the text and no faster: one client's
expression must not stop a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs
import re2

from coco_core.adapter import ReadView
from coco_core.errors import MalformedError
from coco_sawtooth import records
from coco_sawtooth.limits import (
    SUBSCRIPTION_EXPRESSION_MAX_CHARS,
    SUBSCRIPTION_EXPRESSION_MEMORY_BYTES,
    SUBSCRIPTION_FILTERS_MAX,
)
from coco_sawtooth.messages import Event, EventFilter, EventSubscription, StateChange, StateChangeList

BLOCK_COMMIT: Final = "sawtooth/block-commit"
STATE_DELTA: Final = "sawtooth/state-delta"


def block_commit(block: records.Block) -> Event:
    """Return the event that tells of a block."""
    told = {
        "block_id": block.id,
        "block_num": str(block.number),
        "state_root_hash": block.header.state_root_hash,
        "previous_block_id": block.header.previous_block_id,
    }
    attributes = [Event.Attribute(key=key, value=value) for key, value in told.items()]
    return Event(event_type=BLOCK_COMMIT, attributes=attributes)


def of_block(view: ReadView, block: records.Block) -> list[Event]:
    """Return the events of a block: that it is committed, its transactions' own, what state it changed."""
    told = [block_commit(block)]
    changes: dict[str, StateChange] = {}
    for receipt in records.receipts_of_block(view, block):
        told += receipt.events
        for change in receipt.state_changes:
            # The last value an address got in this block.
            changes.pop(change.address, None)
            changes[change.address] = change
    # The order of a validator: what was changed last comes first.
    newest_first = list(reversed(changes.values()))
    told.append(
        Event(
            event_type=STATE_DELTA,
            attributes=[Event.Attribute(key="address", value=each.address) for each in newest_first],
            data=StateChangeList(state_changes=newest_first).SerializeToString(),
        )
    )
    return told


Test = Callable[[str], bool]


@attrs.frozen
class _Filter:
    key: str
    test: Test
    every: bool
    """Whether every value under the key has to pass, of which there may be none; else one has to."""

    def passes(self, event: Event) -> bool:
        values = (each.value for each in event.attributes if each.key == self.key)
        return (all if self.every else any)(map(self.test, values))


@attrs.frozen
class Interest:
    """What a subscriber wants to hear."""

    wanted: tuple[tuple[str, tuple[_Filter, ...]], ...]
    """Types of events, each with what all must pass."""

    @classmethod
    def read(cls, subscriptions: Sequence[EventSubscription]) -> Interest:
        """Read subscriptions. Raises MalformedError for a filter that cannot be applied."""
        if sum(len(each.filters) + 1 for each in subscriptions) > SUBSCRIPTION_FILTERS_MAX:
            raise MalformedError(f"more than {SUBSCRIPTION_FILTERS_MAX} subscriptions and filters")
        return cls(tuple((each.event_type, tuple(map(_filter, each.filters))) for each in subscriptions))

    def of(self, told: Iterable[Event]) -> list[Event]:
        """Return the events that somebody interested wants, in order."""
        return [event for event in told if any(self._passing(event))]

    def _passing(self, event: Event) -> Iterator[bool]:
        for event_type, filters in self.wanted:
            yield event.event_type == event_type and all(each.passes(event) for each in filters)


def _filter(told: EventFilter) -> _Filter:
    if told.filter_type in (EventFilter.SIMPLE_ANY, EventFilter.SIMPLE_ALL):
        return _Filter(told.key, told.match_string.__eq__, told.filter_type == EventFilter.SIMPLE_ALL)
    if told.filter_type in (EventFilter.REGEX_ANY, EventFilter.REGEX_ALL):
        return _Filter(told.key, _expression(told.match_string), told.filter_type == EventFilter.REGEX_ALL)
    raise MalformedError(f"{told.filter_type} is no type of filter")


def _expression(text: str) -> Test:
    if len(text) > SUBSCRIPTION_EXPRESSION_MAX_CHARS:
        raise MalformedError(f"an expression has {SUBSCRIPTION_EXPRESSION_MAX_CHARS} characters at most")
    options = re2.Options()
    options.max_mem = SUBSCRIPTION_EXPRESSION_MEMORY_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise MalformedError(f"not an expression: {shown}") from None
    return lambda value: compiled.search(value) is not None
