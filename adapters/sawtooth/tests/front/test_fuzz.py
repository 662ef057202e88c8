"""Whatever bytes clients send: an answer with a status, and never a fault of the node's own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import trio
from hypothesis import given
from hypothesis import strategies as st

from coco_sawtooth.messages import MessageType
from coco_sawtooth.testing import Client, intkey_transaction

QUESTIONS = [kind for kind in MessageType if 100 <= kind <= 130 or 500 <= kind <= 506]
NAMES = ["head", "start", "limit", "reverse", "id", "wait", "address", "x"]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "0x0000000000000001",
    "false",
    "true",
    "abc",
    "1cf126",
    "0" * 128,
    "0" * 70,
    "é",
]
PATHS = [
    "batches",
    "batch_statuses",
    "state",
    "blocks",
    "transactions",
    "receipts",
    "peers",
    "status",
    "nosuch",
]

queries = st.lists(
    st.tuples(st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text(max_size=10))), max_size=4
)
items = st.one_of(st.none(), st.sampled_from(VALUES), st.text(max_size=10))


def run(world: Any, asked: Any) -> Any:
    """Return what ``asked`` returns for a world with one block."""

    async def main() -> Any:
        async with world() as here:
            alice = Client.named("alice")
            await here.commit(alice.batch(intkey_transaction(alice, "set", "a", 1)))
            return await asked(here)

    return trio.run(main)


@given(st.sampled_from(PATHS), items, queries)
def test_any_question_over_rest_has_an_answer(
    world: Any, path: str, item: str | None, query: list[tuple[str, str]]
) -> None:
    # A wait would be a wait.
    told = "&".join(f"{name}={quote(value)}" for name, value in query if name != "wait")
    target = f"/{path}" + ("" if item is None else f"/{quote(item)}") + (f"?{told}" if told else "")
    answer = run(world, lambda here: here.request("GET", target))
    assert answer.status in (200, 400, 404, 405), answer.body


@given(
    st.sampled_from(["batches", "batch_statuses", "receipts"]),
    st.binary(max_size=100),
    st.sampled_from(["application/json", "application/octet-stream", ""]),
)
def test_any_body_has_an_answer(world: Any, path: str, body: bytes, content_type: str) -> None:
    answer = run(world, lambda here: here.request("POST", f"/{path}", body, content_type))
    assert answer.status == 400, answer.body


@given(st.sampled_from(QUESTIONS), st.binary(max_size=60))
def test_any_message_over_the_socket_has_an_answer(world: Any, kind: MessageType, content: bytes) -> None:
    class Asked:
        identity = b"client"
        message_type = int(kind)

    Asked.content = content  # type: ignore[attr-defined] # as the socket hands it over
    answers: list[int] = []

    async def ask(here: Any) -> None:
        with trio.move_on_after(1):
            await here.front.clients.handle(
                Asked(), lambda answered, _: answers.append(answered), lambda *_: None
            )

    run(world, ask)
    assert len(answers) <= 1
