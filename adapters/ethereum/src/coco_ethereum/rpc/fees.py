"""Methods about fees. The base fee is constant and no tip buys anything: there is no open pool.

So suggestions are the base fee and a tip of zero; the history tells what was really paid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coco_ethereum.blocks import Header
from coco_ethereum.limits import FEE_HISTORY_BLOCKS_MAX, FEE_HISTORY_PERCENTILES_MAX
from coco_ethereum.records import Block
from coco_ethereum.rpc import values
from coco_ethereum.rpc.errors import server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import Reading, Slow, read_number_selector

SUGGESTED_TIP: Final = 0
BLOB_BASE_FEE: Final = 1
"""EIP-4844's minimum; no block ever holds blobs."""


def base_fee(reading: Reading) -> int:
    """Return the wei per gas the next block asks for."""
    return reading.chain.effective_base_fee


def gas_price(reading: Reading, params: Params) -> object:
    """eth_gasPrice: base fee and suggested tip."""
    params.bounds(0, 0)
    return values.quantity(base_fee(reading) + SUGGESTED_TIP)


def priority_fee(reading: Reading, params: Params) -> object:
    """eth_maxPriorityFeePerGas: the suggested tip."""
    params.bounds(0, 0)
    return values.quantity(SUGGESTED_TIP)


def blob_base_fee(reading: Reading, params: Params) -> object:
    """eth_blobBaseFee: the minimum."""
    params.bounds(0, 0)
    return values.quantity(BLOB_BASE_FEE)


def fee_history(reading: Reading, params: Params) -> object:
    """eth_feeHistory: base fees, fullness and percentiles of tips of recent blocks (EIP-1559)."""
    params.bounds(2, 3)
    count = min(params.at(0, values.read_number), FEE_HISTORY_BLOCKS_MAX)
    newest = reading.number(params.at(1, read_number_selector))
    percentiles = params.optional(2, _read_percentiles, None) or ()
    if newest is None:
        raise server_error(f"request beyond head block: head {reading.head.number}")
    if count == 0:
        return {"oldestBlock": "0x0", "gasUsedRatio": []}
    oldest = max(0, newest - count + 1)
    return Slow(lambda: _history(reading, oldest, newest, percentiles))


def _read_percentiles(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list):
        raise ValueError("json: cannot unmarshal non-array into percentiles")
    if len(value) > FEE_HISTORY_PERCENTILES_MAX:
        raise ValueError(f"over the query limit {FEE_HISTORY_PERCENTILES_MAX}")
    previous = 0.0
    for each in value:
        if not isinstance(each, int | float) or isinstance(each, bool) or not 0 <= each <= 100:
            raise ValueError(f"invalid reward percentile: {each}"[:80])
        if each < previous:
            raise ValueError(f"invalid reward percentile: {each} is below the one before")
        previous = each
    return tuple(value)


def _history(reading: Reading, oldest: int, newest: int, percentiles: Sequence[float]) -> object:
    base_fees: list[str] = []
    used: list[float] = []
    rewards: list[list[str]] = []
    for number in range(oldest, newest + 1):
        block = reading.block_at(number)
        header = Header.decode(block.header)
        base_fees.append(values.quantity(header.base_fee))
        # In the fixed environment the limit bounds each transaction, and a block may hold many.
        used.append(min(1.0, header.gas_used / header.gas_limit))
        if percentiles:
            rewards.append(_rewards(reading, block, header, percentiles))
    count = len(used)
    table: dict[str, object] = {
        "oldestBlock": values.quantity(oldest),
        "baseFeePerGas": [*base_fees, values.quantity(base_fee(reading))],
        "gasUsedRatio": used,
        "baseFeePerBlobGas": [values.quantity(BLOB_BASE_FEE)] * (count + 1),
        "blobGasUsedRatio": [0] * count,
    }
    if percentiles:
        table["reward"] = rewards
    return table


def _rewards(reading: Reading, block: Block, header: Header, percentiles: Sequence[float]) -> list[str]:
    """Return the tips below which ``percentiles`` of the block's gas paid, zero for an empty block."""
    records = (mined.record for mined in reading.mined_in(block))
    paid = sorted((record.effective_gas_price - header.base_fee, record.gas_used) for record in records)
    if not paid:
        return [values.quantity(0)] * len(percentiles)
    rewards: list[str] = []
    position, gas = 0, paid[0][1]
    for percentile in percentiles:
        threshold = header.gas_used * percentile / 100
        while gas < threshold and position < len(paid) - 1:
            position += 1
            gas += paid[position][1]
        rewards.append(values.quantity(max(0, paid[position][0])))
    return rewards


METHODS: Final = {
    "eth_blobBaseFee": blob_base_fee,
    "eth_feeHistory": fee_history,
    "eth_gasPrice": gas_price,
    "eth_maxPriorityFeePerGas": priority_fee,
}
