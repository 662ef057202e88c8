"""Transactions that come before their predecessor: they wait for it, for a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from coco_core.adapter import Committed, NotCommitted, Rejected
from coco_core.errors import BusyError, MalformedError
from coco_ethereum.limits import NONCE_GAP_SENDER_MAX, NONCE_GAP_WAIT_MS
from coco_ethereum.rpc import Outside, gaps
from coco_ethereum.rpc.gaps import NonceGaps
from coco_ethereum.shell import Pulse, let_others_run, report_fault


def body(*envelopes: bytes) -> bytes:
    return orjson.dumps(
        [
            {"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
            for number, raw in enumerate(envelopes)
        ]
    )


async def send(ledger: Any, *envelopes: bytes) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = orjson.loads((await ledger.post(body(*envelopes))).body)
    return answers


async def test_nonces_in_any_order_over_several_connections_all_commit(ledger: Any) -> None:
    envelopes = [ledger.alice.sign(nonce=nonce, value=1) for nonce in range(6)]
    answers: dict[int, dict[str, Any]] = {}

    async def client(nonce: int) -> None:
        answers[nonce] = (await send(ledger, envelopes[nonce]))[0]

    async with trio.open_nursery() as nursery:
        for nonce in (5, 3, 4, 1, 2, 0):
            nursery.start_soon(client, nonce)
    assert all("result" in answers[nonce] for nonce in range(6)), answers


async def test_nonces_backwards_in_one_body_all_commit_and_answers_keep_their_places(ledger: Any) -> None:
    envelopes = [ledger.alice.sign(nonce=nonce, value=1) for nonce in range(4)]
    answers = await send(ledger, *reversed(envelopes))
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    count = (await ledger.rpc("eth_getTransactionCount", ledger.alice.hex, "latest"))["result"]
    assert count == "0x4"
    hashes = [answer["result"] for answer in answers]
    first = (await ledger.rpc("eth_getTransactionByHash", hashes[3]))["result"]
    assert first["nonce"] == "0x0"


async def test_a_gap_that_stays_is_refused_after_the_bound(
    ledger: Any, autojump_clock: trio.testing.MockClock
) -> None:
    began = trio.current_time()
    (answer,) = await send(ledger, ledger.alice.sign(nonce=7))
    assert answer["error"]["message"].startswith("nonce too high")
    assert trio.current_time() - began == pytest.approx(NONCE_GAP_WAIT_MS / 1000)


async def test_beyond_the_number_that_may_wait_the_refusal_is_immediate(
    ledger: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(gaps, "NONCE_GAP_WAITING_MAX", 0)
    began = trio.current_time()
    (answer,) = await send(ledger, ledger.alice.sign(nonce=7))
    assert answer["error"]["message"].startswith("nonce too high")
    assert trio.current_time() == began


async def test_one_overtaken_by_another_transaction_of_the_same_nonce_is_too_low(ledger: Any) -> None:
    late = ledger.alice.sign(nonce=1, value=7)
    outcome: list[dict[str, Any]] = []

    async def waiting() -> None:
        outcome.extend(await send(ledger, late))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting)
        await trio.testing.wait_all_tasks_blocked()
        await send(ledger, ledger.alice.sign(nonce=0), ledger.alice.sign(nonce=1, value=8))
    assert outcome[0]["error"]["message"].startswith("nonce too low")


async def refused_at_once(ledger: Any, *envelopes: bytes) -> bool:
    began = trio.current_time()
    answers = await send(ledger, *envelopes)
    assert all(answer["error"]["message"].startswith("nonce too high") for answer in answers)
    return trio.current_time() == began


async def test_an_account_that_does_not_exist_does_not_wait(
    ledger: Any, autojump_clock: trio.testing.MockClock
) -> None:
    nobody = type(ledger.alice)(77)
    assert await refused_at_once(ledger, nobody.sign(nonce=7))


async def test_one_sender_cannot_take_every_place(ledger: Any) -> None:
    many = [ledger.alice.sign(nonce=nonce) for nonce in range(1, NONCE_GAP_SENDER_MAX + 3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, ledger, *many)
        while ledger.handler is None or ledger.handler._gaps._count < NONCE_GAP_SENDER_MAX:
            await trio.lowlevel.checkpoint()
        began = trio.current_time()
        (refused,) = await send(ledger, ledger.alice.sign(nonce=50))
        assert refused["error"]["message"].startswith("nonce too high")
        assert trio.current_time() - began < NONCE_GAP_WAIT_MS / 2000
        assert "result" in (await send(ledger, ledger.alice.sign(nonce=0)))[0]
    count = (await ledger.rpc("eth_getTransactionCount", ledger.alice.hex, "latest"))["result"]
    assert int(count, 16) == NONCE_GAP_SENDER_MAX + 1
    assert ledger.handler._gaps._count == 0


async def test_what_waits_is_bounded_by_its_bytes(
    ledger: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(gaps, "NONCE_GAP_SIZE_MAX_BYTES", 1_000)
    assert await refused_at_once(ledger, ledger.alice.sign(nonce=7, data=bytes(1_000), gas_limit=100_000))


async def test_places_are_given_back(ledger: Any, autojump_clock: trio.testing.MockClock) -> None:
    for _ in range(NONCE_GAP_SENDER_MAX + 1):
        assert not await refused_at_once(ledger, ledger.alice.sign(nonce=7))


class Answering:
    """A ledger whose submissions are answered as the test says, once each, and then truly."""

    def __init__(self, ledger: Any, *answers: Exception | Rejected) -> None:
        self._ledger = ledger
        self._answers = list(answers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def submit(self, payloads: Sequence[bytes]) -> Any:
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, Exception):
            raise answer
        return self._ledger.submit(payloads)


async def at_once(work: Callable[[], Any]) -> Any:
    return work()


async def too_busy(work: Callable[[], Any]) -> Any:
    del work
    raise BusyError("no thread")


def nonce_gaps(service: Any, worker: Any = at_once) -> NonceGaps:
    commits = service.adapter._commits
    return NonceGaps(
        service, Outside(worker=worker, pause=let_others_run, commits=commits, report=report_fault)
    )


EARLY = Rejected(gaps.TOO_HIGH, "nonce too high")


async def test_when_no_thread_is_free_the_refusal_stands(ledger: Any) -> None:
    assert await nonce_gaps(ledger, too_busy).resolve([ledger.alice.sign(nonce=7)], [EARLY]) == [EARLY]


async def test_what_is_no_transaction_has_no_nonce_to_wait_for(ledger: Any) -> None:
    assert await nonce_gaps(ledger).resolve([b"\x05"], [EARLY]) == [EARLY]


@pytest.mark.parametrize("error", [BusyError("queue full"), MalformedError("too long")])
async def test_a_second_submission_that_is_not_taken_is_not_committed(ledger: Any, error: Exception) -> None:
    service = Answering(ledger, error)
    (fate,) = await nonce_gaps(service).resolve([ledger.alice.sign(nonce=0)], [EARLY])
    assert fate == NotCommitted(str(error))
    (fate,) = await nonce_gaps(service).resolve([ledger.alice.sign(nonce=0)], [EARLY])
    assert isinstance(fate, Committed)


async def test_only_those_whose_account_changed_are_woken() -> None:
    pulse = Pulse()
    woken: list[bytes] = []

    async def waiting(keys: set[bytes]) -> None:
        assert await pulse.wait(keys, trio.current_time() + 60)
        woken.append(min(keys))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting, {b"a", b"b"})
        nursery.start_soon(waiting, {b"c"})
        await trio.testing.wait_all_tasks_blocked()
        pulse.beat({b"b": b"", b"x": b""})
        await trio.testing.wait_all_tasks_blocked()
        assert woken == [b"a"]
        pulse.beat({b"c": b"", b"a": b""})
    assert woken == [b"a", b"c"]
