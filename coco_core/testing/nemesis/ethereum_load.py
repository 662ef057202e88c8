"""Clients of Ethereum: each owns an account and sends transfers from it, one nonce after the other.

The next transfer goes out only when the one before is certain, so a refusal for its nonce would mean that
something acknowledged is gone. Gas is free here: balances depend on transfers alone. What Ethereum is, the
installed adapter knows; this file knows JSON-RPC and how many wei went where.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Final, Protocol

import attrs
import trio

from coco_core.adapter import TRANSACTION_IDS_HEADER
from coco_core.base import TxID
from coco_core.errors import OperatorError
from coco_core.node import load
from coco_core.testing.nemesis.clients import Call, Doors, Record, until_certain
from coco_core.wire.http import Message

NAME: Final = "ethereum"
NOT_NOW: Final = -32005
KNOWN: Final = "already known"
TRANSFER_GAS: Final = 21_000
WEI_MAX: Final = 10**9
QUESTIONS_MAX: Final = 200
"""Calls in one request."""

Ask = Callable[[bytes], Awaitable[bytes]]
"""Posts a body to one node and returns the answer."""


class Signer(Protocol):
    """An account that can sign."""

    address: bytes

    def sign(self, *, nonce: int, fee: int, gas: int, to: bytes, value: int = 0, data: bytes = b"") -> bytes:
        """Return a signed transaction."""
        ...


@attrs.frozen(kw_only=True)
class EthereumLedger:
    """A development network's genesis and its accounts."""

    engine: str
    config: Mapping[str, Any] = attrs.field(repr=False)
    signers: Sequence[Signer] = attrs.field(repr=False)
    balances: Mapping[bytes, int] = attrs.field(repr=False)
    digest: Callable[[bytes], bytes] = attrs.field(repr=False)


def ethereum_ledger() -> EthereumLedger:
    """Return what the installed adapter offers for development; raises OperatorError when there is none."""
    plugin = load(NAME)
    engine = plugin.create("", {}).manifest.engine
    try:
        from coco_ethereum import engines
        from coco_ethereum.workloads.signing import Signer as Account
    except ImportError as error:
        raise OperatorError(f"transfers cannot be signed: {error}") from error
    digest = engines.load(engines.available()[0].name).keccak256
    development = plugin.development()
    config = {**development.config, "baseFeePerGas": "0x0"}
    chain_id = development.details["chainId"]
    secrets = [bytes.fromhex(each["privateKey"][2:]) for each in development.details["accounts"]]
    signers = [Account(secret, chain_id, digest) for secret in secrets]
    balances = {bytes.fromhex(key[2:]): int(one["balance"], 16) for key, one in config["alloc"].items()}
    return EthereumLedger(engine=engine, config=config, signers=signers, balances=balances, digest=digest)


@attrs.define(kw_only=True, eq=False)
class Transfer(Call):
    """One transfer; its name is its hash."""

    sender: bytes
    recipient: bytes
    nonce: int
    wei: int


class EthereumClient:
    """One account with one transfer under way at a time."""

    def __init__(
        self,
        ledger: EthereumLedger,
        number: int,
        doors: Doors,
        record: Record,
        chance: Random,
        pause_s: float,
    ) -> None:
        """Own account ``number``; wait ``pause_s`` on average between transfers."""
        self.history: list[Transfer] = []
        self._ledger = ledger
        self._signer = ledger.signers[number]
        self._doors = doors
        self._record = record
        self._chance = chance
        self._pause_s = pause_s

    async def run(self) -> None:
        """Send until the record says that it is enough and everything sent is certain."""
        while self._record.sending:
            transfer, raw = self._transfer()
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_sendRawTransaction",
                "params": ["0x" + raw.hex()],
            }
            body = json.dumps(request).encode()
            await until_certain(self._doors, self._record, [transfer], partial(bytes, body), self._read)
            await trio.sleep(self._chance.uniform(0, 2 * self._pause_s))
        await self._doors.close()

    def _transfer(self) -> tuple[Transfer, bytes]:
        recipient = self._chance.choice(self._ledger.signers).address
        nonce, wei = len(self.history), self._chance.randint(1, WEI_MAX)
        raw = self._signer.sign(nonce=nonce, fee=0, gas=TRANSFER_GAS, to=recipient, value=wei)
        transfer = Transfer(
            name="0x" + self._ledger.digest(raw).hex(),
            sender=self._signer.address,
            recipient=recipient,
            nonce=nonce,
            wei=wei,
        )
        self.history.append(transfer)
        return transfer, raw

    def _read(self, answer: Message) -> None:
        transfer = self.history[-1]
        what = f"ethereum: nonce {transfer.nonce} of 0x{transfer.sender.hex()}"
        if answer.status != 200:
            self._record.violations.append(f"{what} was answered {answer.status}: {answer.body[:200]!r}")
            return
        match json.loads(answer.body):
            case {"result": str(name)}:
                if name != transfer.name:
                    self._record.violations.append(f"{what} is {transfer.name}, and was called {name}")
                places = answer.headers.get(TRANSACTION_IDS_HEADER, "")
                self._record.certain(transfer, TxID.parse(places))
            case {"error": {"code": code, "message": message}} if code == NOT_NOW:
                transfer.unsure = message
            case {"error": {"message": message}} if message == KNOWN:
                if transfer.attempts == 1:
                    self._record.violations.append(f"{what} was sent once and refused as known")
                self._record.certain(transfer, None)
            case other:
                self._record.violations.append(f"{what} was answered {other}")


# ── what every node must show in the end ─────────────────────────────────────────────────────────


async def differences(ask: Ask, ledger: EthereumLedger, transfers: Sequence[Transfer]) -> list[str]:
    """Return where a node's state is not what ``transfers``, each exactly once, lead to."""
    balances, nonces = dict(ledger.balances), Counter[bytes]()
    for one in transfers:
        balances[one.sender] -= one.wei
        balances[one.recipient] += one.wei
        nonces[one.sender] += 1
    addresses = ["0x" + address.hex() for address in balances]
    found: list[str] = []
    for address, wei, answer in zip(
        balances, balances.values(), await _bulk(ask, "eth_getBalance", addresses, "latest"), strict=True
    ):
        if answer != hex(wei):
            found.append(f"0x{address.hex()} has {answer} wei, expected {hex(wei)}")
    for address, answer in zip(
        balances, await _bulk(ask, "eth_getTransactionCount", addresses, "latest"), strict=True
    ):
        if answer != hex(nonces[address]):
            found.append(f"0x{address.hex()} has nonce {answer}, expected {hex(nonces[address])}")
    receipts = await _bulk(ask, "eth_getTransactionReceipt", [one.name for one in transfers])
    for one, receipt in zip(transfers, receipts, strict=True):
        if not isinstance(receipt, dict) or (receipt["transactionHash"], receipt["status"]) != (
            one.name,
            "0x1",
        ):
            found.append(f"transfer {one.name} has the receipt {receipt}")
    return found + await _not_once(ask, transfers)


async def _not_once(ask: Ask, transfers: Sequence[Transfer]) -> list[str]:
    """Return what is not in exactly one block, or in one and was never sent."""
    (head,) = await _bulk(ask, "eth_blockNumber", [])
    numbers = [hex(number) for number in range(int(head, 16) + 1)]
    blocks = await _bulk(ask, "eth_getBlockByNumber", numbers, False)
    times = [int(block["timestamp"], 16) for block in blocks]
    included = Counter(name for block in blocks for name in block["transactions"])
    expected = Counter(one.name for one in transfers)
    wrong = sorted(
        name for name in included.keys() | expected.keys() if (included[name], expected[name]) != (1, 1)
    )
    found = [f"{name} is in {included[name]} blocks, sent {expected[name]} times" for name in wrong]
    return found + ([] if times == sorted(times) else ["the time of blocks runs backwards"])


async def _bulk(ask: Ask, method: str, firsts: Sequence[str], *more: object) -> list[Any]:
    """Call ``method`` with each of ``firsts`` (once without any) and return the results in order."""
    wanted = [[first, *more] for first in firsts] or [[*more]]
    results: list[Any] = []
    for start in range(0, len(wanted), QUESTIONS_MAX):
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, params in enumerate(wanted[start : start + QUESTIONS_MAX])
        ]
        answers = json.loads(await ask(json.dumps(calls).encode()))
        results += [each.get("result", each.get("error")) for each in answers]
    return results
