"""Speaking JSON-RPC as a workload does: bodies to send, answers to judge, bulk questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

import orjson

from coco_core.adapter import RETRY_PREFIX, Ask, HTTPRequest, HTTPResponse, Load, Told
from coco_ethereum.rpc.errors import LIMIT_EXCEEDED

ASK_CALLS_MAX: Final = 500
"""Calls in one body of a bulk question."""
DIFFERENCES_MAX: Final = 20
"""Differences worth reporting; the rest is counted."""

_KNOWN: Final = "already known"

Question = tuple[str, Sequence[object]]


def loads(envelopes: Iterable[bytes], per_request: int) -> Iterator[Load]:
    """Yield bodies that send ``envelopes``, ``per_request`` at a time; a single one is no batch."""
    remaining = iter(envelopes)
    while chosen := list(islice(remaining, max(1, per_request))):
        calls = [
            b'{"jsonrpc":"2.0","id":%d,"method":"eth_sendRawTransaction","params":["0x%b"]}'
            % (number, raw.hex().encode())
            for number, raw in enumerate(chosen)
        ]
        body = calls[0] if per_request <= 1 else b"[" + b",".join(calls) + b"]"
        yield Load(HTTPRequest.post("/", body), len(calls))


def told(load: Load, answer: HTTPResponse) -> Told:
    """Return one reason for each transaction of a load that was not accepted.

    An error in the place of a list of answers is that of every transaction. What only this node at this
    moment refuses (busy, no primary, not committed) begins with RETRY_PREFIX.
    """
    if answer.status != HTTPStatus.OK:
        return Told(refused=[f"{RETRY_PREFIX}answer {answer.status}"] * load.count)
    try:
        parsed = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return Told(refused=[f"the answer is no JSON: {answer.body[:80]!r}"] * load.count)
    try:
        reasons = list(map(_reason, parsed if isinstance(parsed, list) else [parsed]))
    except (KeyError, TypeError):
        reasons = []
    if not isinstance(parsed, list) and any(reasons):
        reasons *= load.count
    if len(reasons) != load.count:
        reasons = [f"no answer of this interface: {answer.body[:80]!r}"] * load.count
    return Told(refused=filter(None, reasons))


def _reason(response: Mapping[str, Any]) -> str:
    """Return why a call was refused, empty when it was not; raises KeyError, TypeError for no response."""
    if "error" not in response:
        return "" if response["result"] else "no hash of it was answered"
    error = response["error"]
    if error["message"] == _KNOWN:
        return ""
    transient = RETRY_PREFIX if error["code"] == LIMIT_EXCEEDED else ""
    return f"{transient}{error['code']}: {error['message']}"


async def bulk(ask: Ask, node: int, questions: Sequence[Question]) -> list[Any]:
    """Return the results of many calls to one node, in order; an error becomes its message."""
    results: list[Any] = []
    for start in range(0, len(questions), ASK_CALLS_MAX):
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(questions[start : start + ASK_CALLS_MAX])
        ]
        answer = await ask(node, HTTPRequest.post("/", orjson.dumps(calls)))
        answers = orjson.loads(answer.body)
        if not isinstance(answers, list):
            return [*results, *([f"error: {answers}"] * len(calls))]
        results += [each["result"] if "result" in each else f"error: {each['error']}" for each in answers]
    return results


async def compare(
    ask: Ask, nodes: int, questions: Sequence[Question], expected: Sequence[object]
) -> list[str]:
    """Ask every node and return one line per answer that is not the expected one."""
    differences: list[str] = []
    for node in range(nodes):
        found = await bulk(ask, node, questions)
        wrong = [
            f"node {node}: {method}{tuple(params)} is {answer!r}, expected {wanted!r}"
            for (method, params), answer, wanted in zip(questions, found, expected, strict=True)
            if answer != wanted
        ]
        differences += shortened(wrong)
    return differences


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the first lines and how many more there are."""
    if len(lines) <= DIFFERENCES_MAX:
        return list(lines)
    return [*lines[:DIFFERENCES_MAX], f"… and {len(lines) - DIFFERENCES_MAX} more"]
