"""Batches on their way in: handed on again when their fate is open, parked for what they depend on."""

from __future__ import annotations

import attrs
import orjson
import pytest
import trio
import trio.testing

from coco_core.adapter import TRANSACTION_IDS_HEADER, TxID
from coco_sawtooth import intake
from coco_sawtooth.limits import (
    INVALID_STATUSES_MAX,
    PARKED_BATCHES_MAX,
    PENDING_BATCHES_MAX,
    PLACE_WAIT_S,
    PLACES_MAX,
    PLACES_TOLD_MAX,
    STATUS_IDS_MAX,
)
from coco_sawtooth.messages import ClientBatchStatus
from coco_sawtooth.statuses import Statuses
from coco_sawtooth.testing import intkey_transaction

UNKNOWN, PENDING, INVALID, COMMITTED = "UNKNOWN", "PENDING", "INVALID", "COMMITTED"


def sets(client, name, **fields):
    return client.batch(intkey_transaction(client, "set", name, 1, **fields))


async def status(here, batch, wait="false"):
    (found,) = (await here.get(f"/batch_statuses?id={batch.header_signature}&wait={wait}"))["data"]
    return found["status"]


async def test_a_batch_whose_fate_is_open_is_handed_on_again(world, autojump_clock) -> None:
    async with world() as here:
        here.chain.open_fates = 3
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        assert await status(here, batch, "60") == COMMITTED
        assert here.chain.submitted == [batch.SerializeToString()] * 4


async def test_also_while_the_queue_is_full(world, autojump_clock) -> None:
    async with world() as here:
        here.chain.open_fates = 1
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        here.chain.busy = True
        assert await status(here, batch, "5") == PENDING
        here.chain.busy = False
        assert await status(here, batch, "5") == COMMITTED


async def test_but_not_for_ever(world, autojump_clock) -> None:
    async with world() as here:
        here.chain.open_fates = 1000
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        assert await status(here, batch, "200") == UNKNOWN
        assert len(here.chain.submitted) == 20


async def test_a_family_without_a_processor_is_waited_for_a_while(world, autojump_clock) -> None:
    async with world() as here:
        here.chain.unserved = True
        early, late = sets(here.alice, "a"), sets(here.alice, "b")
        await here.post_batches(early)
        assert await status(here, early, "20") == PENDING
        here.chain.unserved = False
        assert await status(here, early, "20") == COMMITTED
        here.chain.unserved = True
        await here.post_batches(late)
        assert await status(here, late, "60") == INVALID
        (told,) = (await here.get(f"/batch_statuses?id={late.header_signature}"))["data"]
        assert told["invalid_transactions"][0]["message"] == "nobody is registered for intkey 1.0"
        assert len(here.chain.submitted) < 30


async def test_a_batch_waits_for_what_it_depends_on(world, autojump_clock) -> None:
    async with world() as here:
        parent = sets(here.alice, "a")
        first = parent.transactions[0].header_signature
        child = sets(here.alice, "b", dependencies=[first])
        grandchild = sets(here.alice, "c", dependencies=[child.transactions[0].header_signature, first])
        await here.post_batches(grandchild)
        await here.post_batches(child)
        assert [await status(here, each, "1") for each in (grandchild, child)] == [UNKNOWN] * 2
        await here.commit(parent)
        await trio.testing.wait_all_tasks_blocked()
        assert [await status(here, each, "1") for each in (child, grandchild)] == [COMMITTED] * 2


async def test_parked_batches_are_bounded_in_number_and_time(world, autojump_clock) -> None:
    async with world() as here:
        parent = sets(here.alice, "parent")
        ids = [parent.transactions[0].header_signature]
        early = sets(here.alice, "early", dependencies=ids)
        await here.post_batches(early)
        await trio.testing.wait_all_tasks_blocked()
        late = [sets(here.alice, f"late{i}", dependencies=ids) for i in range(PARKED_BATCHES_MAX)]
        await here.post_batches(*late)
        await trio.testing.wait_all_tasks_blocked()
        await here.commit(parent)
        await trio.testing.wait_all_tasks_blocked()
        assert await status(here, early) == UNKNOWN
        assert await status(here, late[0]) == COMMITTED
        assert await status(here, late[-1]) == COMMITTED


async def test_what_is_committed_or_under_way_is_not_submitted_again(world) -> None:
    async with world() as here:
        batch, other = sets(here.alice, "a"), sets(here.alice, "b")
        event = trio.Event()
        here.chain.stopped.append(event)
        await here.post_batches(batch, batch)
        await here.post_batches(batch, other)
        event.set()
        assert await status(here, other, "5") == COMMITTED
        await here.post_batches(batch)
        assert sorted(here.chain.submitted) == sorted([batch.SerializeToString(), other.SerializeToString()])


async def test_many_batches_are_waited_for_together(world, autojump_clock) -> None:
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        sent = [sets(here.alice, f"n{i}") for i in range(40)]
        await here.post_batches(*sent)
        ids = [each.header_signature for each in sent]
        told = await here.post_json("/batch_statuses?wait=2", [*ids, ids[0]])
        assert [each["status"] for each in told["data"]] == [PENDING] * 41
        event.set()
        told = await here.post_json("/batch_statuses?wait=2", ids)
        assert [(each["id"], each["status"]) for each in told["data"]] == [(each, COMMITTED) for each in ids]


@pytest.mark.parametrize("wait", ["false", "60"])
@pytest.mark.parametrize("at", ["begin", "end"])
async def test_what_is_committed_while_many_are_looked_up_is_neither_lost_nor_waited_for(
    world, autojump_clock, monkeypatch, wait, at
) -> None:
    monkeypatch.setattr(intake, "STATUSES_AT_ONCE", 2)
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        sent = [sets(here.alice, f"n{i}") for i in range(3)]
        await here.post_batches(*sent)

        async def look(work):
            found = work() if at == "end" else None
            event.set()
            await trio.testing.wait_all_tasks_blocked()
            return found or work()

        here.front._intake._outside = attrs.evolve(here.front._intake._outside, worker=look)
        began = trio.current_time()
        told = await here.post_json(f"/batch_statuses?wait={wait}", [each.header_signature for each in sent])
        assert {each["status"] for each in told["data"]} == {PENDING if wait == "false" else COMMITTED}
        assert trio.current_time() == began


async def test_a_client_may_wait_for_all_batches_of_a_file_at_once(world) -> None:
    """Sawtooth's command that submits a file does."""
    async with world() as here:
        sent = sets(here.alice, "a")
        await here.post_batches(sent)
        ids = [sent.header_signature, *(f"{number:0128x}" for number in range(STATUS_IDS_MAX - 1))]
        told = await here.post_json("/batch_statuses?wait=5", ids)
        assert [each["status"] for each in told["data"]] == [COMMITTED] + [UNKNOWN] * (STATUS_IDS_MAX - 1)
        body = orjson.dumps([*ids, ids[0]])
        refused = await here.request("POST", "/batch_statuses", body, "application/json")
        assert refused.status == 400
        assert f"{STATUS_IDS_MAX} at most" in orjson.loads(refused.body)["error"]["message"]


async def test_who_waits_for_batches_is_bounded_and_the_bound_clears(
    world, autojump_clock, monkeypatch
) -> None:
    monkeypatch.setattr(intake, "STATUSES_AWAITED_MAX", 1)
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        for _ in range(2):
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(status, here, batch, "60")
                await trio.testing.wait_all_tasks_blocked()
                assert await status(here, batch, "60") == PENDING
                assert trio.current_time() == began
            assert trio.current_time() == began + 60
        event.set()


async def test_an_invalid_batch_may_be_tried_again(world) -> None:
    async with world() as here:
        batch = here.alice.batch(intkey_transaction(here.alice, "inc", "a", 1))
        await here.post_batches(batch)
        assert await status(here, batch, "5") == INVALID
        await here.commit(sets(here.alice, "a"))
        await here.post_batches(batch)
        assert await status(here, batch, "5") == COMMITTED


async def test_batches_under_way_are_bounded_and_the_bound_clears(world) -> None:
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        batch = sets(here.alice, "a")
        statuses = here.front._intake._statuses
        statuses.took(f"{i:0128x}" for i in range(PENDING_BATCHES_MAX))
        error = (await here.post_batches(batch, status=429))["error"]
        assert error["code"] == 31
        statuses.ended([f"{0:0128x}"])
        await here.post_batches(batch)
        event.set()
        assert await status(here, batch, "5") == COMMITTED


async def test_bytes_of_batches_under_way_are_bounded_and_the_bound_clears(world, monkeypatch) -> None:
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        first, second = sets(here.alice, "a"), sets(here.alice, "b")
        monkeypatch.setattr(intake, "PENDING_BATCHES_SIZE_MAX_BYTES", first.ByteSize() + 1)
        await here.post_batches(first)
        assert (await here.post_batches(second, status=429))["error"]["code"] == 31
        event.set()
        assert await status(here, first, "5") == COMMITTED
        await here.post_batches(second)
        assert await status(here, second, "5") == COMMITTED


async def test_bytes_of_parked_batches_are_bounded(world, monkeypatch) -> None:
    async with world() as here:
        parent = sets(here.alice, "parent")
        ids = [parent.transactions[0].header_signature]
        early, late = (sets(here.alice, name, dependencies=ids) for name in ("early", "later"))
        monkeypatch.setattr(intake, "PARKED_BATCHES_SIZE_MAX_BYTES", late.ByteSize() + 1)
        for batch in (early, early, late):
            await here.post_batches(batch)
            await trio.testing.wait_all_tasks_blocked()
        await here.commit(parent)
        await trio.testing.wait_all_tasks_blocked()
        assert [await status(here, each) for each in (early, late)] == [UNKNOWN, COMMITTED]
        await here.commit(early)
        assert here.front._intake._parked_bytes == here.front._intake._bytes == 0


def test_remembered_refusals_are_bounded() -> None:
    statuses = Statuses()

    def refuse(number: int, message: str = "") -> None:
        told = ClientBatchStatus.InvalidTransaction(message=message)
        statuses.refused(
            ClientBatchStatus(
                batch_id=f"{number:0128x}", status=ClientBatchStatus.INVALID, invalid_transactions=[told]
            )
        )

    for number in range(INVALID_STATUSES_MAX + 1):
        refuse(number)
    assert len(statuses._invalid) == INVALID_STATUSES_MAX
    for number in range(40):
        refuse(number, "x" * 1024 * 1024)
    assert len(statuses._invalid) == 15
    statuses.took(list(statuses._invalid))
    assert statuses._invalid_bytes == 0


@pytest.mark.parametrize("restart", [True, False])
async def test_a_restored_chain_is_looked_at_again(world, autojump_clock, restart) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        event = trio.Event()
        here.chain.stopped.append(event)
        await here.post_batches(batch)
        front, here.chain.front = here.chain.front, None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.chain.execute, batch.SerializeToString())
            nursery.start_soon(trio.sleep, 1)
        async with trio.open_nursery() as nursery:
            begin = trio.current_time()
            nursery.start_soon(status, here, batch, "20")
            await trio.testing.wait_all_tasks_blocked()
            if restart:
                front.restored()
        assert trio.current_time() - begin == pytest.approx(0)
        event.set()


async def placed(here, *batches, wait="60"):
    ids = ",".join(each.header_signature for each in batches)
    answer = await here.request("GET", f"/batch_statuses?id={ids}&wait={wait}")
    return answer.headers.get(TRANSACTION_IDS_HEADER)


async def test_places_in_the_ledger_are_told_of_committed_batches(world, autojump_clock) -> None:
    async with world() as here:
        one, other = sets(here.alice, "a"), sets(here.alice, "b")
        bad = here.alice.batch(intkey_transaction(here.alice, "inc", "missing", 1))
        await here.post_batches(one, bad, other)
        places = await placed(here, other, bad, one)
        assert places is not None
        second, refused, first = places.split(",")
        assert (refused, TxID.parse(first) < TxID.parse(second)) == ("-", True)
        assert await placed(here, bad) is None
        # Sent once more it is known, and where stays known.
        await here.post_batches(one)
        assert await placed(here, one) == first


async def test_places_of_more_batches_than_a_header_holds_are_not_told(world, autojump_clock) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        await here.commit(batch)
        ids = [batch.header_signature] * (PLACES_TOLD_MAX + 1)

        async def asked(ids: list[str]) -> str | None:
            answer = await here.request("POST", "/batch_statuses", orjson.dumps(ids), "application/json")
            assert len(orjson.loads(answer.body)["data"]) == len(ids)
            return answer.headers.get(TRANSACTION_IDS_HEADER)

        told = await asked(ids[1:])
        assert told is not None
        assert told.split(",") == [await placed(here, batch)] * PLACES_TOLD_MAX
        assert await asked(ids) is None


def test_the_places_told_at_most_fit_what_clients_take_of_a_header() -> None:
    longest = str(TxID(2**32 - 1, 2**63 - 1))
    assert len(f"{TRANSACTION_IDS_HEADER}: " + ",".join([longest] * PLACES_TOLD_MAX)) <= 8190


async def test_a_place_is_not_waited_for_long(world, autojump_clock) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        assert await status(here, batch, "60") == COMMITTED
        here.front._intake._unplaced.add(batch.header_signature)
        began = trio.current_time()
        assert await placed(here, batch) is not None
        assert trio.current_time() - began == pytest.approx(PLACE_WAIT_S)


def test_places_are_remembered_up_to_a_bound() -> None:
    statuses = Statuses()
    for number in range(PLACES_MAX + 1):
        statuses.placed(str(number), TxID(2, number))
    assert (statuses.place("0"), statuses.place("1")) == (None, TxID(2, 1))
