"""What workers' answers come to, and what is said of a request that ended one. Knows the messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from coco_corda import wire
from coco_corda.limits import CAUSES_TOLD_MAX
from coco_corda.refs import sha256
from coco_corda.shell.worker import Exchanged
from coco_corda.verification import Broken, Cause, Failure, Refused

T = TypeVar("T")

READER: Final = b"reader"
"""The domain of the worker that reads transactions and jars. It is given no code to run."""
SHOWER: Final = b"shower"
"""The domain of the worker that shows transactions in part. Nor is it; but anybody may keep it busy, and
no transaction waits for it."""
OWN: Final = (READER, SHOWER)


_OF_WHAT_WAS_SENT: Final = (wire.Failed.MALFORMED, wire.Failed.TOO_LARGE)


def at_fault(domain: bytes, *, is_late: bool) -> Broken:
    """Return that a request of a domain ended its worker, or had it ended."""
    what, that = (
        ("reading this", "read") if domain in OWN else ("contract code of this transaction", "executed")
    )
    done = "was not done in time" if is_late else f"ended the JVM that {that} it"
    return Broken(f"{what} {done}", is_late)


def mark_of(request: wire.Request) -> bytes:
    """Return the digest of what is asked; of verifying, also the states and whose code is trusted."""
    asked = getattr(request, request.WhichOneof("op") or "ping")
    return sha256(asked.SerializeToString(deterministic=True))


def judged(told: Exchanged) -> dict[int, wire.Response | Failure]:
    """Return answers by place, Corda's refusals and the worker's faults as failures."""
    return {place: failure(answer) or answer for place, answer in told.answers.items()}


def failure(answer: wire.Response) -> Failure | None:
    """Return what an answer that is none says; None of the others."""
    match answer.WhichOneof("result"):
        case "rejected":
            causes = [Cause(each.class_name, each.message) for each in answer.rejected.causes]
            return Refused(answer.rejected.kind, causes[:CAUSES_TOLD_MAX])
        case "failed":
            if answer.failed.code in _OF_WHAT_WAS_SENT:
                return Broken(answer.failed.message)
            code = wire.Failed.Code.Name(answer.failed.code)
            return Broken(f"the JVM worker could not do it ({code}): {answer.failed.message}")
        case _:
            return None


def result(answer: wire.Response | Failure, take: Callable[[wire.Response], T]) -> T | Failure:
    """Return what ``take`` takes of an answer; a failure as it is."""
    return answer if isinstance(answer, Failure) else take(answer)
