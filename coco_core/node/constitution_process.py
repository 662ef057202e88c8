"""The runtime of constitutions and ballots in a process of its own, which is killed when it takes too much.

Knows how to start, watch, ask and kill that process; not what a text decides. One question at a time. The
process stays for the next one unless it was killed, died or keeps memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import attrs
import orjson
import psutil
import trio

from coco_core.base import limits
from coco_core.errors import OperatorError, PeerError, ScriptError
from coco_core.governance import JSON, SCRIPT_BOUNDS, encode_question
from coco_core.script import Bounds
from coco_core.wire import FrameReader, frame

# JSON with a code and a message is the longest that is not a result.
_ANSWER_MAX_BYTES = limits.SCRIPT_RESULT_MAX_BYTES + 64 * limits.KIB
# From a pipe, at most so much at a time.
_CHUNK_SIZE_BYTES = 64 * limits.KIB


class _DiedError(Exception):
    """The process ended by itself."""


@attrs.define
class _Worker:
    """The process, and the answer that has arrived so far."""

    process: trio.Process
    reader: FrameReader
    watched: psutil.Process | None = None

    async def send(self, data: bytes) -> None:
        if self.process.stdin is None:
            raise _DiedError
        try:
            await self.process.stdin.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _DiedError from None

    async def receive(self) -> bytes | None:
        """Take what has arrived; the message if that completes one."""
        if self.process.stdout is None:
            raise _DiedError
        try:
            data = await self.process.stdout.receive_some(_CHUNK_SIZE_BYTES)
            messages = self.reader.feed(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError, PeerError):
            raise _DiedError from None
        if not data:
            raise _DiedError
        return messages[0] if messages else None

    def memory_bytes(self) -> int:
        try:
            return int(self.watched.memory_info().rss) if self.watched else 0
        except psutil.Error:
            return 0

    async def kill(self) -> None:
        with trio.CancelScope(shield=True):
            self.process.kill()
            await self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    await stream.aclose()


class ConstitutionProcess:
    """``governance.Runtime`` in a child process, which ends with this asynchronous context."""

    def __init__(
        self,
        bounds: Bounds = SCRIPT_BOUNDS,
        *,
        timeout_ms: int = limits.SCRIPT_TIMEOUT_MS,
        memory_max_bytes: int = limits.SCRIPT_MEMORY_MAX_BYTES,
        address_space_max_bytes: int = limits.SCRIPT_MEMORY_MAX_BYTES,
    ) -> None:
        """Start nothing yet: the first question does.

        ``memory_max_bytes`` is watched from here; ``address_space_max_bytes`` is held by systems that can.
        """
        self._bounds = bounds
        self._timeout_ms = timeout_ms
        self._memory_max_bytes = memory_max_bytes
        self._address_space_max_bytes = address_space_max_bytes
        self._one_at_a_time = trio.Lock()
        self._worker: _Worker | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the process; another question would start a new one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.kill()

    async def check(self, source: str, functions: Sequence[str]) -> None:
        """See ``governance.Runtime.check``. Raises OperatorError if no process can be started."""
        await self._ask({"source": source, "functions": list(functions)})

    async def call(
        self, source: str, function: str, args: Sequence[JSON], service: JSON | None = None
    ) -> JSON:
        """See ``governance.Runtime.call``. Raises OperatorError if no process can be started."""
        service = {} if service is None else service
        return await self._ask(
            {"source": source, "function": function, "args": list(args), "service": service}
        )

    async def _ask(self, question: Mapping[str, JSON]) -> JSON:
        data = encode_question(question)
        async with self._one_at_a_time:
            worker = await self._ready()
            healthy = False
            try:
                answer = await self._answer(worker, frame(data))
                # A panic may leave the evaluator in any state.
                healthy = worker.memory_bytes() <= limits.SCRIPT_MEMORY_KEPT_MAX_BYTES and not (
                    answer.startswith(b'!["memory-limit"')
                )
            except _DiedError:
                # What ends the process is the system, which has no more memory or stack for it.
                message = "the text takes more memory, or is nested deeper, than it may"
                raise ScriptError("memory-limit", message) from None
            finally:
                if not healthy:
                    await self.aclose()
        if answer.startswith(b"!"):
            code, message = orjson.loads(answer[1:])
            raise ScriptError(code, message)
        value: JSON = orjson.loads(answer[1:])
        return value

    async def _answer(self, worker: _Worker, question: bytes) -> bytes:
        """Send the question and wait for the answer, watching the process meanwhile."""
        deadline = trio.current_time() + self._timeout_ms / 1000
        with trio.move_on_at(deadline):
            await worker.send(question)
            while True:
                message = None
                with trio.move_on_after(limits.SCRIPT_WATCHED_EVERY_MS / 1000) as pause:
                    message = await worker.receive()
                if message is not None:
                    return message
                if pause.cancelled_caught and worker.memory_bytes() > self._memory_max_bytes:
                    most = self._memory_max_bytes // limits.MIB
                    raise ScriptError("memory-limit", f"the text takes more than {most} MiB")
        raise ScriptError("time-limit", f"the text does not end within {self._timeout_ms} ms")

    async def _ready(self) -> _Worker:
        """Return the process, a new one if there is none that runs."""
        if self._worker is not None and self._worker.process.poll() is not None:
            await self.aclose()
        if self._worker is None:
            self._worker = await self._start()
        return self._worker

    async def _start(self) -> _Worker:
        # Not `-m` of a module in this room: its door takes longer to import than most texts to evaluate.
        command = [sys.executable, "-P", "-m", "coco_core.script", str(self._address_space_max_bytes)]
        try:
            process = await trio.lowlevel.open_process(
                [*command, *map(str, self._bounds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # The evaluator's panics go here, with a trace that takes longer than all else.
                stderr=subprocess.DEVNULL,
                env={**os.environ, "RUST_BACKTRACE": "0"},
            )
        except OSError as error:
            raise OperatorError(f"the constitution's process cannot be started: {error}") from error
        worker = _Worker(process, FrameReader(_ANSWER_MAX_BYTES))
        message = None
        try:
            with trio.move_on_after(limits.SCRIPT_START_TIMEOUT_MS / 1000):
                while message is None:
                    message = await worker.receive()
            if message is not None:
                worker.watched = psutil.Process(int(message))
        except (_DiedError, psutil.Error):
            message = None
        finally:
            if message is None:
                await worker.kill()
        if message is None:
            raise OperatorError(f"the constitution's process ended as it began ({process.returncode})")
        return worker
