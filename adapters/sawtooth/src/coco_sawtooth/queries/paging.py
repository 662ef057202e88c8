"""Pages of a list: how long they are, where they begin, what comes after. Pure.

A page ends at the limit that was asked for, or before that with so many bytes: items may be large, and who
asked goes on at ``next`` in either case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import attrs
from google.protobuf.message import Message

from coco_sawtooth.limits import PAGE_ITEMS, PAGE_ITEMS_MAX, PAGE_SIZE_MAX_BYTES
from coco_sawtooth.messages import ClientPagingControls, ClientPagingResponse
from coco_sawtooth.queries.reading import RefusedError

T = TypeVar("T", bound=Message)


@attrs.frozen
class Page(Generic[T]):
    """Some items of a list, and what to say of the place they have in it."""

    items: list[T]
    response: ClientPagingResponse


def limit_of(controls: ClientPagingControls) -> int:
    """Return how many items a page has at most. Raises RefusedError (INVALID_PAGING) for fewer than none."""
    if controls.limit < 0:
        raise RefusedError("INVALID_PAGING")
    return min(controls.limit, PAGE_ITEMS_MAX) or PAGE_ITEMS


def from_start(listed: Iterable[tuple[str, T]], controls: ClientPagingControls) -> Page[T]:
    """Return the page of a whole list of markers and items that begins at the marker asked for.

    Raises RefusedError (INVALID_PAGING) when it is not in the list.
    """
    items = iter(listed)
    if not controls.start:
        return take(items, controls)
    for marker, item in items:
        if marker == controls.start:
            return take(_with(marker, item, items), controls)
    raise RefusedError("INVALID_PAGING")


def _with(marker: str, item: T, rest: Iterator[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    yield marker, item
    yield from rest


def take(listed: Iterable[tuple[str, T]], controls: ClientPagingControls) -> Page[T]:
    """Return the page with which a list of markers and items begins; empty only when the list is."""
    limit, size = limit_of(controls), 0
    page: list[T] = []
    start = following = ""
    for marker, item in listed:
        size += item.ByteSize()
        if page and (len(page) == limit or size > PAGE_SIZE_MAX_BYTES):
            following = marker
            break
        start = start or marker
        page.append(item)
    if not page:
        return Page([], ClientPagingResponse())
    return Page(page, ClientPagingResponse(next=following, start=start, limit=limit))
