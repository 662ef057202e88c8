"""Recorded mainnet transactions, replayed in one fixed environment, and compared with two EVMs' results.

The recording says what each transaction must give in that environment (status, gas, number of logs)
and how the state must differ from the genesis at the end. Blob transactions (EIP-4844) are left out,
since the ledger has no blob space; what they would have done is taken out of the expected state, and
a recording in which more depended on them is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import attrs
import rlp
from eth_hash.auto import keccak

from coco_core.adapter import Ask, Companion, HTTPResponse, Load, Told
from coco_core.errors import OperatorError
from coco_ethereum.shell import Recording
from coco_ethereum.workloads import client
from coco_ethereum.workloads.client import Question

ENVIRONMENT: Final = "const_env"
BLOB_TYPE: Final = 3
BLOB_GAS: Final = 131_072
"""Gas of one blob (EIP-4844)."""
BLOB_BASE_FEE: Final = 1
"""Wei per blob gas when no excess has built up (EIP-4844)."""


@attrs.frozen
class _Spent:
    """What a left-out blob transaction changed: its sender's nonce and wei, the coinbase's wei."""

    sender: str
    to_coinbase: int
    burnt: int


class RecordedWorkload:
    """A Workload of recorded transactions."""

    def __init__(self, recording: Recording, count: int, warm_up: int = 0) -> None:
        """Use the first ``count`` transactions (0 = all) behind those of the warm-up.

        Raises OperatorError for a recording it cannot.
        """
        try:
            environment = recording.environment[ENVIRONMENT]["env"]
            listed = recording.transactions
            blobs = [each for each in listed if each["type"] == BLOB_TYPE]
            self._spent = [_spent(each) for each in blobs]
            chosen = [each for each in listed if each["type"] != BLOB_TYPE]
            self._name = recording.environment["name"]
        except (KeyError, TypeError, ValueError, rlp.DecodingError) as error:
            raise OperatorError(f"recorded transactions: malformed: {error!r}") from error
        _check_independent(listed, blobs)
        self._whole = not 0 < count < len(chosen) - warm_up
        self._transactions = chosen if self._whole else chosen[: warm_up + count]
        self.warm_up: Final = warm_up
        """How many of them only warm up."""
        self._left_out = len(blobs)
        self._recording = recording
        self._config = {**recording.genesis, "coco": {"constEnv": environment, "allowUnprotected": True}}
        self._coinbase = environment["coinbase"]

    @property
    def name(self) -> str:
        """What this load is."""
        left_out = f", {self._left_out} blob transactions left out" if self._whole else ""
        return f"recorded: {len(self._transactions)} mainnet transactions of stream {self._name}{left_out}"

    @property
    def config(self) -> Mapping[str, Any]:
        """The recording's genesis, with the fixed environment."""
        return self._config

    @property
    def transactions(self) -> int:
        """How many transactions it holds."""
        return len(self._transactions)

    def node_settings(self, index: int) -> Mapping[str, Any]:
        """Return none: there is no setting."""
        return {}

    def companions(self, index: int) -> Sequence[Companion]:
        """Return none: the EVM is in the node."""
        return []

    def loads(self, per_request: int, first: int = 0, count: int | None = None) -> Iterator[Load]:
        """Yield requests in the recorded order."""
        wanted = self._transactions[first : None if count is None else first + count]
        return client.loads((bytes.fromhex(each["raw"][2:]) for each in wanted), per_request)

    def classes(self) -> Mapping[str, int]:
        """Return the first transaction of each recorded kind."""
        first: dict[str, int] = {}
        for index, each in enumerate(self._transactions):
            first.setdefault(each["kind"], index)
        return first

    def told(self, load: Load, answer: HTTPResponse) -> Told:
        """Return what an answer says."""
        return client.told(load, answer)

    async def verify(self, ask: Ask, nodes: int) -> Sequence[str]:
        """Compare every receipt and, after the whole stream, the whole changed state, on every node."""
        differences: list[str] = []
        for node in range(nodes):
            differences += await self._verify_receipts(ask, node)
        if self._whole:
            questions, expected = self._state_questions()
            differences += await client.compare(ask, nodes, questions, expected)
            for node in range(nodes):
                differences += await self._verify_code(ask, node)
        return differences

    async def _verify_receipts(self, ask: Ask, node: int) -> list[str]:
        questions: list[Question] = [
            ("eth_getTransactionReceipt", (each["hash"],)) for each in self._transactions
        ]
        wrong: list[str] = []
        for each, receipt in zip(self._transactions, await client.bulk(ask, node, questions), strict=True):
            status, gas, logs, _ = each[f"expect_{ENVIRONMENT}"]
            found = (
                (int(receipt["status"], 16), int(receipt["gasUsed"], 16), len(receipt["logs"]))
                if isinstance(receipt, dict)
                else receipt
            )
            if found != (status, gas, logs):
                wrong.append(f"node {node}: {each['hash']} gave {found}, expected {status, gas, logs}")
        return client.shortened(wrong)

    # ── final state ──────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _final(self) -> dict[str, list[Any]]:
        """Nonce, wei, code hash and slots of every changed account, without the blob transactions.

        A code hash of None means no code; an account that is gone is all zeros.
        """
        final = {
            address: [account[0], int(account[1], 16), account[2], account[3]]
            if account
            else [0, 0, None, {}]
            for address, account in self._recording.final[ENVIRONMENT].items()
        }
        for spent in self._spent:
            final[spent.sender][0] -= 1
            final[spent.sender][1] += spent.to_coinbase + spent.burnt
            final[self._coinbase][1] -= spent.to_coinbase
        return final

    def _state_questions(self) -> tuple[list[Question], list[object]]:
        questions: list[Question] = []
        expected: list[object] = []
        for address, (nonce, balance, _, slots) in self._final.items():
            questions.append(("eth_getTransactionCount", (address, "latest")))
            expected.append(hex(nonce))
            questions.append(("eth_getBalance", (address, "latest")))
            expected.append(hex(balance))
            for slot, value in slots.items():
                questions.append(("eth_getStorageAt", (address, slot, "latest")))
                expected.append(f"0x{int(value or '0x0', 16):064x}")
        return questions, expected

    async def _verify_code(self, ask: Ask, node: int) -> list[str]:
        addresses = list(self._final)
        codes = await client.bulk(ask, node, [("eth_getCode", (address, "latest")) for address in addresses])
        return client.shortened(
            [
                f"node {node}: code of {address} is not {self._final[address][2]}"
                for address, code in zip(addresses, codes, strict=True)
                if _code_hash(code) != self._final[address][2]
            ]
        )


def _code_hash(code: str) -> str | None:
    return None if code == "0x" else "0x" + keccak(bytes.fromhex(code[2:])).hex()


def _spent(blob: Mapping[str, Any]) -> _Spent:
    """Return what a blob transaction changed, from its envelope and recorded gas (EIP-4844).

    Only of one that moved no wei and left nothing else behind; ``_check_independent`` sees to that.
    """
    fields = rlp.decode(bytes.fromhex(blob["raw"][2:])[1:], strict=True)
    tip, cap, value, hashes = (int.from_bytes(fields[2]), int.from_bytes(fields[3]), fields[6], fields[10])
    status, gas, *_ = blob[f"expect_{ENVIRONMENT}"]
    if value or (status and fields[7]):
        raise ValueError(f"blob transaction {blob['hash']} changes more than its sender")
    return _Spent(blob["from"], gas * min(tip, cap), len(hashes) * BLOB_GAS * BLOB_BASE_FEE)


def _check_independent(listed: Sequence[Mapping[str, Any]], blobs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a recording in which another transaction has a blob transaction's sender after it."""
    for blob in blobs:
        later = (each for each in listed if each["i"] > blob["i"] and each["from"] == blob["from"])
        for each in later:
            raise OperatorError(f"recorded transactions: {each['hash']} depends on a blob transaction")
