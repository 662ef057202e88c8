"""Blocks, batches and transactions: one of them, or lists of them along the chain. Pure.

Lists go from the head to the first block. Within a block, batches and transactions come in their order; the
reverse of a list is its exact reverse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Generic, TypeVar

import attrs
from google.protobuf.message import Message

from coco_core.adapter import ReadView
from coco_sawtooth import messages, records
from coco_sawtooth.messages import (
    ClientBatchGetRequest,
    ClientBatchGetResponse,
    ClientBatchListRequest,
    ClientBatchListResponse,
    ClientBlockGetByBatchIdRequest,
    ClientBlockGetByIdRequest,
    ClientBlockGetByNumRequest,
    ClientBlockGetByTransactionIdRequest,
    ClientBlockGetResponse,
    ClientBlockListRequest,
    ClientBlockListResponse,
    ClientPagingControls,
    ClientPagingResponse,
    ClientTransactionGetRequest,
    ClientTransactionGetResponse,
    ClientTransactionListRequest,
    ClientTransactionListResponse,
)
from coco_sawtooth.queries.paging import Page, from_start, take
from coco_sawtooth.queries.reading import Reading, RefusedError, check_ids, is_reversed

T = TypeVar("T", bound=Message)
_NUMBER: Final = re.compile(r"0x[0-9a-f]{1,16}")


def block_marker(number: int) -> str:
    """Return how a place in a list of blocks is named."""
    return f"0x{number:016x}"


# --- blocks ---------------------------------------------------------------------------------------------


def list_blocks(reading: Reading, request: ClientBlockListRequest) -> ClientBlockListResponse:
    """Answer a request for a list of blocks."""
    head = reading.head(request.head_id)
    check_ids(request.block_ids)
    view = reading.newest
    if request.block_ids:
        found = (records.block_by_id(view, each) for each in request.block_ids)
        known = ((each.id, each) for each in found if each is not None and each.number <= head.number)
        page = take(_whole(view, known), ClientPagingControls(limit=len(request.block_ids)))
        page = attrs.evolve(page, response=ClientPagingResponse())
    else:
        reverse = is_reversed(request.sorting, "block_num")
        start = _start_number(request.paging, 0 if reverse else head.number, head.number)
        numbers = range(start, head.number + 1) if reverse else range(start, -1, -1)
        blocks = ((block_marker(number), records.block_by_number(view, number)) for number in numbers)
        page = take(_whole(view, ((marker, each) for marker, each in blocks if each)), request.paging)
    return ClientBlockListResponse(
        status=ClientBlockListResponse.OK if page.items else ClientBlockListResponse.NO_RESOURCE,
        blocks=page.items,
        head_id=head.id,
        paging=page.response,
    )


def _whole(
    view: ReadView, blocks: Iterable[tuple[str, records.Block]]
) -> Iterator[tuple[str, messages.Block]]:
    for marker, block in blocks:
        yield marker, records.whole_block(view, block)


def _start_number(controls: ClientPagingControls, usual: int, last: int) -> int:
    if not controls.start:
        return usual
    if not _NUMBER.fullmatch(controls.start) or (number := int(controls.start, 16)) > last:
        raise RefusedError("INVALID_PAGING")
    return number


def block_by_id(reading: Reading, request: ClientBlockGetByIdRequest) -> ClientBlockGetResponse:
    """Answer a request for a block by its id."""
    check_ids([request.block_id])
    return _block(reading, records.block_by_id(reading.newest, request.block_id))


def block_by_number(reading: Reading, request: ClientBlockGetByNumRequest) -> ClientBlockGetResponse:
    """Answer a request for a block by its number."""
    return _block(reading, records.block_by_number(reading.newest, request.block_num))


def block_of_batch(reading: Reading, request: ClientBlockGetByBatchIdRequest) -> ClientBlockGetResponse:
    """Answer a request for the block that holds a batch."""
    check_ids([request.batch_id])
    return _block(reading, _block_with(reading.newest, request.batch_id))


def block_of_transaction(
    reading: Reading, request: ClientBlockGetByTransactionIdRequest
) -> ClientBlockGetResponse:
    """Answer a request for the block that holds a transaction."""
    check_ids([request.transaction_id])
    place = records.place_of_transaction(reading.newest, request.transaction_id)
    return _block(reading, _block_with(reading.newest, place[0]) if place else None)


def _block_with(view: ReadView, batch_id: str) -> records.Block | None:
    number = records.number_of_batch(view, batch_id)
    return None if number is None else records.block_by_number(view, number)


def _block(reading: Reading, block: records.Block | None) -> ClientBlockGetResponse:
    if block is None:
        raise RefusedError("NO_RESOURCE")
    return ClientBlockGetResponse(
        status=ClientBlockGetResponse.OK, block=records.whole_block(reading.newest, block)
    )


# --- batches and transactions ------------------------------------------------------------------------------


@attrs.frozen
class _Kind(Generic[T]):
    """What the chain's lists of batches and of transactions differ in."""

    fetch: Callable[[ReadView, str], T | None]
    number_of: Callable[[ReadView, str], int | None]
    """The number of the block that holds one, None when nothing does."""
    ids_of: Callable[[ReadView, records.Block], list[str]]
    """Those of a block, in order."""


def _fetch_batch(view: ReadView, batch_id: str) -> messages.Batch | None:
    raw = records.raw_batch(view, batch_id)
    return None if raw is None else messages.Batch.FromString(raw)


def _number_of_transaction(view: ReadView, transaction_id: str) -> int | None:
    place = records.place_of_transaction(view, transaction_id)
    return records.number_of_batch(view, place[0]) if place else None


def _transactions_of(view: ReadView, block: records.Block) -> list[str]:
    batches = (_fetch_batch(view, each) for each in block.header.batch_ids)
    return [each.header_signature for batch in batches if batch for each in batch.transactions]


_BATCHES: Final = _Kind(_fetch_batch, records.number_of_batch, lambda _, block: list(block.header.batch_ids))
_TRANSACTIONS: Final = _Kind(records.transaction, _number_of_transaction, _transactions_of)


def list_batches(reading: Reading, request: ClientBatchListRequest) -> ClientBatchListResponse:
    """Answer a request for a list of batches."""
    head = reading.head(request.head_id)
    reverse = is_reversed(request.sorting, "default")
    page = _page(reading, _BATCHES, head, request.batch_ids, request.paging, reverse=reverse)
    return ClientBatchListResponse(
        status=ClientBatchListResponse.OK if page.items else ClientBatchListResponse.NO_RESOURCE,
        batches=page.items,
        head_id=head.id,
        paging=page.response,
    )


def list_transactions(
    reading: Reading, request: ClientTransactionListRequest
) -> ClientTransactionListResponse:
    """Answer a request for a list of transactions."""
    head = reading.head(request.head_id)
    reverse = is_reversed(request.sorting, "default")
    page = _page(reading, _TRANSACTIONS, head, request.transaction_ids, request.paging, reverse=reverse)
    return ClientTransactionListResponse(
        status=ClientTransactionListResponse.OK if page.items else ClientTransactionListResponse.NO_RESOURCE,
        transactions=page.items,
        head_id=head.id,
        paging=page.response,
    )


def _page(
    reading: Reading,
    kind: _Kind[T],
    head: records.Block,
    wanted: Sequence[str],
    controls: ClientPagingControls,
    *,
    reverse: bool,
) -> Page[T]:
    check_ids(wanted)
    view = reading.newest
    if wanted:
        numbers = [(each, kind.number_of(view, each)) for each in dict.fromkeys(wanted)]
        known = [each for each, number in numbers if number is not None and number <= head.number]
        if not known:
            return Page([], ClientPagingResponse())
        return from_start(_fetched(view, kind, reversed(known) if reverse else known), controls)
    start = _place_of(view, kind, head, controls.start) if controls.start else None
    return take(_fetched(view, kind, _along(view, kind, head, start, reverse=reverse)), controls)


def _fetched(view: ReadView, kind: _Kind[T], ids: Iterable[str]) -> Iterator[tuple[str, T]]:
    for each in ids:
        item = kind.fetch(view, each)
        if item is not None:
            yield each, item


def _place_of(view: ReadView, kind: _Kind[T], head: records.Block, marker: str) -> tuple[int, str]:
    number = kind.number_of(view, marker)
    if number is None or number > head.number:
        raise RefusedError("INVALID_PAGING")
    return number, marker


def _along(
    view: ReadView, kind: _Kind[T], head: records.Block, start: tuple[int, str] | None, *, reverse: bool
) -> Iterator[str]:
    """Yield identifiers along the chain, from the one to start with."""
    first = start[0] if start else (0 if reverse else head.number)
    numbers = range(first, head.number + 1) if reverse else range(first, -1, -1)
    for number in numbers:
        block = records.block_by_number(view, number)
        ids = kind.ids_of(view, block) if block else []
        if reverse:
            ids.reverse()
        if start and number == first:
            ids = ids[ids.index(start[1]) :]
        yield from ids


def batch_by_id(reading: Reading, request: ClientBatchGetRequest) -> ClientBatchGetResponse:
    """Answer a request for a batch."""
    check_ids([request.batch_id])
    found = _fetch_batch(reading.newest, request.batch_id)
    if found is None:
        raise RefusedError("NO_RESOURCE")
    return ClientBatchGetResponse(status=ClientBatchGetResponse.OK, batch=found)


def transaction_by_id(reading: Reading, request: ClientTransactionGetRequest) -> ClientTransactionGetResponse:
    """Answer a request for a transaction."""
    check_ids([request.transaction_id])
    found = records.transaction(reading.newest, request.transaction_id)
    if found is None:
        raise RefusedError("NO_RESOURCE")
    return ClientTransactionGetResponse(status=ClientTransactionGetResponse.OK, transaction=found)
