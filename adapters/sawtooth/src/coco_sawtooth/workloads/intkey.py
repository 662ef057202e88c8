"""The integer-key family as load: each transaction sets a name of its own, so that none waits for another.

Transactions are signed when the workload is made, batches when they are sent: one batch is one request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import cbor2
import orjson

from coco_core.adapter import (
    RETRY_PREFIX,
    Ask,
    Companion,
    HTTPRequest,
    HTTPResponse,
    Load,
    Told,
)
from coco_sawtooth import messages
from coco_sawtooth.authoring import signed_batch, signed_transaction
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.limits import PAGE_ITEMS_MAX
from coco_sawtooth.shell.processes import Processor
from coco_sawtooth.signing import Signer

FAMILY: Final = ("intkey", "1.0")
NAMESPACE: Final = hashlib.sha512(b"intkey").hexdigest()[:6]
WAIT_S: Final = 30
"""How long a node may keep an answer until a batch is committed; a harness waits longer."""
DIFFERENCES_MAX: Final = 20
"""Differences worth reporting; the rest is counted."""
_OCTETS: Final = "application/octet-stream"
_SIGNER: Final = 1
"""Which of the development keys signs: one that may change nothing but this."""


def intkey_address(name: str) -> str:
    """Return where a name's value is kept."""
    return NAMESPACE + hashlib.sha512(name.encode()).hexdigest()[-64:]


def intkey_payload(verb: str, name: str, value: int) -> bytes:
    """Return what a transaction says that sets, increases or decreases a name's value."""
    return cbor2.dumps({"Verb": verb, "Name": name, "Value": value})


class IntkeyWorkload:
    """A Workload of ``set``, made from a seed."""

    def __init__(
        self,
        *,
        count: int,
        warm_up: int,
        seed: int,
        processor: Processor,
        processors: int,
        endpoints: Sequence[str],
    ) -> None:
        """Sign ``count`` transactions, the first ``warm_up`` of which only warm up.

        ``processors`` of the kind ``processor`` come to each node, which listens for them at its own of
        ``endpoints``.
        """
        self.warm_up: Final = warm_up
        """How many of them only warm up."""
        self.config: Final = development_ledger().config
        """The development genesis."""
        self._seed = seed
        self._processor = processor
        self._processors = processors
        self._endpoints = endpoints
        self._signer = Signer(development_key(_SIGNER))
        self._transactions = [self._signed(number) for number in range(count)]

    @property
    def name(self) -> str:
        """What this load is."""
        beside = f"{self._processors} x {self._processor.name} beside each node"
        return f"intkey: {len(self._transactions)} x set, a batch a request, {beside}"

    @property
    def transactions(self) -> int:
        """How many transactions it holds."""
        return len(self._transactions)

    def node_settings(self, index: int) -> Mapping[str, Any]:
        """Return where a node listens for processors."""
        return {"processors": self._endpoints[index]}

    def companions(self, index: int) -> Sequence[Companion]:
        """Return the processors of a node."""
        one = self._processor.companion(self._endpoints[index])
        return [one] * self._processors

    def loads(self, per_request: int, first: int = 0, count: int | None = None) -> Iterator[Load]:
        """Yield batches in order, signing them as they are asked for."""
        size = max(1, per_request)
        end = len(self._transactions) if count is None else min(first + count, len(self._transactions))
        for at in range(first, end, size):
            chosen = self._transactions[at : min(at + size, end)]
            batch = signed_batch(self._signer, chosen)
            body = messages.BatchList(batches=[batch]).SerializeToString()
            yield Load(HTTPRequest.post("/batches", body, _OCTETS), len(chosen))

    def classes(self) -> Mapping[str, int]:
        """Return the first transaction behind the warm-up."""
        return {"set": self.warm_up}

    def told(self, load: Load, answer: HTTPResponse) -> Told:
        """Return what an answer says of a batch, or what to ask of one that is taken."""
        try:
            content = orjson.loads(answer.body)
            if answer.status == HTTPStatus.ACCEPTED:
                link = urlsplit(content["link"])
                return Told(ask=HTTPRequest.get(f"{link.path}?{link.query}&wait={WAIT_S}"))
            if answer.status != HTTPStatus.OK:
                return Told(refused=[content["error"]["message"]] * load.count)
            (status,) = content["data"]
            return _fate(status, load.count)
        except (KeyError, TypeError, ValueError):
            return Told(refused=[f"no answer of this interface: {answer.body[:80]!r}"] * load.count)

    async def verify(self, ask: Ask, nodes: int) -> Sequence[str]:
        """Compare every value under the family's addresses on every node with what was set."""
        expected = {
            intkey_address(self._called(number)): {self._called(number): number}
            for number in range(len(self._transactions))
        }
        differences: list[str] = []
        for node in range(nodes):
            found = {address: _table(value) for address, value in (await _state(ask, node)).items()}
            wrong = [
                f"node {node}: {address} holds {found.get(address, 'nothing')},"
                f" expected {expected.get(address, 'nothing')}"
                for address in sorted(found.keys() | expected.keys())
                if found.get(address) != expected.get(address)
            ]
            differences += wrong[:DIFFERENCES_MAX]
            if len(wrong) > DIFFERENCES_MAX:
                differences.append(f"… and {len(wrong) - DIFFERENCES_MAX} more")
        return differences

    def _called(self, number: int) -> str:
        return f"{self._seed % 10**8}-{number}"

    def _signed(self, number: int) -> messages.Transaction:
        name = self._called(number)
        address = [intkey_address(name)]
        payload = intkey_payload("set", name, number)
        return signed_transaction(
            self._signer, family=FAMILY, payload=payload, inputs=address, outputs=address, nonce=name
        )


def _fate(status: Mapping[str, Any], count: int) -> Told:
    """Return what a batch's status says of its transactions."""
    match status["status"]:
        case "COMMITTED":
            return Told()
        case "PENDING":
            return Told(ask=HTTPRequest.get(f"/batch_statuses?id={status['id']}&wait={WAIT_S}"))
        case "INVALID":
            reasons = [each["message"] for each in status["invalid_transactions"]]
            return Told(refused=(reasons or ["INVALID"])[:1] * count)
        case _:
            return Told(refused=[f"{RETRY_PREFIX}nobody knows the batch"] * count)


def _table(value: bytes) -> object:
    """Return the names and values at an address; hex of what is no CBOR.

    The family does not say which of several encodings of a number to use, and SDKs differ in it.
    """
    try:
        return cbor2.loads(value)
    except (cbor2.CBORDecodeError, ValueError):
        return value.hex()


async def _state(ask: Ask, node: int) -> dict[str, bytes]:
    """Return all that a node keeps under the family's addresses."""
    found: dict[str, bytes] = {}
    start = ""
    while True:
        target = f"/state?address={NAMESPACE}&limit={PAGE_ITEMS_MAX}{start}"
        page = orjson.loads((await ask(node, HTTPRequest.get(target))).body)
        found |= {each["address"]: base64.b64decode(each["data"]) for each in page.get("data", [])}
        following = page.get("paging", {}).get("next_position")
        if following is None:
            return found
        start = f"&start={following}"
