"""What a handler of the REST interface has at hand: a request's query, and the chain. Knows no route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
import orjson
from google.protobuf.message import Message

from coco_core.adapter import HTTPRequest
from coco_core.errors import CallerError
from coco_sawtooth.addresses import is_id
from coco_sawtooth.intake import Intake
from coco_sawtooth.limits import (
    PAGE_ITEMS_MAX,
    STATUS_WAIT_MAX_S,
    STATUS_WAIT_S,
)
from coco_sawtooth.messages import ClientPagingControls, ClientSortControls
from coco_sawtooth.outside import Outside
from coco_sawtooth.queries import Reading, ask
from coco_sawtooth.rest import errors
from coco_sawtooth.rest.errors import Problem, RestError
from coco_sawtooth.rest.rendering import JSON
from coco_sawtooth.rest.targets import Target

T = TypeVar("T")
Answer = TypeVar("Answer", bound=Message)

_LIMIT_MAX: Final = 2**31 - 1
_COMMON: Final = {
    "INTERNAL_ERROR": errors.UNKNOWN_FAULT,
    "NOT_READY": errors.NOT_READY,
    "NO_ROOT": errors.NO_HEAD,
    "INVALID_PAGING": errors.BAD_PAGING,
    "INVALID_SORT": errors.BAD_SORT,
}


@attrs.frozen(kw_only=True)
class Call:
    """One request, and what answers it."""

    request: HTTPRequest
    target: Target
    item: str
    """The last part of the path, where that names something."""
    reading: Callable[[], Reading]
    intake: Intake
    outside: Outside

    # --- the query -------------------------------------------------------------------------------------

    def ids(self, missing: Problem | None = None) -> list[str]:
        """Return the identifiers of ``id``; without any, RestError (``missing``) or none."""
        told = self.target.query.get("id")
        if told is None:
            if missing is not None:
                raise RestError(missing)
            return []
        return checked_ids(told.split(","))

    def head(self) -> str:
        """Return the identifier of ``head``, empty without one. Raises RestError."""
        told = self.target.query.get("head", "")
        return checked_ids([told])[0] if "head" in self.target.query else ""

    def paging(self) -> ClientPagingControls:
        """Return which page is asked for. Raises RestError."""
        number = min(self.limit() or 0, PAGE_ITEMS_MAX)
        return ClientPagingControls(start=self.target.query.get("start", ""), limit=number)

    def limit(self) -> int | None:
        """Return how many items of a list are asked for, None when nothing is said. Raises RestError."""
        told = self.target.query.get("limit")
        if told is None:
            return None
        # Ten digits are enough: messages take numbers of 32 bits.
        number = int(told) if told.isascii() and told.isdigit() and len(told) <= 10 else 0
        if not 0 < number <= _LIMIT_MAX:
            raise RestError(errors.BAD_LIMIT)
        return number

    def sorting(self, key: str) -> list[ClientSortControls]:
        """Return in which order: the usual one, or its reverse by ``key``."""
        told = self.target.query.get("reverse", "false")
        if told.lower() == "false":
            return []
        return [ClientSortControls(keys=(told or key).split(","), reverse=True)]

    def wait_s(self) -> float:
        """Return how long the client waits for its batches to be decided."""
        told = self.target.query.get("wait", "false")
        if told.lower() == "false":
            return 0
        if told.isascii() and told.isdigit():
            return min(int(told[:9]), STATUS_WAIT_MAX_S) or STATUS_WAIT_MAX_S
        return STATUS_WAIT_S

    def posted_ids(self, wrong_type: Problem, wrong_body: Problem, at_most: int) -> list[str]:
        """Return the identifiers of a body of JSON, ``at_most`` so many. Raises RestError."""
        if content_type(self.request) != "application/json":
            raise RestError(wrong_type)
        try:
            ids = orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            raise RestError(wrong_body) from None
        if not ids or not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise RestError(wrong_body)
        if len(ids) > at_most:
            raise RestError(wrong_body, f" It may name {at_most} at most.")
        return checked_ids(ids)

    # --- the chain -------------------------------------------------------------------------------------

    async def ask(
        self,
        query: Callable[[Reading, Any], Answer],
        question: Message,
        problems: dict[str, Problem] | None = None,
    ) -> Answer:
        """Ask the chain, away from the event loop.

        Raises RestError for the statuses that have a problem; others are part of the answer.
        """
        reading = self.reading()
        answer = await self.away(lambda: ask(query, reading, question))
        check(answer, problems)
        return answer

    async def away(self, work: Callable[[], T]) -> T:
        """Do work away from the event loop.

        Raises RestError when too much waits for that, or what it reads is no longer kept when it is done.
        """
        try:
            return await self.outside.worker(work)
        except CallerError as error:
            raise RestError(errors.TIMED_OUT, f" {error}.") from None


def check(answer: Message, problems: dict[str, Problem] | None = None) -> None:
    """Raise RestError when the status of an answer is a problem."""
    status: Any = answer.DESCRIPTOR.fields_by_name["status"]
    name = status.enum_type.values_by_number[answer.status].name  # type: ignore[attr-defined] # every answer has one
    problem = {**_COMMON, **(problems or {})}.get(name)
    if problem is not None:
        raise RestError(problem)


def checked_ids(ids: Sequence[str]) -> list[str]:
    """Return identifiers. Raises RestError for the first that is none."""
    for each in ids:
        if not is_id(each):
            raise RestError(errors.BAD_ID, each[:200])
    return list(ids)


def content_type(request: HTTPRequest) -> str:
    """Return the type of a request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def page_of(call: Call, answer: Any, head: str, data: list[JSON]) -> dict[str, JSON]:
    """Return a page of a list: what is in it, and links to itself and to the next one."""
    paging, limit = answer.paging, call.limit()
    shown: dict[str, JSON] = {"limit": limit, "start": call.target.query.get("start")}
    if paging.next:
        shown["next_position"] = paging.next
        shown["next"] = call.target.link(head=head, limit=limit, start=paging.next)
    link = call.target.link(head=head, start=paging.start, limit=paging.limit)
    return {"data": data, "head": head, "link": link, "paging": shown}
