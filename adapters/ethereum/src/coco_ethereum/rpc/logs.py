"""eth_getLogs: searching the logs of a range of blocks, with bounds on the work and on the answer.

A block's bloom (yellow paper §4.3.1) says for most blocks that nothing in them can match, without
reading a single transaction; a receipt's bloom says it of one transaction. So the length of a range
says little about the work, and is not bounded. The criteria are also what log filters remember
(``filters``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from coco_ethereum.bloom import bloom_bits
from coco_ethereum.engine import Log
from coco_ethereum.limits import (
    LOGS_ALTERNATIVES_MAX,
    LOGS_RESULTS_MAX,
    LOGS_RESULTS_SIZE_MAX_BYTES,
    LOGS_TOPICS_MAX,
    LOGS_WORK_MAX,
)
from coco_ethereum.receipts import stored_receipt
from coco_ethereum.records import Block, packed_bloom, receipt_bloom
from coco_ethereum.rpc import render, values
from coco_ethereum.rpc.errors import invalid_params, server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import NEWEST, Reading, Selector, Slow, read_number_selector

_TRANSACTION_WORK: Final = 2
_ALTERNATIVES_PER_WORK: Final = 16
_RECEIPT_BYTES_PER_WORK: Final = 16
"""What else is work: one transaction's record, so many blooms compared, so much of a receipt decoded."""
_LOG_JSON_BYTES: Final = 600
"""Size of a log as JSON beside its data, about."""

Blooms = Sequence[Sequence[int]]
"""For each thing asked for, the bloom bits of its alternatives: one of them must be set."""


@attrs.frozen
class Criteria:
    """Which logs are wanted: from where, and what each topic may be (empty = anything)."""

    addresses: frozenset[bytes] = frozenset()
    topics: tuple[frozenset[bytes], ...] = ()
    first: Selector = NEWEST
    last: Selector = NEWEST
    block_hash: bytes | None = None

    @property
    def alternatives(self) -> int:
        """How many addresses and topics are asked for."""
        return len(self.addresses) + sum(map(len, self.topics))

    def blooms(self) -> Blooms:
        """Return the bloom bits asked for; a hash for each alternative, so not for the event loop."""
        wanted = [alternatives for alternatives in (self.addresses, *self.topics) if alternatives]
        return tuple(tuple(map(bloom_bits, alternatives)) for alternatives in wanted)

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
    addresses, topics = _listed(value.get("address")), _read_positions(value.get("topics"))
    asked = len(addresses) + sum(map(len, topics))
    if asked > LOGS_ALTERNATIVES_MAX:
        raise ValueError(f"exceed max addresses or topics: {asked}, limit {LOGS_ALTERNATIVES_MAX}")
    return Criteria(
        addresses=frozenset(map(values.read_address, addresses)),
        topics=tuple(map(_read_alternatives, topics)),
        first=NEWEST if first is None else read_number_selector(first),
        last=NEWEST if last is None else read_number_selector(last),
        block_hash=None if block_hash is None else values.read_hash(block_hash),
    )


def _listed(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list) else [value]


def _read_positions(value: object) -> Sequence[Sequence[object]]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("json: cannot unmarshal non-array into topics")
    if len(value) > LOGS_TOPICS_MAX:
        raise ValueError(f"exceed max topics: {len(value)}, limit {LOGS_TOPICS_MAX}")
    return tuple(map(_listed, value))


def _read_alternatives(listed: Sequence[object]) -> frozenset[bytes]:
    # A null among alternatives matches anything (geth: "a nil topic means any").
    return frozenset() if None in listed else frozenset(map(values.read_hash, listed))


def get_logs(reading: Reading, params: Params) -> object:
    """eth_getLogs."""
    params.bounds(1, 1)
    criteria = params.at(0, read_criteria)
    first, last = block_range(reading, criteria)
    return Slow(lambda: search(reading, criteria, first, last).logs)


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
    return first, last


@attrs.frozen
class Found:
    """Matching logs in order, and the last block that was searched."""

    logs: list[render.Table]
    last: int


def search(reading: Reading, criteria: Criteria, first: int, last: int, *, may_stop: bool = False) -> Found:
    """Search blocks ``first`` to ``last``.

    Beyond a bound it stops after the block at hand when it ``may_stop``, and otherwise raises RPCError
    (-32602, for the same search will never succeed). A search of one block is not bounded: the block
    is, and there is no smaller search to ask for.
    """
    finder = _Finder(reading, criteria, bounded=not may_stop and first != last)
    for number in range(first, last + 1):
        finder.look_into(number)
        if may_stop and finder.excess():
            return Found(finder.found, number)
    return Found(finder.found, last)


class _Finder:
    """One search: what it found and what it cost."""

    def __init__(self, reading: Reading, criteria: Criteria, *, bounded: bool) -> None:
        self.found: list[render.Table] = []
        self._reading = reading
        self._criteria = criteria
        self._blooms = criteria.blooms()
        self._bloom_work = 1 + criteria.alternatives // _ALTERNATIVES_PER_WORK
        self._bounded = bounded
        self._work = self._size = 0

    def look_into(self, number: int) -> None:
        """Add a block's matches. Raises RPCError when the search is bounded and costs too much."""
        self._work += self._bloom_work
        packed = self._reading.packed_block(number)
        if packed is not None and self._possible(packed_bloom(packed)):
            for mined in self._reading.mined_in(Block.unpack(packed)):
                self.found += self._matches(mined)
                self._check()
        self._check()

    def excess(self) -> str:
        """Return which bound is exceeded, or nothing."""
        if len(self.found) > LOGS_RESULTS_MAX:
            return f"query returned more than {LOGS_RESULTS_MAX} results"
        if self._size > LOGS_RESULTS_SIZE_MAX_BYTES:
            return f"query returned more than {LOGS_RESULTS_SIZE_MAX_BYTES} bytes"
        return "query takes too much work, ask for fewer blocks" if self._work > LOGS_WORK_MAX else ""

    def _check(self) -> None:
        if self._bounded and (excess := self.excess()):
            raise invalid_params(excess)

    def _possible(self, bloom: bytes) -> bool:
        bits = int.from_bytes(bloom)
        return all(any(bits & each == each for each in alternatives) for alternatives in self._blooms)

    def _matches(self, mined: render.Mined) -> Iterator[render.Table]:
        receipt = mined.record.receipt
        self._work += _TRANSACTION_WORK + self._bloom_work
        if not self._possible(receipt_bloom(receipt)):
            return
        self._work += len(receipt) // _RECEIPT_BYTES_PER_WORK
        for index, log in enumerate(stored_receipt(receipt).logs, start=mined.record.first_log):
            if self._criteria.matches(log):
                self._size += _LOG_JSON_BYTES + 2 * len(log.data)
                yield render.log_json(mined, log, index)


METHODS: Final = {"eth_getLogs": get_logs}
