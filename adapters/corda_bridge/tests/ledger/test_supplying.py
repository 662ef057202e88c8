"""Jars that members agreed on, also those that no payload holds: whoever brings what, the jar is there."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence

import attrs
import pytest

from coco_corda import records
from coco_corda.front.answers import told_of_supply
from coco_corda.payloads import Attachment, Part, parts_of
from coco_corda.plugin import adapter
from coco_corda.refs import hash_text, sha256
from coco_corda.shell import Workers
from coco_corda.supplying import PART_KEPT
from coco_corda.testing import Ledger, Samples
from coco_core.adapter import Applied, Committed, Outcome, Rejected, TxID

SIZE = 3 << 20


@pytest.fixture(scope="module")
def jar() -> bytes:
    """An archive that does not compress, the same in every run."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data.bin"), hashlib.shake_256(b"a large jar").digest(SIZE))
    return made.getvalue()


@pytest.fixture
def trusting(ledger: Ledger, jar: bytes) -> Ledger:
    ledger.configured["trusted_attachments"] = hash_text(sha256(jar))
    return ledger


def parts(jar: bytes) -> list[Part]:
    found = [each for each in parts_of(jar) if isinstance(each, Part)]
    assert len(found) == 4
    return found


def receipts(outcomes: Sequence[Outcome]) -> list[bytes | str]:
    """Return the receipts of what was taken, and the codes of what was not."""
    return [each.receipt if isinstance(each, Applied) else getattr(each, "code", "") for each in outcomes]


def has(ledger: Ledger, jar: bytes) -> bool:
    """Return whether the jar is there, and nothing else that came with it."""
    assert not dict(ledger.view().items(records.ATTACHMENT_PART))
    return records.attachment(ledger.view(), sha256(jar)) == jar


def has_whole(ledger: Ledger, jar: bytes) -> bool:
    return records.attachment(ledger.view(), sha256(jar)) is not None


async def test_a_large_jar_comes_in_parts(trusting: Ledger, jar: bytes) -> None:
    outcomes = await trusting.execute(*parts(jar))
    assert receipts(outcomes) == [PART_KEPT, PART_KEPT, PART_KEPT, sha256(jar)]
    assert has(trusting, jar)
    info = records.attachment_info(trusting.view(), sha256(jar))
    assert info == records.AttachmentInfo(signers=(), contracts=(), class_count=0)
    again = await trusting.execute(parts(jar)[2])
    assert receipts(again) == ["committed-before"]


async def test_parts_come_in_any_order_and_batch(trusting: Ledger, jar: bytes) -> None:
    for part in reversed(parts(jar)):
        assert not has_whole(trusting, jar)
        await trusting.execute(part)
    assert has(trusting, jar)


async def test_who_brings_other_bytes_is_in_nobodys_way(trusting: Ledger, jar: bytes) -> None:
    wrong = [attrs.evolve(each, content=b"other bytes") for each in parts(jar)]
    wrong += [attrs.evolve(wrong[0], index=index, count=13) for index in range(13)]
    await trusting.execute(*wrong)
    assert not has_whole(trusting, jar)
    await trusting.execute(*parts(jar))
    assert has(trusting, jar)


async def test_parts_of_what_nobody_agreed_on_are_not_kept(ledger: Ledger, jar: bytes) -> None:
    outcomes = await ledger.execute(*parts(jar))
    assert {each.code for each in outcomes if isinstance(each, Rejected)} == {"not-trusted"}
    assert not dict(ledger.view().items(records.ATTACHMENT_PART))


async def test_a_jar_that_nobody_can_have_agreed_on_is_not_even_unpacked(
    samples: Samples, jar: bytes
) -> None:
    ledger = Ledger(adapter(Workers("no JVM is needed for that"), keeps=False), samples.genesis(0))
    (outcome,) = await ledger.execute(Attachment(jar[:1000]))
    assert receipts([outcome]) == ["not-trusted"]


async def test_a_batch_unpacks_one_jar_in_vain(ledger: Ledger) -> None:
    """Who signed a jar is known when it is unpacked, which anybody may have done."""
    small = [_archive(name) for name in "abc"]
    ledger.configured["trusted_signers"] = hash_text(bytes(32))
    outcomes = await ledger.execute(*map(Attachment, small))
    assert receipts(outcomes) == ["not-trusted", "no-verifier", "no-verifier"]
    # What members trust by its hash is taken whatever came before it.
    ledger.configured["trusted_attachments"] = hash_text(sha256(small[2]))
    outcomes = await ledger.execute(*map(Attachment, small))
    assert receipts(outcomes) == ["not-trusted", "no-verifier", sha256(small[2])]


def _archive(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    return made.getvalue()


async def test_parts_of_what_is_no_jar_are_refused_when_they_are_all_there(ledger: Ledger) -> None:
    nonsense = bytes(SIZE)
    ledger.configured["trusted_attachments"] = hash_text(sha256(nonsense))
    outcomes = await ledger.execute(*parts(nonsense))
    assert receipts(outcomes) == [PART_KEPT, PART_KEPT, PART_KEPT, "malformed"]


def test_clients_are_told_of_the_jar_and_not_of_parts() -> None:
    kept, whole = Committed(TxID(2, 3), PART_KEPT), Committed(TxID(2, 4), bytes(32))
    refused = Rejected("not-trusted", "nobody agreed")
    assert told_of_supply([kept, kept, whole], "id") == (200, {"id": "0" * 64, "transaction": "2.4"})
    assert told_of_supply([kept, refused], "id")[0] == 422
    status, told = told_of_supply([kept, kept], "id")
    assert (status, told["retry"]) == (503, True)
