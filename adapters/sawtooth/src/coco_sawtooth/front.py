"""The front ends of one node together: REST, clients on the component socket, and what both share.

Made by ``serve``, told by ``committed``. Knows no sockets and no threads: those are handed in.
"""

from __future__ import annotations

from coco_core.adapter import CommittedBatch, LedgerService
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.clients import Clients
from coco_sawtooth.feed import Feed
from coco_sawtooth.intake import Intake
from coco_sawtooth.outside import Outside
from coco_sawtooth.rest import RestServer, Subscriptions
from coco_sawtooth.statuses import Statuses


class Front:
    """Everything that clients of one node speak with."""

    def __init__(self, service: LedgerService, outside: Outside, checked: CheckedBatches) -> None:
        """Serve the chain of ``service``; what is taken from clients is noted as ``checked``."""
        self._outside = outside
        self._intake = Intake(service, Statuses(), outside, checked)
        self._feed = Feed(service, outside)
        subscriptions = Subscriptions(service, self._feed, outside)
        self.rest = RestServer(service, self._intake, outside, subscriptions)
        """For ``LedgerService.serve_http``."""
        self.clients = Clients(service, self._intake, self._feed, outside)
        """For the component socket."""

    def committed(self, batch: CommittedBatch) -> None:
        """Note a committed batch: whoever waits for it, or for blocks, is told."""
        self._intake.committed(batch)
        self._feed.committed(batch)

    def restored(self) -> None:
        """Note that the chain may be another one: everybody looks again."""
        self._feed.forget()
        self._outside.pulse.beat_all()
