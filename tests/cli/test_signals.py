"""What ends a command in order: Ctrl-C, SIGTERM, and the end of its terminal unless told to outlive it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from coco_core.cli.network import cancel_on_signal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals")


@pytest.fixture
def as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("as_they_were")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_each_cancels(number: signal.Signals) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
            await wait_all_tasks_blocked()
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
    assert nursery.cancel_scope.cancelled_caught


@pytest.mark.usefixtures("as_they_were")
async def test_a_command_under_nohup_outlives_its_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        await wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGHUP)
        await wait_all_tasks_blocked()
        assert not nursery.cancel_scope.cancel_called
        nursery.cancel_scope.cancel()
