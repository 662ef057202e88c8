"""What is answered with success and is not what a node says is the fault of who answers, by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio.testing

from coco_core.client import (
    AnswerError,
    BundleClient,
    BundlePart,
    CommittedBundle,
    Connection,
    GovernanceClient,
    MalformedAnswerError,
    NodeClient,
)
from coco_core.errors import BusyError, CallerError, IntegrityError, MalformedError, PeerError, RejectedError

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


async def answered(question: Question, body: bytes, status: int = 200) -> Any:
    """Return what a client makes of ``body``, answered with ``status``."""
    near, far = trio.testing.memory_stream_pair()
    await far.send_all(b"HTTP/1.1 %d Told\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
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


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "a list of 1 to 64 transactions"),
        ([BundlePart("x", b"")] * 65, "a list of 1 to 64 transactions"),
        ([BundlePart("x", bytes(600_000)), BundlePart("y", bytes(600_000))], "there may be 1048576 in all"),
    ],
)
async def test_what_no_node_takes_for_a_bundle_is_not_sent(parts: list[BundlePart], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        await answered(lambda one: BundleClient(one).submit(parts), b"never asked for", 500)


async def test_json_that_tells_of_no_bundle() -> None:
    with pytest.raises(IntegrityError, match="malformed answer for a bundle"):
        await answered(_bundle, b"{}")


@pytest.mark.parametrize(("status", "kind"), [(400, MalformedError), (422, RejectedError), (503, BusyError)])
async def test_a_bundle_that_is_refused_is_told_in_one_line(status: int, kind: type[CallerError]) -> None:
    with pytest.raises(kind, match=r"^too-low: bid more$"):
        await answered(_bundle, b'{"error": {"code": "too-low", "message": "bid more"}}', status)


@pytest.mark.parametrize("status", [400, 404, 405, 422])
@pytest.mark.parametrize(
    "body", [b'{"code": "malformed", "error": "no line"}', b"{}", b"[]", b'{"error": {"code": 1}}', b"<"]
)
async def test_who_takes_no_bundles_is_told_from_who_refuses_one(status: int, body: bytes) -> None:
    with pytest.raises(AnswerError, match=rf"answered {status}.*no front end for bundles"):
        await answered(_bundle, body, status)


@pytest.mark.parametrize(("status", "kind"), [(403, AnswerError), (503, BusyError)])
async def test_who_may_not_submit_is_told_why(status: int, kind: type[CallerError]) -> None:
    with pytest.raises(kind, match="the consortium lets in participants only"):
        await answered(_bundle, b'{"error": "the consortium lets in participants only"}', status)


async def test_a_constitution_that_is_no_text() -> None:
    with pytest.raises(MalformedAnswerError, match="UTF-8"):
        await answered(lambda one: GovernanceClient(one).constitution(), b"\xff")


async def test_what_a_node_says_is_read() -> None:
    assert await answered(QUESTIONS["commit"], b'{"view": 2, "seqno": 5}') == (2, 5)
    assert await answered(QUESTIONS["status"], b'{"status": "Committed"}') == "Committed"
    assert await answered(QUESTIONS["refusals"], b'{"refusals": [{"code": "measurement"}]}') == [
        {"code": "measurement"}
    ]
