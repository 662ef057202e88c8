"""The REST interface on a chain in this process: routes, pages, links, waits, and every error."""

from __future__ import annotations

import base64

import pytest
import trio

from coco_sawtooth import records
from coco_sawtooth.testing import intkey_address, intkey_transaction

NONE = "0" * 128


def sets(client, *names, **fields):
    return client.batch(*(intkey_transaction(client, "set", name, 1, **fields) for name in names))


async def test_a_batch_from_post_to_state(world) -> None:
    async with world() as here:
        batch = sets(here.alice, "a", "b")
        link = (await here.post_batches(batch))["link"]
        assert link == f"http://localhost:8008/batch_statuses?id={batch.header_signature}"
        target = link.removeprefix("http://localhost:8008")
        assert (await here.get(target))["data"][0]["status"] == "PENDING"
        waited = await here.get(f"{target}&wait=10")
        assert waited["data"] == [
            {"id": batch.header_signature, "invalid_transactions": [], "status": "COMMITTED"}
        ]
        assert waited["link"] == f"{link}&wait=10"
        shown = await here.get(f"/state/{intkey_address('a')}")
        assert base64.b64decode(shown["data"]) == b"\xa1aa\x01"
        assert shown["link"].endswith(f"/state/{intkey_address('a')}?head={shown['head']}")
        assert shown["head"] == records.head(here.chain.view()).id


async def test_state_lists_have_pages(world) -> None:
    async with world() as here:
        names = [f"n{i}" for i in range(5)]
        await here.commit(sets(here.alice, *names))
        addresses = sorted(map(intkey_address, names))
        seen, target = [], "/state?address=1cf126&limit=2"
        while target:
            page = await here.get(target)
            assert page["paging"]["limit"] == 2
            seen += [each["address"] for each in page["data"]]
            target = page["paging"].get("next", "").removeprefix("http://localhost:8008")
        assert seen == addresses
        back = await here.get("/state?address=1cf126&reverse")
        assert [each["address"] for each in back["data"]] == addresses[::-1]
        assert back["paging"] == {"limit": None, "start": None}
        assert (await here.get("/state?head=&limit=2147483647"))["data"] == (await here.get("/state"))["data"]
        start = await here.get(f"/state?start={addresses[3]}&reverse=false")
        assert [each["address"] for each in start["data"]] == addresses[3:]


async def test_state_as_of_an_older_block(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"))
        old = records.head(here.chain.view())
        await here.commit(sets(here.alice, "b"))
        assert len((await here.get("/state"))["data"]) == 2
        (entry,) = (await here.get(f"/state?head={old.id}"))["data"]
        assert entry["address"] == intkey_address("a")
        await here.get(f"/state/{intkey_address('b')}?head={old.id}", status=404)


async def test_state_that_is_no_longer_kept(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"))
        old = records.head(here.chain.view())
        await here.commit(*(sets(here.alice, f"n{i}") for i in range(20)))
        error = (await here.get(f"/state?head={old.id}", status=404))["error"]
        assert (error["code"], "no longer kept" in error["message"]) == (70, True)
        assert len((await here.get(f"/blocks?head={old.id}"))["data"]) == 2


async def test_blocks_batches_and_transactions_come_newest_first(world) -> None:
    async with world() as here:
        sent = [sets(here.alice, f"{i}a", f"{i}b") for i in range(3)]
        await here.commit(*sent)
        blocks = await here.get("/blocks?limit=2")
        assert [each["header"]["block_num"] for each in blocks["data"]] == ["3", "2"]
        assert blocks["paging"]["next_position"] == "0x0000000000000001"
        assert blocks["paging"]["next"].endswith("&start=0x0000000000000001&limit=2")
        rest = await here.get("/blocks?start=0x0000000000000001")
        assert [each["header"]["block_num"] for each in rest["data"]] == ["1", "0"]
        forward = await here.get("/blocks?reverse")
        assert [each["header"]["block_num"] for each in forward["data"]] == ["0", "1", "2", "3"]
        batches = await here.get("/batches")
        ids = [each.header_signature for each in reversed(sent)]
        assert [each["header_signature"] for each in batches["data"]] == ids
        listed = await here.get("/transactions?limit=3")
        order = [each.header_signature for batch in reversed(sent) for each in batch.transactions]
        assert [each["header_signature"] for each in listed["data"]] == order[:3]
        assert listed["paging"]["next_position"] == order[3]
        more = await here.get(f"/transactions?start={order[3]}")
        assert [each["header_signature"] for each in more["data"]] == order[3:]
        back = await here.get(f"/transactions?reverse&start={order[3]}")
        assert [each["header_signature"] for each in back["data"]] == order[3::-1]
        old = blocks["data"][1]["header_signature"]
        assert len((await here.get(f"/transactions?head={old}"))["data"]) == 4
        assert (await here.get(f"/batches?head={old}&id={ids[0]},{ids[1]}"))["data"][0][
            "header_signature"
        ] == ids[1]
        (one,) = (await here.get(f"/blocks?id={old},{NONE}"))["data"]
        assert one["header_signature"] == old


async def test_one_block_batch_and_transaction(world) -> None:
    async with world() as here:
        batch = sets(here.alice, "a")
        await here.commit(batch)
        (transaction,) = batch.transactions
        head = records.head(here.chain.view())
        block = await here.get(f"/blocks/{head.id}")
        assert block["link"] == f"http://localhost:8008/blocks/{head.id}"
        shown = await here.get(f"/batches/{batch.header_signature}")
        assert block["data"]["batches"] == [shown["data"]]
        single = await here.get(f"/transactions/{transaction.header_signature}")
        assert shown["data"]["transactions"] == [single["data"]]
        assert single["data"]["header"]["family_name"] == "intkey"
        assert single["data"]["header"]["dependencies"] == []
        assert base64.b64decode(single["data"]["payload"]) == transaction.payload


async def test_receipts(world) -> None:
    async with world() as here:
        batch = sets(here.alice, "a", "b")
        await here.commit(batch)
        ids = [each.header_signature for each in batch.transactions]
        shown = await here.get(f"/receipts?id={','.join(ids)}")
        assert [each["id"] for each in shown["data"]] == ids
        (change,) = shown["data"][0]["state_changes"]
        assert change == {"address": intkey_address("a"), "type": "SET", "value": "oWFhAQ=="}
        assert (await here.post_json("/receipts", ids))["data"] == shown["data"]
        assert (await here.get(f"/receipts?id={ids[0]},{NONE}", 404))["error"]["code"] == 80


async def test_invalid_batches_say_why(world) -> None:
    async with world() as here:
        batch = here.alice.batch(intkey_transaction(here.alice, "inc", "nobody", 1))
        await here.post_batches(batch)
        (status,) = (await here.get(f"/batch_statuses?id={batch.header_signature}&wait"))["data"]
        assert status["status"] == "INVALID"
        assert status["invalid_transactions"] == [
            {
                "id": batch.transactions[0].header_signature,
                "message": 'Verb is "inc" but name is not in state',
            }
        ]
        posted = await here.post_json("/batch_statuses?wait=1", [batch.header_signature, NONE])
        assert [each["status"] for each in posted["data"]] == ["INVALID", "UNKNOWN"]
        assert "link" not in posted


async def test_a_wait_ends_with_the_statuses_there_are(world, autojump_clock) -> None:
    async with world() as here:
        event = trio.Event()
        here.chain.stopped.append(event)
        batch = sets(here.alice, "a")
        await here.post_batches(batch)
        (status,) = (await here.get(f"/batch_statuses?id={batch.header_signature}&wait=5"))["data"]
        assert (status["status"], trio.current_time()) == ("PENDING", pytest.approx(5))
        event.set()
        (status,) = (await here.get(f"/batch_statuses?id={batch.header_signature}&wait=true"))["data"]
        assert status["status"] == "COMMITTED"


ERRORS = {
    "/blocks?limit=0": (400, 53),
    "/blocks?limit=-1": (400, 53),
    "/blocks?limit=x": (400, 53),
    "/blocks?limit=": (400, 53),
    f"/blocks?limit={2**31}": (400, 53),
    f"/state?limit={'9' * 30}": (400, 53),
    "/blocks?head=": (400, 60),
    "/blocks?start=0xffff": (400, 54),
    "/blocks?start=1": (400, 54),
    "/blocks?reverse=foo": (400, 57),
    "/batches?reverse=block_num": (400, 57),
    "/blocks?head=abc": (400, 60),
    f"/blocks?head={NONE}": (404, 50),
    f"/batches?head={NONE}": (404, 50),
    f"/transactions?start={NONE}": (400, 54),
    "/batches?start=zzz": (400, 54),
    "/batches?id=": (400, 60),
    f"/state?head={NONE}": (404, 70),
    "/state?head=abc": (400, 60),
    "/state?address=1cf1261": (400, 62),
    "/state?address=XY": (400, 62),
    "/state?start=1cf126": (400, 54),
    "/state/1cf126": (400, 62),
    f"/state/{'0' * 70}": (404, 75),
    "/blocks/abc": (400, 60),
    f"/blocks/{NONE}": (404, 70),
    f"/batches/{NONE}": (404, 71),
    f"/transactions/{NONE}": (404, 72),
    f"/batches/{NONE.replace('0', 'A')}": (400, 60),
    "/receipts": (400, 83),
    "/receipts?id=x": (400, 60),
    "/batch_statuses": (400, 66),
}


async def test_errors_of_questions(world) -> None:
    async with world() as here:
        await here.commit(sets(here.alice, "a"))
        answers = {target: await here.request("GET", target) for target in ERRORS}
        found = {
            target: (answer.status, here.read(answer, answer.status)["error"]["code"])
            for target, answer in answers.items()
        }
        assert found == ERRORS


@pytest.mark.parametrize(
    ("target", "body", "content_type", "status", "code"),
    [
        ("/batches", b"x", "application/json", 400, 42),
        ("/batches", b"x", "", 400, 42),
        ("/batches", b"", "application/octet-stream", 400, 34),
        ("/batches", b"\xff", "application/octet-stream", 400, 35),
        ("/batches", b"\x12\x01x", "application/octet-stream", 400, 34),
        ("/batches", b"\x0a\x00", "application/octet-stream", 400, 30),
        ("/batch_statuses", b"[]", "text/plain", 400, 43),
        ("/batch_statuses", b"[]", "application/json", 400, 46),
        ("/batch_statuses", b"{", "application/json", 400, 46),
        ("/batch_statuses", b"[1]", "application/json", 400, 46),
        ("/batch_statuses", b'["x"]', "application/json", 400, 60),
        ("/receipts", b"[]", "text/plain", 400, 81),
        ("/receipts", b'"x"', "application/json", 400, 82),
    ],
)
async def test_errors_of_bodies(world, target, body, content_type, status, code) -> None:
    async with world() as here:
        answer = await here.request("POST", target, body, content_type)
        assert here.read(answer, status)["error"]["code"] == code
        assert here.chain.submitted == []


async def test_one_bad_batch_refuses_the_list(world) -> None:
    async with world() as here:
        bad = sets(here.alice, "b")
        bad.transactions[0].payload += b"x"
        error = (await here.post_batches(sets(here.alice, "a"), bad, status=400))["error"]
        assert error["code"] == 30
        assert "payload" in error["message"]
        assert here.chain.submitted == []


async def test_a_full_queue(world) -> None:
    async with world() as here:
        here.chain.busy = True
        batch = sets(here.alice, "a")
        assert (await here.post_batches(batch, status=429))["error"]["code"] == 31
        here.chain.busy = False
        await here.commit(batch)


async def test_links_say_what_a_proxy_says(world) -> None:
    async with world() as here:
        forwarded = 'by=a; for=b; host="out.example:80";proto=https; path=/prefix, host=other'
        assert (await here.get("/peers", forwarded=forwarded))["link"] == (
            "https://out.example:80/prefix/peers"
        )
        shown = await here.get("/peers", x_forwarded_host="h", x_forwarded_proto="https")
        assert shown["link"] == "https://h/peers"


async def test_status_and_peers(world) -> None:
    async with world() as here:
        assert (await here.get("/status"))["data"] == {"endpoint": "ab" * 32, "peers": []}
        assert (await here.get("/peers?x=&y=1"))["link"] == "http://localhost:8008/peers?x&y=1"


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/nosuch", 404, b"404: Not Found"),
        ("GET", "/", 404, b"404: Not Found"),
        ("GET", "/blocks/", 404, b"404: Not Found"),
        ("DELETE", "/batches", 405, b"405: Method Not Allowed"),
        ("POST", "/blocks/x", 405, b"405: Method Not Allowed"),
    ],
)
async def test_what_is_no_route(world, method, target, status, text) -> None:
    async with world() as here:
        answer = await here.request(method, target)
        assert (answer.status, answer.body) == (status, text)


async def test_answers_are_indented_and_sorted(world) -> None:
    async with world() as here:
        answer = await here.request("HEAD", "/peers")
        assert answer.body == b'{\n  "data": [],\n  "link": "http://localhost:8008/peers"\n}'
