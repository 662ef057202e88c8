"""What a node of a pipeline offers to the adapter under test, and the ledger that runs beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from coco_core.adapter import (
    ANONYMOUS,
    Caller,
    Committed,
    HTTPHandler,
    NodeStatus,
    NotCommitted,
    ReadView,
    Rejected,
    ScopedView,
    Writes,
)
from coco_core.governance import read_configuration
from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterNode
from coco_core.testing.conformance.watching import Watched
from coco_core.testing.tally import Tally

BESIDE: Final = "beside"
"""The name of the ledger that bundles are made with."""

Fate = Committed | Rejected | NotCommitted


class Beside(Tally):
    """A second ledger on the network, which needs nothing of the first one's configuration."""

    def __init__(self) -> None:
        """Call it ``BESIDE``."""
        super().__init__(name=BESIDE)

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Begin empty."""
        del config
        return super().genesis({"counters": {}}, randomness)


@attrs.define(eq=False)
class _Submission:
    """A front end's requests on their way."""

    fates: Sequence[Fate] | None = None
    done: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> Sequence[Fate]:
        """See adapter.Submission."""
        await self.done.wait()
        return self.fates or ()


class NodeService:
    """What a node of the pipeline offers to the front end of the adapter under test."""

    def __init__(self, cluster: Cluster, node: ClusterNode, adapter: Watched) -> None:
        """Offer ``node`` to ``adapter``."""
        self._cluster = cluster
        self._node = node
        self._adapter = adapter
        self.handler: HTTPHandler | None = None
        self.serving = trio.Event()
        self.pending: dict[int, _Submission] = {}

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> _Submission:
        """See adapter.LedgerService."""
        self._adapter.check_submission()
        name = self._adapter.manifest.name
        ticket = self._cluster.submit(self._node, *payloads, to=name, caller=caller)
        submission = self.pending[ticket] = _Submission()
        self.settle()
        return submission

    def view(self, seqno: int | None = None) -> ReadView:
        """See adapter.LedgerService."""
        view = self._node.replica.chain.store.view(seqno)
        return ScopedView(view, frozenset(self._adapter.manifest.maps))

    def configuration(self) -> Mapping[str, Any]:
        """See adapter.LedgerService."""
        return read_configuration(self._node.replica.chain.store.view(), self._adapter.manifest.name)

    def status(self) -> NodeStatus:
        """See adapter.LedgerService."""
        return self._node.replica.status()

    async def serve_http(self, handler: HTTPHandler) -> None:
        """Keep the handler; there is no socket."""
        self.handler = handler
        self.serving.set()
        await trio.sleep_forever()

    def settle(self) -> None:
        """Bring answers to whoever waits for them."""
        for ticket in [ticket for ticket in self.pending if ticket in self._node.answers]:
            submission = self.pending.pop(ticket)
            submission.fates = self._node.answers[ticket]
            submission.done.set()
