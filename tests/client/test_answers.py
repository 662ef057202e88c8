"""What is answered with success and is not what a node says is the fault of who answers, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio.testing

from coco_core.client import (
    BundleClient,
    BundlePart,
    CommittedBundle,
    Connection,
    GovernanceClient,
    MalformedAnswerError,
    NodeClient,
)
from coco_core.errors import IntegrityError, PeerError

Question = Callable[[Connection], Awaitable[Any]]


async def _bundle(connection: Connection) -> CommittedBundle:
    return await BundleClient(connection).submit([BundlePart("tally", b"x")])


QUESTIONS: dict[str, Question] = {
    "health": lambda one: NodeClient(one).health(),
    "commit": lambda one: NodeClient(one).committed_after(3),
    "status": lambda one: NodeClient(one).transaction_status("2.5"),
    "refusals": lambda one: NodeClient(one).refusals(),
    "members": lambda one: NodeClient(one).change_members(["ab"], []),
    "cancel": lambda one: NodeClient(one).cancel_change(),
    "governance": lambda one: GovernanceClient(one).post("/gov/proposals", b"signed"),
    "service": lambda one: GovernanceClient(one).service_id(),
    "tables": lambda one: GovernanceClient(one).recovery_state(),
    "bundle": _bundle,
}
SHAPED = ["commit", "status", "refusals", "members", "cancel", "service"]
"""Those that want a JSON object with certain names."""


async def answered(question: Question, body: bytes) -> Any:
    """Return what a client makes of ``body``, answered with status 200."""
    near, far = trio.testing.memory_stream_pair()
    await far.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    return await question(Connection(near, "node:1"))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"cut', b"\xff", b"[" * 5000], ids=repr)
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_what_is_no_json(question: Question, body: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="did not answer in JSON") as told:
        await answered(question, body)
    assert isinstance(told.value, PeerError)


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b"null", b'{"view": "2", "status": 1, "refusals": {}}'], ids=repr
)
@pytest.mark.parametrize("name", SHAPED)
async def test_json_of_another_shape(name: str, body: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="answered"):
        await answered(QUESTIONS[name], body)


@pytest.mark.parametrize(
    "body", [b"[1]", b'{"table": []}', b'{"table": {"xy": "z"}}', b'{"table": {"aa": 1}}']
)
async def test_tables_of_another_shape(body: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="no tables"):
        await answered(QUESTIONS["tables"], body)


async def test_json_that_tells_of_no_bundle() -> None:
    with pytest.raises(IntegrityError, match="malformed answer for a bundle"):
        await answered(_bundle, b"{}")


async def test_a_constitution_that_is_no_text() -> None:
    with pytest.raises(MalformedAnswerError, match="UTF-8"):
        await answered(lambda one: GovernanceClient(one).constitution(), b"\xff")


async def test_what_a_node_says_is_read() -> None:
    assert await answered(QUESTIONS["commit"], b'{"view": 2, "seqno": 5}') == (2, 5)
    assert await answered(QUESTIONS["status"], b'{"status": "Committed"}') == "Committed"
    assert await answered(QUESTIONS["refusals"], b'{"refusals": [{"code": "measurement"}]}') == [
        {"code": "measurement"}
    ]
