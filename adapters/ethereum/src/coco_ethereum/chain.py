"""A chain's configuration: what genesis fixed and every node of the network reads from state.

Pure values and their stored form. Which fork rules a block follows is decided here, by time, as
geth does since the merge. Must not know how blocks are made or served.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import attrs
import orjson

from coco_core.adapter import ReadView
from coco_core.errors import IntegrityError
from coco_ethereum.engine import FORKS
from coco_ethereum.records import CONFIG, SINGLETON_KEY

_FORMAT: Final = 1


@attrs.frozen(kw_only=True)
class Environment:
    """One fixed environment for every transaction, whatever block it is in.

    For replaying transactions whose result depends on the block they were made for. Blocks still
    get their own numbers and times; only what contracts can see of them is fixed, and BLOCKHASH
    is zero. The gas limit then bounds each transaction alone.
    """

    number: int
    timestamp: int
    coinbase: bytes
    prev_randao: bytes
    base_fee: int
    gas_limit: int
    excess_blob_gas: int


@attrs.frozen(kw_only=True)
class ChainConfig:
    """What every block of the chain has in common."""

    chain_id: int
    engine: str
    """Name of the EVM the network runs; which one is a decision of genesis, never of what is installed."""
    forks: tuple[tuple[str, int], ...]
    """Fork names of ``engine.FORKS`` and the block time (seconds) each begins at, oldest first."""
    gas_limit: int
    base_fee: int
    """Wei per gas; constant, since there is no open pool and so no fee market."""
    coinbase: bytes
    environment: Environment | None = None
    allow_unprotected: bool = False
    """Whether JSON-RPC takes legacy transactions that are valid on any chain (before EIP-155)."""

    @property
    def effective_base_fee(self) -> int:
        """Wei per gas that transactions are executed with; when pinned, the fixed one."""
        return self.base_fee if self.environment is None else self.environment.base_fee

    def fork_at(self, timestamp: int) -> str:
        """Return the name of the rules a block at ``timestamp`` (seconds) follows."""
        active = [name for name, start in self.forks if start <= timestamp]
        return active[-1] if active else FORKS[0]

    def pack(self) -> bytes:
        """Return the stored form: JSON, so that an operator reads it without this package."""
        environment = self.environment
        return orjson.dumps(
            {
                "format": _FORMAT,
                "chainId": self.chain_id,
                "engine": self.engine,
                "forks": dict(self.forks),
                "gasLimit": self.gas_limit,
                "baseFeePerGas": str(self.base_fee),
                "coinbase": self.coinbase.hex(),
                "allowUnprotected": self.allow_unprotected,
                "constEnv": environment
                and {
                    "number": environment.number,
                    "timestamp": environment.timestamp,
                    "coinbase": environment.coinbase.hex(),
                    "prevrandao": environment.prev_randao.hex(),
                    "basefee": str(environment.base_fee),
                    "gaslimit": environment.gas_limit,
                    "excess_blob_gas": environment.excess_blob_gas,
                },
            }
        )


def read_config(view: ReadView) -> ChainConfig:
    """Return the configuration a state was begun with; raises IntegrityError when it has none."""
    packed = view.get(CONFIG, SINGLETON_KEY)
    if packed is None:
        raise IntegrityError("the state has no Ethereum chain configuration")
    return _unpack(packed)


@lru_cache(maxsize=8)
def _unpack(packed: bytes) -> ChainConfig:
    values: dict[str, Any] = orjson.loads(packed)
    if values["format"] != _FORMAT:
        raise IntegrityError(f"chain configuration in unknown format {values['format']!r}")
    return ChainConfig(
        chain_id=values["chainId"],
        engine=values["engine"],
        forks=tuple(values["forks"].items()),
        gas_limit=values["gasLimit"],
        base_fee=int(values["baseFeePerGas"]),
        coinbase=bytes.fromhex(values["coinbase"]),
        environment=_environment(values["constEnv"]),
        allow_unprotected=values["allowUnprotected"],
    )


def _environment(values: Mapping[str, Any] | None) -> Environment | None:
    if values is None:
        return None
    return Environment(
        number=values["number"],
        timestamp=values["timestamp"],
        coinbase=bytes.fromhex(values["coinbase"]),
        prev_randao=bytes.fromhex(values["prevrandao"]),
        base_fee=int(values["basefee"]),
        gas_limit=values["gaslimit"],
        excess_blob_gas=values["excess_blob_gas"],
    )
