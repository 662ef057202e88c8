"""Sending load and measuring it: a window of requests in order, commits watched on every node.

Transactions go out in order on one connection, with at most ``outstanding`` of them unanswered. When
that connection breaks or the node says that leadership moved, everything unanswered is sent again, in
order, to the next node: ledgers refuse duplicates, so nothing is applied twice. The oldest of it goes
alone until it is answered, so that a node that finds a primary halfway cannot take the later ones first.
Order across such a break is certain only with one request at a time: who pipelines may have sent the next
one before it reads that an earlier one was not committed.

Latency of a transaction starts when the request that carries it is handed to the socket. *Majority*
ends when a majority of nodes, *all nodes* when every node reported it committed, as seen by this
client's clock.
"""

from __future__ import annotations

import ssl
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import trio

from coco_core.adapter import RETRY_PREFIX, TRANSACTION_IDS_HEADER, Load, TxID
from coco_core.client.http import Connection, ConnectionLostError, NodeClient, pinned_context
from coco_core.errors import CallerError
from coco_core.wire.http import Message

CONNECT_TIMEOUT_S = 2.0
"""A node that hangs still accepts connections, but never shakes hands: time to try the next one."""
ANSWER_TIMEOUT_S = 40.0
"""Longer than a node waits for a commit before it answers that it does not know (SUBMISSION_TIMEOUT_MS)."""
COMMITS_TIMEOUT_S = 30.0
"""How long to wait at the end for the commits of a node that is silent."""
RETRY_PAUSE_S = 0.05
RETRIES_MAX = 600


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


@attrs.define
class _Sent:
    load: Load
    first_index: int
    sent_at: float


@attrs.define(kw_only=True)
class LoadResult:
    """What happened, per transaction in order of sending; times in seconds of one monotonic clock."""

    started_at: float = 0.0
    ended_at: float = 0.0
    sent_at: list[float] = attrs.field(factory=list)
    places: list[TxID | None] = attrs.field(factory=list)
    """None for a transaction refused, or known already when it was sent again."""
    refused: list[str] = attrs.field(factory=list)
    resent_requests: int = 0
    commits: list[list[tuple[float, int]]] = attrs.field(factory=list)
    """Per node: when it reported which committed seqno."""
    reported: trio.Event = attrs.field(factory=trio.Event, repr=False)
    """Set, and replaced, whenever a node reported a commit or was lost."""
    lost: set[int] = attrs.field(factory=set)
    """Nodes that cannot be reached at the moment: nobody waits for their commits."""

    @property
    def all_committed(self) -> bool:
        """Whether every transaction sent is: without a place only if it was known when sent again."""
        placed = all(place is not None for place in self.places)
        return not self.refused and (placed or self.resent_requests > 0)

    def note(self) -> None:
        """Wake who waits for a change of commits or lost nodes."""
        self.reported.set()
        self.reported = trio.Event()

    def latencies(self, nodes: int) -> list[float]:
        """Return the seconds until ``nodes`` nodes had committed, of every transaction so many reported.

        Transactions that fewer nodes reported are left out: their number belongs beside the figure.
        """
        watches = [([seqno for _, seqno in seen], [at for at, _ in seen]) for seen in self.commits]
        found: list[float] = []
        for sent, place in zip(self.sent_at, self.places, strict=True):
            if place is None:
                continue
            times = sorted(
                at[position]
                for seqnos, at in watches
                if (position := bisect_left(seqnos, place.seqno)) < len(seqnos)
            )
            if len(times) >= nodes:
                found.append(times[nodes - 1] - sent)
        return found


Progress = Callable[[int, int], None]
"""``progress(answered, refused)`` so far."""


async def run_load(
    settings: LoadSettings,
    loads: Iterator[Load],
    refusals: Callable[[bytes], Sequence[str]],
    progress: Progress | None = None,
) -> LoadResult:
    """Send ``loads`` and return when every node that can be reached has committed the last of them.

    ``refusals`` reads an answer's refusals (adapter.Workload.refused). Raises ConnectionLostError when
    no node answers for long.
    """
    result = LoadResult(commits=[[] for _ in settings.endpoints])
    async with trio.open_nursery() as nursery:
        for index, endpoint in enumerate(settings.endpoints):
            nursery.start_soon(_watch_commits, settings, endpoint, result, index)
        result.started_at = trio.current_time()
        await _Window(settings, loads, refusals, progress, result).run()
        last = max((place.seqno for place in result.places if place is not None), default=0)
        await _wait_everywhere(result, last, timeout_s=COMMITS_TIMEOUT_S)
        result.ended_at = _ended_at(result, last)
        nursery.cancel_scope.cancel()
    return result


class _Window:
    """The requests under way, in order."""

    def __init__(
        self,
        settings: LoadSettings,
        loads: Iterator[Load],
        refusals: Callable[[bytes], Sequence[str]],
        progress: Progress | None,
        result: LoadResult,
    ) -> None:
        self._settings = settings
        self._loads = loads
        self._next_load: Load | None = None
        self._refusals = refusals
        self._progress = progress
        self._result = result
        self._next_endpoint = settings.first
        self._unanswered: deque[_Sent] = deque()
        self._under_way = 0
        self._answered = 0
        self._room = trio.Event()
        self._exhausted = False

    async def run(self) -> None:
        """Send everything, moving on to another node as often as needed."""
        failures = 0
        tls = pinned_context(self._settings.service_certificate)
        while not self._exhausted or self._unanswered:
            endpoint = self._settings.endpoints[self._next_endpoint % len(self._settings.endpoints)]
            answered_before = self._answered
            try:
                async with await _connect(endpoint.rpc, tls) as connection:
                    await self._converse(connection)
            except ConnectionLostError:
                failures = 0 if self._answered > answered_before else failures + 1
                if failures > RETRIES_MAX:
                    raise
                self._next_endpoint += 1
                await trio.sleep(RETRY_PAUSE_S)

    async def _converse(self, connection: Connection) -> None:
        failed: list[ConnectionLostError] = []
        again = list(self._unanswered)
        self._result.resent_requests += len(again)
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                try:
                    while not self._exhausted or self._unanswered:
                        self._take(await self._receive(connection))
                except ConnectionLostError as error:
                    failed.append(error)
                nursery.cancel_scope.cancel()

            nursery.start_soon(receive)
            try:
                for sent in again:
                    await connection.send("POST", "/", sent.load.body)
                    if sent is again[0]:
                        await self._until_answered(sent)
                await self._send(connection)
            except ConnectionLostError as error:
                failed.append(error)
            if failed or not self._unanswered:
                # Otherwise there are answers to wait for, and receiving ends with the last one.
                nursery.cancel_scope.cancel()
        if failed:
            raise failed[0]

    async def _send(self, connection: Connection) -> None:
        """Send new requests as the window has room."""
        while (load := self._peek()) is not None:
            while self._unanswered and self._under_way + load.count > self._settings.outstanding:
                self._room = trio.Event()
                await self._room.wait()
            self._next_load = None
            sent = _Sent(load, len(self._result.sent_at), trio.current_time())
            self._result.sent_at += [sent.sent_at] * load.count
            self._result.places += [None] * load.count
            self._unanswered.append(sent)
            self._under_way += load.count
            await connection.send("POST", "/", load.body)
        self._exhausted = True

    def _peek(self) -> Load | None:
        """Return the next load; it stays the next one until it is sent, whatever breaks meanwhile."""
        if self._next_load is None:
            self._next_load = next(self._loads, None)
        return self._next_load

    async def _until_answered(self, sent: _Sent) -> None:
        while self._unanswered and self._unanswered[0] is sent:
            self._room = trio.Event()
            await self._room.wait()

    async def _receive(self, connection: Connection) -> Message:
        """Return the next answer; raises ConnectionLostError when the node stays silent."""
        with trio.move_on_after(ANSWER_TIMEOUT_S):
            return await connection.receive()
        raise ConnectionLostError(f"no answer within {ANSWER_TIMEOUT_S:.0f} s")

    def _take(self, answer: Message) -> None:
        """Take the answer to the oldest request; raises ConnectionLostError to have it sent again."""
        sent = self._unanswered[0]
        if answer.status != 200:
            raise ConnectionLostError(f"answer {answer.status}")
        for offset, text in enumerate(answer.headers.get(TRANSACTION_IDS_HEADER, "").split(",")):
            if text.strip() not in ("", "-"):
                self._result.places[sent.first_index + offset] = TxID.parse(text.strip())
        refused = self._refusals(answer.body)
        if any(reason.startswith(RETRY_PREFIX) for reason in refused):
            raise ConnectionLostError(f"not committed there: {refused[0]}")
        self._unanswered.popleft()
        self._under_way -= sent.load.count
        self._answered += sent.load.count
        self._result.refused += refused
        if self._progress is not None:
            self._progress(self._answered, len(self._result.refused))
        self._room.set()


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


def percentiles_ms(seconds: Sequence[float]) -> Mapping[str, float] | None:
    """Return p50, p95, p99 and mean in milliseconds; None when there is nothing to tell them of."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    pick = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _SHARES}
    pick["mean"] = sum(ordered) / len(ordered)
    return {name: round(value * 1000, 2) for name, value in pick.items()}


_SHARES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
