"""Genesis: from the operator's configuration, in geth's format, to the first write sets.

The format is that of ``geth init``: ``config`` (chain ID, forks by time), ``alloc``, ``gasLimit``,
``baseFeePerGas``, ``coinbase``, ``timestamp``. Beside it, and optional, stands our own section::

    "coco": {
      "engine": "revm",
      "constEnv": {"number", "timestamp", "coinbase", "prevrandao", "basefee", "gaslimit", "excess_blob_gas"}
    }

Every fault is the operator's and names the field. The chain begins after the merge: rules before
Shanghai are not offered, so a genesis that schedules an older fork later than block 0 is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from coco_core.adapter import Writes
from coco_core.errors import OperatorError
from coco_ethereum import blocks, fields
from coco_ethereum.chain import ChainConfig, Environment
from coco_ethereum.engine import FORKS, EvmEngine
from coco_ethereum.limits import GENESIS_ACCOUNTS_MAX, GENESIS_PART_SIZE_MAX_BYTES
from coco_ethereum.records import ACCOUNTS, CODE, CONFIG, SINGLETON_KEY, STORAGE

_TOP: Final = frozenset(
    [
        "config",
        "nonce",
        "timestamp",
        "extraData",
        "gasLimit",
        "difficulty",
        "mixHash",
        "coinbase",
        "alloc",
        "number",
        "gasUsed",
        "parentHash",
        "baseFeePerGas",
        "excessBlobGas",
        "blobGasUsed",
        "coco",
    ]
)
_ACCOUNT: Final = frozenset(("balance", "nonce", "code", "storage"))
_COCO: Final = frozenset(("engine", "constEnv", "allowUnprotected"))
_ENVIRONMENT: Final = frozenset(
    ("number", "timestamp", "coinbase", "prevrandao", "basefee", "gaslimit", "excess_blob_gas")
)
_OLDER_FORKS: Final = (
    "homesteadBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "muirGlacierBlock",
    "berlinBlock",
    "londonBlock",
    "arrowGlacierBlock",
    "grayGlacierBlock",
    "mergeNetsplitBlock",
)
_IGNORED_CONFIG: Final = frozenset(
    [
        "daoForkBlock",
        "daoForkSupport",
        "eip150Hash",
        "terminalTotalDifficulty",
        "terminalTotalDifficultyPassed",
        "ethash",
        "clique",
        "depositContractAddress",
        "blobSchedule",
    ]
)


def genesis_writes(config: Mapping[str, Any], engine: EvmEngine) -> Sequence[Writes]:
    """Return the write sets of the first entries: state in parts, then configuration and block 0.

    The head comes last, so that a state without it is recognisably incomplete. Raises OperatorError.
    """
    fields.only(config, _TOP, "genesis")
    chain = chain_config(config, engine)
    parts = list(_split(_state(fields.table(config, "alloc", "genesis"), engine)))
    timestamp = fields.quantity(config, "timestamp", "genesis", bits=64, default=0)
    closing = blocks.genesis_block(chain, timestamp, _extra_data(config), engine)
    closing[CONFIG] = {SINGLETON_KEY: chain.pack()}
    return [*parts, closing]


def chain_config(config: Mapping[str, Any], engine: EvmEngine) -> ChainConfig:
    """Return the chain's configuration. Raises OperatorError naming the faulty field."""
    rules = fields.table(config, "config", "genesis")
    ours = fields.table(config, "coco", "genesis", default={})
    fields.only(ours, _COCO, "coco")
    wanted = ours.get("engine", engine.name)
    if wanted != engine.name:
        raise OperatorError(f"coco.engine: genesis names {wanted!r}, this node runs {engine.name!r}")
    timestamp = fields.quantity(config, "timestamp", "genesis", bits=64, default=0)
    if fields.quantity(config, "number", "genesis", bits=64, default=0):
        raise OperatorError("genesis.number: the chain begins at block 0")
    return ChainConfig(
        chain_id=fields.quantity(rules, "chainId", "config", bits=63, least=1),
        engine=engine.name,
        forks=_forks(rules, engine, timestamp),
        gas_limit=fields.quantity(config, "gasLimit", "genesis", bits=63, least=21_000),
        base_fee=fields.quantity(config, "baseFeePerGas", "genesis", bits=128, default=0),
        coinbase=fields.data(config, "coinbase", "genesis", size=20, default=bytes(20)),
        environment=_environment(ours),
        allow_unprotected=_allow_unprotected(ours),
    )


def _allow_unprotected(ours: Mapping[str, Any]) -> bool:
    allowed = ours.get("allowUnprotected", False)
    if not isinstance(allowed, bool):
        raise OperatorError("coco.allowUnprotected: expected true or false")
    return allowed


def _forks(rules: Mapping[str, Any], engine: EvmEngine, timestamp: int) -> tuple[tuple[str, int], ...]:
    for name in _OLDER_FORKS:
        if rules.get(name) not in (None, 0):
            raise OperatorError(f"config.{name}: must be 0 or absent; the chain begins after the merge")
    known = {f"{name}Time" for name in FORKS}
    for name in rules:
        if (
            name not in known
            and name not in _OLDER_FORKS
            and name not in _IGNORED_CONFIG
            and name != "chainId"
        ):
            raise OperatorError(f"config.{name}: not known; supported forks are {', '.join(FORKS)}")
    forks: list[tuple[str, int]] = []
    for position, name in enumerate(FORKS):
        if rules.get(f"{name}Time") is None:
            continue
        start = fields.quantity(rules, f"{name}Time", "config", bits=64)
        if len(forks) != position:
            raise OperatorError(f"config.{name}Time: set, but {FORKS[len(forks)]}Time is not")
        if forks and start < forks[-1][1]:
            raise OperatorError(f"config.{name}Time: {start} is before {forks[-1][0]}Time")
        if name not in engine.forks:
            raise OperatorError(
                f"config.{name}Time: engine {engine.name!r} supports {', '.join(engine.forks)}"
            )
        forks.append((name, start))
    if not forks or forks[0][1] > timestamp:
        raise OperatorError("config.shanghaiTime: must be set and not later than the genesis timestamp")
    return tuple(forks)


def _environment(ours: Mapping[str, Any]) -> Environment | None:
    if ours.get("constEnv") is None:
        return None
    values, where = fields.table(ours, "constEnv", "coco"), "coco.constEnv"
    fields.only(values, _ENVIRONMENT, where)
    return Environment(
        number=fields.quantity(values, "number", where, bits=64),
        timestamp=fields.quantity(values, "timestamp", where, bits=64),
        coinbase=fields.data(values, "coinbase", where, size=20),
        prev_randao=fields.data(values, "prevrandao", where, size=32),
        base_fee=fields.quantity(values, "basefee", where, bits=128),
        gas_limit=fields.quantity(values, "gaslimit", where, bits=63, least=21_000),
        excess_blob_gas=fields.quantity(values, "excess_blob_gas", where, bits=64, default=0),
    )


def _extra_data(config: Mapping[str, Any]) -> bytes:
    extra = fields.data(config, "extraData", "genesis", default=b"")
    if len(extra) > 32:
        raise OperatorError(f"genesis.extraData: {len(extra)} bytes, at most 32 fit a header")
    return extra


def _state(alloc: Mapping[str, Any], engine: EvmEngine) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield map, key and value of everything in ``alloc``, in the encodings of ``engine``."""
    if len(alloc) > GENESIS_ACCOUNTS_MAX:
        raise OperatorError(f"genesis.alloc: {len(alloc)} accounts, at most {GENESIS_ACCOUNTS_MAX} allowed")
    seen: set[bytes] = set()
    for text, account in alloc.items():
        where = f"alloc[{text!r}]"
        address = fields.parse_data(text, where, size=20, prefix=False)
        if address in seen:
            raise OperatorError(f"{where}: the address appears twice")
        seen.add(address)
        if not isinstance(account, Mapping):
            raise OperatorError(f"{where}: expected a table with balance, nonce, code, storage")
        fields.only(account, _ACCOUNT, where)
        nonce = fields.quantity(account, "nonce", where, bits=64, default=0)
        balance = fields.quantity(account, "balance", where, bits=256, default=0)
        code = fields.data(account, "code", where, default=b"")
        if code:
            code_hash = engine.keccak256(code)
            yield CODE, code_hash, code
        if code or nonce or balance:
            yield ACCOUNTS, address, nonce.to_bytes(8) + balance.to_bytes(32) + (code_hash if code else b"")
        for slot_text, value_text in fields.table(account, "storage", where, default={}).items():
            slot = fields.parse_data(slot_text, f"{where}.storage key", size=32, pad=True)
            value = fields.parse_data(value_text, f"{where}.storage[{slot_text!r}]", size=32, pad=True)
            if any(value):
                yield STORAGE, address + slot, value.lstrip(b"\0")


def _split(state: Iterator[tuple[str, bytes, bytes]]) -> Iterator[Writes]:
    part: Writes = {}
    size = 0
    for name, key, value in state:
        if size + len(key) + len(value) > GENESIS_PART_SIZE_MAX_BYTES and part:
            yield part
            part, size = {}, 0
        part.setdefault(name, {})[key] = value
        size += len(key) + len(value)
    if part:
        yield part
