"""What the framework's conformance kit needs to know of Ethereum: accounts, transfers, questions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from eth_hash.auto import keccak

from coco_core.adapter import HTTPRequest, ReadView
from coco_core.testing.conformance import Configured, LedgerHarness, post
from coco_ethereum.adapter import GAS_LIMIT
from coco_ethereum.development import CHAIN_ID, base_genesis
from coco_ethereum.identity import NAME
from coco_ethereum.limits import BLOCK_GAS_MAX
from coco_ethereum.records import ACCOUNTS
from coco_ethereum.signatures import address_of
from coco_ethereum.state import decode_account
from coco_ethereum.transactions import DYNAMIC_FEE, Transaction, transaction_hash

_PAYEE: Final = bytes.fromhex("77" * 20)
_SENDERS: Final = 420
_CONFLICTS_FROM: Final = 200
_POOR: Final = 410
_BALANCE: Final = 10**18
_FEE_MAX: Final = 10**11


@functools.cache
def _key(index: int) -> bytes:
    return keccak(b"coco ethereum conformance account" + index.to_bytes(4))


@functools.cache
def _address(index: int) -> bytes:
    return address_of(_key(index))


@functools.cache
def _transfer(sender: int, value: int) -> bytes:
    unsigned = Transaction(
        type=DYNAMIC_FEE,
        chain_id=CHAIN_ID,
        nonce=0,
        max_fee_per_gas=_FEE_MAX,
        max_priority_fee_per_gas=0,
        gas_limit=21_000,
        to=_PAYEE,
        value=value,
        data=b"",
    )
    return unsigned.sign(_key(sender)).encode()


def _question(method: str, *params: object) -> HTTPRequest:
    return post("/", orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))


class EthereumHarness(LedgerHarness):
    """Transfers, each from an account of its own, to one payee."""

    name = NAME

    def genesis(self) -> Mapping[str, Any]:
        """Give every sender one ether."""
        rich = {"0x" + _address(index).hex(): {"balance": hex(_BALANCE)} for index in range(_SENDERS)}
        return base_genesis(CHAIN_ID, rich)

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return a genesis with a fault in one of the fields that matter most."""
        good = self.genesis()
        return {
            "gasLimit": {**good, "gasLimit": "much"},
            "alloc": {**good, "alloc": {"0x12": {"balance": "0x1"}}},
            "chainId": {**good, "config": {**good["config"], "chainId": "one"}},
            "balance": {**good, "alloc": {"0x" + _PAYEE.hex(): {"balance": "-1"}}},
        }

    def valid(self, number: int) -> bytes:
        """Pay a few wei."""
        return _transfer(number, number + 1)

    def rejected(self, number: int) -> bytes:
        """Pay more than there is."""
        return _transfer(_POOR, 10**30 + number)

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two transfers with one nonce."""
        return _transfer(_CONFLICTS_FROM + number, 1_000), _transfer(_CONFLICTS_FROM + number, 2_000)

    def malformed(self) -> Sequence[bytes]:
        """Return what is no envelope, a truncated one, one with a byte too many, and a blob transaction."""
        good = self.valid(0)
        return [
            b"nonsense",
            b"\x02",
            b"\xc0",
            good[:-1],
            good + b"\x00",
            b"\x03" + good[1:],
            b"\x7f" + good[1:],
        ]

    def observe(self, view: ReadView) -> Any:
        """Return the payee's balance and who has sent; what senders have left depends on the base fee."""
        accounts = {key: decode_account(value) for key, value in view.items(ACCOUNTS)}
        payee = accounts.get(_PAYEE)
        sent = sorted(key.hex() for key, account in accounts.items() if account.nonce)
        return payee.balance if payee is not None else 0, sent

    def configured(self) -> Configured:
        """Let the gas limit of blocks grow."""
        return Configured(values={GAS_LIMIT: BLOCK_GAS_MAX}, payload=self.valid(0))

    def questions(self) -> Sequence[HTTPRequest]:
        """Ask for the payee's balance, a receipt and the newest block."""
        return [
            _question("eth_getBalance", "0x" + _PAYEE.hex(), "latest"),
            _question("eth_getTransactionReceipt", "0x" + transaction_hash(self.valid(0)).hex()),
            _question("eth_getBlockByNumber", "latest", True),
        ]

    def submission(self, payload: bytes) -> HTTPRequest:
        """Send a raw transaction."""
        return _question("eth_sendRawTransaction", "0x" + payload.hex())
