"""eth_getLogs: searching the logs of a range of blocks, with bounds on the range and on the answer.

A block's bloom (yellow paper §4.3.1) says for most blocks that nothing in them can match, without
reading a single transaction; a receipt's bloom says it of one transaction. The criteria are also what
log filters remember (``filters``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from coco_ethereum.bloom import bloom_bits
from coco_ethereum.engine import Log
from coco_ethereum.limits import (
    LOGS_ADDRESSES_MAX,
    LOGS_ALTERNATIVES_MAX,
    LOGS_BLOCK_RANGE_MAX,
    LOGS_RESULTS_MAX,
    LOGS_TOPICS_MAX,
)
from coco_ethereum.receipts import stored_receipt
from coco_ethereum.records import Block, packed_bloom, receipt_bloom
from coco_ethereum.rpc import render, values
from coco_ethereum.rpc.errors import invalid_params, limit_exceeded, server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import NEWEST, Reading, Selector, Slow, read_number_selector


@attrs.frozen
class Criteria:
    """Which logs are wanted: from where, and what each topic may be (empty = anything)."""

    addresses: frozenset[bytes] = frozenset()
    topics: tuple[frozenset[bytes], ...] = ()
    first: Selector = NEWEST
    last: Selector = NEWEST
    block_hash: bytes | None = None
    blooms: tuple[tuple[int, ...], ...] = ()
    """For each thing asked for, the bloom bits of its alternatives: one of them must be set."""

    def possible(self, bloom: bytes) -> bool:
        """Tell whether a block with this bloom may hold a match."""
        bits = int.from_bytes(bloom)
        return all(any(bits & each == each for each in alternatives) for alternatives in self.blooms)

    def matches(self, log: Log) -> bool:
        """Tell whether a log is wanted."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(
            not wanted or topic in wanted for wanted, topic in zip(self.topics, log.topics, strict=False)
        )


def read_criteria(value: object) -> Criteria:
    """Read a filter table; raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("json: cannot unmarshal non-object into filter criteria")
    first, last = value.get("fromBlock"), value.get("toBlock")
    block_hash = value.get("blockHash")
    if block_hash is not None and (first is not None or last is not None):
        raise ValueError("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
    addresses = _read_addresses(value.get("address"))
    topics = _read_topics(value.get("topics"))
    wanted = [alternatives for alternatives in (addresses, *topics) if alternatives]
    return Criteria(
        addresses=addresses,
        topics=topics,
        first=NEWEST if first is None else read_number_selector(first),
        last=NEWEST if last is None else read_number_selector(last),
        block_hash=None if block_hash is None else values.read_hash(block_hash),
        blooms=tuple(tuple(map(bloom_bits, sorted(alternatives))) for alternatives in wanted),
    )


def _read_addresses(value: object) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    listed = value if isinstance(value, list) else [value]
    if len(listed) > LOGS_ADDRESSES_MAX:
        raise ValueError(f"exceed max addresses: {len(listed)}, limit {LOGS_ADDRESSES_MAX}")
    return frozenset(map(values.read_address, listed))


def _read_topics(value: object) -> tuple[frozenset[bytes], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("json: cannot unmarshal non-array into topics")
    if len(value) > LOGS_TOPICS_MAX:
        raise ValueError(f"exceed max topics: {len(value)}, limit {LOGS_TOPICS_MAX}")
    return tuple(map(_read_alternatives, value))


def _read_alternatives(value: object) -> frozenset[bytes]:
    if value is None:
        return frozenset()
    listed = value if isinstance(value, list) else [value]
    if len(listed) > LOGS_ALTERNATIVES_MAX:
        raise ValueError(f"exceed max alternatives of a topic: {len(listed)}, limit {LOGS_ALTERNATIVES_MAX}")
    # A null among alternatives matches anything (geth: "a nil topic means any").
    return frozenset() if None in listed else frozenset(map(values.read_hash, listed))


def get_logs(reading: Reading, params: Params) -> object:
    """eth_getLogs."""
    params.bounds(1, 1)
    criteria = params.at(0, read_criteria)
    first, last = block_range(reading, criteria)
    return Slow(lambda: search(reading, criteria, first, last))


def block_range(reading: Reading, criteria: Criteria) -> tuple[int, int]:
    """Return the first and last block to search. Raises RPCError for a range that makes no sense.

    A client that polls from the block after the newest, without an end, finds nothing yet.
    """
    if criteria.block_hash is not None:
        number = reading.number(Selector(hash=criteria.block_hash))
        if number is None:
            raise server_error("unknown block")
        return number, number
    newest = reading.head.number
    first = newest if criteria.first.number is None else criteria.first.number
    last = newest if criteria.last.number is None else criteria.last.number
    if criteria.last.number is not None and first > last:
        raise invalid_params("invalid block range params")
    if criteria.last.number is not None and last > newest:
        raise invalid_params("block range extends beyond current head block")
    if last - first >= LOGS_BLOCK_RANGE_MAX:
        raise limit_exceeded(f"query exceeds max block range {LOGS_BLOCK_RANGE_MAX}")
    return first, last


def search(reading: Reading, criteria: Criteria, first: int, last: int) -> list[render.Table]:
    """Return the matching logs of blocks ``first`` to ``last``, in order.

    Raises RPCError (-32005) when there are more than LOGS_RESULTS_MAX.
    """
    found: list[render.Table] = []
    for number in range(first, last + 1):
        packed = reading.packed_block(number)
        if packed is None or not criteria.possible(packed_bloom(packed)):
            continue
        found += _matches(reading, criteria, Block.unpack(packed))
        if len(found) > LOGS_RESULTS_MAX:
            raise limit_exceeded(f"query returned more than {LOGS_RESULTS_MAX} results")
    return found


def _matches(reading: Reading, criteria: Criteria, block: Block) -> Iterator[render.Table]:
    for mined in reading.mined_in(block):
        if not criteria.possible(receipt_bloom(mined.record.receipt)):
            continue
        logs = stored_receipt(mined.record.receipt).logs
        for index, log in enumerate(logs, start=mined.record.first_log):
            if criteria.matches(log):
                yield render.log_json(mined, log, index)


METHODS: Final = {"eth_getLogs": get_logs}
