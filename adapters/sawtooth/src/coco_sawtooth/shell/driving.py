"""Carrying a round's transactions to processors and their results back, many at one time. Knows trio."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from coco_sawtooth.execution import Processors
from coco_sawtooth.round import Job, Prepared, Round
from coco_sawtooth.shell.tasks import run_in_worker


async def drive(round_: Round, processors: Processors, take: Callable[[], Sequence[Prepared]]) -> None:
    """Run a round until it is done, over the requests that ``take`` returns until there are none.

    ``take`` is called in a thread, while what it returned before is executed.

    Results that nobody waits for any more are not waited for here either: their tasks are cancelled.
    """
    async with trio.open_nursery() as nursery:

        def start(jobs: list[Job]) -> None:
            for job in jobs:
                nursery.start_soon(run, job)

        async def run(first: Job) -> None:
            job: Job | None = first
            while job is not None:
                processed = await processors.process(job.transaction, job.context)
                further = round_.finished(job, processed)
                # What follows goes on in this task: most transactions have one successor.
                job = further.pop() if further else None
                start(further)
            if round_.is_done:
                nursery.cancel_scope.cancel()

        while requests := await run_in_worker(take):
            start(round_.add(requests))
        round_.close()
        if round_.is_done:
            nursery.cancel_scope.cancel()
