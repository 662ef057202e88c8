"""How many transactions a second unmodified Sawtooth processors do behind our component socket, and alone.

``alone`` is a bare ROUTER loop that keeps state in a dictionary and checks nothing: what the processor itself
can do over loopback. ``host`` is the adapter's own processor host. Both in turn, same processor, same
transactions (intkey ``set``: one read, one write), so that the machine's mood is the same for both.

    make sawtooth-clients
    .venv/bin/python tools/bench_sawtooth_processors.py [--sdk javascript] [--processors 2] [--help]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import trio
import zmq

from coco_core.cli.companions import LEASH, last_line, log_file, order
from coco_core.cli.failing import status_of
from coco_core.errors import OperatorError
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Processed, Valid
from coco_sawtooth.messages import (
    Message,
    MessageType,
    TpProcessRequest,
    TpProcessResponse,
    TpRegisterRequest,
    TpRegisterResponse,
    TpStateGetRequest,
    TpStateGetResponse,
    TpStateSetRequest,
    TpStateSetResponse,
    TransactionHeader,
)
from coco_sawtooth.processors import Policy, envelope
from coco_sawtooth.shell.processes import JAVASCRIPT, PYTHON, find_processor
from coco_sawtooth.shell.processor_host import ProcessorHost
from coco_sawtooth.workloads import intkey_address, intkey_payload

SDKS = (PYTHON, JAVASCRIPT)
WARM_UP = 100
LOOK_EVERY_MS = 200
LOOK_EVERY_MESSAGES = 1_000
"""How often it is looked whether processors run: after so long without a message, or so many of them."""
RAW = argparse.RawDescriptionHelpFormatter


def transactions(number: int, start: int) -> list[Transaction]:
    """Return transactions that touch nothing in common."""
    made = []
    for each in range(start, start + number):
        name = f"n{each}"
        address = intkey_address(name)
        payload = intkey_payload("set", name, each)
        header = TransactionHeader(
            family_name="intkey",
            family_version="1.0",
            inputs=[address],
            outputs=[address],
            nonce=name,
            payload_sha512=hashlib.sha512(payload).hexdigest(),
            signer_public_key="02" + "ab" * 32,
            batcher_public_key="02" + "ab" * 32,
        )
        identifier = hashlib.sha512(name.encode()).hexdigest()
        made.append(
            Transaction(identifier, header, header.SerializeToString(), payload, (address,), (address,))
        )
    return made


class Processors:
    """Processes on one endpoint, each behind a leash: none outlives this one."""

    def __init__(self, sdk: str, endpoint: str, number: int, folder: Path) -> None:
        """Start so many; what each prints is in ``folder``."""
        one = find_processor("", sdk).companion(endpoint)
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        for each in range(1, number + 1):
            log = folder / log_file(each)
            with log.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603 - our own examples
                    LEASH, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
                )
            self._running.append((process, log))
            if process.stdin is not None:
                process.stdin.write(order(one))
                process.stdin.flush()

    def check(self) -> None:
        """Raise OperatorError if one has ended."""
        for process, log in self._running:
            if process.poll() is not None:
                raise OperatorError(f"a processor ended: {last_line(log)}")

    def end(self) -> None:
        """End all of them."""
        for process, _ in self._running:
            if process.stdin is not None:
                # That makes the leash kill what it holds.
                process.stdin.close()
        for process, _ in self._running:
            process.wait()


@contextlib.contextmanager
def running(sdk: str, endpoint: str, number: int) -> Iterator[Processors]:
    """Run processors on ``endpoint``."""
    with tempfile.TemporaryDirectory() as folder:
        processors = Processors(sdk, endpoint, number, Path(folder))
        try:
            yield processors
        finally:
            processors.end()


class Alone:
    """A ROUTER that does nothing but keep the processor busy."""

    def __init__(self, endpoint: str, look: Callable[[], None]) -> None:
        """Listen on ``endpoint``; ``look`` is called now and then, and may raise."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.rcvtimeo = LOOK_EVERY_MS
        self._socket.bind(endpoint)
        self._look = look
        self._received = 0
        self._state: dict[str, bytes] = {}
        self._processors: list[bytes] = []

    def wait_for(self, processors: int) -> None:
        """Register processors."""
        while len(self._processors) < processors:
            identity, frame = self._receive()
            message = Message.FromString(frame)
            request = TpRegisterRequest.FromString(message.content)
            answer = TpRegisterResponse(status=1, protocol_version=request.protocol_version)
            self._send(identity, MessageType.TP_REGISTER_RESPONSE, message.correlation_id, answer)
            self._processors.append(identity)

    def run(self, work: list[Transaction], window: int) -> None:
        """Have ``work`` done, so many at a time per processor."""
        waiting = deque(work)
        for identity in self._processors:
            for _ in range(window):
                self._give(identity, waiting)
        done = 0
        while done < len(work):
            identity, frame = self._receive()
            message = Message.FromString(frame)
            if message.message_type == MessageType.TP_STATE_GET_REQUEST:
                get = TpStateGetRequest.FromString(message.content)
                answer = TpStateGetResponse(status=1)
                for each in get.addresses:
                    answer.entries.add(address=each, data=self._state.get(each, b""))
                self._send(identity, MessageType.TP_STATE_GET_RESPONSE, message.correlation_id, answer)
            elif message.message_type == MessageType.TP_STATE_SET_REQUEST:
                put = TpStateSetRequest.FromString(message.content)
                self._state.update((each.address, each.data) for each in put.entries)
                answer = TpStateSetResponse(addresses=[each.address for each in put.entries], status=1)
                self._send(identity, MessageType.TP_STATE_SET_RESPONSE, message.correlation_id, answer)
            else:
                response = TpProcessResponse.FromString(message.content)
                if response.status != TpProcessResponse.OK:
                    raise OperatorError(f"a transaction failed: {response.message}")
                done += 1
                self._give(identity, waiting)

    def _receive(self) -> tuple[bytes, bytes]:
        self._received += 1
        if self._received % LOOK_EVERY_MESSAGES == 0:
            self._look()
        while True:
            try:
                identity, frame = self._socket.recv_multipart()
            except zmq.Again:
                self._look()
            else:
                return identity, frame

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)
        self._context.term()

    def _give(self, identity: bytes, waiting: deque[Transaction]) -> None:
        if waiting:
            each = waiting.popleft()
            request = TpProcessRequest(
                header=each.header, payload=each.payload, signature=each.id, context_id=each.id
            )
            self._send(identity, MessageType.TP_PROCESS_REQUEST, each.id, request)

    def _send(self, identity: bytes, kind: int, correlation_id: str, content: Any) -> None:
        self._socket.send_multipart([identity, envelope(kind, correlation_id, content.SerializeToString())])


class Measured:
    """Transactions a second, and what they cost this process."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.costs: list[float] = []

    @contextlib.contextmanager
    def round(self, number: int) -> Iterator[None]:
        """Measure a round."""
        wall, used = time.perf_counter(), time.process_time()
        yield
        self.rates.append(number / (time.perf_counter() - wall))
        self.costs.append((time.process_time() - used) / number * 1e6)


def measure_alone(
    options: argparse.Namespace,
    window: int,
    endpoint: str,
    start: int,
    into: Measured,
    look: Callable[[], None] = lambda: None,
) -> None:
    """Measure a round of the bare loop, which ends when a processor does, or when ``look`` raises."""
    with running(options.sdk, endpoint, options.processors) as processors:

        def look_around() -> None:
            processors.check()
            look()

        alone = Alone(endpoint, look_around)
        try:
            alone.wait_for(options.processors)
            alone.run(transactions(WARM_UP, start), window)
            work = transactions(options.transactions, start + WARM_UP)
            with into.round(len(work)):
                alone.run(work, window)
        finally:
            alone.close()


async def watch(processors: Processors) -> None:
    """Raise OperatorError when one of them ends."""
    while True:
        processors.check()
        await trio.sleep(LOOK_EVERY_MS / 1_000)


async def measure_host(
    options: argparse.Namespace, window: int, endpoint: str, start: int, into: Measured
) -> None:
    """Measure a round of the adapter's host."""
    host = ProcessorHost(endpoint, Policy(absent_ms=60_000))
    state: dict[bytes, bytes | None] = {}

    async def run(work: list[Transaction]) -> None:
        most = window * options.processors
        room = trio.Semaphore(most)
        failed: list[Processed] = []

        def done(context: Context, result: Processed) -> None:
            room.release()
            if result != Valid():
                failed.append(result)
            state.update(context.writes)

        for each in work:
            await room.acquire()
            context = Context(each.inputs, each.outputs, (state,))
            host.start(each, context, partial(done, context))
        for _ in range(most):
            await room.acquire()
        if failed:
            raise OperatorError(f"a transaction failed: {failed[0]}")

    async with trio.open_nursery() as nursery:
        await nursery.start(host.serve)
        with running(options.sdk, endpoint, options.processors) as processors:
            nursery.start_soon(watch, processors)
            while (await host.registered()).get(("intkey", "1.0"), 0) < options.processors:
                pass
            await run(transactions(WARM_UP, start))
            work = transactions(options.transactions, start + WARM_UP)
            with into.round(len(work)):
                await run(work)
        nursery.cancel_scope.cancel()


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--sdk", choices=SDKS, default=SDKS[0])
    parser.add_argument("--processors", type=int, default=1)
    parser.add_argument("--transactions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", default="1,10,100", help="transactions in flight per processor")
    parser.add_argument("--tcp", action="store_true", help="tcp on loopback instead of ipc")
    sys.exit(status_of(partial(measure, parser.parse_args())))


def measure(options: argparse.Namespace) -> None:
    """Measure and print."""
    find_processor("", options.sdk)
    say(
        f"{options.processors} x intkey on the {options.sdk} SDK, {options.transactions} transactions each;"
        f" best and median of {options.rounds} rounds, {'tcp' if options.tcp else 'ipc'};"
        f" Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    start = 0
    with tempfile.TemporaryDirectory() as folder:
        for window in map(int, options.windows.split(",")):
            alone, host = Measured(), Measured()
            for number in range(options.rounds):
                for name, run in (("a", measure_alone), ("h", partial(run_trio, measure_host))):
                    endpoint = f"ipc://{folder}/{name}{window}-{number}"
                    if options.tcp:
                        endpoint = f"tcp://127.0.0.1:{42_000 + start % 20_000}"
                    run(options, window, endpoint, start, alone if name == "a" else host)
                    start += options.transactions + WARM_UP
            report(window, alone, host)


def run_trio(function: Callable[..., Any], *arguments: Any) -> None:
    """Run an asynchronous function."""
    trio.run(function, *arguments)


def report(window: int, alone: Measured, host: Measured) -> None:
    """Print a line."""
    say(
        f"window {window:>3}: alone {max(alone.rates):>5.0f}/{statistics.median(alone.rates):>5.0f} tx/s"
        f" ({min(alone.costs):.0f} us CPU each), host {max(host.rates):>5.0f}/"
        f"{statistics.median(host.rates):>5.0f} tx/s ({min(host.costs):.0f} us),"
        f" {max(host.rates) / max(alone.rates):.0%} of alone"
    )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
