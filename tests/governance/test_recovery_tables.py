"""The key that members hold shares of, and the epochs, as tables tell them; wrong tables stop the node."""

import base64
import functools
import json

import pytest

from coco_core.errors import IntegrityError
from coco_core.governance import (
    check_shares_dealt,
    commitment_of,
    epoch_writes,
    read_epochs,
    read_recovery,
    recover_secrets,
    recovery_writes,
)
from coco_core.kv import Store, View, maps
from coco_core.testing import ShareHolders

SECRETS = [(1, 32 * b"\1"), (100, 32 * b"\2"), (250, 32 * b"\3")]
EPOCH_1, EPOCH_2, EPOCH_3 = (n.to_bytes(8, "big") for n in (1, 2, 3))
HOLDERS = ShareHolders.of("aa", "bb", "cc")


@functools.cache
def tables() -> View:
    return HOLDERS.tables(2, SECRETS)


@functools.cache
def shares() -> dict[str, bytes]:
    return HOLDERS.shares(tables())


def changed(value: bytes | None, **fields: object) -> bytes:
    return json.dumps(json.loads(value or b"") | fields).encode()


def test_tables() -> None:
    key = read_recovery(tables())
    assert key is not None
    assert (key.threshold, sorted(key.members)) == (2, sorted(HOLDERS.public))
    assert sorted(record.index for record in key.members.values()) == [1, 2, 3]
    epochs = read_epochs(tables())
    assert [record.number for record in epochs] == [1, 2, 3]
    assert [(record.first_seqno, record.commitment) for record in epochs] == [
        (first, commitment_of(secret)) for first, secret in SECRETS
    ]
    assert [record.created_ms for record in epochs] == [1_000, 100_000, 250_000]
    assert all(record.reason == "test" and record.escrow is not None for record in epochs)
    # What is read is what was written.
    again = Store().head().over(recovery_writes(key)).over(epoch_writes(epochs))
    assert list(again.items(maps.EPOCHS)) == list(tables().items(maps.EPOCHS))
    assert read_recovery(again) == key
    check_shares_dealt(tables())


def test_names_of_what_is_written() -> None:
    """Auditors and other programs read these."""
    said = json.loads(tables().get(maps.RECOVERY, maps.SINGLETON_KEY) or b"")
    assert set(said) == {"public_key", "threshold", "members"}
    assert set(said["members"]["aa"]) == {"index", "verification_key", "encrypted_share"}
    assert len(base64.b64decode(said["members"]["aa"]["encrypted_share"])) == 256
    epoch = json.loads(tables().get(maps.EPOCHS, EPOCH_3) or b"")
    assert set(epoch) == {"first_seqno", "commitment", "created_ms", "reason", "escrow"}
    assert set(epoch["escrow"]) == {"kem", "twin", "proof", "ciphertext"}


def test_nothing_secret_is_in_the_tables() -> None:
    written = b"".join(value for name in (maps.RECOVERY, maps.EPOCHS) for _, value in tables().items(name))
    for _, secret in SECRETS:
        assert secret not in written
        assert secret.hex().encode() not in written
        assert base64.b64encode(secret) not in written


# ── tables that cannot be right ──────────────────────────────────────────────────────────────────


def recovery_with(**fields: object) -> bytes:
    return changed(tables().get(maps.RECOVERY, maps.SINGLETON_KEY), **fields)


def member_with(**fields: object) -> bytes:
    members = json.loads(tables().get(maps.RECOVERY, maps.SINGLETON_KEY) or b"")["members"]
    return recovery_with(members=members | {"bb": members["bb"] | fields})


MALFORMED_KEYS = {
    "not JSON": b"{",
    "a list": b"[]",
    "nested": b"[" * 100_000,
    "no fields": b"{}",
    "members a list": recovery_with(members=[]),
    "nobody": recovery_with(members={}),
    "a member is text": recovery_with(members={"bb": "x"}),
    "public key is no hex": recovery_with(public_key="xx"),
    "no threshold": recovery_with(threshold=0),
    "threshold too high": recovery_with(threshold=4),
    "threshold is text": recovery_with(threshold="2"),
    "two of one index": member_with(index=1),
    "index left out": member_with(index=4),
    "key is a number": member_with(verification_key=1),
    "share not base64": member_with(encrypted_share="!"),
}


@pytest.mark.parametrize("fault", MALFORMED_KEYS)
def test_malformed_recovery_key(fault: str) -> None:
    view = tables().over({maps.RECOVERY: {maps.SINGLETON_KEY: MALFORMED_KEYS[fault]}})
    with pytest.raises(IntegrityError, match=maps.RECOVERY):
        read_recovery(view)
    with pytest.raises(IntegrityError, match=maps.RECOVERY):
        recover_secrets(view, shares())


def epoch_with(**fields: object) -> bytes:
    return changed(tables().get(maps.EPOCHS, EPOCH_2), **fields)


MALFORMED_EPOCHS = {
    "not JSON": b"{",
    "a list": b"[]",
    "nested": b"[" * 100_000,
    "no fields": b"{}",
    "escrow is text": epoch_with(escrow="x"),
    "escrow is empty": epoch_with(escrow={}),
    "escrow is no hex": epoch_with(escrow={"kem": "x", "twin": "", "proof": "", "ciphertext": ""}),
    "escrow is not base64": epoch_with(escrow={"kem": "", "twin": "", "proof": "", "ciphertext": "!"}),
    "commitment is short": epoch_with(commitment="00"),
    "commitment is no hex": epoch_with(commitment=64 * "x"),
    "begins before the ledger": epoch_with(first_seqno=0),
    "begins with the one before": epoch_with(first_seqno=1),
    "begins with the one after": epoch_with(first_seqno=250),
    "reason is a number": epoch_with(reason=1),
}


@pytest.mark.parametrize("fault", MALFORMED_EPOCHS)
def test_malformed_epoch(fault: str) -> None:
    view = tables().over({maps.EPOCHS: {EPOCH_2: MALFORMED_EPOCHS[fault]}})
    with pytest.raises(IntegrityError, match=maps.EPOCHS):
        read_epochs(view)


def test_numbers_of_epochs() -> None:
    for changes in ({EPOCH_2: None}, {EPOCH_1: None}, {b"x": epoch_with()}):
        with pytest.raises(IntegrityError, match="should be"):
            read_epochs(tables().over({maps.EPOCHS: changes}))
