"""What connects to one node: processors and clients on the component socket, clients of REST. Knows trio.

Made with the adapter, and there from ``serve`` on: a node that executes before that has no processors.
"""

from __future__ import annotations

import trio

from coco_core.adapter import CommittedBatch, LedgerService, ReadView
from coco_sawtooth.batches import Transaction
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Done, GiveUp, Processed, Unavailable
from coco_sawtooth.front import Front
from coco_sawtooth.limits import QUERIES_WAITING_MAX, QUERY_THREADS, QUERY_WAIT_MAX_MS
from coco_sawtooth.outside import Outside
from coco_sawtooth.processors import Policy
from coco_sawtooth.shell.outside import Pulse, Tasks, WorkerPool, beside, report_fault
from coco_sawtooth.shell.processor_host import ProcessorHost


class Connections:
    """Processors and clients of one node."""

    def __init__(self, endpoint: str, checked: CheckedBatches, policy: Policy | None = None) -> None:
        """Listen for processors at ``endpoint`` once served, and wait for them as ``policy`` says.

        What clients send is noted as ``checked``.
        """
        self._policy = policy or Policy()
        self._endpoint = endpoint
        self._checked = checked
        self._host: ProcessorHost | None = None
        self._front: Front | None = None

    def start(self, transaction: Transaction, context: Context, done: Done) -> Processed | GiveUp:
        """Have a processor execute a transaction (see ``execution.Processors``)."""
        if self._host is None:
            return Unavailable("this node does not listen for transaction processors yet")
        return self._host.start(transaction, context, done)

    async def serve(self, service: LedgerService) -> None:
        """Listen until cancelled. Raises OperatorError when that is not possible."""
        async with trio.open_nursery() as nursery:
            outside = Outside(
                worker=WorkerPool(QUERY_THREADS, QUERIES_WAITING_MAX, QUERY_WAIT_MAX_MS),
                pulse=Pulse(),
                start=Tasks(nursery),
                beside=beside,
                report=report_fault,
            )
            front = Front(service, outside, self._checked)
            host = ProcessorHost(self._endpoint, self._policy, front.clients)
            await nursery.start(host.serve)
            self._front, self._host = front, host
            try:
                await service.serve_http(front.rest)
            finally:
                self._front = self._host = None

    def committed(self, batch: CommittedBatch) -> None:
        """Tell clients that wait for it."""
        if self._front is not None:
            self._front.committed(batch)

    def restored(self, view: ReadView) -> None:
        """Let clients look again."""
        del view
        if self._front is not None:
            self._front.restored()
