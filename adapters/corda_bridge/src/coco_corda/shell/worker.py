"""One JVM worker: its process and the one connection to it. Knows trio and the protocol's frames.

Nothing runs here between calls, so a worker may be kept while nobody waits for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs
import trio
from google.protobuf.message import DecodeError

from coco_corda import wire
from coco_corda.limits import (
    DEADLINE_STRETCH_MAX,
    WORKER_FRAME_MAX_BYTES,
    WORKER_START_MS,
    WORKER_WINDOW,
)
from coco_corda.shell.folders import Folder
from coco_corda.shell.launching import Launch
from coco_corda.shell.patience import Patience

_LENGTH: Final = struct.Struct(">I")
_READ_BYTES: Final = 256 * 1024
_READY_MAX_CHARS: Final = 4_096
_END_S: Final = 5
_MEANINGS: Final = {
    3: "its heap was exhausted",
    4: "Corda does not run on this Java; a JDK 17 it does",
}
"""Of the statuses that a worker ends with, as its page says."""


class WorkerError(Exception):
    """A worker did not start."""


@attrs.define
class Exchanged:
    """What became of requests, by their place."""

    answers: dict[int, wire.Response] = attrs.field(factory=dict)
    lost: list[int] = attrs.field(factory=list)
    """Those the worker had when it ended or was ended."""
    unsent: list[int] = attrs.field(factory=list)
    is_late: bool = False
    """Whether it was ended because it did not answer in time."""
    had_others: bool = False
    """Whether it did something for others before, which may be to blame."""


class Worker:
    """A process that was started; ``ready`` connects to it."""

    def __init__(self, launch: Launch) -> None:
        """Start the process. Raises WorkerError.

        On the thread of the event loop: on Linux it ends with the *thread* that started it.
        """
        self._launch = launch
        self._on_loopback = not hasattr(socket, "AF_UNIX") or os.name != "posix"
        self._folder: Folder | None = None
        self._socket: socket.socket | None = None
        # It ends with its standard input, which is its connection where there are such sockets.
        theirs: socket.socket | None = None
        try:
            self._folder = Folder()
            if not self._on_loopback:
                self._socket, theirs = socket.socketpair()
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                launch.command(self._folder.path, on_loopback=self._on_loopback),
                stdin=subprocess.PIPE if theirs is None else theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # What contract code may read of the node's environment is nothing.
                env={key: os.environ[key] for key in ("SYSTEMROOT",) if key in os.environ},
                cwd=self._folder.path,
            )
        except OSError as error:
            self._remove()
            if self._socket is not None:
                self._socket.close()
            raise WorkerError(f"a JVM worker does not start: {error}") from None
        finally:
            if theirs is not None:
                theirs.close()
        self._stream: trio.SocketStream | None = None
        self._buffer = bytearray()
        self._next_id = 1
        self._abandoned: set[int] = set()
        """Requests whose answers nobody waits for any more."""
        self.pong: wire.Pong | None = None
        """What it said of itself, once it is ready."""
        self.was_used = False
        """Whether it was asked anything yet."""
        self.attachments: set[bytes] = set()
        """What it was given; so are ``parameters``."""
        self.parameters: set[bytes] = set()

    @property
    def pid(self) -> int:
        """Of the process that was started: the jail, which ends the JVM when it ends."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._process.poll() is None

    async def ready(self) -> None:
        """Return when it takes requests. Raises WorkerError, and has ended it then."""
        if self._stream is not None:
            return
        try:
            with trio.fail_after(WORKER_START_MS / 1000):
                where = await trio.to_thread.run_sync(self._read_line, abandon_on_cancel=True)
                self._stream = self._connect(where)
                ping = wire.Request(ping=wire.Ping())
                self.pong = (await self.exchange([ping], WORKER_START_MS)).answers[0].pong
        except (trio.TooSlowError, OSError, KeyError, trio.BrokenResourceError) as error:
            code = self._process.poll()
            self.kill()
            told = f"does not answer ({error!r})" if code is None else f"ended with status {code}"
            meaning = f": {_MEANINGS[code]}" if code in _MEANINGS else ""
            raise WorkerError(f"a JVM worker {told}{meaning}") from None

    def _read_line(self) -> str:
        if self._process.stdout is None:
            return ""
        line = self._process.stdout.readline(_READY_MAX_CHARS).decode(errors="replace").strip()
        if not line:
            # It ends; its status, which says why, is there a moment later.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        return line

    def _connect(self, line: str) -> trio.SocketStream:
        """Return the connection; to a port of this machine where it said so, which is at once."""
        word, _, where = line.partition(" ")
        if word != "ready":
            raise OSError(f"it said {line[:100]!r}")
        if self._socket is None:
            host, _, port = where.rpartition(":")
            self._socket = socket.create_connection((host.strip("[]"), int(port)), WORKER_START_MS / 1000)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    async def exchange(self, requests: Sequence[wire.Request], deadline_ms: int) -> Exchanged:
        """Have requests answered, in whatever order; when one is overdue or the worker ends, say which are.

        Overdue is what is not answered while nothing else is for ``deadline_ms`` of the worker's own time
        (see ``patience``); the worker is killed then.
        """
        found = Exchanged()
        waiting = deque(range(len(requests)))
        open_: dict[int, int] = {}
        try:
            while waiting or open_:
                frames: list[bytes] = []
                # Half a window at a time: every sending wakes the worker up.
                if len(open_) <= WORKER_WINDOW // 2:
                    while waiting and len(open_) < WORKER_WINDOW:
                        place = waiting.popleft()
                        open_[self._next_id] = place
                        frames.append(self._frame(requests[place]))
                if frames:
                    await self._send(b"".join(frames), deadline_ms)
                responses = await self._await(deadline_ms)
                if not responses:
                    found.is_late = True
                    break
                for response in responses:
                    if response.id in self._abandoned:
                        self._abandoned.remove(response.id)
                    else:
                        found.answers[open_.pop(response.id)] = response
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, DecodeError, KeyError):
            # Gone, or it speaks another language: no difference to who waits.
            pass
        except trio.Cancelled:
            # Leadership moved, say. The next one here lets these answers go by, and the worker lives.
            self._abandoned.update(open_)
            raise
        except BaseException:
            self.kill()
            raise
        found.lost, found.unsent = list(open_.values()), list(waiting)
        if open_ or waiting:
            self.kill()
        return found

    async def _send(self, data: bytes, deadline_ms: int) -> None:
        """Send whole frames, also when nobody waits any more: what follows half a frame would be nonsense."""
        with trio.move_on_after(DEADLINE_STRETCH_MAX * deadline_ms / 1000, shield=True) as scope:
            await self._open_stream().send_all(data)
        if scope.cancelled_caught:
            raise trio.BrokenResourceError("it does not read")

    def _open_stream(self) -> trio.SocketStream:
        if self._stream is None:
            raise trio.ClosedResourceError("not connected")
        return self._stream

    def _frame(self, request: wire.Request) -> bytes:
        request.id = self._next_id
        self._next_id += 1
        data = request.SerializeToString()
        return _LENGTH.pack(len(data)) + data

    async def _await(self, deadline_ms: int) -> list[wire.Response]:
        """Return the next responses; none when the worker had its time."""
        patience = Patience(self.pid, deadline_ms)
        while (left_s := patience.left_s()) > 0:
            with trio.move_on_after(left_s):
                return await self._receive()
        return []

    async def _receive(self) -> list[wire.Response]:
        """Return the next responses, one at least."""
        while True:
            responses = self._take()
            if responses:
                return responses
            data = await self._open_stream().receive_some(_READ_BYTES)
            if not data:
                raise trio.BrokenResourceError("it ended")
            self._buffer += data

    def _take(self) -> list[wire.Response]:
        responses: list[wire.Response] = []
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._buffer, at)
            if size > WORKER_FRAME_MAX_BYTES:
                raise trio.BrokenResourceError("a frame beyond the bound")
            if len(self._buffer) - at - _LENGTH.size < size:
                break
            begin = at + _LENGTH.size
            at = begin + size
            responses.append(wire.Response.FromString(bytes(self._buffer[begin:at])))
        del self._buffer[:at]
        return responses

    def kill(self) -> None:
        """End it at once, and whatever it has open here."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()
        if self._socket is not None:
            with contextlib.suppress(RuntimeError, OSError):
                # Where no event loop runs any more nobody waits for it.
                trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        self._remove()

    def _remove(self) -> None:
        if self._folder is not None:
            self._folder.remove()
