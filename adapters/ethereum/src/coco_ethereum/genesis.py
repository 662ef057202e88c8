"""Genesis: from the operator's configuration, in geth's format, to the first write sets.

The format is that of ``geth init``: ``config`` (chain ID, forks by time), ``alloc``, ``gasLimit``,
``baseFeePerGas``, ``coinbase``, ``timestamp``. Beside it, and optional, stands our own section::

    "coco": {
      "engine": "revm",
      "constEnv": {"number", "timestamp", "coinbase", "prevrandao", "basefee", "gaslimit", "excess_blob_gas"}
    }

Every fault is the operator's and names the field. The chain begins after the merge, so a genesis that
schedules an older fork later than block 0 is refused, and it begins with Cancun: before EIP-6780 one
SELFDESTRUCT removes any amount of storage. A fixed environment may name Shanghai, to replay a recording.

State that execution could never have made is refused, because engines need not cope with it: more wei than
256 bits hold, code that begins with 0xef, storage without code or nonce (EIP-7610).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import Writes
from coco_core.errors import OperatorError
from coco_ethereum import blocks, fields
from coco_ethereum.chain import ChainConfig, Environment
from coco_ethereum.engine import FORKS, EvmEngine
from coco_ethereum.gas import fork_at_least
from coco_ethereum.limits import (
    BLOCK_GAS_MAX,
    BLOCK_GAS_MIN,
    EXCESS_BLOB_GAS_MAX,
    GENESIS_ACCOUNTS_MAX,
    GENESIS_PART_SIZE_MAX_BYTES,
    TIMESTAMP_MAX_SECONDS,
)
from coco_ethereum.records import ACCOUNTS, CODE, CONFIG, SINGLETON_KEY, STORAGE
from coco_ethereum.validity import AMOUNT_MAX, is_delegation

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
        "isDev",
    ]
)
_ALWAYS_ZERO: Final = ("number", "nonce", "difficulty", "gasUsed", "blobGasUsed", "excessBlobGas")
BASE_FEE: Final = 10**9
"""Wei per gas where genesis names none, as in geth (EIP-1559's INITIAL_BASE_FEE)."""
_NONCE_BITS: Final = 63
"""Leaves an account more nonces than it can ever use up, so that none reaches EIP-2681's end."""
_SYSTEM_CONTRACTS: Final = {
    bytes.fromhex("000f3df6d732807ef1319fb7b8bb8522d0beac02"): "EIP-4788",
    bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935"): "EIP-2935",
    bytes.fromhex("00000961ef480eb55e80d19ad83579a64c007002"): "EIP-7002",
    bytes.fromhex("0000bbddc7ce488642fb579f8b00f3a590007251"): "EIP-7251",
}
"""Contracts that a beacon chain's blocks call; ours have nothing to tell them (ADR 0010)."""


@attrs.frozen(kw_only=True)
class _StateRules:
    """What ``alloc`` may hold on this chain."""

    delegations: bool
    """Whether the first block already knows EIP-7702."""
    replays: bool
    """Whether the state is that of a recording, whose system contracts belong to it."""


def genesis_writes(config: Mapping[str, Any], engine: EvmEngine) -> Sequence[Writes]:
    """Return the write sets of the first entries: state in parts, then configuration and block 0.

    The head comes last, so that a state without it is recognisably incomplete. Raises OperatorError.
    """
    fields.only(config, _TOP, "genesis")
    chain = chain_config(config, engine)
    allowed = _StateRules(
        delegations=fork_at_least(_first_fork(chain, config), "prague"),
        replays=chain.environment is not None,
    )
    parts = list(_split(_state(fields.table(config, "alloc", "genesis"), allowed, engine)))
    timestamp = _timestamp(config, "timestamp", "genesis", default=0)
    mix_hash = fields.data(config, "mixHash", "genesis", size=32, default=bytes(32))
    closing = blocks.genesis_block(chain, timestamp, _extra_data(config), mix_hash, engine)
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
    for name in _ALWAYS_ZERO:
        if fields.quantity(config, name, "genesis", bits=256, default=0):
            raise OperatorError(
                f"genesis.{name}: must be 0 or absent; the chain begins here, after the merge"
            )
    if any(fields.data(config, "parentHash", "genesis", size=32, default=b"")):
        raise OperatorError("genesis.parentHash: must be zero or absent; block 0 has no parent")
    chain = ChainConfig(
        chain_id=fields.quantity(rules, "chainId", "config", bits=63, least=1),
        engine=engine.name,
        forks=_forks(rules, engine, _timestamp(config, "timestamp", "genesis", default=0)),
        gas_limit=_gas_limit(config, "gasLimit", "genesis"),
        base_fee=fields.quantity(config, "baseFeePerGas", "genesis", bits=64, default=BASE_FEE),
        coinbase=fields.data(config, "coinbase", "genesis", size=20, default=bytes(20)),
        environment=_environment(ours),
        allow_unprotected=_allow_unprotected(ours),
    )
    if chain.environment is None and _first_fork(chain, config) == "shanghai":
        raise OperatorError("config.cancunTime: must be set and not later than the genesis timestamp")
    return chain


def _first_fork(chain: ChainConfig, config: Mapping[str, Any]) -> str:
    fixed = chain.environment
    return chain.fork_at(
        _timestamp(config, "timestamp", "genesis", default=0) if fixed is None else fixed.timestamp
    )


def _allow_unprotected(ours: Mapping[str, Any]) -> bool:
    allowed = ours.get("allowUnprotected", False)
    if not isinstance(allowed, bool):
        raise OperatorError("coco.allowUnprotected: expected true or false")
    return allowed


def _gas_limit(values: Mapping[str, Any], name: str, where: str) -> int:
    gas = fields.quantity(values, name, where, bits=64, least=BLOCK_GAS_MIN)
    if gas > BLOCK_GAS_MAX:
        raise OperatorError(
            f"{where}.{name}: {gas} is above {BLOCK_GAS_MAX}; one transaction could hold up the whole chain"
        )
    return gas


def _timestamp(values: Mapping[str, Any], name: str, where: str, *, default: int | None = None) -> int:
    seconds = fields.quantity(values, name, where, bits=64, default=default)
    if seconds > TIMESTAMP_MAX_SECONDS:
        raise OperatorError(f"{where}.{name}: {seconds} is beyond the year 2100; seconds are meant")
    return seconds


def _forks(rules: Mapping[str, Any], engine: EvmEngine, timestamp: int) -> tuple[tuple[str, int], ...]:
    for name in _OLDER_FORKS:
        if fields.quantity(rules, name, "config", bits=64, default=0):
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
        start = _timestamp(rules, f"{name}Time", "config")
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
        timestamp=_timestamp(values, "timestamp", where),
        coinbase=fields.data(values, "coinbase", where, size=20),
        prev_randao=fields.data(values, "prevrandao", where, size=32),
        base_fee=fields.quantity(values, "basefee", where, bits=64),
        gas_limit=_gas_limit(values, "gaslimit", where),
        excess_blob_gas=_excess_blob_gas(values, where),
    )


def _excess_blob_gas(values: Mapping[str, Any], where: str) -> int:
    excess = fields.quantity(values, "excess_blob_gas", where, bits=64, default=0)
    if excess > EXCESS_BLOB_GAS_MAX:
        raise OperatorError(f"{where}.excess_blob_gas: {excess} is above {EXCESS_BLOB_GAS_MAX}")
    return excess


def _extra_data(config: Mapping[str, Any]) -> bytes:
    extra = fields.data(config, "extraData", "genesis", default=b"")
    if len(extra) > 32:
        raise OperatorError(
            f"genesis.extraData: {len(extra)} bytes, at most 32 fit a header; leave out lists of signers"
        )
    return extra


def _state(
    alloc: Mapping[str, Any], rules: _StateRules, engine: EvmEngine
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield map, key and value of everything in ``alloc``, in the encodings of ``engine``."""
    if len(alloc) > GENESIS_ACCOUNTS_MAX:
        raise OperatorError(f"genesis.alloc: {len(alloc)} accounts, at most {GENESIS_ACCOUNTS_MAX} allowed")
    seen: set[bytes] = set()
    wei = 0
    for text, account in alloc.items():
        where = f"alloc[{text!r}]"
        address = fields.parse_data(text, where, size=20, prefix=False)
        if address in seen:
            raise OperatorError(f"{where}: the address appears twice")
        seen.add(address)
        if not isinstance(account, Mapping):
            raise OperatorError(f"{where}: expected a table with balance, nonce, code, storage")
        fields.only(account, _ACCOUNT, where)
        nonce = fields.quantity(account, "nonce", where, bits=_NONCE_BITS, default=0)
        balance = fields.quantity(account, "balance", where, bits=256, default=0)
        wei += balance
        if wei > AMOUNT_MAX:
            raise OperatorError(f"{where}.balance: all balances together exceed 256 bits")
        code = _code(account, where, address, rules)
        if code:
            code_hash = engine.keccak256(code)
            yield CODE, code_hash, code
        if code or nonce or balance:
            yield ACCOUNTS, address, nonce.to_bytes(8) + balance.to_bytes(32) + (code_hash if code else b"")
        for key, value in _storage(account, where, address):
            if not (code or nonce):
                raise OperatorError(f"{where}.storage: set, but neither code nor nonce is (EIP-7610)")
            yield STORAGE, key, value


def _code(account: Mapping[str, Any], where: str, address: bytes, rules: _StateRules) -> bytes:
    code = fields.data(account, "code", where, default=b"")
    if code.startswith(b"\xef") and not (is_delegation(code) and rules.delegations):
        raise OperatorError(f"{where}.code: begins with 0xef and is no delegation (EIP-3541, EIP-7702)")
    if code and not rules.replays and address in _SYSTEM_CONTRACTS:
        eip = _SYSTEM_CONTRACTS[address]
        raise OperatorError(f"{where}.code: leave out the system contract of {eip}; no block here calls it")
    return code


def _storage(account: Mapping[str, Any], where: str, address: bytes) -> Iterator[tuple[bytes, bytes]]:
    for slot_text, value_text in fields.table(account, "storage", where, default={}).items():
        slot = fields.parse_data(slot_text, f"{where}.storage key", size=32, pad=True)
        value = fields.parse_data(value_text, f"{where}.storage[{slot_text!r}]", size=32, pad=True)
        if any(value):
            yield address + slot, value.lstrip(b"\0")


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
