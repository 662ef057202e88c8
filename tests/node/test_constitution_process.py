"""The runtime in a process of its own answers as the one in this process does, and outlives every text."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest
import trio

from coco_core.base import limits
from coco_core.errors import OperatorError, ScriptError
from coco_core.governance import (
    CONSTITUTION_FUNCTIONS,
    JSON,
    SCRIPT_BOUNDS,
    Runtime,
    StarlarkRuntime,
    shipped_constitution,
)
from coco_core.node.constitution_process import ConstitutionProcess

pytestmark = pytest.mark.processes
ONE = "def f(): return 1"


@pytest.fixture
async def process() -> AsyncIterator[ConstitutionProcess]:
    async with ConstitutionProcess() as process:
        yield process


def pid(process: ConstitutionProcess) -> int:
    assert process._worker is not None
    return process._worker.process.pid


async def refusal(runtime: Runtime, source: str, *args: JSON) -> str:
    with pytest.raises(ScriptError) as caught:
        await runtime.call(source, "f", args)
    return caught.value.code


async def answers(runtime: Runtime) -> list[JSON]:
    told: list[JSON] = []
    for source, args, service in [
        ("def f(*args): return [args, service]", [{"é": [1, -2.5, None, True]}, 1 << 63], {"nodes": {}}),
        ("def f(): return ({}, (1,))", [], None),
        ("def f(): return service", [], None),
        ("def f(x): return len(x)", ["x" * 1_000_000], None),
        ("def f(x): return x * 1000000", ["x"], None),
    ]:
        told.append(await runtime.call(source, "f", args, service))
    for source in [
        "def f(",
        "def g(): return 1",
        "def f(): fail('no')",
        "def f():\n  for i in range(1 << 30): pass",
        "def f(): return f",
        f"def f(): return 'x' * {limits.SCRIPT_RESULT_MAX_BYTES}",
        "#" * (limits.SCRIPT_SIZE_MAX_BYTES + 1),
    ]:
        with pytest.raises(ScriptError) as caught:
            await runtime.call(source, "f", [])
        told += [caught.value.code, str(caught.value)]
    return told


async def test_it_answers_as_in_this_process(process: ConstitutionProcess) -> None:
    assert await answers(process) == await answers(StarlarkRuntime())


async def test_a_check_in_the_process(process: ConstitutionProcess) -> None:
    await process.check(shipped_constitution("majority"), CONSTITUTION_FUNCTIONS)
    with pytest.raises(ScriptError) as caught:
        await process.check(shipped_constitution("majority"), ["vote"])
    assert caught.value.code == "missing-function"


async def test_the_process_stays_for_the_next_call(process: ConstitutionProcess) -> None:
    assert await process.call(ONE, "f", []) == 1
    first = pid(process)
    assert await refusal(process, "def f(): fail('no')") == "script-error"
    assert await process.call(ONE, "f", []) == 1
    assert pid(process) == first


# Each of them is a single instruction, or few, that no count of steps can hold.
BOMBS = {
    "a list doubled": "def f():\n  l = [0]\n  for i in range(60): l.extend(l)\n  return len(l)",
    "a long string": "def f(): return len('a' * (1 << 20) * (1 << 12))",
    "strings doubled": "def f():\n  s = 'a'\n  for i in range(60): s += s\n  return len(s)",
    "a long list": "def f(): return len(list(range(1 << 30)))",
    "a long sort": "def f(): return len(sorted(range(1 << 28)))",
    "a large number": "def f():\n  n = 1 << 100000\n  for i in range(20): n = n * n\n  return str(n)",
    "deep values": "def f():\n  l = []\n  for i in range(1000000): l = [l]\n  return str(l)",
    "a deep text": "x = " + "-" * 100_000 + "1",
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_memory_is_bounded_and_the_next_call_answered(bomb: str, process: ConstitutionProcess) -> None:
    assert await refusal(process, BOMBS[bomb]) == "memory-limit"
    assert await process.call(ONE, "f", []) == 1


async def test_memory_is_watched_where_the_system_does_not_hold_it() -> None:
    most = 64 * limits.MIB
    async with ConstitutionProcess(memory_max_bytes=most, address_space_max_bytes=1 << 40) as process:
        assert await refusal(process, "def f(): return {i: [i] for i in range(1 << 21)}") == "memory-limit"
        assert await process.call(ONE, "f", []) == 1


async def test_a_process_that_keeps_memory_is_replaced(process: ConstitutionProcess) -> None:
    replaced = 0
    for number in range(limits.SCRIPTS_CACHED_MAX):
        # Parsed texts are kept, and large ones take some hundred bytes for each of theirs.
        source = f"def f(): return {number}\nx = [{'-0,' * 80_000}]"
        assert await process.call(source, "f", []) == number
        worker = process._worker
        if worker is None:
            replaced += 1
        else:
            assert worker.memory_bytes() <= limits.SCRIPT_MEMORY_KEPT_MAX_BYTES
    assert replaced


async def test_time_is_bounded_and_the_next_call_answered() -> None:
    slow = (
        "def f():\n  s = 'a' * 10000000\n  t = 'a' * 5000000 + 'b'\n"
        "  return [s.count(t) for i in range(10000)]"
    )
    async with ConstitutionProcess(timeout_ms=200) as process:
        assert await refusal(process, slow) == "time-limit"
    async with ConstitutionProcess(timeout_ms=limits.SCRIPT_TIMEOUT_MS) as process:
        assert await process.call(ONE, "f", []) == 1


async def test_what_is_asked_is_bounded(process: ConstitutionProcess) -> None:
    text = "x" * limits.SCRIPT_INPUT_MAX_BYTES
    assert await refusal(process, "def f(x): return 1", text) == "memory-limit"
    nested: list[JSON] = []
    for _ in range(300):
        nested = [nested]
    for runtime in (process, StarlarkRuntime()):
        assert await refusal(runtime, "def f(x): return 1", nested) == "script-error"
    assert await process.call(ONE, "f", []) == 1


async def test_a_process_killed_between_calls_is_replaced(process: ConstitutionProcess) -> None:
    await process.call(ONE, "f", [])
    assert process._worker is not None
    first = process._worker.process
    first.kill()
    await first.wait()
    assert await process.call(ONE, "f", []) == 1
    assert pid(process) != first.pid


async def test_a_call_given_up_leaves_no_answer_for_the_next(process: ConstitutionProcess) -> None:
    with trio.move_on_after(0.05) as scope:
        await process.call("def f():\n  for i in range(1 << 30): pass", "f", [])
        await trio.sleep_forever()
    assert scope.cancelled_caught
    for number in range(3):
        with trio.CancelScope() as scope:
            scope.cancel()
            await process.call("def f(n): return n", "f", [number])
        assert await process.call("def f(n): return -n", "f", [number]) == -number


async def test_calls_at_the_same_time_get_their_own_answers(process: ConstitutionProcess) -> None:
    told: dict[int, JSON] = {}

    async def ask(number: int) -> None:
        told[number] = await process.call("def f(n): return n + 1", "f", [number])

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ask, number)
    assert told == {number: number + 1 for number in range(20)}


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to send there")
async def test_an_interrupt_is_not_for_it(process: ConstitutionProcess) -> None:
    await process.call(ONE, "f", [])
    first = pid(process)
    os.kill(first, signal.SIGINT)
    assert await process.call(ONE, "f", []) == 1
    assert pid(process) == first


async def test_it_ends_with_its_input(process: ConstitutionProcess) -> None:
    await process.call(ONE, "f", [])
    assert process._worker is not None
    child = process._worker.process
    assert child.stdin is not None
    await child.stdin.aclose()
    with trio.fail_after(10):
        assert await child.wait() == 0


async def test_what_cannot_start_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ConstitutionProcess(SCRIPT_BOUNDS) as process:
        with monkeypatch.context() as patched:
            patched.setenv("PYTHONHOME", "nowhere")
            with pytest.raises(OperatorError, match="as it began"):
                await process.call(ONE, "f", [])
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", "no-such-python")
            with pytest.raises(OperatorError, match="cannot be started"):
                await process.call(ONE, "f", [])
        assert await process.call(ONE, "f", []) == 1
