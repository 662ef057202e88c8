"""Generated mixes: plain transfers, an ERC-20 token, and both beside a constant-product exchange.

Everything follows from kind, number and seed: accounts, recipients, amounts, and so the exact result,
which ``verify`` works out again instead of remembering it. Transactions take the accounts in turn, so
an account's next nonce comes a whole round later. Gas is free, as consortium networks usually run:
then balances depend on transfers alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

import attrs

from coco_core.adapter import Ask, Companion, HTTPResponse, Load, Told
from coco_ethereum.development import base_genesis
from coco_ethereum.limits import BLOCK_GAS_MAX
from coco_ethereum.workloads import client, contracts
from coco_ethereum.workloads.client import Question
from coco_ethereum.workloads.contracts import Keccak
from coco_ethereum.workloads.signing import Signer

TRANSFER: Final = "transfer"
ERC20: Final = "erc20"
SWAP: Final = "swap"

MIXES: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "transfers": ((TRANSFER, 256),),
    "erc20": ((ERC20, 256),),
    "mixed": ((TRANSFER, 128), (ERC20, 90), (SWAP, 38)),
}
"""Kinds of transactions in each mix and their shares of 256."""

CHAIN_ID: Final = 1337
ACCOUNTS_MAX: Final = 4_000
GAS_LIMIT: Final = BLOCK_GAS_MAX
ETHER_EACH: Final = 10**18
TOKENS_EACH: Final = 10**24
RESERVE: Final = 10**27
GAS: Final = {TRANSFER: 21_000, ERC20: 80_000, SWAP: 200_000}
TOKENS: Final = (bytes.fromhex("70ce" * 10), bytes.fromhex("70cf" * 10))
EXCHANGE: Final = bytes.fromhex("de" * 20)


@attrs.frozen(slots=True)
class Planned:
    """One transaction before it is signed."""

    kind: str
    sender: int
    recipient: int
    nonce: int
    amount: int
    direction: int


class GeneratedWorkload:
    """A Workload made from a seed."""

    def __init__(self, mix: str, count: int, seed: int, keccak: Keccak, warm_up: int = 0) -> None:
        """Plan ``count`` transactions of ``mix``, the first ``warm_up`` of which only warm up."""
        self.warm_up: Final = warm_up
        """How many of them only warm up."""
        self._mix = mix
        self._count = count
        self._seed = seed.to_bytes(8, signed=True)
        self._keccak = keccak
        self._accounts = min(count, ACCOUNTS_MAX)

    @property
    def name(self) -> str:
        """What this load is."""
        return f"{self._mix}: {self._count} generated transactions of {self._accounts} accounts"

    @property
    def transactions(self) -> int:
        """How many transactions it holds."""
        return self._count

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """A genesis that funds every account with ether and, where used, tokens."""
        alloc: dict[str, Any] = {_hex(each.address): {"balance": hex(ETHER_EACH)} for each in self._signers}
        if self._mix != "transfers":
            alloc |= self._contracts()
        genesis = base_genesis(CHAIN_ID, alloc)
        return {**genesis, "baseFeePerGas": "0x0", "gasLimit": hex(GAS_LIMIT)}

    def node_settings(self, index: int) -> Mapping[str, Any]:
        """Return none: there is no setting."""
        return {}

    def companions(self, index: int) -> Sequence[Companion]:
        """Return none: the EVM is in the node."""
        return []

    def loads(self, per_request: int, first: int = 0, count: int | None = None) -> Iterator[Load]:
        """Yield requests in order, signing as they are asked for."""
        wanted = islice(self._plan(), first, None if count is None else first + count)
        return client.loads(map(self._sign, wanted), per_request)

    def envelopes(self) -> Iterator[bytes]:
        """Yield every signed transaction in order."""
        return map(self._sign, self._plan())

    def classes(self) -> Mapping[str, int]:
        """Return the first transaction of each kind."""
        first: dict[str, int] = {}
        wanted = len(MIXES[self._mix])
        for index, planned in enumerate(self._plan()):
            first.setdefault(planned.kind, index)
            if len(first) == wanted:
                break
        return first

    def told(self, load: Load, answer: HTTPResponse) -> Told:
        """Return what an answer says."""
        return client.told(load, answer)

    async def verify(self, ask: Ask, nodes: int) -> Sequence[str]:
        """Compare nonces and balances on every node with what the plan leads to."""
        addresses = [_hex(each.address) for each in self._signers]
        nonces = Counter(planned.sender for planned in self._plan())
        questions: list[Question] = [("eth_getTransactionCount", (each, "latest")) for each in addresses]
        expected: list[object] = [hex(nonces[index]) for index in range(self._accounts)]
        questions += [("eth_getBalance", (each, "latest")) for each in addresses]
        expected += [hex(balance) for balance in self._balances(TRANSFER, ETHER_EACH)]
        if self._mix == "erc20":
            questions += [self._token_balance(0, each.address) for each in self._signers]
            expected += [_word(balance) for balance in self._balances(ERC20, TOKENS_EACH)]
        differences = await client.compare(ask, nodes, questions, expected)
        if self._mix == "mixed":
            differences += await self._verify_exchange(ask, nodes)
        return differences

    # ── the plan ─────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _signers(self) -> tuple[Signer, ...]:
        """The accounts; their keys follow from the seed, so they are worth nothing anywhere else."""
        secrets = (self._digest(b"key", index) for index in range(self._accounts))
        return tuple(Signer(secret, CHAIN_ID, self._keccak) for secret in secrets)

    def _plan(self) -> Iterator[Planned]:
        shares = MIXES[self._mix]
        for index in range(self._count):
            dice = self._digest(b"plan", index)
            nonce, sender = divmod(index, self._accounts)
            yield Planned(
                kind=_kind(shares, dice[0]),
                sender=sender,
                recipient=int.from_bytes(dice[1:5]) % self._accounts,
                nonce=nonce,
                amount=1_000 + int.from_bytes(dice[5:8]),
                direction=dice[8] & 1,
            )

    def _digest(self, purpose: bytes, index: int) -> bytes:
        return hashlib.sha256(b"coco workload " + purpose + self._seed + index.to_bytes(8)).digest()

    def _sign(self, planned: Planned) -> bytes:
        sign = self._signers[planned.sender].sign
        gas = GAS[planned.kind]
        recipient = self._signers[planned.recipient].address
        if planned.kind == TRANSFER:
            return sign(nonce=planned.nonce, fee=0, gas=gas, to=recipient, value=planned.amount)
        if planned.kind == ERC20:
            data = contracts.abi_call(contracts.TRANSFER, recipient, planned.amount)
            return sign(nonce=planned.nonce, fee=0, gas=gas, to=TOKENS[0], data=data)
        data = contracts.abi_call(contracts.SWAP, planned.amount, planned.direction)
        return sign(nonce=planned.nonce, fee=0, gas=gas, to=EXCHANGE, data=data)

    # ── what it leads to ─────────────────────────────────────────────────────────────────────────

    def _balances(self, kind: str, each: int) -> list[int]:
        """Return the final balances when everybody begins with ``each`` and only ``kind`` moves them."""
        balances = [each] * self._accounts
        for planned in self._plan():
            if planned.kind == kind:
                balances[planned.sender] -= planned.amount
                balances[planned.recipient] += planned.amount
        return balances

    def _contracts(self) -> dict[str, Any]:
        exchange = self._mix == "mixed"
        holdings = {each.address: TOKENS_EACH for each in self._signers}
        if exchange:
            holdings[EXCHANGE] = RESERVE
        storage = {_hex(contracts.SUPPLY_SLOT.to_bytes(32)): hex(sum(holdings.values()))}
        for owner, amount in holdings.items():
            storage[_hex(contracts.balance_slot(owner, self._keccak))] = hex(amount)
            if exchange and owner != EXCHANGE:
                storage[_hex(contracts.allowance_slot(owner, EXCHANGE, self._keccak))] = hex(2**256 - 1)
        token = {"nonce": "0x1", "code": _hex(contracts.TOKEN), "storage": storage}
        alloc = {_hex(TOKENS[0]): token}
        if exchange:
            slots = (RESERVE, RESERVE, int.from_bytes(TOKENS[0]), int.from_bytes(TOKENS[1]))
            alloc[_hex(TOKENS[1])] = token
            alloc[_hex(EXCHANGE)] = {
                "nonce": "0x1",
                "code": _hex(contracts.EXCHANGE),
                "storage": {hex(slot): hex(value) for slot, value in enumerate(slots)},
            }
        return alloc

    def _token_balance(self, token: int, owner: bytes) -> Question:
        # From storage: thousands of calls of balanceOf would test the EVM's patience, not the ledger.
        slot = contracts.balance_slot(owner, self._keccak)
        return ("eth_getStorageAt", (_hex(TOKENS[token]), _hex(slot), "latest"))

    async def _verify_exchange(self, ask: Ask, nodes: int) -> list[str]:
        """Check what no order of trades can change: sums, reserves, a product that never falls.

        Every node must also show exactly what node 0 shows.
        """
        owners = [EXCHANGE, *(each.address for each in self._signers)]
        balances = [self._token_balance(token, owner) for token in (0, 1) for owner in owners]
        reserves: list[Question] = [
            ("eth_getStorageAt", (_hex(EXCHANGE), hex(token), "latest")) for token in (0, 1)
        ]
        found = await client.bulk(ask, 0, balances + reserves)
        if broken := [answer for answer in found if answer.startswith("error")]:
            return client.shortened([f"node 0: {answer}" for answer in broken])
        amounts = [int(answer, 16) for answer in found]
        supply = RESERVE + TOKENS_EACH * self._accounts
        held = (amounts[: len(owners)], amounts[len(owners) : 2 * len(owners)])
        kept = amounts[2 * len(owners) :]
        differences = [
            f"token {token}: balances sum to {sum(held[token])}, supply is {supply}"
            for token in (0, 1)
            if sum(held[token]) != supply
        ]
        differences += [
            f"token {token}: the exchange holds {held[token][0]}, its reserve says {kept[token]}"
            for token in (0, 1)
            if held[token][0] != kept[token]
        ]
        if kept[0] * kept[1] <= RESERVE * RESERVE:
            differences.append(f"the exchange's product did not grow: {kept[0]} x {kept[1]}")
        return differences + await client.compare(ask, nodes, balances + reserves, found)


def _kind(shares: Sequence[tuple[str, int]], die: int) -> str:
    for kind, share in shares:
        die -= share
        if die < 0:
            return kind
    return shares[-1][0]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _word(value: int) -> str:
    return f"0x{value:064x}"
