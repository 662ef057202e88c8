"""The component socket: a ZMQ ROUTER in a thread of its own, and the dispatcher that lives there.

What processors ask of state is answered in this thread, without waiting for anybody: a processor does
nothing until it has the answer. Only results, and what clients say, go to the node's event loop. Knows
sockets and threads; of the protocol only that a dispatcher understands it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from coco_core.errors import OperatorError
from coco_sawtooth.execution import Processed
from coco_sawtooth.processors import ClientMessage, Dispatcher, Job, Policy, envelope

MESSAGE_SIZE_MAX_BYTES: Final = 64 * 1024 * 1024
"""A connection that sends a longer one is closed."""
CLIENT_MESSAGES_MAX: Final = 1_000
CLIENT_MESSAGES_MAX_BYTES: Final = 2 * MESSAGE_SIZE_MAX_BYTES
"""Messages of clients that wait or are being handled, and their bytes; further ones get an empty answer."""
NO_ANSWER: Final = 0
"""Type of the empty answer (``DEFAULT``): clients read it as unset fields instead of waiting in vain."""
SEND_QUEUE_MAX: Final = 1_000
"""Messages on their way to one connection; one that does not read is given up."""
BUSY_TICK_MS: Final = 20
IDLE_TICK_MS: Final = 500
RESULTS_WAIT_MS: Final = 2
RESULTS_WAIT_LONG_MS: Final = 10
"""How long results may wait to be handed over together, while there is more to come: the longer one while
processors do not run out of work, so that nobody but the last waits for it."""
RESULTS_WAIT_MAX: Final = 64
"""How many may."""
LOST_ASKS_MS: Final = (0, 20, 100, 500)
"""When, after a connection ended, processors are asked who is gone: the socket learns it a little later."""

# As numbers: combining flags of an enum costs as much as sending.
_MORE: Final = int(zmq.SNDMORE | zmq.NOBLOCK)
_LAST: Final = int(zmq.NOBLOCK)

Command = Callable[[Dispatcher, int], None]

_log: Final = logging.getLogger("coco.sawtooth")


class Handover:
    """What the thread has for the node's event loop; filled by the one, emptied by the other."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from the thread, when there is something that it was not called for yet."""
        self.results: deque[tuple[Job, Processed]] = deque()
        self.messages: deque[ClientMessage] = deque()
        self.lost: deque[bytes] = deque()
        self.fault: BaseException | None = None
        """Why the thread ended before it was told to."""
        self._admitted = self._admitted_bytes = 0
        """Of clients' messages, as the thread counts them, which alone does."""
        self._ended = self._ended_bytes = 0
        """Of those, what was handled; counted by the event loop alone."""
        self._wake = wake
        self._is_told = False

    def tell(self) -> None:
        """Say that there is something; from the thread, after it was put here."""
        if not self._is_told:
            self._is_told = True
            self._wake()

    def admit(self, message: ClientMessage) -> bool:
        """Put a client's message here if there is room; from the thread.

        There is until ``end`` is called for those before: one that waits for something holds its place.
        """
        held, held_bytes = self._admitted - self._ended, self._admitted_bytes - self._ended_bytes
        size = len(message.content)
        if held >= CLIENT_MESSAGES_MAX or held_bytes + size > CLIENT_MESSAGES_MAX_BYTES:
            return False
        self._admitted += 1
        self._admitted_bytes += size
        self.messages.append(message)
        return True

    def end(self, message: ClientMessage) -> None:
        """Note that a client's message was handled; from the event loop."""
        self._ended += 1
        self._ended_bytes += len(message.content)

    def begin(self) -> None:
        """Begin to take what is here; from the event loop, before it is looked at."""
        self._is_told = False


class Router:
    """A bound ROUTER socket; ``start`` hands it to its thread."""

    def __init__(self, endpoint: str, policy: Policy, nonce: bytes) -> None:
        """Bind ``endpoint``. Raises OperatorError when that is not possible."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.MAXMSGSIZE, MESSAGE_SIZE_MAX_BYTES),
            (zmq.SNDHWM, SEND_QUEUE_MAX),
            # Sending to who is gone is an error: the one sure sign that a processor ended.
            (zmq.ROUTER_MANDATORY, 1),
            # A processor that connects again under its name takes its place, also before that is seen.
            (zmq.ROUTER_HANDOVER, 1),
            (zmq.TCP_KEEPALIVE, 1),
        ):
            self._socket.setsockopt(option, value)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._close()
            raise OperatorError(f"processors: cannot listen at {endpoint}: {error.strerror}") from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where processors connect."""
        # Commands wake the thread by a message on the same socket: it waits in one place only.
        self._wake = self._context.socket(zmq.DEALER)
        self._wake_identity = b"wake" + secrets.token_bytes(16)
        self._wake.setsockopt(zmq.IDENTITY, self._wake_identity)
        self._socket.bind("inproc://wake")
        self._wake.connect("inproc://wake")
        self._is_woken = False
        self._commands: deque[Command] = deque()
        self._stopping = False
        self._asks: deque[int] = deque()
        self._results_since_ms = 0
        self._dispatcher = Dispatcher(policy, nonce, _now_ms())
        self._thread: threading.Thread | None = None

    # --- called on the event loop's thread ----------------------------------------------------------

    def start(self, handover: Handover) -> None:
        """Start the thread; it hands over what is not for processors."""
        self._thread = threading.Thread(
            target=self._run, args=(handover,), name="sawtooth-router", daemon=True
        )
        self._thread.start()

    def command(self, command: Command) -> None:
        """Have ``command`` run in the thread, after those before it."""
        self._commands.append(command)
        if not self._is_woken:
            self._is_woken = True
            self._wake.send(b"")

    def stop(self) -> None:
        """End the thread, wait for it and close every socket."""
        self._stopping = True
        self._is_woken = True
        self._wake.send(b"")
        if self._thread is not None:
            self._thread.join()
        self._wake.close()
        self._close()

    def _close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self, handover: Handover) -> None:
        try:
            self._serve(handover)
        except BaseException as error:  # noqa: BLE001 - handed over, and raised where somebody waits
            handover.fault = error
            handover.tell()

    def _serve(self, handover: Handover) -> None:
        dispatcher = self._dispatcher
        ticked_ms = _now_ms()
        timeout_ms = 0
        while not self._stopping:
            tick_ms = BUSY_TICK_MS if dispatcher.is_busy or self._asks else IDLE_TICK_MS
            wanted_ms = self._results_wait_ms() if dispatcher.results else tick_ms
            if wanted_ms != timeout_ms:
                timeout_ms = wanted_ms
                self._socket.setsockopt(zmq.RCVTIMEO, timeout_ms)
            received = self._receive()
            now_ms = _now_ms()
            if received is not None:
                self._take(received, handover, now_ms)
            if now_ms - ticked_ms >= tick_ms:
                ticked_ms = now_ms
                self._tick(now_ms)
            self._send_all(handover, now_ms)
            self._hand_over(handover, now_ms)

    def _receive(self) -> tuple[bytes, bytes] | None:
        """Wait for a message; None when none came in time, or one that is not of two frames."""
        try:
            identity = self._socket.recv()
        except zmq.Again:
            return None
        frame = self._socket.recv()
        if not self._socket.getsockopt(zmq.RCVMORE):
            return identity, frame
        self._dispatcher.malformed += 1
        while self._socket.getsockopt(zmq.RCVMORE):
            self._socket.recv()
        return None

    def _take(self, received: tuple[bytes, bytes], handover: Handover, now_ms: int) -> None:
        identity, frame = received
        if identity == self._wake_identity:
            # Before the queue is emptied: what is added from now on wakes again.
            self._is_woken = False
            while self._commands:
                self._commands.popleft()(self._dispatcher, now_ms)
            return
        message = self._dispatcher.receive(identity, frame, now_ms)
        if message is not None and not handover.admit(message):
            empty = envelope(NO_ANSWER, message.correlation_id, b"")
            self._dispatcher.outbox.append((identity, empty))

    def _tick(self, now_ms: int) -> None:
        while self._monitor.poll(0):
            recv_monitor_message(self._monitor)
            self._asks.extend(now_ms + after for after in LOST_ASKS_MS)
        due = 0
        while self._asks and self._asks[0] <= now_ms:
            self._asks.popleft()
            due += 1
        if due:
            self._dispatcher.ask_all(now_ms)
        self._dispatcher.tick(now_ms)
        for note in self._dispatcher.notes:
            # Names of families are whatever a peer says: no control characters reach a terminal.
            _log.info("%s", note.encode("unicode_escape").decode())
        self._dispatcher.notes.clear()

    def _send_all(self, handover: Handover, now_ms: int) -> None:
        outbox = self._dispatcher.outbox
        sent = 0
        while sent < len(outbox):  # it grows when somebody is lost
            identity, frame = outbox[sent]
            sent += 1
            try:
                self._socket.send(identity, _MORE)
                self._socket.send(frame, _LAST)
            except zmq.ZMQError as error:
                if error.errno not in {zmq.EHOSTUNREACH, zmq.EAGAIN}:
                    raise
                if error.errno == zmq.EAGAIN:
                    _log.warning("a connection of the component socket does not read; it is given up")
                self._dispatcher.lost(identity, now_ms)
                handover.lost.append(identity)
        outbox.clear()

    def _results_wait_ms(self) -> int:
        return RESULTS_WAIT_LONG_MS if self._dispatcher.has_waiting else RESULTS_WAIT_MS

    def _hand_over(self, handover: Handover, now_ms: int) -> None:
        results = self._dispatcher.results
        if results:
            self._results_since_ms = self._results_since_ms or now_ms
            if (
                len(results) >= RESULTS_WAIT_MAX
                or now_ms - self._results_since_ms >= self._results_wait_ms()
                or not self._dispatcher.is_busy
            ):
                self._results_since_ms = 0
                handover.results.extend(results)
                results.clear()
        if handover.results or handover.messages or handover.lost:
            handover.tell()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
