"""Clients on the component socket: questions, batches and subscriptions as messages (100 to 130, 500 to 506).

Answers every message it understands, also one that does not decode: who asks would wait for ever otherwise.
Knows no sockets.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs
from google.protobuf.message import DecodeError, Message

from coco_core.adapter import ANONYMOUS, LedgerService, ReadView
from coco_core.errors import BusyError, CallerError, MalformedError
from coco_sawtooth import events, records
from coco_sawtooth.addresses import is_id
from coco_sawtooth.events import Interest
from coco_sawtooth.feed import Feed
from coco_sawtooth.intake import Intake
from coco_sawtooth.limits import (
    EVENTS_SIZE_MAX_BYTES,
    PUSH_PAUSE_S,
    PUSHES_PER_TURN,
    QUESTION_IDS_MAX,
    STATUS_IDS_MAX,
    STATUS_WAIT_MAX_S,
    SUBSCRIBER_ASKED_S,
    SUBSCRIBERS_MAX,
)
from coco_sawtooth.messages import (
    ClientBatchStatusRequest,
    ClientBatchStatusResponse,
    ClientBatchSubmitRequest,
    ClientBatchSubmitResponse,
    ClientEventsGetRequest,
    ClientEventsGetResponse,
    ClientEventsSubscribeRequest,
    ClientEventsSubscribeResponse,
    ClientEventsUnsubscribeResponse,
    Event,
    EventList,
    MessageType,
)
from coco_sawtooth.outside import Outside
from coco_sawtooth.queries import QUERIES, Query, Reading
from coco_sawtooth.queries import answer as answer_query

Send = Callable[[int, bytes], None]
"""Sends a message of a type with a content."""


class Asked(Protocol):
    """A message of a client."""

    @property
    def identity(self) -> bytes:
        """Whose connection it came over."""
        ...

    @property
    def message_type(self) -> int:
        """What it is."""
        ...

    @property
    def content(self) -> bytes:
        """What it says."""
        ...


@attrs.frozen
class _Subscription:
    """From where on, and what, a client wants to hear."""

    place: int
    interest: Interest


class Clients:
    """Answers the clients of one node."""

    def __init__(self, service: LedgerService, intake: Intake, feed: Feed, outside: Outside) -> None:
        """Answer from the chain of ``service``; batches go to ``intake``, news come from ``feed``."""
        self._service = service
        self._intake = intake
        self._feed = feed
        self._outside = outside
        self._subscribers: dict[bytes, Callable[[], None]] = {}
        """What ends the subscription of an identity."""
        kinds = MessageType
        self._handlers: Mapping[int, tuple[MessageType, Callable[[Asked], Awaitable[Message]]]] = {
            kinds.CLIENT_BATCH_SUBMIT_REQUEST: (kinds.CLIENT_BATCH_SUBMIT_RESPONSE, self._submit),
            kinds.CLIENT_BATCH_STATUS_REQUEST: (kinds.CLIENT_BATCH_STATUS_RESPONSE, self._batch_statuses),
            kinds.CLIENT_EVENTS_UNSUBSCRIBE_REQUEST: (
                kinds.CLIENT_EVENTS_UNSUBSCRIBE_RESPONSE,
                self._unsubscribe,
            ),
            kinds.CLIENT_EVENTS_GET_REQUEST: (kinds.CLIENT_EVENTS_GET_RESPONSE, self._get_events),
        }

    async def handle(self, message: Asked, answer: Send, push: Send) -> None:
        """Answer one message; ``push`` sends what a subscription brings. Nothing is said to other types."""
        query = _QUERIES.get(message.message_type)
        if query is not None:
            answer(query.response_type, (await self._ask(query, message.content)).SerializeToString())
        elif message.message_type == MessageType.CLIENT_EVENTS_SUBSCRIBE_REQUEST:
            response, subscription = self._read_subscription(message)
            # The answer comes before the first event.
            answer(MessageType.CLIENT_EVENTS_SUBSCRIBE_RESPONSE, response.SerializeToString())
            if subscription is not None:
                self._subscribe(message.identity, subscription, push)
        elif message.message_type in self._handlers:
            response_type, respond = self._handlers[message.message_type]
            answer(response_type, (await respond(message)).SerializeToString())

    def lost(self, identity: bytes) -> None:
        """Note that a client is gone: its subscription ends."""
        end = self._subscribers.pop(identity, None)
        if end is not None:
            end()

    # --- questions and batches ----------------------------------------------------------------------------

    async def _ask(self, query: Query, content: bytes) -> Message:
        reading = Reading(self._service.view(), self._service.view, self._service.status().node_id)
        try:
            return await self._outside.worker(lambda: answer_query(query, reading, content))
        except CallerError:
            status = getattr(query.response, "INTERNAL_ERROR", None) or query.response.ERROR
            busy: Message = query.response(status=status)
            return busy

    async def _submit(self, message: Asked) -> Message:
        response = ClientBatchSubmitResponse
        try:
            batches = ClientBatchSubmitRequest.FromString(message.content).batches
        except DecodeError:
            return response(status=response.INTERNAL_ERROR)
        try:
            await self._intake.take([each.SerializeToString() for each in batches], ANONYMOUS)
        except MalformedError:
            return response(status=response.INVALID_BATCH)
        except BusyError:
            return response(status=response.QUEUE_FULL)
        return response(status=response.OK)

    async def _batch_statuses(self, message: Asked) -> Message:
        response = ClientBatchStatusResponse
        try:
            asked = ClientBatchStatusRequest.FromString(message.content)
        except DecodeError:
            return response(status=response.INTERNAL_ERROR)
        if len(asked.batch_ids) > STATUS_IDS_MAX or not all(map(is_id, asked.batch_ids)):
            return response(status=response.INVALID_ID)
        wait_s = min(asked.timeout, STATUS_WAIT_MAX_S) or STATUS_WAIT_MAX_S if asked.wait else 0
        try:
            statuses = await self._intake.statuses(asked.batch_ids, wait_s)
        except BusyError:
            return response(status=response.INTERNAL_ERROR)
        return response(status=response.OK if statuses else response.NO_RESOURCE, batch_statuses=statuses)

    # --- events -------------------------------------------------------------------------------------------

    def _read_subscription(
        self, message: Asked
    ) -> tuple[ClientEventsSubscribeResponse, _Subscription | None]:
        response = ClientEventsSubscribeResponse
        try:
            asked = ClientEventsSubscribeRequest.FromString(message.content)
            interest = Interest.read(asked.subscriptions)
        except (DecodeError, MalformedError) as error:
            return response(status=response.INVALID_FILTER, response_message=str(error)), None
        if len(self._subscribers) >= SUBSCRIBERS_MAX and message.identity not in self._subscribers:
            reason = f"{SUBSCRIBERS_MAX} clients are subscribed already"
            return response(status=response.INVALID_FILTER, response_message=reason), None
        known = asked.last_known_block_ids[:QUESTION_IDS_MAX]
        place = self._feed.place_of(known) if known else self._feed.head()
        if place is None:
            reason = "none of the blocks is known here"
            return response(status=response.UNKNOWN_BLOCK, response_message=reason), None
        return response(status=response.OK), _Subscription(place, interest)

    def _subscribe(self, identity: bytes, subscription: _Subscription, push: Send) -> None:
        """Begin a subscription; a client has one, a new one replaces it."""
        self.lost(identity)
        self._subscribers[identity] = self._outside.start(lambda: self._tell(subscription, push))

    async def _tell(self, subscription: _Subscription, push: Send) -> None:
        """Send one list of events for every block that has some of interest.

        The socket gives up a client for whom too many messages wait, so there is a pause now and then.
        """
        place, sent = subscription.place, 0
        while True:
            found = await self._feed.next(place, self._outside.pulse.now() + SUBSCRIBER_ASKED_S)
            if found is None:
                # Sending is how the socket learns that somebody is gone.
                push(MessageType.PING_REQUEST, b"")
                continue
            place += 1
            told = found[1]
            wanted = await self._feed.away(functools.partial(subscription.interest.of, told))
            if not wanted:
                continue
            push(MessageType.CLIENT_EVENTS, EventList(events=wanted).SerializeToString())
            sent += 1
            if sent % PUSHES_PER_TURN == 0:
                await self._outside.pulse.wait((), self._outside.pulse.now() + PUSH_PAUSE_S)

    async def _unsubscribe(self, message: Asked) -> Message:
        self.lost(message.identity)
        return ClientEventsUnsubscribeResponse(status=ClientEventsUnsubscribeResponse.OK)

    async def _get_events(self, message: Asked) -> Message:
        response = ClientEventsGetResponse
        try:
            asked = ClientEventsGetRequest.FromString(message.content)
        except DecodeError:
            return response(status=response.INTERNAL_ERROR)
        try:
            interest = Interest.read(asked.subscriptions)
        except MalformedError:
            return response(status=response.INVALID_FILTER)
        view = self._service.view()
        try:
            return await self._outside.worker(
                lambda: _events_of(view, interest, asked.block_ids[:QUESTION_IDS_MAX])
            )
        except CallerError:
            return response(status=response.INTERNAL_ERROR)


def _events_of(view: ReadView, interest: Interest, block_ids: Sequence[str]) -> ClientEventsGetResponse:
    response = ClientEventsGetResponse
    blocks = [records.block_by_id(view, each) for each in block_ids]
    known = [each for each in blocks if each is not None]
    if len(known) != len(blocks):
        return response(status=response.UNKNOWN_BLOCK)
    found: list[Event] = []
    size = 0
    for block in known:
        wanted = interest.of(events.of_block(view, block))
        size += sum(each.ByteSize() for each in wanted)
        if found and size > EVENTS_SIZE_MAX_BYTES:
            return response(status=response.INTERNAL_ERROR)
        found += wanted
    return response(status=response.OK, events=found)


_QUERIES: Final[Mapping[int, Query]] = {int(kind): query for kind, query in QUERIES.items()}
