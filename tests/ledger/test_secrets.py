"""Epochs, what is derived from them, and how they travel."""

import pytest

from coco_core.base import TxID
from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import IntegrityError
from coco_core.ledger import LedgerSecrets, commit_evidence

A, B, C = (bytes([n]) * 32 for n in b"abc")


def test_each_seqno_has_the_secret_of_its_epoch() -> None:
    secrets = LedgerSecrets([(1, A), (10, B)])
    secrets.rekey(20, C)
    assert [secrets.at(n).secret for n in (1, 9, 10, 19, 20, 10**9)] == [A, A, B, B, C, C]
    assert secrets.current.first_seqno == 20
    assert secrets.epochs == [(1, A), (10, B), (20, C)]


def test_rolled_back_epochs_are_forgotten_but_never_the_first() -> None:
    secrets = LedgerSecrets([(1, A), (10, B), (20, C)])
    secrets.truncate(19)
    assert len(secrets.epochs) == 3
    secrets.truncate(9)
    assert secrets.epochs == [(1, A), (10, B)]
    secrets.truncate(8)
    assert secrets.epochs == [(1, A)]
    secrets.truncate(0)
    assert secrets.epochs == [(1, A)]


def test_a_copy_of_what_was_begun_until_then() -> None:
    secrets = LedgerSecrets([(1, A), (10, B), (20, C)])
    assert [len(secrets.begun_by(seqno).epochs) for seqno in (0, 8, 9, 18, 19, 99)] == [1, 1, 2, 2, 3, 3]
    copy = secrets.begun_by(9)
    secrets.truncate(0)
    copy.rekey(30, C)
    assert (copy.epochs, secrets.epochs) == ([(1, A), (10, B), (30, C)], [(1, A)])


def test_all_are_replaced_at_once() -> None:
    secrets = LedgerSecrets([(1, A), (10, B)])
    first, second = secrets.at(1), secrets.at(10)
    secrets.replace([(1, A), (10, C), (20, B)])
    assert secrets.epochs == [(1, A), (10, C), (20, B)]
    assert secrets.at(1) is first
    assert secrets.at(10) is not second


def test_entries_before_the_oldest_secret_cannot_be_read() -> None:
    with pytest.raises(IntegrityError, match="no ledger secret for seqno 4: the oldest begins at 5"):
        LedgerSecrets([(5, A)]).at(4)


def test_secrets_travel_as_bytes() -> None:
    secrets = LedgerSecrets([(1, A), (10, B)])
    assert LedgerSecrets.from_bytes(secrets.to_bytes()).epochs == secrets.epochs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02" + (1).to_bytes(8, "little") + A,
        b"\x01" + (1).to_bytes(8, "little") + A + b"\0",
        b"\x01" + (0).to_bytes(8, "little") + A,
        b"\x01" + 2 * ((7).to_bytes(8, "little") + A),
    ],
)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        LedgerSecrets.from_bytes(data)


@pytest.mark.parametrize("epochs", [[], [(0, A)], [(5, A), (5, B)], [(1, A[:31])]])
def test_impossible_epochs_are_our_own_bug(epochs: list[tuple[int, bytes]]) -> None:
    with pytest.raises(BrokenInvariantError):
        LedgerSecrets(epochs)


def test_commit_evidence_names_the_place_and_depends_on_it_and_on_the_secret() -> None:
    secrets = LedgerSecrets([(1, A), (10, B)])
    texts = {commit_evidence(secrets, TxID(view, seqno)) for view in (2, 3) for seqno in (9, 10)}
    texts.add(commit_evidence(LedgerSecrets([(1, C)]), TxID(2, 9)))
    assert len(texts) == 5
    assert commit_evidence(secrets, TxID(2, 9)).startswith("ce:2.9:")
    # HKDF-SHA256 (info "coco ledger commit evidence v1") then HMAC-SHA256 of "2.9".
    nonce = commit_evidence(secrets, TxID(2, 9)).split(":")[2]
    assert len(bytes.fromhex(nonce)) == 32


def test_secrets_are_not_printed() -> None:
    secrets = LedgerSecrets([(1, A)])
    assert "a" * 8 not in repr(secrets) + repr(secrets.current)
    assert A.hex()[:16] not in repr(secrets) + repr(secrets.current)
