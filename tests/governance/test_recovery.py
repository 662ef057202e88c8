"""So many members open the ledger, or one epoch of it; whoever brings something wrong is named."""

import base64
import functools
import json
from itertools import combinations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base import limits
from coco_core.base.invariants import BrokenInvariantError
from coco_core.crypto import (
    Encapsulated,
    PartialDecryption,
    PrivateKey,
    Share,
    encapsulate,
    group,
    wrap_for_member,
)
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance import (
    EpochRecord,
    check_share,
    check_shares_dealt,
    deal_shares,
    epoch_writes,
    escrow_epoch,
    open_epoch,
    open_share,
    partial_for_epoch,
    read_epochs,
    read_recovery,
    recover_secrets,
    recovery_writes,
    with_secrets,
)
from coco_core.kv import Store, View, maps
from coco_core.ledger import LedgerSecrets
from coco_core.testing import ShareHolders

SECRETS = [(1, 32 * b"\1"), (100, 32 * b"\2"), (250, 32 * b"\3")]
HOLDERS = ShareHolders.of("aa", "bb", "cc")


@functools.cache
def tables() -> View:
    return HOLDERS.tables(2, SECRETS)


@functools.cache
def shares() -> dict[str, bytes]:
    return HOLDERS.shares(tables())


@functools.cache
def partials(number: int) -> dict[str, bytes]:
    return HOLDERS.partials(tables(), number)


# ── recovery ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [2, 3])
def test_any_two_recover_everything(size: int) -> None:
    for chosen in combinations(HOLDERS.public, size):
        recovered = recover_secrets(tables(), {name: shares()[name] for name in chosen})
        assert recovered == SECRETS
        assert LedgerSecrets(recovered).at(150).secret == SECRETS[1][1]


def test_too_few_shares() -> None:
    with pytest.raises(MemberError, match="1 of the 2 shares"):
        recover_secrets(tables(), {"aa": shares()["aa"]})
    with pytest.raises(MemberError, match="0 of the 2 shares"):
        recover_secrets(tables(), {})


WRONG_SHARES = {
    "of another member": lambda: shares()["cc"],
    "of another under this index": lambda: Share(2, Share.from_bytes(shares()["cc"]).scalar).to_bytes(),
    "changed": lambda: shares()["bb"][:-2] + b"\7\0",
    "zero": lambda: shares()["bb"][:3] + bytes(32),
    "cut": lambda: shares()["bb"][:-1],
    "empty": lambda: b"",
}


@pytest.mark.parametrize("fault", WRONG_SHARES)
def test_wrong_share_is_named(fault: str) -> None:
    wrong = WRONG_SHARES[fault]()
    with pytest.raises(MemberError, match="member bb: "):
        recover_secrets(tables(), shares() | {"bb": wrong})
    with pytest.raises(MemberError, match="member bb: "):
        check_share(tables(), "bb", wrong)
    with pytest.raises(MemberError, match="member bb: "):
        partial_for_epoch(tables(), 1, "bb", wrong)


def test_who_holds_no_share() -> None:
    check_share(tables(), "aa", shares()["aa"])
    with pytest.raises(MemberError, match="member dd holds no share"):
        check_share(tables(), "dd", shares()["aa"])


def test_before_shares_are_dealt() -> None:
    view = Store().head()
    assert read_recovery(view) is None
    assert read_epochs(view) == []
    with pytest.raises(MemberError, match="no shares were dealt"):
        recover_secrets(view, {})
    with pytest.raises(MemberError, match="no shares were dealt"):
        check_shares_dealt(view)


def test_share_of_another_key() -> None:
    key = read_recovery(tables())
    assert key is not None
    encrypted = key.members["aa"].encrypted_share
    with pytest.raises(AttestationError, match="not encrypted to this key"):
        open_share(encrypted, HOLDERS.private["bb"])
    with pytest.raises(MemberError, match="not a share"):
        open_share(wrap_for_member(HOLDERS.public["aa"], b"something else"), HOLDERS.private["aa"])


# ── dealing ──────────────────────────────────────────────────────────────────────────────────────


def test_shares_dealt_anew() -> None:
    """Old shares open what lies in old tables, and nothing that is escrowed from now on."""
    members = {name: HOLDERS.public[name] for name in ("aa", "cc")}
    view = tables().over(deal_shares(members, 1, with_secrets(read_epochs(tables()), SECRETS)))
    key = read_recovery(view)
    assert key is not None
    share = open_share(key.members["aa"].encrypted_share, HOLDERS.private["aa"])
    assert recover_secrets(view, {"aa": share}) == SECRETS
    assert [one.created_ms for one in read_epochs(view)] == [one.created_ms for one in read_epochs(tables())]
    with pytest.raises(MemberError, match="member aa: "):
        recover_secrets(view, {"aa": shares()["aa"]})
    with pytest.raises(MemberError, match="member bb holds no share"):
        recover_secrets(view, {"bb": shares()["bb"]})
    with pytest.raises(MemberError, match="member aa: the share was dealt anew since"):
        open_epoch(view, 1, partials(1).values())
    assert recover_secrets(tables(), shares()) == SECRETS


@pytest.mark.parametrize("threshold", [0, 4, -1])
def test_impossible_threshold(threshold: int) -> None:
    with pytest.raises(MemberError, match="not a threshold"):
        deal_shares(HOLDERS.public, threshold, [])
    with pytest.raises(MemberError, match="not a threshold"):
        deal_shares({}, 1, [])


def test_unusable_encryption_key_is_named() -> None:
    with pytest.raises(MemberError, match="member bb: a member's encryption key is an RSA key"):
        deal_shares(HOLDERS.public | {"bb": PrivateKey.generate().public.pem}, 2, [])


def test_epochs_find_their_secrets() -> None:
    epochs = read_epochs(tables())
    assert [secret for _, secret in with_secrets(epochs, SECRETS)] == [secret for _, secret in SECRETS]
    with pytest.raises(IntegrityError, match="epoch 2: no secret from seqno 100"):
        with_secrets(epochs, [SECRETS[0], SECRETS[2]])
    with pytest.raises(IntegrityError, match="epoch 3: the secret is not the one committed to"):
        with_secrets(epochs, [*SECRETS[:2], (250, bytes(32))])
    with pytest.raises(IntegrityError, match="epoch 1: the secret is not the one committed to"):
        deal_shares(HOLDERS.public, 2, [(epochs[0], bytes(32))])


def test_epochs_begin_in_order() -> None:
    with pytest.raises(BrokenInvariantError, match="ascending order"):
        escrow_epoch(tables(), first_seqno=250, secret=bytes(32), created_ms=0, reason="")


def test_reason_is_bounded() -> None:
    fits = limits.EPOCH_REASON_SIZE_MAX_BYTES * "x"
    view = tables().over(escrow_epoch(tables(), first_seqno=300, secret=bytes(32), created_ms=0, reason=fits))
    assert read_epochs(view)[-1].reason == fits
    assert len(view.get(maps.EPOCHS, (4).to_bytes(8, "big")) or b"") < 1024
    with pytest.raises(MemberError, match="reason for an epoch"):
        escrow_epoch(tables(), first_seqno=300, secret=bytes(32), created_ms=0, reason=fits + "x")


# ── one epoch for an auditor ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_two_open_one_epoch(number: int) -> None:
    for chosen in combinations(HOLDERS.public, 2):
        given = [partials(number)[name] for name in chosen]
        assert open_epoch(tables(), number, given) == SECRETS[number - 1][1]
    assert open_epoch(tables(), number, partials(number).values()) == SECRETS[number - 1][1]


def test_too_few_partial_decryptions() -> None:
    with pytest.raises(MemberError, match="1 of the 2 partial decryptions"):
        open_epoch(tables(), 1, [partials(1)["aa"]])
    with pytest.raises(MemberError, match="0 of the 2"):
        open_epoch(tables(), 1, [])


def test_a_second_of_the_same_member() -> None:
    again = partial_for_epoch(tables(), 1, "aa", shares()["aa"])
    with pytest.raises(MemberError, match="member aa: a second partial decryption"):
        open_epoch(tables(), 1, [partials(1)["aa"], again])


def test_partial_decryptions_of_one_epoch_open_no_other() -> None:
    with pytest.raises(MemberError, match="member aa: partial decryption of epoch 1, not of 2"):
        open_epoch(tables(), 2, partials(1).values())
    relabelled = [changed(partials(1)[name], epoch=2) for name in ("aa", "bb")]
    with pytest.raises(MemberError, match=r"member aa: .* is not by that share of this ciphertext"):
        open_epoch(tables(), 2, relabelled)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_no_such_epoch(number: int) -> None:
    with pytest.raises(MemberError, match=f"no epoch {number}; the newest is 3"):
        partial_for_epoch(tables(), number, "aa", shares()["aa"])
    with pytest.raises(MemberError, match="no epoch"):
        open_epoch(tables(), number, [])


def changed(given: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(given) | fields).encode()


def encoded(one: PartialDecryption) -> str:
    return base64.b64encode(one.to_bytes()).decode()


def forged() -> PartialDecryption:
    one = PartialDecryption.from_bytes(base64.b64decode(json.loads(partials(1)["bb"])["partial"]))
    return attrs.evolve(one, point=group.multiply(group.scalar(7), one.point))


WRONG_PARTIALS = {
    "not JSON": (lambda: b"{", "not a partial decryption"),
    "not text": (lambda: b"\xff", "not a partial decryption"),
    "a list": (lambda: b"[]", "not a partial decryption"),
    "nested": (lambda: b"[" * 4_000, "not a partial decryption"),
    "no fields": (lambda: b"{}", "not a partial decryption"),
    "epoch is text": (lambda: changed(partials(1)["bb"], epoch="1"), "not a partial decryption"),
    "epoch is endless": (lambda: b'{"epoch":1e999}', "not a partial decryption"),
    "partial is a number": (lambda: changed(partials(1)["bb"], partial=1), "not a partial decryption"),
    "not base64": (lambda: changed(partials(1)["bb"], partial="!"), "not a partial decryption"),
    "too long": (lambda: partials(1)["bb"] + b" " * limits.PARTIAL_DECRYPTION_SIZE_MAX_BYTES, "bytes"),
    "of nobody": (lambda: changed(partials(1)["bb"], member_id="dd"), "member dd holds no share"),
    "cut": (lambda: changed(partials(1)["bb"], partial="AQAB"), "member bb: not a partial"),
    "of another": (
        lambda: changed(partials(1)["bb"], partial=json.loads(partials(1)["cc"])["partial"]),
        "member bb holds share 2, not 3",
    ),
    "forged": (lambda: changed(partials(1)["bb"], partial=encoded(forged())), "member bb: .* is not by that"),
    "another key": (lambda: changed(partials(1)["bb"], public_key="00"), "member bb: .* dealt anew"),
}


@pytest.mark.parametrize("fault", WRONG_PARTIALS)
def test_wrong_partial_decryption_is_named(fault: str) -> None:
    make, said = WRONG_PARTIALS[fault]
    with pytest.raises(MemberError, match=said):
        open_epoch(tables(), 1, [partials(1)["aa"], make()])


@given(st.binary(max_size=200))
def test_bytes_from_outside(data: bytes) -> None:
    with pytest.raises(MemberError):
        open_epoch(tables(), 1, [data])


# ── escrow that is not what the epoch needs ─────────────────────────────────────────────────────────


def with_epoch(number: int, **fields: object) -> View:
    record = read_epochs(tables())[number - 1]
    return tables().over(epoch_writes([attrs.evolve(record, **fields)]))


def test_epoch_without_escrow() -> None:
    for call in (
        lambda view: recover_secrets(view, shares()),
        lambda view: partial_for_epoch(view, 2, "aa", shares()["aa"]),
        lambda view: open_epoch(view, 2, partials(2).values()),
    ):
        with pytest.raises(IntegrityError, match="epoch 2 is not escrowed"):
            call(with_epoch(2, escrow=None))


def test_escrow_of_another_epoch_is_refused() -> None:
    """Who could write the tables cannot have members open epoch 1 under the name of epoch 2."""
    first, second, _ = read_epochs(tables())
    for fields in ({"escrow": first.escrow}, {"escrow": first.escrow, "commitment": first.commitment}):
        view = with_epoch(2, **fields)
        with pytest.raises(IntegrityError, match="not for this key and context"):
            partial_for_epoch(view, 2, "aa", shares()["aa"])
        with pytest.raises(IntegrityError, match=r"epoch 2: .* not for this key and context"):
            recover_secrets(view, shares())
    with pytest.raises(IntegrityError, match="not for this key and context"):
        partial_for_epoch(with_epoch(1, commitment=second.commitment), 1, "aa", shares()["aa"])


def context(record: EpochRecord) -> bytes:
    return b"coco epoch escrow v1" + record.number.to_bytes(8, "big") + bytes.fromhex(record.commitment)


def test_escrow_of_another_secret() -> None:
    key, record = read_recovery(tables()), read_epochs(tables())[1]
    assert key is not None
    view = with_epoch(2, escrow=encapsulate(key.public_key, bytes(32), context(record)))
    with pytest.raises(IntegrityError, match="epoch 2: the secret is not the one committed to"):
        recover_secrets(view, shares())
    given = [partial_for_epoch(view, 2, name, shares()[name]) for name in ("aa", "cc")]
    with pytest.raises(IntegrityError, match="epoch 2: the secret is not the one committed to"):
        open_epoch(view, 2, given)


def test_escrow_that_nobody_can_open() -> None:
    key, record = read_recovery(tables()), read_epochs(tables())[1]
    assert key is not None
    randomness, ciphertext = group.random_scalar(), bytes(48)
    kem = group.multiply(randomness, group.GENERATOR)
    twin = group.multiply(randomness, group.SECOND_GENERATOR)
    message = group.framed(b"coco threshold ciphertext v1", key.public_key, ciphertext, context(record))
    pairs = ((group.GENERATOR, kem), (group.SECOND_GENERATOR, twin))
    proof = group.prove_equal(randomness, pairs, message)
    view = with_epoch(2, escrow=Encapsulated(kem, twin, proof, ciphertext))
    given = [partial_for_epoch(view, 2, name, shares()[name]) for name in ("aa", "bb")]
    with pytest.raises(IntegrityError, match="epoch 2: partial decryptions 1, 2 do not open"):
        open_epoch(view, 2, given)
    with pytest.raises(IntegrityError, match="epoch 2: ciphertext does not open"):
        recover_secrets(view, shares())


def test_dealing_that_was_wrong() -> None:
    """Shares as the table tells them, but not of the public key it tells."""
    key = read_recovery(tables())
    assert key is not None
    view = tables().over(recovery_writes(attrs.evolve(key, public_key=group.SECOND_GENERATOR)))
    with pytest.raises(IntegrityError, match="recovery key: shares 1, 2 are not shares of this key"):
        recover_secrets(view, shares())
    with pytest.raises(IntegrityError, match="verification key 2 is not of a share"):
        check_shares_dealt(view)
