"""Moves of cash, each of a state of its own: of genesis, or issued by the load itself."""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from coco_corda.development import development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.refs import StateRef, hash_text
from coco_corda.workloads.samples import CASH, Samples
from coco_core.adapter import RETRY_PREFIX, Ask, Companion, HTTPRequest, HTTPResponse, Load, Told

ISSUED_BEFORE: Final = 1_000
"""How many issuances a move is behind its own: as a payer, it waits until what it pays with is recorded.

The first of them come alone, and are the warm-up or a part of it; where that is shorter, moves wait less.
What is issued last stays unmoved, so that all rounds are the same load.
"""
ASKED_AT_ONCE: Final = 200
"""States in one question."""
DIFFERENCES_MAX: Final = 20
"""Differences worth reporting; the rest is counted."""
_LENGTH: Final = struct.Struct(">I")
_OCTETS: Final = "application/octet-stream"


Item = TypeVar("Item")


class CashWorkload:
    """A Workload of transactions that Corda's own code made and signed."""

    def __init__(
        self, samples: Samples, kind: str, count: int, warm_up: int, settings: Mapping[str, Any]
    ) -> None:
        """Send ``count`` of ``samples`` to nodes with ``settings``; the first ``warm_up`` only warm up."""
        self.warm_up: Final = warm_up
        """How many of them only warm up."""
        self.transactions: Final = count
        """How many transactions it holds."""
        self._samples = samples
        self._kind = kind
        self._settings = settings
        self._notary_key = NotaryKey(development_seed()).public_key
        # The key itself is what its DER form ends with.
        self._notary = Ed25519PublicKey.from_public_bytes(self._notary_key[-32:])
        self._names = _names(kind, count, warm_up)

    @staticmethod
    def numbered(kind: str, count: int, warm_up: int) -> int:
        """Return how many numbered samples ``count`` transactions take, the warm-up among them."""
        return -(-(count + _behind(count, warm_up)) // 2) if kind == CASH else count

    @property
    def name(self) -> str:
        """What this load is."""
        what = "issuances and moves" if self._kind == CASH else "moves of states of genesis"
        return f"{self._kind}: {self.transactions} {what}, R3's finance contracts"

    @property
    def config(self) -> Mapping[str, Any]:
        """A genesis with the states that moves want, unless they are issued."""
        return self._samples.genesis(0 if self._kind == CASH else self._samples.count)

    def node_settings(self, index: int) -> Mapping[str, Any]:
        """Return how a node starts JVMs."""
        return self._settings

    def companions(self, index: int) -> Sequence[Companion]:
        """Return none: a node starts its JVMs itself."""
        return []

    @property
    def issue(self) -> bytes:
        """One more transaction, an issuance that no other depends on."""
        return self._samples["issue"]

    def payloads(self, first: int = 0, count: int | None = None) -> list[bytes]:
        """Return serialised transactions in the order to send."""
        names = self._names[first : None if count is None else first + count]
        return [self._samples[name] for name in names]

    def loads(self, per_request: int, first: int = 0, count: int | None = None) -> Iterator[Load]:
        """Yield requests in order."""
        for chosen in _parts(self.payloads(first, count), max(1, per_request)):
            body = b"".join(_LENGTH.pack(len(each)) + each for each in chosen)
            yield Load(HTTPRequest.post("/transactions/many", body, _OCTETS), len(chosen))

    def classes(self) -> Mapping[str, int]:
        """Return the first transaction of each kind, behind the warm-up where there is one."""
        found: dict[str, int] = {}
        for index, name in enumerate(self._names):
            kind = "issue" if name.startswith("issued") else "move"
            if kind not in found or found[kind] < self.warm_up <= index:
                found[kind] = index
        return found

    def told(self, load: Load, answer: HTTPResponse) -> Told:
        """Return what an answer says: each transaction must be recorded, each move notarised.

        Of the notary's signatures one in each answer is verified; the others are said to be by its key.
        """
        try:
            content = orjson.loads(answer.body)
            if not isinstance(content, list) and "error" in content:
                return Told(refused=[self._refusal(content)] * load.count)
            reasons = [self._reason(each) for each in content]
            accepted = (place for place, reason in enumerate(reasons) if not reason)
            signed = next((place for place in accepted if "signature" in content[place]), None)
            if signed is not None:
                reasons[signed] = self._reason_of_signature(content[signed])
        except (KeyError, TypeError, ValueError):
            reasons = []
        if len(reasons) != load.count:
            reasons = [f"no answer of this interface: {answer.body[:80]!r}"] * load.count
        return Told(refused=[each for each in reasons if each])

    async def verify(self, ask: Ask, nodes: int) -> Sequence[str]:
        """Ask every node for every state: what was moved is used up, what that made is not."""
        numbers = [name.partition("-") for name in self._names]
        expected = {str(self._samples.ref(int(number))): "unconsumed" for _, _, number in numbers}
        for kind, _, number in numbers:
            if kind == "left":
                expected[str(self._samples.ref(int(number)))] = "consumed"
                expected[str(StateRef(self._samples[f"id of left-{number}"], 0))] = "unconsumed"
        differences: list[str] = []
        for node in range(nodes):
            wrong = [
                f"node {node}: state {ref} is {found}, expected {expected[ref]}"
                for refs in _parts(list(expected), ASKED_AT_ONCE)
                for ref, found in (await _statuses(ask, node, refs)).items()
                if found != expected[ref]
            ]
            differences += wrong[:DIFFERENCES_MAX]
            if len(wrong) > DIFFERENCES_MAX:
                differences.append(f"… and {len(wrong) - DIFFERENCES_MAX} more")
        return differences

    @functools.cached_property
    def _by_id(self) -> Mapping[str, str]:
        """Names of transactions by their identifiers, as Corda prints them."""
        return {self._id_of(name): name for name in self._names}

    def _id_of(self, name: str) -> str:
        kind, _, number = name.partition("-")
        return (
            self._samples.tx_id(name) if kind == "left" else hash_text(self._samples.ref(int(number)).tx_id)
        )

    def _reason(self, told: Mapping[str, Any]) -> str:
        """Return why a transaction was not accepted; empty when it was."""
        if "error" in told:
            return self._refusal(told)
        name, status = self._by_id.get(told["txId"], ""), told["status"]
        if not name:
            return f"{told['txId']} is no transaction of this load"
        if name.startswith("left") and status != "notarised":
            return f"{name} moves a state, and was not notarised but {status}"
        if status == "notarised" and base64.b64decode(told["signature"]["by"]) != self._notary_key:
            return "the signature is not that of the notary"
        return ""

    def _refusal(self, told: Mapping[str, Any]) -> str:
        prefix = RETRY_PREFIX if told.get("retry") else ""
        words = (told["error"].get(name, "") for name in ("type", "message"))
        return prefix + " ".join(filter(None, words))

    def _reason_of_signature(self, told: Mapping[str, Any]) -> str:
        """Return why a receipt's signature is not the notary's; empty when it is."""
        signature = base64.b64decode(told["signature"]["bytes"])
        try:
            self._notary.verify(signature, self._samples.signable.filled(bytes.fromhex(told["txId"])))
        except InvalidSignature:
            return f"the notary's signature on {told['txId']} is wrong"
        return ""


def _behind(count: int, warm_up: int) -> int:
    """Return how many issuances a move is behind its own."""
    return min(ISSUED_BEFORE, warm_up or count // 3)


def _names(kind: str, count: int, warm_up: int) -> list[str]:
    """Return the names of samples in the order to send."""
    numbers = CashWorkload.numbered(kind, count, warm_up)
    if kind != CASH:
        return [f"left-{number}" for number in range(numbers)]
    behind = _behind(count, warm_up)
    names: list[str] = []
    for number in range(numbers):
        names.append(f"issued-{number}")
        if number >= behind:
            names.append(f"left-{number - behind}")
    return names[:count]


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[at : at + size] for at in range(0, len(items), size))


async def _statuses(ask: Ask, node: int, refs: Sequence[str]) -> Mapping[str, str]:
    query = "&".join(f"ref={ref}" for ref in refs)
    answer = orjson.loads((await ask(node, HTTPRequest.get(f"/status?{query}"))).body)
    found: Mapping[str, str] = answer.get("status", {})
    return {ref: found.get(ref, "not told") for ref in refs}
