"""The pool over real JVMs: what is cancelled costs no worker, and later answers are the right ones."""

from __future__ import annotations

import io
import re
import zipfile

import attrs
import pytest
import trio
import trio.lowlevel

from coco_corda import wire
from coco_corda.development import development_seed
from coco_corda.notary_key import NotaryKey
from coco_corda.refs import sha256
from coco_corda.shell import Workers, find_launch
from coco_corda.shell import workers as workers_module
from coco_corda.testing import Samples
from coco_corda.verification import Broken, Job, Refused, Unavailable

ATTACHMENTS = 1_024
"""A worker keeps no more."""


async def test_who_stops_waiting_costs_no_worker(workers: Workers, samples: Samples) -> None:
    names = [f"valid-{number}" for number in range(40)]
    await workers.describe([samples[names[0]]])
    before, replaced = workers.pids, workers.replaced
    for steps in (1, 2, 3, 5, 8):
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                await workers.describe([samples[name] for name in names])

            nursery.start_soon(ask)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        found = await workers.describe([samples[name] for name in names])
        for name, description in zip(names, found, strict=True):
            assert isinstance(description, wire.Description)
            assert description.tx_id.hex().upper() == samples.tx_id(name)
    assert workers.pids == before
    assert workers.replaced == replaced


def job(samples: Samples, domain: bytes, attachments: dict[bytes, bytes]) -> Job:
    """Return what verifying an issuance takes, with more attachments than it names."""
    jar = sha256(samples["jar"])
    request = wire.Verify(
        stx=samples["valid-0"],
        signatures=wire.Verify.ALL_EXCEPT_NOTARY,
        notary_key=NotaryKey(development_seed()).public_key,
        trusted_attachments=[jar],
    )
    parameters = {sha256(samples["parameters"]): samples["parameters"]}
    return Job(
        request=request,
        domain=domain,
        attachments={jar: samples["jar"], **attachments},
        parameters=parameters,
    )


def archives(first: int, count: int) -> dict[bytes, bytes]:
    """Return so many small archives, by their hash."""
    found: dict[bytes, bytes] = {}
    for number in range(first, first + count):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("number", str(number))
        found[sha256(made.getvalue())] = made.getvalue()
    return found


async def test_a_batch_of_many_domains_has_no_more_workers_than_there_may_be(
    monkeypatch: pytest.MonkeyPatch, workers: Workers, samples: Samples
) -> None:
    """Whoever sends transactions chooses which jars they name together: JVMs for all would take minutes."""
    monkeypatch.setattr(workers_module, "WORKERS_MAX", 1)
    monkeypatch.setattr(workers_module, "GIVE_WAY_EVERY_MS", 0)
    pool = Workers(find_launch({"verify_seconds": 60}))
    most = 0
    try:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                nonlocal most
                while True:
                    most = max(most, len(pool.pids))
                    await trio.lowlevel.checkpoint()

            nursery.start_soon(watch)
            first = await pool.verify([job(samples, b"used", {})])
            answers = await pool.verify(
                [job(samples, bytes([number]), archives(0, 9 - number)) for number in range(9)]
                + [job(samples, b"used", {})]
            )
            monkeypatch.setattr(workers_module, "GIVE_WAY_EVERY_MS", 10**6)
            await pool.verify([job(samples, b"one more", {})])
            later = await pool.verify([job(samples, b"another", {}), job(samples, b"one more", {})])
            nursery.cancel_scope.cancel()
    finally:
        pool.close()
    assert most == 1
    assert [type(each) for each in first] == [wire.Verified]
    told = [type(each) for each in answers]
    assert told == [Unavailable] * 8 + [wire.Verified] * 2, "of the fewest jars, and what has a worker"
    assert [type(each) for each in later] == [Unavailable, wire.Verified], "not two within a moment"


async def test_a_worker_that_holds_all_it_may_gives_way_to_another(
    workers: Workers, samples: Samples
) -> None:
    half = ATTACHMENTS // 2 + 1
    replaced = workers.replaced
    for number in range(2):
        (answer,) = await workers.verify([job(samples, b"full", archives(number * half, half))])
        assert isinstance(answer, wire.Verified), answer
    assert workers.replaced == replaced + 1


async def test_nobodys_transaction_waits_for_who_is_shown_one_in_part(samples: Samples) -> None:
    pool = Workers(find_launch({"verify_seconds": 60}))
    try:
        await pool.describe([samples["issue"]])
        assert isinstance(await pool.tear_off(samples["issue"], [0], []), bytes)
        assert len(pool.pids) == 2
    finally:
        pool.close()


MAGIC = b"corda\x01\x00"
LONGER_THAN_THERE_IS = {
    "bytes": b"\xb0\x7f\xff\xff\xff",
    "text": b"\xb1\x7f\xff\xff\xff",
    "list": b"\xd0\x7f\xff\xff\xff\x7f\xff\xff\xff",
    "array of nothing": b"\xf0\x00\x00\x00\x05\x7f\xff\xff\xff\x40",
    "more values than a heap holds": b"\xd0\x00\x0d\xbb\xa4\x00\x0d\xbb\xa0" + b"\x45" * 900_000,
}


@pytest.mark.parametrize("what", LONGER_THAN_THERE_IS)
async def test_a_length_of_what_is_not_there_ends_no_worker(workers: Workers, what: str) -> None:
    """The library that reads AMQP makes room for it first: a few bytes ended everybody's reader."""
    replaced = workers.replaced
    (answer,) = await workers.describe([MAGIC + b"\0" + LONGER_THAN_THERE_IS[what]])
    assert isinstance(answer, Refused), answer
    assert answer.kind == "NotSerializableException"
    assert workers.replaced == replaced


@pytest.mark.parametrize("sent", [b"x", b'{"json": 1}', bytes(1000)])
async def test_who_sends_something_else_is_told_so(workers: Workers, sent: bytes) -> None:
    (answer,) = await workers.describe([sent])
    assert isinstance(answer, Refused)
    assert [each.message for each in answer.causes] == [
        "these bytes are no SignedTransaction as Corda serialises it"
    ]
    jar = await workers.inspect(sent)
    assert isinstance(jar, Broken)
    assert jar.message == "the attachment is no ZIP or JAR with an entry"


async def test_what_is_no_part_of_a_transaction_is_the_transactions_fault(
    workers: Workers, samples: Samples
) -> None:
    """Each serialised part in turn is something else: a boolean, and what was left of it behind."""
    stx = samples["move"]
    places = [each.end() for each in re.finditer(re.escape(MAGIC + b"\0"), stx)]
    assert len(places) > 5
    answers = await workers.describe([stx[:at] + b"\x41" + stx[at + 1 :] for at in places])
    kinds = {each.kind if isinstance(each, Refused) else type(each).__name__ for each in answers}
    assert "TransactionDeserialisationException" in kinds
    assert "Broken" not in kinds, answers


async def test_what_ended_the_reader_does_not_end_another(workers: Workers, samples: Samples) -> None:
    launch = find_launch({})
    assert not isinstance(launch, str)
    pool = Workers(attrs.evolve(launch, deadline_ms=1))
    try:
        (answer,) = await pool.describe([samples["issue"]])
        assert isinstance(answer, Broken), answer
        replaced = pool.replaced
        assert await pool.describe([samples["issue"]]) == [answer]
        assert pool.replaced == replaced > 0
    finally:
        pool.close()
