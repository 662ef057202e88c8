"""Load for benchmarks and demonstrations, and genesis for development, as an adapter offers them.

The harness that sends, times and counts is the core's; only the bytes are the ledger's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from coco_core.adapter.http import HTTPRequest, HTTPResponse
from coco_core.base import TxID, limits

TRANSACTION_IDS_HEADER = "coco-transaction-ids"
"""Response header: comma-separated ``view.seqno`` of the request's transactions; ``-`` if rejected.

A single one stands for all of them: they are one entry of the ledger. See ``transaction_ids``.
"""

RETRY_PREFIX = "retry: "
"""How a refusal begins that says nothing against the transaction."""


def transaction_ids(places: Iterable[TxID | None]) -> dict[str, str]:
    """Return that header for a request's transactions, in order; None is one that has no place.

    None at all when it were longer than clients take (HTTP_ANSWER_HEADER_MAX_BYTES): they would refuse the
    answer.
    """
    named = ",".join("-" if place is None else str(place) for place in places)
    return {TRANSACTION_IDS_HEADER: named} if len(named) <= limits.HTTP_ANSWER_HEADER_MAX_BYTES else {}


Ask = Callable[[int, HTTPRequest], Awaitable[HTTPResponse]]
"""``await ask(node_index, request)`` sends ``request`` to that node's front end and returns the answer."""


@attrs.frozen(kw_only=True)
class DevelopmentLedger:
    """A genesis to develop against and lines a person needs to use it (funded accounts, chain ID)."""

    config: Mapping[str, Any]
    notes: tuple[str, ...]
    details: Mapping[str, Any]
    """The same for programs: what ``coco up --json`` prints."""
    node_settings: Callable[[int], Mapping[str, Any]] = lambda index: {}
    """What ``AdapterPlugin.create`` is given on the node of an index, all nodes being on one machine."""


@attrs.frozen(kw_only=True)
class WorkloadOptions:
    """What the operator asked the workload to be."""

    kind: str = ""
    """Adapter-defined name of a generated mix; empty = the adapter's default."""
    data: str = ""
    """A folder with recorded transactions; empty = generate."""
    transactions: int = 0
    """How many to measure; 0 = all recorded ones, or the adapter's default."""
    warm_up: int | None = None
    """How many to send before, unmeasured; None = what the adapter finds fit for what it runs on."""
    seed: int = 1
    arguments: Mapping[str, str] = attrs.field(factory=dict)
    """What the adapter alone knows the meaning of, by name."""


@attrs.frozen
class Load:
    """One request to a front end and how many transactions are in it."""

    request: HTTPRequest
    count: int


@attrs.frozen(kw_only=True)
class Told:
    """What an answer says of the transactions of a load."""

    refused: Sequence[str] = attrs.field(default=(), converter=tuple[str, ...])
    """One reason per transaction that was not accepted.

    A transaction the network already holds (a retry after a failover) counts as accepted. A reason that
    begins with RETRY_PREFIX is about the node at this moment (busy, no primary, not committed): the harness
    sends the load again.
    """
    ask: HTTPRequest | None = None
    """What to ask the same node for what became of them, where the answer is only that they are taken.

    Its answer is told like the first one, and may come when there is something to tell: the harness asks on
    a connection of its own, and asks again as often as it is told to, for two minutes a load; after that it
    sends the load to another node.
    """


@attrs.frozen(kw_only=True)
class Companion:
    """A process beside a node, without which the ledger executes nothing: a transaction processor, say."""

    command: Sequence[str]
    environment: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    """All its variables; None for those of the harness."""


class Workload(Protocol):
    """A stream of transactions for one genesis, and how to judge the result."""

    @property
    def name(self) -> str:
        """What this load is, in a few words, for the report."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The genesis configuration it needs."""
        ...

    @property
    def transactions(self) -> int:
        """How many transactions it holds, those of the warm-up among them."""
        ...

    @property
    def warm_up(self) -> int:
        """How many of them, the first ones, only warm up what executes."""
        ...

    def node_settings(self, index: int) -> Mapping[str, Any]:
        """Return the settings of node ``index`` (``AdapterPlugin.create``), all nodes on one machine."""
        ...

    def companions(self, index: int) -> Sequence[Companion]:
        """Return the processes to run beside node ``index``, for as long as it runs."""
        ...

    def loads(self, per_request: int, first: int = 0, count: int | None = None) -> Iterator[Load]:
        """Yield requests of at most ``per_request`` transactions, in the order to send.

        They hold ``count`` transactions (None: all that are left) from the one with index ``first`` on.
        """
        ...

    def classes(self) -> Mapping[str, int]:
        """Return one example index per class of transaction, for keeping a receipt of each."""
        ...

    def told(self, load: Load, answer: HTTPResponse) -> Told:
        """Return what an answer, to a load or to what ``Told.ask`` asked for it, says of its transactions.

        Answers with status 429 and from 500 on are about the node: the harness knows that by itself.
        """
        ...

    def verify(self, ask: Ask, nodes: int) -> Awaitable[Sequence[str]]:
        """Compare every node's state and receipts with what is known to be right.

        Returns one line per difference; empty when all is equal.
        """
        ...
