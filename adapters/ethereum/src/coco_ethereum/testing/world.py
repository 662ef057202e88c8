"""A small chain in memory for tests of engines: keys, accounts, and transactions to run over them.

Not an imitation of anything: the maps are the encodings of ``coco_ethereum.engine``, the engine is
the one under test, and ``run`` does with a result what the framework does with write sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from eth_hash.auto import keccak

from coco_ethereum.engine import BlockContext, BlockResult, Call, CallResult, EvmEngine, Executed, State
from coco_ethereum.signatures import address_of
from coco_ethereum.state import Account, encode_account, encode_slot_value, read_account, read_slot, slot_key
from coco_ethereum.transactions import DYNAMIC_FEE, LEGACY, Transaction

CHAIN_ID: Final = 1337
GWEI: Final = 10**9
ETHER: Final = 10**18

ALICE_KEY: Final = bytes([1]) * 32
BOB_KEY: Final = bytes([2]) * 32
CAROL_KEY: Final = bytes([3]) * 32
ALICE: Final = address_of(ALICE_KEY)
BOB: Final = address_of(BOB_KEY)
CAROL: Final = address_of(CAROL_KEY)
COINBASE: Final = bytes.fromhex("c0") * 20
NOBODY: Final = bytes.fromhex("ee") * 20
"""An address without an account."""

CONTEXT: Final = BlockContext(
    chain_id=CHAIN_ID,
    fork="prague",
    number=1000,
    timestamp=1_700_000_000,
    gas_limit=30_000_000,
    base_fee=7,
    coinbase=COINBASE,
    prev_randao=bytes(range(32)),
)


class World:
    """State, and an engine that changes it; Alice, Bob and Carol hold one ether each."""

    def __init__(self, engine: EvmEngine, context: BlockContext = CONTEXT) -> None:
        """Start with the three accounts and nothing else."""
        self.engine = engine
        self.context = context
        self.accounts: dict[bytes, bytes] = {}
        self.storage: dict[bytes, bytes] = {}
        self.code: dict[bytes, bytes] = {}
        for address in (ALICE, BOB, CAROL):
            self.put(address, balance=ETHER)

    @property
    def state(self) -> State:
        """The maps as an engine reads them."""
        return State([self.accounts], [self.storage], [self.code])

    def put(
        self,
        address: bytes,
        *,
        balance: int = 0,
        nonce: int = 0,
        code: bytes = b"",
        storage: Mapping[int, int] | None = None,
    ) -> bytes:
        """Place an account in state; returns its address."""
        if code:
            self.code[keccak(code)] = code
        value = encode_account(Account(nonce, balance, keccak(code)))
        if value is not None:
            self.accounts[address] = value
        for slot, word in (storage or {}).items():
            stored = encode_slot_value(word)
            if stored is not None:
                self.storage[slot_key(address, slot)] = stored
        return address

    def contract(self, code: bytes, **fields: Any) -> bytes:
        """Place a contract at an address derived from its code; returns the address."""
        return self.put(keccak(b"contract" + code)[12:], code=code, nonce=1, **fields)

    def account(self, address: bytes) -> Account:
        """Return an account."""
        return read_account([self.accounts], address)

    def slot(self, address: bytes, slot: int) -> int:
        """Return a storage slot."""
        return read_slot([self.storage], address, slot)

    def sign(self, key: bytes = ALICE_KEY, **fields: Any) -> bytes:
        """Return a signed transaction (type 2 unless told), with the sender's next nonce unless told."""
        values: dict[str, Any] = {
            "type": DYNAMIC_FEE,
            "chain_id": CHAIN_ID,
            "nonce": self.account(address_of(key)).nonce,
            "max_fee_per_gas": GWEI,
            "max_priority_fee_per_gas": 1,
            "gas_limit": 100_000,
            "to": BOB,
            "value": 0,
            "data": b"",
        }
        values.update(fields)
        if values["type"] <= LEGACY + 1 and "max_priority_fee_per_gas" not in fields:
            values["max_priority_fee_per_gas"] = values["max_fee_per_gas"]
        return Transaction(**values).sign(key).encode()

    def run(self, *transactions: bytes, **context: Any) -> BlockResult:
        """Execute a block and keep what it wrote, checking that no write repeats what was there."""
        result = self.engine.execute(attrs.evolve(self.context, **context), transactions, self.state)
        for executed in result.results:
            if isinstance(executed, Executed):
                absorb(self.accounts, executed.accounts)
                absorb(self.storage, executed.storage)
                absorb(self.code, executed.code)
        return result

    def send(
        self, key: bytes = ALICE_KEY, *, block: Mapping[str, Any] | None = None, **fields: Any
    ) -> Executed:
        """Sign one transaction and run it in a block of its own; it must be valid."""
        [executed] = self.run(self.sign(key, **fields), **(block or {})).results
        assert isinstance(executed, Executed), executed
        return executed

    def call(self, **fields: Any) -> CallResult:
        """Run a call from Alice with plenty of gas, unless told."""
        values: dict[str, Any] = {"sender": ALICE, "to": BOB, "gas": 1_000_000}
        return self.engine.call(self.context, Call(**(values | fields)), self.state)


def absorb(base: dict[bytes, bytes], writes: Mapping[bytes, bytes | None]) -> None:
    """Fold a write set into a map; a write that changes nothing is the engine's fault."""
    for key, value in writes.items():
        assert base.get(key) != value, f"the write set repeats what was there: {key.hex()}"
        if value is None:
            del base[key]
        else:
            base[key] = value
