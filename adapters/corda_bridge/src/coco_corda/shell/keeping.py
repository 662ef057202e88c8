"""Keeping workers warm where they are needed: on the node that leads. Knows trio."""

from __future__ import annotations

from typing import Final

import trio

from coco_corda.shell.workers import Workers
from coco_core.adapter import CommittedBatch, LedgerService, ReadView

LOOK_EVERY_S: Final = 0.5
REST_AFTER_LOOKS: Final = 240
"""A node that led ends its workers after two minutes: it may lead again soon."""


class Keeper:
    """Starts workers before the first transaction comes, and ends them where another node leads."""

    def __init__(self, workers: Workers) -> None:
        """Keep ``workers``."""
        self._workers = workers

    async def serve(self, service: LedgerService) -> None:
        """Look who leads, until cancelled; workers end then."""
        looks = 0
        try:
            while True:
                if service.status().role == "leader":
                    looks = 0
                    self._workers.warm()
                else:
                    looks += 1
                    if looks % REST_AFTER_LOOKS == 0:
                        self._workers.rest()
                await trio.sleep(LOOK_EVERY_S)
        finally:
            self._workers.close()

    def committed(self, batch: CommittedBatch) -> None:
        """Take no note: workers hold no state."""

    def restored(self, view: ReadView) -> None:
        """Take no note: workers hold no state."""
