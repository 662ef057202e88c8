"""Processors of the published Python and JavaScript SDKs, unmodified, on a real socket."""

from __future__ import annotations

import signal

import cbor2
import pytest
import trio
import trio.testing

from coco_sawtooth.execution import Invalid, Unavailable, Valid
from coco_sawtooth.messages import Event
from coco_sawtooth.processors import Policy

pytestmark = pytest.mark.processes

ZOMBIES = Policy(absent_ms=60_000, process_ms=2_000)
GONE_SOON = Policy(absent_ms=3_000, process_ms=2_000)
HERE = bytes.fromhex("aa" * 35)


@pytest.mark.parametrize("sdk", ["python", "javascript"])
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
async def test_integer_keys(serving, endpoint, processors, intkey, sdk, transport):
    async with serving(endpoint if transport == "ipc" else "tcp://127.0.0.1:*") as ledger:
        start = processors.python if sdk == "python" else processors.javascript
        start("intkey.py" if sdk == "python" else "intkey.js", ledger.host.endpoint)
        result, context = await ledger.run(intkey("set", "one", 42))
        assert result == Valid()
        ledger.state.update(context.writes)
        result, context = await ledger.run(intkey("inc", "one", 2))
        assert result == Valid()
        ((address, data),) = context.writes.items()
        assert (address.hex()[:6], cbor2.loads(data)) == ("1cf126", {"one": 44})
        result, context = await ledger.run(intkey("set", "one", 1))
        assert isinstance(result, Invalid)
        assert '"one" is 42' in result.message
        results = await ledger.run_all([intkey("set", f"n{each}", each) for each in range(100)])
        assert results == [Valid()] * 100


@pytest.mark.parametrize("style", ["expanded", "raw"])
async def test_a_game_with_headers_either_way(serving, endpoint, processors, xo, style):
    processors.python("xo.py", endpoint, style)
    async with serving(endpoint) as ledger:
        for move in ("g,create,", "g,take,1", "g,take,5"):
            result, context = await ledger.run(xo(move))
            assert result == Valid()
            ledger.state.update(context.writes)
        taken, _ = await ledger.run(xo("g,take,5"))
    (game,) = ledger.state.values()
    name, board, state, player, _ = game.decode().split(",")
    assert (name, board, state) == ("g", "X---O----", "P1-NEXT")
    assert player == "02" + "ab" * 32
    assert taken == Invalid("Invalid action: space 5 already taken")


async def test_everything_a_context_takes(serving, endpoint, misbehaving, command):
    misbehaving()
    async with serving(endpoint) as ledger:
        result, context = await ledger.run(command("everything"))
    assert result == Valid()
    assert context.writes == {HERE: b"end"}
    assert context.events == [
        Event(event_type="misbehave/one", attributes=[Event.Attribute(key="k", value="v")], data=b"data"),
        Event(event_type="misbehave/two"),
    ]
    assert context.data == [b"r1", b"r2"]


@pytest.mark.parametrize("what", ["get", "set", "delete"])
async def test_an_address_beyond_what_was_declared(serving, endpoint, misbehaving, command, what):
    misbehaving()
    async with serving(endpoint) as ledger:
        result, context = await ledger.run(command(f"trespass {what}"))
    assert isinstance(result, Invalid)
    assert "unauthorized address" in result.message
    assert context.writes == {}


async def test_refusals_and_internal_errors_have_words(serving, endpoint, misbehaving, command):
    misbehaving()
    async with serving(endpoint) as ledger:
        refused, _ = await ledger.run(command("refuse not like this"))
        erred, _ = await ledger.run(command("err out of order"))
        succeeded, _ = await ledger.run(command("succeed", "2.0"))
    assert refused == Invalid("not like this", b"why")
    assert isinstance(erred, Invalid)
    assert erred.message == "Internal error of the transaction processor, 3 times: out of order"
    assert succeeded == Valid()


async def test_a_processor_killed_in_the_middle_loses_nothing(serving, endpoint, processors, intkey):
    victim = processors.python("intkey.py", endpoint)
    async with serving(endpoint) as ledger:
        await ledger.run(intkey("set", "there", 1))
        processors.python("intkey.py", endpoint)
        results = []

        async def one(number):
            results.append((await ledger.run(intkey("set", f"n{number}", number)))[0])
            if len(results) == 50:
                victim.send_signal(signal.SIGKILL)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(one, number)
    assert victim.poll() == -signal.SIGKILL
    assert results == [Valid()] * 200


async def test_the_only_processor_killed_and_started_again(serving, endpoint, misbehaving, command):
    victim = misbehaving()
    async with serving(endpoint) as ledger:
        await ledger.run(command("succeed"))

        async def kill():
            await trio.to_thread.run_sync(victim.kill)
            misbehaving()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            results = await ledger.run_all([command(f"succeed {each}") for each in range(50)])
    assert results == [Valid()] * 50


async def test_what_ends_every_processor_is_refused(serving, endpoint, misbehaving, command):
    for _ in range(3):
        misbehaving()
    async with serving(endpoint) as ledger:
        (ended, *others) = await ledger.run_all([command("end"), *[command("succeed 1")] * 20])
    assert ended == Invalid("The transaction processor ended while it processed it")
    assert others == [Valid()] * 20


async def test_a_payload_that_ends_the_example_ends_two_of_them(serving, endpoint, processors, intkey):
    for _ in range(3):
        processors.python("intkey.py", endpoint)
    async with serving(endpoint) as ledger:
        bad, *others = await ledger.run_all(
            [intkey("set", "bad", 1, payload=b"\x00"), *[intkey("set", f"n{each}", 1) for each in range(9)]]
        )
    assert bad == Invalid("The transaction processor ended while it processed it")
    assert others == [Valid()] * 9


async def test_what_makes_zombies_is_refused_in_time(serving, endpoint, misbehaving, command):
    absent = "No transaction processor for the family 'misbehave', version '1.0'"
    misbehaving()
    async with serving(endpoint, GONE_SOON) as ledger:
        zombie, _ = await ledger.run(command("become_a_zombie"))
        assert zombie == Invalid("The transaction processor did not answer within 2 s")
        for _ in range(2):
            assert (await ledger.run(command("succeed 2")))[0] == Unavailable(absent)
        misbehaving()
        with trio.fail_after(10):
            while (await ledger.run(command("succeed 3")))[0] != Valid():
                await trio.lowlevel.checkpoint()


async def test_a_zombie_keeps_nobody_from_the_others(serving, endpoint, misbehaving, command):
    misbehaving()
    misbehaving()
    async with serving(endpoint, ZOMBIES) as ledger:
        zombie, *others = await ledger.run_all(
            [command("become_a_zombie"), *[command(f"succeed {each}") for each in range(30)]]
        )
    assert zombie == Invalid("The transaction processor did not answer within 2 s")
    assert others == [Valid()] * 30


async def test_interrupted_in_the_middle_it_unregisters_and_another_goes_on(
    serving, endpoint, misbehaving, command
):
    interrupted = misbehaving()
    async with serving(endpoint) as ledger:
        await ledger.run(command("succeed"))
        async with trio.open_nursery() as nursery:
            results = []

            async def slow():
                results.append(await ledger.run(command("hang 1")))

            nursery.start_soon(slow)
            await trio.testing.wait_all_tasks_blocked(0.2)
            interrupted.send_signal(signal.SIGINT)
            misbehaving()
        assert results[0][0] == Valid()


@pytest.mark.parametrize("sdk", ["python", "javascript"])
async def test_processors_find_a_node_that_starts_again(serving, endpoint, processors, intkey, sdk):
    start = processors.python if sdk == "python" else processors.javascript
    start("intkey.py" if sdk == "python" else "intkey.js", endpoint)
    for _ in range(3):
        async with serving(endpoint) as ledger:
            assert (await ledger.run(intkey("set", "one", 1)))[0] == Valid()
