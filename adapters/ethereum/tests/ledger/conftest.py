"""A whole ledger in one process for each test: real adapter, real engine, real store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_ethereum import engines
from coco_ethereum.adapter import EthereumAdapter
from coco_ethereum.development import CHAIN_ID, development_key, development_ledger
from coco_ethereum.engine import EvmEngine
from coco_ethereum.signatures import address_of
from coco_ethereum.testing.sandbox import EthereumSandbox
from coco_ethereum.transactions import DYNAMIC_FEE, LEGACY, Transaction, transaction_hash


@attrs.define
class Actor:
    """A development account that counts its own nonces."""

    index: int
    nonce: int = 0

    @property
    def address(self) -> bytes:
        return address_of(development_key(self.index))

    @property
    def hex(self) -> str:
        return "0x" + self.address.hex()

    def sign(self, **fields: Any) -> bytes:
        values: dict[str, Any] = {
            "type": DYNAMIC_FEE,
            "chain_id": CHAIN_ID,
            "nonce": self.nonce,
            "max_fee_per_gas": 2 * 10**9,
            "max_priority_fee_per_gas": 0,
            "gas_limit": 200_000,
            "to": address_of(development_key(9)),
            "value": 0,
            "data": b"",
        } | fields
        if values["type"] <= LEGACY + 1:
            values["max_priority_fee_per_gas"] = values["max_fee_per_gas"]
        self.nonce = values["nonce"] + 1
        return Transaction(**values).sign(development_key(self.index)).encode()


class Ledger(EthereumSandbox):
    """A sandbox over the development genesis, with actors."""

    def __init__(self, engine: EvmEngine, config: dict[str, Any] | None = None) -> None:
        super().__init__(EthereumAdapter(engine), config or dict(development_ledger().config))
        self.alice, self.bob, self.carol = Actor(0), Actor(1), Actor(2)

    async def ok(self, method: str, *params: object) -> Any:
        """Return the result of a call that must succeed."""
        answer = await self.rpc(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    async def error(self, method: str, *params: object) -> tuple[int, str]:
        """Return code and message of a call that must fail."""
        answer = await self.rpc(method, *params)
        assert "result" not in answer, answer
        return answer["error"]["code"], answer["error"]["message"]

    async def send(self, actor: Actor, **fields: Any) -> dict[str, Any]:
        """Send a transaction and return its receipt."""
        raw = actor.sign(**fields)
        assert await self.ok("eth_sendRawTransaction", "0x" + raw.hex()) == "0x" + transaction_hash(raw).hex()
        return await self.ok("eth_getTransactionReceipt", "0x" + transaction_hash(raw).hex())

    async def deploy(self, actor: Actor, code: bytes) -> str:
        """Deploy init code and return the contract's address."""
        receipt = await self.send(actor, to=None, data=code, gas_limit=3_000_000)
        assert receipt["status"] == "0x1"
        return receipt["contractAddress"]


@pytest.fixture(scope="session")
def engine() -> EvmEngine:
    """The engine a new network gets here: revm where it is installed."""
    return engines.load(engines.available()[0].name)


@pytest.fixture
def ledger(engine: EvmEngine) -> Ledger:
    return Ledger(engine)


@pytest.fixture
def make_ledger(engine: EvmEngine) -> Callable[[dict[str, Any]], Ledger]:
    """Return a function from a genesis to its ledger."""
    return lambda config: Ledger(engine, config)


@pytest.fixture(params=[info.name for info in engines.ENGINES])
def any_ledger(request: pytest.FixtureRequest) -> Ledger:
    """The same ledger on each engine; one that is not installed is skipped and says so."""
    if request.param not in [info.name for info in engines.available()]:
        pytest.skip(f"the engine {request.param} is not installed")
    return Ledger(engines.load(request.param))
