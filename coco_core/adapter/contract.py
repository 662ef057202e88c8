"""What a ledger is to the core: execute batches, answer queries, serve its own protocol.

Results are replicated, not recomputed: only the primary calls ``execute``, and every other node
applies the write sets it returned. So an adapter may be non-deterministic, slow to start, or live
outside this process. It must not know how nodes agree, where bytes are stored or what time it is:
time and randomness come with the batch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from coco_core.adapter.caller import ANONYMOUS, Caller
from coco_core.adapter.configuration import ConfigurationField
from coco_core.adapter.context import ReadView
from coco_core.adapter.fetching import Fetch
from coco_core.adapter.http import HTTPHandler
from coco_core.base import TxID
from coco_core.kv import Writes
from coco_core.ledger import NO_CLAIMS

API: Final = 4
"""The version of this contract; an adapter made for another one is refused at registration."""


@attrs.frozen(kw_only=True)
class Manifest:
    """What an adapter says of itself; recorded in the ledger when a network enables it."""

    name: str
    """Lower-case word, the prefix of every map it owns."""
    version: str
    engine: str
    """What executes, as ``name version`` with one space, for example ``revm 43.0.3``; empty when there
    is no choice. The part before the space is what a joining node gives ``create``; both must match."""
    maps: tuple[str, ...]
    """Full names of the maps it owns, each ``<name>.…`` or ``public:<name>.…``."""
    deterministic: bool
    """Whether an auditor may replay its transactions and expect the same write sets; see ``replay``."""
    configuration: tuple[ConfigurationField, ...] = ()
    """What the consortium may set while the ledger runs."""
    fetches: bool = False
    """Whether it asks systems outside, where the consortium allows it; see ``Batch.fetch``."""
    api: int = API


@attrs.frozen
class Request:
    """One native transaction in the ledger's own encoding, and who sent it."""

    payload: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    caller: Caller = ANONYMOUS


@attrs.frozen(kw_only=True)
class Batch:
    """Requests to execute in order, and the non-deterministic values they may use."""

    requests: tuple[Request, ...]
    view: int
    first_seqno: int
    """Seqno the first applied request gets; each further applied one gets the next."""
    time_ms: int
    """Unix time in milliseconds; never runs backwards along the ledger."""
    randomness: bytes
    """32 fresh random bytes."""
    configuration: Mapping[str, Any] = attrs.field(factory=dict)
    """What the consortium set of the fields that the manifest names; nothing for those it did not."""
    together: bool = False
    """Whether the requests are of one bundle, which is refused when any of them is put off (``Deferred``)."""
    fetch: Fetch | None = attrs.field(default=None, eq=False, repr=False)
    """Asks systems outside that the consortium allows; None when it allows none, or the manifest none."""


@attrs.frozen
class Applied:
    """The request takes effect: these writes become one ledger entry once committed.

    A transaction that its ledger records as *failed* (an EVM revert) is applied too: it has writes.
    """

    writes: Writes = attrs.field(repr=False)
    receipt: bytes = b""
    """What the front end that submitted it gets back, in the adapter's own encoding."""
    claims: bytes = NO_CLAIMS
    """32-byte application claims digest, part of the Merkle leaf and so of every receipt."""
    failure: str = ""
    """Why the ledger records the transaction as failed, empty when it did what was asked. Whoever sent it
    alone reads that from the ledger; a bundle that holds it is refused."""


@attrs.frozen
class Rejected:
    """The ledger's own rules refuse the request; nothing is written."""

    code: str
    """Stable, machine-readable reason of ASCII letters, digits and dashes, for example ``nonce-too-low``."""
    message: str
    """What the ledger's clients expect to read."""
    data: bytes = b""


@attrs.frozen
class Deferred:
    """The request does not fit into this batch; the core offers it again, first, in the next.

    Only for requests after the first applied one: a batch whose first request is deferred would
    never make progress, so the core treats that as the adapter's fault.
    """


Outcome = Applied | Rejected | Deferred


@attrs.frozen
class BatchResult:
    """One outcome per request, in order, and writes that belong to the batch as a whole."""

    outcomes: Sequence[Outcome]
    closing: Writes = attrs.field(factory=dict, repr=False)
    """One more entry after the applied ones (a block header); none when empty."""


@attrs.frozen
class Committed:
    """A submitted request is committed on a majority and applied on the node that says so."""

    txid: TxID
    receipt: bytes


@attrs.frozen
class NotCommitted:
    """Leadership moved, or a connection broke, before this node saw the request committed.

    It may be submitted again, and may still be committed: ledgers must refuse duplicates.
    """

    reason: str


@attrs.frozen
class CommittedBatch:
    """What ``committed`` tells an adapter on every node: all writes of one committed batch."""

    txid: TxID
    """Place of the batch's signature entry."""
    writes: Mapping[str, Mapping[bytes, bytes | None]] = attrs.field(repr=False)


class Submission(Protocol):
    """Requests on their way; they stay together and in order."""

    def wait(self) -> Awaitable[Sequence[Committed | Rejected | NotCommitted]]:
        """Return the fate of every request once all are committed *on this node* or refused.

        After SUBMISSION_TIMEOUT_MS (30 s) without a commit it is NotCommitted for each of them, which
        does not take them back: they may still be committed. May be cancelled without losing them.
        """
        ...


@attrs.frozen(kw_only=True)
class NodeStatus:
    """What a front end may want to tell about the node it runs on."""

    node_id: str
    role: str
    """``primary``, or what it is in consensus: ``follower``, ``candidate``, ``pre-candidate``, ``leader``.

    A leader is primary once what came before its view is committed.
    """
    view: int
    committed_seqno: int
    leader_known: bool


class LedgerService(Protocol):
    """What a node offers to an adapter's front end."""

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> Submission:
        """Queue native transactions; calls made one after the other stay in that order.

        Must be called on the node's trio thread, that is from ``serve``, its tasks and HTTP handlers;
        code on another thread goes through ``trio.from_thread.run_sync``.

        Raises MalformedError for a payload beyond PAYLOAD_SIZE_MAX_BYTES and BusyError when the
        queue is full or no primary is known; then nothing was queued.
        """
        ...

    def view(self, seqno: int | None = None) -> ReadView:
        """Return committed state, the newest or that of the last commit at or before ``seqno``.

        A batch is committed by the signature entry behind it: what a transaction wrote is seen as of the
        seqno of that signature (``CommittedBatch.txid``) and later, *not as of the transaction's own*. A
        front end whose clients come back for this state gives them ``view().version`` with the answer.

        Raises CallerError when ``seqno`` is not committed here yet, or older than the history that is kept
        in memory (HISTORY_VERSIONS_MAX, less when states are large, nothing from before a restart).
        """
        ...

    def configuration(self) -> Mapping[str, Any]:
        """Return what the consortium set of the fields that the manifest names, as committed here."""
        ...

    def status(self) -> NodeStatus:
        """Return a reading of the node."""
        ...

    def serve_http(self, handler: HTTPHandler) -> Awaitable[None]:
        """Serve HTTP on this adapter's configured port until cancelled."""
        ...


class LedgerAdapter(Protocol):
    """A ledger that runs on Coco."""

    @property
    def manifest(self) -> Manifest:
        """What it is and which maps it owns."""
        ...

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return the writes of the first entries, one entry each, from the operator's configuration.

        ``randomness`` is 32 fresh bytes, for a ledger that begins with a key of its own. Called on the
        founder only. Raises OperatorError naming the faulty field. Whatever later batches need of the
        configuration belongs into the writes: other nodes never see ``config``.
        """
        ...

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute requests in order over ``view``, the speculative head. Called on the primary only.

        A request that was applied before is Rejected: clients send again what they have no answer for, and
        requests are forwarded again. What is returned may never be applied, and the same requests may come
        again: when leadership moves, a bundle is refused, or a batch is tried request by request. So nothing
        beside the maps may change here. What ``view`` says after the call may be newer, or was dropped.

        Calls never overlap. Anything raised, and any result that breaks this contract, is the adapter's
        fault: nothing of the batch is written, and each of its requests is offered again in a batch
        of its own, so that only the one at fault is answered with an error.
        """
        ...

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Execute anew, for an auditor, what ``entries`` say was asked; return what must have been written.

        ``entries`` are this ledger's of one committed batch, in order, each turn's closing writes after its
        transactions; ``view`` is the state before. Whatever execution needs is in them: an adapter that
        says it is deterministic writes down its time, its randomness and the configuration it obeyed.
        Asked of deterministic ledgers only; others raise IntegrityError, and all do for entries they never
        wrote.
        """
        ...

    async def serve(self, service: LedgerService) -> None:
        """Run the ledger's own front end until cancelled."""
        ...

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of a committed batch, on every node, in order; for indexes and subscriptions.

        The first one holds the writes of ``genesis``; it may come before ``serve`` begins. Called on the
        node's trio thread, as ``serve`` and HTTP handlers run on it, so what they share needs no lock.

        Must be fast, for the node does nothing else meanwhile. Must not raise: the batch is committed
        whatever happens here, and an exception only marks the ledger as failed on this node. Must not
        submit: start a task for what should follow.
        """
        ...

    def restored(self, view: ReadView) -> None:
        """Take note that this node's state begins at ``view``: a snapshot, or its own old ledger.

        What was committed before is not told batch by batch; whatever an adapter keeps beside its maps
        (indexes, subscriptions) it rebuilds from ``view``, which must not be read after the call. The rules
        of ``committed`` hold.
        """
        ...
