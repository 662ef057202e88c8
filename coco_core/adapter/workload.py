"""Load for benchmarks and demonstrations, and genesis for development, as an adapter offers them.

The harness that sends, times and counts is the core's; only the bytes are the ledger's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

TRANSACTION_IDS_HEADER = "coco-transaction-ids"
"""Response header: comma-separated ``view.seqno`` of the request's transactions; ``-`` if rejected."""

RETRY_PREFIX = "retry: "
"""How a refusal begins that says nothing against the transaction."""

Ask = Callable[[int, bytes], Awaitable[bytes]]
"""``await ask(node_index, body)`` posts ``body`` to that node's front end and returns the answer."""


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
    """How many; 0 = all recorded ones, or the adapter's default."""
    seed: int = 1


@attrs.frozen
class Load:
    """One HTTP body to post and how many transactions are in it."""

    body: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    count: int


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
        """How many transactions it holds."""
        ...

    def loads(self, per_request: int) -> Iterator[Load]:
        """Yield request bodies of at most ``per_request`` transactions, in the order to send."""
        ...

    def classes(self) -> Mapping[str, int]:
        """Return one example index per class of transaction, for keeping a receipt of each."""
        ...

    def refused(self, answer: bytes) -> Sequence[str]:
        """Return one reason per transaction of a body's answer that was not accepted.

        A transaction the network already holds (a retry after a failover) counts as accepted. A reason
        that begins with RETRY_PREFIX is about the node at this moment (busy, no primary, not committed):
        the harness sends the request again.
        """
        ...

    def verify(self, ask: Ask, nodes: int) -> Awaitable[Sequence[str]]:
        """Compare every node's state and receipts with what is known to be right.

        Returns one line per difference; empty when all is equal.
        """
        ...
