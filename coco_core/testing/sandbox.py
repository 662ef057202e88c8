"""One process that is a whole ledger: a real adapter over a real store, without a network.

It does what a primary does, but for replication: gives requests their places, executes them in batches,
applies the write sets, and serves the adapter's front end. Time and randomness are its own, so that two runs
give the same bytes. For the tests of one adapter; what must hold on a network is the conformance kit's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import (
    ANONYMOUS,
    Applied,
    Batch,
    BatchResult,
    Caller,
    Committed,
    CommittedBatch,
    Deferred,
    HTTPHandler,
    HTTPRequest,
    HTTPResponse,
    LedgerAdapter,
    NodeStatus,
    NotCommitted,
    ReadView,
    Rejected,
    Request,
    Submission,
    TxID,
    WebSocketAnswer,
    Writes,
    merge,
)
from coco_core.base import limits
from coco_core.errors import AdapterError
from coco_core.kv import Store

VIEW: Final = 2
"""The view of every transaction; CCF's first one in a new network."""
START_MS: Final = 1_700_000_000_000

Fate = Committed | Rejected | NotCommitted


@attrs.define
class _Waiting:
    """A submitted request and, once known, its fate."""

    request: Request
    fate: Fate | None = None


@attrs.frozen
class _SandboxSubmission:
    """Requests of one ``submit``; waiting for them runs the ledger."""

    sandbox: Sandbox
    requests: tuple[_Waiting, ...]

    async def wait(self) -> Sequence[Fate]:
        """Return every request's fate, executing what is queued until all are known."""
        while any(each.fate is None for each in self.requests):
            await self.sandbox.run_batch()
        return [each.fate for each in self.requests if each.fate is not None]


class Sandbox:
    """An adapter's ledger and a ``LedgerService``; tests subclass it with what their clients would do."""

    def __init__(
        self,
        adapter: LedgerAdapter,
        config: Mapping[str, Any],
        *,
        interval_ms: int = 0,
        history_versions_max: int = limits.HISTORY_VERSIONS_MAX,
    ) -> None:
        """Begin a ledger from the genesis ``config``.

        ``interval_ms`` is how long after one batch the next is executed, ``history_versions_max`` how many
        committed versions stay readable.
        """
        self.adapter = adapter
        self.store = Store(history_versions_max=history_versions_max)
        self.configured: dict[str, Any] = {}
        """What a consortium set; a test may change it from batch to batch."""
        self.time_ms = START_MS
        """Unix milliseconds of the batch before; a test may move it."""
        self.seqno = 0
        """The newest seqno, committed or not."""
        self.entries: list[Writes] = []
        """Every committed entry, in order."""
        self.handler: HTTPHandler | None = None
        self.batch_requests_max = 500
        self._interval_ms = interval_ms
        self._batches = 0
        self._queue: list[_Waiting] = []
        self._open: list[tuple[int, Sequence[Writes], Writes]] = []
        self._maps = frozenset(adapter.manifest.maps)
        self.put(adapter.genesis(config, bytes(32)))
        self.commit()

    # ── LedgerService ────────────────────────────────────────────────────────────────────────────────

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> Submission:
        """Queue native transactions."""
        waiting = tuple(_Waiting(Request(payload, caller)) for payload in payloads)
        self._queue += waiting
        return _SandboxSubmission(self, waiting)

    def view(self, seqno: int | None = None) -> ReadView:
        """Return committed state."""
        return self.store.view(seqno)

    def configuration(self) -> Mapping[str, Any]:
        """Return what a consortium set."""
        return self.configured

    def status(self) -> NodeStatus:
        """Return a reading of the only node."""
        return NodeStatus(
            node_id=hashlib.sha256(b"sandbox").hexdigest(),
            role="primary",
            view=VIEW,
            committed_seqno=self.store.committed_version,
            leader_known=True,
        )

    async def serve_http(self, handler: HTTPHandler) -> None:
        """Keep the handler for ``request``; there is no socket to serve."""
        self.handler = handler

    # ── sequencing ───────────────────────────────────────────────────────────────────────────────────

    async def speculate(self, requests: Sequence[Request]) -> BatchResult:
        """Execute one batch and leave what it applied uncommitted."""
        self._batches += 1
        self.time_ms += self._interval_ms
        batch = Batch(
            requests=tuple(requests),
            view=VIEW,
            first_seqno=self.seqno + 1,
            time_ms=self.time_ms,
            randomness=hashlib.sha256(self._batches.to_bytes(8)).digest(),
            configuration=self.configured,
        )
        result = await self.adapter.execute(batch, self.store.head())
        entries = [each.writes for each in result.outcomes if isinstance(each, Applied)]
        if result.closing:
            entries.append(result.closing)
        if entries:
            self.put(entries)
        return result

    def commit(self) -> None:
        """Commit everything that was executed."""
        for seqno, entries, layer in self._open:
            self.store.commit(seqno)
            self.entries += entries
            self.adapter.committed(CommittedBatch(TxID(VIEW, seqno), layer))
        self._open = []

    def drop(self) -> None:
        """Take back everything that is not committed, as when leadership is lost."""
        self._open = []
        self.seqno = self.store.committed_version
        self.store.rollback(self.seqno)

    async def run_batch(self) -> None:
        """Execute what was submitted, as much as fits a batch, and commit it."""
        taken, self._queue = self._queue[: self.batch_requests_max], self._queue[self.batch_requests_max :]
        first_seqno, applied = self.seqno + 1, 0
        result = await self.speculate([each.request for each in taken])
        self.commit()
        deferred: list[_Waiting] = []
        for waiting, outcome in zip(taken, result.outcomes, strict=True):
            if isinstance(outcome, Applied):
                waiting.fate = Committed(TxID(VIEW, first_seqno + applied), outcome.receipt)
                applied += 1
            elif isinstance(outcome, Deferred):
                if not applied:
                    raise AdapterError("a request before the first applied one was deferred")
                deferred.append(waiting)
            else:
                waiting.fate = outcome
        self._queue = deferred + self._queue

    def put(self, entries: Sequence[Writes]) -> None:
        """Put one batch on top: its entries, then, as on a network, one seqno for its signature."""
        layer: Writes = {}
        for writes in entries:
            if foreign := writes.keys() - self._maps:
                raise AdapterError(f"the adapter wrote maps it does not own: {sorted(foreign)}")
            merge(layer, writes)
        self.seqno += len(entries) + 1
        self.store.append(self.seqno, layer)
        self._open.append((self.seqno, entries, layer))

    # ── a client ─────────────────────────────────────────────────────────────────────────────────────

    async def request(self, request: HTTPRequest) -> HTTPResponse:
        """Answer an HTTP request as a node would."""
        if self.handler is None:
            await self.adapter.serve(self)
        if self.handler is None:
            raise AdapterError("the adapter serves no HTTP")
        answer = self.handler.accept(request)
        if isinstance(answer, WebSocketAnswer):
            raise AdapterError("the adapter answers with a conversation")
        return answer if isinstance(answer, HTTPResponse) else await answer()

    async def post(self, body: bytes) -> HTTPResponse:
        """Answer a JSON body sent to ``/``."""
        headers = {"content-type": "application/json"}
        return await self.request(HTTPRequest(method="POST", target="/", headers=headers, body=body))
