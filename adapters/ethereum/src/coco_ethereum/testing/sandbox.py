"""One process that is a whole ledger: the real adapter and engine over a real store, no network.

For tests of the adapter and of clients' requests. It does what a primary does, without replication:
gives requests their places, executes them in batches, applies the write sets. Time and randomness
are arguments, so two runs give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import orjson

from coco_core.adapter import (
    ANONYMOUS,
    Applied,
    Batch,
    Caller,
    Changes,
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
from coco_core.errors import AdapterError

VIEW: Final = 2
"""The view of every transaction; CCF's first one in a new network."""
BATCH_REQUESTS_MAX: Final = 500
START_MS: Final = 1_700_000_000_000
BATCH_INTERVAL_MS: Final = 400

Fate = Committed | Rejected | NotCommitted


class VersionedStore(Protocol):
    """What the sandbox needs of ``coco_core``'s store."""

    def append(self, seqno: int, writes: Mapping[str, Changes]) -> None:
        """Put a layer on top."""
        ...

    def commit(self, seqno: int) -> None:
        """Fold layers into the base."""
        ...

    def head(self) -> ReadView:
        """Return a view of base and layers."""
        ...

    def view(self, seqno: int | None = None) -> ReadView:
        """Return a committed view."""
        ...


@attrs.define
class _Waiting:
    """A submitted request and, once known, its fate."""

    payload: bytes
    caller: Caller
    fate: Fate | None = None


@attrs.frozen
class _SandboxSubmission:
    """Requests of one ``submit``; waiting for them runs the ledger."""

    sandbox: Sandbox
    requests: tuple[_Waiting, ...]

    async def wait(self) -> Sequence[Fate]:
        """Return every request's fate, executing what is queued until all are known."""
        while any(request.fate is None for request in self.requests):
            await self.sandbox.run_batch()
        return [request.fate for request in self.requests if request.fate is not None]


class Sandbox:
    """A LedgerService in one process."""

    def __init__(self, adapter: LedgerAdapter, store: VersionedStore, config: Mapping[str, Any]) -> None:
        """Begin a ledger from the genesis ``config`` in an empty ``store``."""
        self.adapter = adapter
        self.store = store
        self.handler: HTTPHandler | None = None
        self.entries: list[Writes] = []
        self.batch_requests_max = BATCH_REQUESTS_MAX
        self._maps = frozenset(adapter.manifest.maps)
        self._queue: list[_Waiting] = []
        self._seqno = 0
        self._batches = 0
        for writes in adapter.genesis(config, bytes(32)):
            self._append([writes])

    # ── LedgerService ────────────────────────────────────────────────────────────────────────────

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> Submission:
        """Queue native transactions."""
        waiting = tuple(_Waiting(payload, caller) for payload in payloads)
        self._queue += waiting
        return _SandboxSubmission(self, waiting)

    def view(self, seqno: int | None = None) -> ReadView:
        """Return committed state."""
        return self.store.view(seqno)

    def configuration(self) -> Mapping[str, Any]:
        """Return what a consortium set: there is none."""
        return {}

    def status(self) -> NodeStatus:
        """Return a reading of the only node."""
        return NodeStatus(
            node_id=hashlib.sha256(b"sandbox").hexdigest(),
            role="primary",
            view=VIEW,
            committed_seqno=self._seqno,
            leader_known=True,
        )

    async def serve_http(self, handler: HTTPHandler) -> None:
        """Keep the handler for ``post`` and ``rpc``; there is no socket to serve."""
        self.handler = handler

    # ── sequencing ───────────────────────────────────────────────────────────────────────────────

    async def run_batch(self) -> None:
        """Execute the next batch and commit it."""
        taken, self._queue = self._queue[: self.batch_requests_max], self._queue[self.batch_requests_max :]
        self._batches += 1
        batch = Batch(
            requests=tuple(Request(each.payload, each.caller) for each in taken),
            view=VIEW,
            first_seqno=self._seqno + 1,
            time_ms=START_MS + BATCH_INTERVAL_MS * self._batches,
            randomness=hashlib.sha256(self._batches.to_bytes(8)).digest(),
        )
        result = await self.adapter.execute(batch, self.store.head())
        entries: list[Writes] = []
        deferred: list[_Waiting] = []
        for request, outcome in zip(taken, result.outcomes, strict=True):
            if isinstance(outcome, Applied):
                entries.append(outcome.writes)
                request.fate = Committed(TxID(VIEW, self._seqno + len(entries)), outcome.receipt)
            elif isinstance(outcome, Deferred):
                if not entries:
                    raise AdapterError("a request before the first applied one was deferred")
                deferred.append(request)
            else:
                request.fate = outcome
        self._queue = deferred + self._queue
        if result.closing:
            entries.append(result.closing)
        if entries:
            self._append(entries)

    def _append(self, entries: Sequence[Writes]) -> None:
        """Apply one batch: its entries, then, as on a real ledger, one seqno for its signature."""
        layer: Writes = {}
        for writes in entries:
            if foreign := writes.keys() - self._maps:
                raise AdapterError(f"the adapter wrote maps it does not own: {sorted(foreign)}")
            merge(layer, writes)
        self.entries += entries
        self._seqno += len(entries) + 1
        self.store.append(self._seqno, layer)
        self.store.commit(self._seqno)
        self.adapter.committed(CommittedBatch(TxID(VIEW, self._seqno), layer))

    # ── a client ─────────────────────────────────────────────────────────────────────────────────

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
        """Answer a JSON body."""
        headers = {"content-type": "application/json"}
        return await self.request(HTTPRequest(method="POST", target="/", headers=headers, body=body))

    async def rpc(self, method: str, *params: object) -> Any:
        """Return the parsed response to one call: a table with ``result`` or ``error``."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return orjson.loads((await self.post(orjson.dumps(body))).body)

    def ask(self, node: int, body: bytes) -> Awaitable[bytes]:
        """Post ``body`` as a workload does; every node index is this process."""
        return self._ask(body)

    async def _ask(self, body: bytes) -> bytes:
        return (await self.post(body)).body
