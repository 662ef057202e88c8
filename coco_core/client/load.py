"""Sending load and measuring it: a window of requests in order, commits watched on every node.

Transactions go out in order on one connection, with at most ``outstanding`` of them unanswered. When
that connection breaks or the node says that leadership moved, everything unanswered is sent again, in
order, to the next node: ledgers refuse duplicates, so nothing is applied twice. The oldest of it goes
alone until it is answered, so that a node that finds a primary halfway cannot take the later ones first.
Order across such a break is certain only with one request at a time: who pipelines may have sent the next
one before it reads that an earlier one was not committed.

Where an answer only says that transactions are taken, what became of them is asked on a second connection
to the same node, one request after the other; until then they are unanswered. A node that answers at once
that it does not know yet is asked again after a pause, and left when it does not know for too long.

Latency of a transaction starts when the request that carries it is handed to the socket. *Majority*
ends when a majority of nodes, *all nodes* when every node reported it committed, as seen by this
client's clock.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

import attrs
import trio

from coco_core.adapter import (
    RETRY_PREFIX,
    TRANSACTION_IDS_HEADER,
    HTTPRequest,
    HTTPResponse,
    Load,
    Told,
    TxID,
)
from coco_core.client.http import Connection, ConnectionLostError, NodeClient, pinned_context
from coco_core.client.results import LoadResult
from coco_core.errors import CallerError
from coco_core.wire.http import Message

CONNECT_TIMEOUT_S = 2.0
"""A node that hangs still accepts connections, but never shakes hands: time to try the next one."""
ANSWER_TIMEOUT_S = 40.0
"""Longer than a node waits for a commit before it answers that it does not know (SUBMISSION_TIMEOUT_MS)."""
COMMITS_TIMEOUT_S = 30.0
"""How long to wait at the end for the commits of a node that is silent."""
FATE_TIMEOUT_S = 120.0
"""How long one node is asked what became of one load that it took: some execute slowly, none so slowly."""
RETRY_PAUSE_S = 0.05
RETRIES_MAX = 600
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
"""From here on, and with TOO_MANY_REQUESTS, a status is about the node, not about what it was sent."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """One node as a client sees it."""

    rpc: str
    """``host:port`` of the ledger's front end."""
    admin: str
    """``host:port`` of the operators' interface."""


@attrs.frozen(kw_only=True)
class LoadSettings:
    """How hard to push, and where."""

    endpoints: Sequence[Endpoint]
    service_certificate: str
    outstanding: int
    """Transactions sent and not answered."""
    per_request: int
    first: int = 0
    """Index of the endpoint to begin with."""


class _OverdueError(ConnectionLostError):
    """A node took a load, and says for too long that its fate is not known yet."""


@attrs.define(eq=False)
class _Sent:
    load: Load
    first_index: int
    sent_at: float


Progress = Callable[[int, int], None]
"""``progress(answered, refused)`` so far."""

Reader = Callable[[Load, HTTPResponse], Told]
"""What an answer says of a load's transactions (adapter.Workload.told)."""


async def run_load(
    settings: LoadSettings,
    loads: Iterator[Load],
    told: Reader,
    progress: Progress | None = None,
) -> LoadResult:
    """Send ``loads`` and return when every node that can be reached has committed the last of them.

    ``told`` reads answers. Raises ConnectionLostError when no node answers for long, or every node in turn
    says for long that it does not know what became of a load.
    """
    result = LoadResult(commits=[[] for _ in settings.endpoints])
    async with trio.open_nursery() as nursery:
        for index, endpoint in enumerate(settings.endpoints):
            nursery.start_soon(_watch_commits, settings, endpoint, result, index)
        await _Window(settings, loads, told, progress, result).run()
        result.started_at = result.sent_at[0] if result.sent_at else trio.current_time()
        last = max((place.seqno for place in result.places if place is not None), default=0)
        await _wait_everywhere(result, last, timeout_s=COMMITS_TIMEOUT_S)
        # What has no place, because it was known when it was sent again, may be answered after all commits.
        answered = max(result.answered_at, default=result.started_at)
        result.ended_at = max(_ended_at(result, last), answered) if last else answered
        nursery.cancel_scope.cancel()
    return result


class _Window:
    """The requests under way, in order."""

    def __init__(
        self,
        settings: LoadSettings,
        loads: Iterator[Load],
        told: Reader,
        progress: Progress | None,
        result: LoadResult,
    ) -> None:
        self._settings = settings
        self._loads = loads
        self._next_load: Load | None = None
        self._told = told
        self._progress = progress
        self._result = result
        self._next_endpoint = settings.first
        self._tls = pinned_context(settings.service_certificate)
        self._unanswered: deque[_Sent] = deque()
        self._expected: deque[_Sent] = deque()
        """Those of them whose answer this connection has to bring, in order."""
        self._followed: deque[tuple[_Sent, HTTPRequest]] = deque()
        """Those of them that were taken, and what to ask for what became of them."""
        self._under_way = 0
        self._answered = 0
        self._changed = trio.Event()
        self._exhausted = False

    async def run(self) -> None:
        """Send everything, moving on to another node as often as needed."""
        failures = overdue = 0
        while not self._is_done:
            endpoint = self._settings.endpoints[self._next_endpoint % len(self._settings.endpoints)]
            answered_before = self._answered
            try:
                async with await _connect(endpoint.rpc, self._tls) as connection:
                    await self._converse(connection)
            except ConnectionLostError as error:
                if self._answered > answered_before:
                    failures = overdue = 0
                failures += 1
                overdue += isinstance(error, _OverdueError)
                if failures > RETRIES_MAX or overdue >= len(self._settings.endpoints):
                    raise
                self._next_endpoint += 1
                await trio.sleep(RETRY_PAUSE_S)

    @property
    def _is_done(self) -> bool:
        return self._exhausted and not self._unanswered

    async def _converse(self, connection: Connection) -> None:
        """Send and receive until everything is answered; raises ConnectionLostError when that fails."""
        failed: list[ConnectionLostError] = []
        again = list(self._unanswered)
        self._result.resent_requests += len(again)
        self._expected.clear()
        self._followed.clear()
        async with trio.open_nursery() as nursery:

            async def guarded(part: Callable[[], Awaitable[None]]) -> None:
                try:
                    await part()
                except ConnectionLostError as error:
                    failed.append(error)
                if failed or self._is_done:
                    nursery.cancel_scope.cancel()

            async def send() -> None:
                for sent in again:
                    await self._post(connection, sent)
                    if sent is again[0]:
                        await self._until_answered(sent)
                await self._send(connection)

            nursery.start_soon(guarded, lambda: self._receive_all(connection))
            nursery.start_soon(guarded, lambda: self._follow_all(connection.host))
            nursery.start_soon(guarded, send)
        if failed:
            raise failed[0]

    async def _send(self, connection: Connection) -> None:
        """Send new requests as the window has room."""
        while (load := self._peek()) is not None:
            while self._unanswered and self._under_way + load.count > self._settings.outstanding:
                await self._changed.wait()
            self._next_load = None
            sent = _Sent(load, len(self._result.sent_at), trio.current_time())
            self._result.sent_at += [sent.sent_at] * load.count
            self._result.answered_at += [0.0] * load.count
            self._result.places += [None] * load.count
            self._unanswered.append(sent)
            self._under_way += load.count
            await self._post(connection, sent)
        self._exhausted = True
        self._note()

    async def _post(self, connection: Connection, sent: _Sent) -> None:
        self._expected.append(sent)
        self._note()
        await _send(connection, sent.load.request)

    def _note(self) -> None:
        """Wake who waits for a change of what is sent, answered or followed."""
        self._changed.set()
        self._changed = trio.Event()

    def _peek(self) -> Load | None:
        """Return the next load; it stays the next one until it is sent, whatever breaks meanwhile."""
        if self._next_load is None:
            self._next_load = next(self._loads, None)
        return self._next_load

    async def _until_answered(self, sent: _Sent) -> None:
        while self._unanswered and self._unanswered[0] is sent:
            await self._changed.wait()

    async def _receive_all(self, connection: Connection) -> None:
        while not self._is_done:
            if self._expected:
                self._take(await _receive(connection))
            else:
                await self._changed.wait()

    async def _follow_all(self, address: str) -> None:
        """Ask for what became of transactions that are taken, over a connection made when there are any."""
        while not self._followed and not self._is_done:
            await self._changed.wait()
        if self._is_done:
            return
        oldest: _Sent | None = None
        began_at = 0.0
        async with await _connect(address, self._tls) as connection:
            while not self._is_done:
                if not self._followed:
                    await self._changed.wait()
                    continue
                sent, asked = self._followed[0]
                asked_at = trio.current_time()
                if sent is not oldest:
                    oldest, began_at = sent, asked_at
                await _send(connection, asked)
                told = self._read(sent, await _receive(connection))
                if told.ask is None:
                    self._followed.popleft()
                    self._answer(sent, told)
                    continue
                if trio.current_time() - began_at > FATE_TIMEOUT_S:
                    raise _OverdueError(f"what became of a load is not known after {FATE_TIMEOUT_S:.0f} s")
                self._followed[0] = (sent, told.ask)
                # A node that waits until there is something to tell has made the pause itself.
                await trio.sleep_until(asked_at + RETRY_PAUSE_S)

    def _take(self, answer: Message) -> None:
        """Take the answer to the oldest request sent; raises ConnectionLostError to have it sent again."""
        sent = self._expected[0]
        told = self._read(sent, answer)
        self._expected.popleft()
        if told.ask is not None:
            self._followed.append((sent, told.ask))
            self._note()
        else:
            self._answer(sent, told)

    def _read(self, sent: _Sent, answer: Message) -> Told:
        """Return what an answer says; raises ConnectionLostError when it is about the node at this moment."""
        if answer.status >= SERVER_ERROR or answer.status == TOO_MANY_REQUESTS:
            raise ConnectionLostError(f"answer {answer.status}")
        places = answer.headers.get(TRANSACTION_IDS_HEADER, "").split(",")
        if len(places) == 1:
            places *= sent.load.count
        for offset, text in enumerate(places):
            if text.strip() not in ("", "-"):
                self._result.places[sent.first_index + offset] = TxID.parse(text.strip())
        told = self._told(
            sent.load, HTTPResponse(status=answer.status, body=answer.body, headers=answer.headers)
        )
        if any(reason.startswith(RETRY_PREFIX) for reason in told.refused):
            raise ConnectionLostError(f"not committed there: {told.refused[0]}")
        return told

    def _answer(self, sent: _Sent, told: Told) -> None:
        """Note that it is known what became of a load's transactions."""
        count = sent.load.count
        self._unanswered.remove(sent)
        self._under_way -= count
        self._answered += count
        self._result.answered_at[sent.first_index : sent.first_index + count] = [trio.current_time()] * count
        self._result.refused += told.refused
        if self._progress is not None:
            self._progress(self._answered, len(self._result.refused))
        self._note()


async def _send(connection: Connection, request: HTTPRequest) -> None:
    content_type = request.headers.get("content-type", "")
    await connection.send(request.method, request.target, request.body, content_type)


async def _receive(connection: Connection) -> Message:
    """Return the next answer; raises ConnectionLostError when the node stays silent."""
    with trio.move_on_after(ANSWER_TIMEOUT_S):
        return await connection.receive()
    raise ConnectionLostError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s")


async def _connect(address: str, tls: ssl.SSLContext) -> Connection:
    """Connect; raises ConnectionLostError, also when the node does not shake hands."""
    with trio.move_on_after(CONNECT_TIMEOUT_S):
        return await Connection.open(address, tls)
    raise ConnectionLostError(f"{address} does not answer")


async def _watch_commits(settings: LoadSettings, endpoint: Endpoint, result: LoadResult, index: int) -> None:
    """Note when a node reports commits, until cancelled; a node that is gone is asked again."""
    tls = pinned_context(settings.service_certificate)
    position = -1
    while True:
        try:
            async with await Connection.open(endpoint.admin, tls) as connection:
                client = NodeClient(connection)
                while True:
                    _, seqno = await client.committed_after(position)
                    result.lost.discard(index)
                    if seqno > position:
                        result.commits[index].append((trio.current_time(), seqno))
                        position = seqno
                        result.note()
        except (ConnectionLostError, CallerError):
            result.lost.add(index)
            result.note()
            await trio.sleep(RETRY_PAUSE_S)


async def _wait_everywhere(result: LoadResult, seqno: int, *, timeout_s: float) -> None:
    """Wait until every node within reach reported ``seqno``; silent ones are given up after a while."""
    with trio.move_on_after(timeout_s):
        while any(
            index not in result.lost and not (seen and seen[-1][1] >= seqno)
            for index, seen in enumerate(result.commits)
        ):
            await result.reported.wait()


def _ended_at(result: LoadResult, seqno: int) -> float:
    """Return when the last node reported ``seqno``, leaving out nodes that never did."""
    reached = [next((at for at, found in seen if found >= seqno), None) for seen in result.commits]
    return max((at for at in reached if at is not None), default=trio.current_time())
