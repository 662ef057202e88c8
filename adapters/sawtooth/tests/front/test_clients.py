"""Clients on the component socket, without the socket: every question, batches, events and their order."""

from __future__ import annotations

import attrs
import cbor2
import pytest
import trio
import trio.testing

from coco_sawtooth import messages, records
from coco_sawtooth.limits import SUBSCRIBER_ASKED_S, SUBSCRIBERS_MAX
from coco_sawtooth.messages import EventFilter, EventSubscription, MessageType
from coco_sawtooth.testing import intkey_address, intkey_transaction

NONE = "0" * 128
COMMIT, DELTA = "sawtooth/block-commit", "sawtooth/state-delta"


@attrs.frozen
class Asked:
    identity: bytes
    message_type: int
    content: bytes


@attrs.define
class Peer:
    """A client on a socket, and what it received in order."""

    here: object
    identity: bytes = b"client"
    received: list = attrs.field(factory=list)

    async def say(self, kind, content: bytes) -> None:
        def receive(message_type: int, data: bytes) -> None:
            self.received.append((MessageType(message_type), data))

        await self.here.front.clients.handle(Asked(self.identity, kind, content), receive, receive)

    async def ask(self, kind, request, response):
        before = len(self.received)
        await self.say(kind, request.SerializeToString())
        return response.FromString(self.received[before][1])

    async def subscribe(self, *subscriptions, known=()):
        return await self.ask(
            MessageType.CLIENT_EVENTS_SUBSCRIBE_REQUEST,
            messages.ClientEventsSubscribeRequest(
                subscriptions=subscriptions, last_known_block_ids=list(known)
            ),
            messages.ClientEventsSubscribeResponse,
        )

    async def events(self) -> list[list[messages.Event]]:
        """Return the lists of events that came, once nothing more comes."""
        await trio.testing.wait_all_tasks_blocked(0.05)
        lists = [data for kind, data in self.received if kind == MessageType.CLIENT_EVENTS]
        return [list(messages.EventList.FromString(data).events) for data in lists]


def sets(client, *names, **fields):
    return client.batch(*(intkey_transaction(client, "set", name, 1, **fields) for name in names))


def numbers(lists) -> list[str]:
    return [each.value for events in lists for each in events[0].attributes if each.key == "block_num"]


def about(event_type: str, *filters: EventFilter) -> EventSubscription:
    return EventSubscription(event_type=event_type, filters=filters)


async def ok(peer, kind, request, response):
    answer = await peer.ask(kind, request, response)
    assert answer.status == response.OK
    assert peer.received[-1][0] == kind + 1 or response is messages.ClientBlockGetResponse
    return answer


async def test_blocks(world) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        await here.commit(batch)
        (transaction,) = batch.transactions
        head, kinds, peer = records.head(here.chain.view()), MessageType, Peer(here)
        block = records.whole_block(here.chain.view(), head)
        by = {
            kinds.CLIENT_BLOCK_GET_BY_ID_REQUEST: messages.ClientBlockGetByIdRequest(block_id=head.id),
            kinds.CLIENT_BLOCK_GET_BY_NUM_REQUEST: messages.ClientBlockGetByNumRequest(block_num=1),
            kinds.CLIENT_BLOCK_GET_BY_TRANSACTION_ID_REQUEST: messages.ClientBlockGetByTransactionIdRequest(
                transaction_id=transaction.header_signature
            ),
            kinds.CLIENT_BLOCK_GET_BY_BATCH_ID_REQUEST: messages.ClientBlockGetByBatchIdRequest(
                batch_id=batch.header_signature
            ),
        }
        for kind, request in by.items():
            assert (await ok(peer, kind, request, messages.ClientBlockGetResponse)).block == block
        listed = await ok(
            peer,
            kinds.CLIENT_BLOCK_LIST_REQUEST,
            messages.ClientBlockListRequest(paging=messages.ClientPagingControls(limit=1)),
            messages.ClientBlockListResponse,
        )
        assert (list(listed.blocks), listed.head_id) == ([block], head.id)
        assert (listed.paging.start, listed.paging.next) == ("0x0000000000000001", "0x0000000000000000")


async def test_every_other_question(world) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        await here.commit(batch)
        (transaction,) = batch.transactions
        address, head = intkey_address("a"), records.head(here.chain.view())
        questions = {
            "BatchList": {},
            "BatchGet": {"batch_id": batch.header_signature},
            "TransactionList": {},
            "TransactionGet": {"transaction_id": transaction.header_signature},
            "StateList": {"address": "1cf126"},
            "StateGet": {"address": address, "state_root": head.header.state_root_hash},
            "ReceiptGet": {"transaction_ids": [transaction.header_signature]},
            "PeersGet": {},
            "StatusGet": {},
        }
        answers, peer = {}, Peer(here)
        for name, fields in questions.items():
            noun = name.removesuffix("List").removesuffix("Get")
            kind = f"CLIENT_{noun.upper()}_{name.removeprefix(noun).upper()}_REQUEST"
            request = getattr(messages, f"Client{name}Request")(**fields)
            response = getattr(messages, f"Client{name}Response")
            answers[name] = await ok(peer, MessageType[kind], request, response)
        assert list(answers["BatchList"].batches) == [answers["BatchGet"].batch] == [batch]
        assert list(answers["TransactionList"].transactions) == [transaction]
        assert answers["TransactionGet"].transaction == transaction
        assert [each.address for each in answers["StateList"].entries] == [address]
        assert answers["StateList"].state_root == head.header.state_root_hash
        assert answers["StateGet"].value == answers["StateList"].entries[0].data
        assert answers["ReceiptGet"].receipts[0].transaction_id == transaction.header_signature
        assert answers["StatusGet"].endpoint == "ab" * 32


REFUSED = [
    (
        MessageType.CLIENT_BLOCK_GET_BY_ID_REQUEST,
        messages.ClientBlockGetByIdRequest(block_id="x"),
        "INVALID_ID",
    ),
    (
        MessageType.CLIENT_BLOCK_GET_BY_NUM_REQUEST,
        messages.ClientBlockGetByNumRequest(block_num=2**64 - 1),
        "NO_RESOURCE",
    ),
    (
        MessageType.CLIENT_BLOCK_GET_BY_BATCH_ID_REQUEST,
        messages.ClientBlockGetByBatchIdRequest(batch_id=NONE),
        "NO_RESOURCE",
    ),
    (
        MessageType.CLIENT_BLOCK_GET_BY_TRANSACTION_ID_REQUEST,
        messages.ClientBlockGetByTransactionIdRequest(transaction_id=NONE),
        "NO_RESOURCE",
    ),
    (MessageType.CLIENT_BLOCK_LIST_REQUEST, messages.ClientBlockListRequest(head_id=NONE), "NO_ROOT"),
    (
        MessageType.CLIENT_BLOCK_LIST_REQUEST,
        messages.ClientBlockListRequest(paging=messages.ClientPagingControls(limit=-1)),
        "INVALID_PAGING",
    ),
    (
        MessageType.CLIENT_STATE_GET_REQUEST,
        messages.ClientStateGetRequest(address="1cf126"),
        "INVALID_ADDRESS",
    ),
    (MessageType.CLIENT_STATE_GET_REQUEST, messages.ClientStateGetRequest(state_root="x"), "INVALID_ROOT"),
    (MessageType.CLIENT_STATE_LIST_REQUEST, messages.ClientStateListRequest(state_root="0" * 64), "NO_ROOT"),
    (
        MessageType.CLIENT_RECEIPT_GET_REQUEST,
        messages.ClientReceiptGetRequest(transaction_ids=[NONE]),
        "NO_RESOURCE",
    ),
    (
        MessageType.CLIENT_BATCH_STATUS_REQUEST,
        messages.ClientBatchStatusRequest(batch_ids=["x"]),
        "INVALID_ID",
    ),
    (MessageType.CLIENT_BATCH_STATUS_REQUEST, messages.ClientBatchStatusRequest(), "NO_RESOURCE"),
    (
        MessageType.CLIENT_EVENTS_GET_REQUEST,
        messages.ClientEventsGetRequest(block_ids=[NONE]),
        "UNKNOWN_BLOCK",
    ),
]


@pytest.mark.parametrize(("kind", "request_", "status"), REFUSED)
async def test_refused_questions(world, kind, request_, status) -> None:
    async with world() as here:
        name = type(request_).__name__.replace("Request", "Response")
        name = "ClientBlockGetResponse" if name.startswith("ClientBlockGet") else name
        response = getattr(messages, name)
        answer = await Peer(here).ask(kind, request_, response)
        assert answer.status == getattr(response, status)


@pytest.mark.parametrize("kind", [100, 102, 106, 112, 120, 122, 125, 129, 500, 505])
async def test_what_does_not_decode_is_answered(world, kind) -> None:
    async with world() as here:
        peer = Peer(here)
        await peer.say(kind, b"\xff")
        ((answered, content),) = peer.received
        assert answered == kind + 1
        assert content[:1] == b"\x08"
        assert content[1] > 1


async def test_what_is_no_question_is_not_answered(world) -> None:
    async with world() as here:
        peer = Peer(here)
        for kind in (0, 101, 114, 504, 99999):
            await peer.say(kind, b"")
        assert peer.received == []


async def test_batches(world) -> None:
    async with world() as here:
        peer, good, bad = Peer(here), sets(here.alice, "a"), sets(here.alice, "b")
        bad.header_signature = good.header_signature
        response = messages.ClientBatchSubmitResponse

        async def submit(*batches):
            request = messages.ClientBatchSubmitRequest(batches=batches)
            return (await peer.ask(MessageType.CLIENT_BATCH_SUBMIT_REQUEST, request, response)).status

        assert await submit(good, bad) == response.INVALID_BATCH
        here.chain.busy = True
        assert await submit(good) == response.QUEUE_FULL
        here.chain.busy = False
        assert await submit(good) == response.OK
        statuses = await peer.ask(
            MessageType.CLIENT_BATCH_STATUS_REQUEST,
            messages.ClientBatchStatusRequest(batch_ids=[good.header_signature], wait=True, timeout=10),
            messages.ClientBatchStatusResponse,
        )
        assert statuses.batch_statuses[0].status == messages.ClientBatchStatus.COMMITTED


# --- events ---------------------------------------------------------------------------------------------


async def test_one_list_of_events_for_every_block_in_order(world) -> None:
    async with world() as here:
        peer = Peer(here)
        answer = await peer.subscribe(about(COMMIT), about("intkey/changed"), about(DELTA))
        assert answer.status == answer.OK
        await here.commit(sets(here.alice, "a", "b"), sets(here.alice, "c"))
        first, second = await peer.events()
        assert [each.event_type for each in first] == [COMMIT, "intkey/changed", "intkey/changed", DELTA]
        assert [each.event_type for each in second] == [COMMIT, "intkey/changed", DELTA]
        head = records.head(here.chain.view())
        assert {each.key: each.value for each in second[0].attributes} == {
            "block_id": head.id,
            "block_num": "2",
            "state_root_hash": head.header.state_root_hash,
            "previous_block_id": head.header.previous_block_id,
        }


async def test_what_a_block_changed_last_comes_first_and_once(world) -> None:
    async with world() as here:
        peer = Peer(here)
        await peer.subscribe(about(DELTA))
        alice = here.alice
        moves = [("set", "a", 1), ("set", "b", 1), ("set", "c", 1), ("inc", "a", 4)]
        await here.commit(alice.batch(*(intkey_transaction(alice, *each) for each in moves)))
        ((delta,),) = await peer.events()
        changes = messages.StateChangeList.FromString(delta.data).state_changes
        assert [each.address for each in changes] == [intkey_address(name) for name in "acb"]
        assert cbor2.loads(changes[0].value) == {"a": 5}
        assert [each.value for each in delta.attributes] == [each.address for each in changes]


async def test_catching_up_comes_after_the_answer_and_before_what_is_new(world) -> None:
    async with world() as here:
        await here.commit(*(sets(here.alice, f"n{i}") for i in range(3)))
        known = records.block_by_number(here.chain.view(), 1).id
        peer = Peer(here)
        await peer.subscribe(about(COMMIT), known=[NONE, known, records.NO_BLOCK])
        await here.commit(sets(here.alice, "new"))
        assert numbers(await peer.events()) == ["2", "3", "4"]
        assert peer.received[0][0] == MessageType.CLIENT_EVENTS_SUBSCRIBE_RESPONSE
        whole = Peer(here, b"another")
        await whole.subscribe(about(COMMIT), known=[records.NO_BLOCK])
        assert numbers(await whole.events()) == ["0", "1", "2", "3", "4"]


async def test_a_new_subscription_replaces_the_old_one_and_unsubscribing_ends_it(world) -> None:
    async with world() as here:
        peer = Peer(here)
        await peer.subscribe(about(COMMIT))
        await peer.subscribe(about(DELTA))
        await here.commit(sets(here.alice, "a"))
        assert [[each.event_type for each in events] for events in await peer.events()] == [[DELTA]]
        answer = await peer.ask(
            MessageType.CLIENT_EVENTS_UNSUBSCRIBE_REQUEST,
            messages.ClientEventsUnsubscribeRequest(),
            messages.ClientEventsUnsubscribeResponse,
        )
        assert answer.status == answer.OK
        await here.commit(sets(here.alice, "b"))
        assert len(await peer.events()) == 1


async def test_who_is_gone_is_not_told_any_more(world) -> None:
    async with world() as here:
        peer = Peer(here)
        await peer.subscribe(about(COMMIT))
        here.front.clients.lost(peer.identity)
        here.front.clients.lost(peer.identity)
        await here.commit(sets(here.alice, "a"))
        assert await peer.events() == []


async def test_a_subscriber_is_asked_whether_it_is_there(world, autojump_clock) -> None:
    """Whoever left without a word would hold its place for ever: sending is how the socket learns of it."""
    async with world() as here:
        peer = Peer(here)
        await peer.subscribe(about(COMMIT))
        await trio.sleep(2.5 * SUBSCRIBER_ASKED_S)
        assert [kind for kind, _ in peer.received[1:]] == [MessageType.PING_REQUEST] * 2
        here.front.clients.lost(peer.identity)
        await trio.sleep(2.5 * SUBSCRIBER_ASKED_S)
        assert len(peer.received) == 3


async def test_subscriptions_that_cannot_be(world) -> None:
    async with world() as here:
        peer, bad = Peer(here), EventFilter(key="a", match_string="(", filter_type=EventFilter.REGEX_ANY)
        answer = await peer.subscribe(about(COMMIT, bad))
        assert answer.status == answer.INVALID_FILTER
        assert "missing )" in answer.response_message
        answer = await peer.subscribe(about(COMMIT), known=[NONE])
        assert answer.status == answer.UNKNOWN_BLOCK
        for number in range(SUBSCRIBERS_MAX):
            await Peer(here, b"%d" % number).subscribe(about(COMMIT))
        answer = await peer.subscribe(about(COMMIT))
        assert answer.status == answer.INVALID_FILTER
        assert "subscribed already" in answer.response_message


async def test_events_of_blocks_that_are_named(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"), sets(here.alice, "b"))
        ids = [records.block_by_number(here.chain.view(), number).id for number in (2, 1)]
        response = messages.ClientEventsGetResponse
        request = messages.ClientEventsGetRequest(subscriptions=[about(COMMIT)], block_ids=ids)
        answer = await Peer(here).ask(MessageType.CLIENT_EVENTS_GET_REQUEST, request, response)
        assert numbers([[each] for each in answer.events]) == ["2", "1"]
