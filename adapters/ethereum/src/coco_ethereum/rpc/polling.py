"""Methods of filters: a client polls what happened since it last asked.

What is reported is noted only once it is part of an answer, and an answer that would be too long ends
early, at a block: the next poll goes on from there, so that nothing is ever left out.
"""

from __future__ import annotations

from typing import Final

from coco_ethereum.limits import FILTER_BLOCKS_MAX
from coco_ethereum.records import BLOCK_HASH_SLICE
from coco_ethereum.rpc import logs, values
from coco_ethereum.rpc.errors import invalid_params, server_error
from coco_ethereum.rpc.filters import Filter
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Slow

_FILTER_BYTES: Final = 256
_ALTERNATIVE_BYTES: Final = 128
"""Memory of a filter and of each address or topic it asks for, about."""


def new_filter(reading: Reading, params: Params) -> object:
    """eth_newFilter: remember criteria; only logs of blocks to come are reported, as in geth.

    Of those, the ones from ``fromBlock`` to ``toBlock``; with a ``blockHash`` there is nothing to come.
    """
    params.bounds(1, 1)
    criteria = params.at(0, logs.read_criteria)
    first, last = criteria.first.number, criteria.last.number
    if first is not None and last is not None and first > last:
        raise invalid_params("invalid block range params")
    size = _FILTER_BYTES + _ALTERNATIVE_BYTES * criteria.alternatives
    return reading.filters.add(Filter("logs", criteria, reading.head.number, size))


def new_block_filter(reading: Reading, params: Params) -> object:
    """eth_newBlockFilter: report hashes of blocks to come."""
    params.bounds(0, 0)
    return reading.filters.add(Filter("blocks", None, reading.head.number))


def new_pending_filter(reading: Reading, params: Params) -> object:
    """eth_newPendingTransactionFilter: reports nothing, for no transaction is ever seen pending."""
    params.bounds(0, 1)
    return reading.filters.add(Filter("pending", None, reading.head.number))


def changes(reading: Reading, params: Params) -> object:
    """eth_getFilterChanges: what happened since the last call."""
    params.bounds(1, 1)
    found = _find(reading, params)
    first, last = found.told + 1, reading.head.number
    if isinstance(found.criteria, logs.Criteria):
        return _new_logs(reading, found, found.criteria)
    if found.kind == "pending" or first > last:
        return []
    last = min(last, first + FILTER_BLOCKS_MAX - 1)
    return Slow(
        lambda: [
            values.data(reading.packed_at(number)[BLOCK_HASH_SLICE]) for number in range(first, last + 1)
        ],
        delivered=lambda: found.tell(last),
    )


def _new_logs(reading: Reading, asked: Filter, criteria: logs.Criteria) -> object:
    first = max(asked.told + 1, criteria.first.number or 0)
    last = reading.head.number if criteria.last.number is None else criteria.last.number
    last = min(last, reading.head.number)
    if criteria.block_hash is not None or first > last:
        return []
    searched: list[int] = []

    def work() -> object:
        found = logs.search(reading, criteria, first, last, may_stop=True)
        searched.append(found.last)
        return found.logs

    return Slow(work, delivered=lambda: asked.tell(searched[-1]))


def filter_logs(reading: Reading, params: Params) -> object:
    """eth_getFilterLogs: everything a log filter's criteria match, told or not."""
    params.bounds(1, 1)
    criteria = _find(reading, params).criteria
    if not isinstance(criteria, logs.Criteria):
        raise server_error("filter not found")
    first, last = logs.block_range(reading, criteria)
    return Slow(lambda: logs.search(reading, criteria, first, last).logs)


def uninstall(reading: Reading, params: Params) -> object:
    """eth_uninstallFilter: forget a filter; tell whether there was one."""
    params.bounds(1, 1)
    return reading.filters.remove(params.at(0, _read_name))


def _find(reading: Reading, params: Params) -> Filter:
    found = reading.filters.get(params.at(0, _read_name))
    if found is None:
        raise server_error("filter not found")
    return found


def _read_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("json: cannot unmarshal non-string into a filter id")
    return value


METHODS: Final = {
    "eth_getFilterChanges": changes,
    "eth_getFilterLogs": filter_logs,
    "eth_newBlockFilter": new_block_filter,
    "eth_newFilter": new_filter,
    "eth_newPendingTransactionFilter": new_pending_filter,
    "eth_uninstallFilter": uninstall,
}
