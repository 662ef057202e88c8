"""Methods of filters: a client polls what happened since it last asked (EIP-234 aside, as in geth)."""

from __future__ import annotations

from typing import Final

from coco_ethereum.limits import LOGS_BLOCK_RANGE_MAX
from coco_ethereum.rpc import logs, values
from coco_ethereum.rpc.errors import server_error
from coco_ethereum.rpc.filters import Filter
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Slow


def new_filter(reading: Reading, params: Params) -> object:
    """eth_newFilter: remember criteria; only logs of blocks to come are reported."""
    params.bounds(1, 1)
    return reading.filters.add(Filter("logs", params.at(0, logs.read_criteria), reading.head.number))


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
    # After a long silence the oldest part is left out rather than the client locked out.
    first = max(first, last - LOGS_BLOCK_RANGE_MAX + 1)
    found.told = last
    if isinstance(found.criteria, logs.Criteria):
        criteria = found.criteria
        return Slow(lambda: logs.search(reading, criteria, first, last))
    if found.kind == "pending":
        return []
    return [values.data(reading.block_at(number).hash) for number in range(first, last + 1)]


def filter_logs(reading: Reading, params: Params) -> object:
    """eth_getFilterLogs: everything a log filter's criteria match, told or not."""
    params.bounds(1, 1)
    criteria = _find(reading, params).criteria
    if not isinstance(criteria, logs.Criteria):
        raise server_error("filter not found")
    first, last = logs.block_range(reading, criteria)
    return Slow(lambda: logs.search(reading, criteria, first, last))


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
