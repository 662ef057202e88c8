"""Carrying a round's transactions to processors and their results back, many at one time. Knows trio."""

from __future__ import annotations

import trio

from coco_sawtooth.execution import Processors
from coco_sawtooth.round import Job, Round


async def drive(round_: Round, processors: Processors) -> None:
    """Run a round until it is done.

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

        start(round_.begin())
        if round_.is_done:
            nursery.cancel_scope.cancel()
