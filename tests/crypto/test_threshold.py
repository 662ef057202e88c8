"""So many holders open a ciphertext, fewer do not; what is wrong is named by index."""

from collections.abc import Sequence
from itertools import combinations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base.limits import SHARES_MAX
from coco_core.crypto import (
    Dealt,
    Encapsulated,
    PartialDecryption,
    Share,
    ShareError,
    check_dealing,
    check_partial,
    combine,
    deal,
    encapsulate,
    group,
    partial,
    reconstruct,
)
from coco_core.crypto.threshold import _cipher
from coco_core.errors import IntegrityError, MemberError

SECRET = b"what is in the ledger"
CONTEXT = b"epoch 1"
DEALT = deal(2, 3)
CLOSED = encapsulate(DEALT.public_key, SECRET, CONTEXT)
SMALL = bytes.fromhex("ec" + 30 * "ff" + "7f")


def partials(dealt: Dealt, closed: Encapsulated, indices: Sequence[int]) -> list[PartialDecryption]:
    shares = [share for share in dealt.shares if share.index in indices]
    return [partial(share, dealt.public_key, closed, CONTEXT) for share in shares]


@given(st.integers(1, 5), st.integers(0, 3), st.binary(max_size=64), st.data())
def test_any_threshold_opens_and_fewer_do_not(
    threshold: int, more: int, secret: bytes, data: st.DataObject
) -> None:
    count = threshold + more
    dealt = deal(threshold, count)
    verification_keys = {share.index: share.verification_key for share in dealt.shares}
    check_dealing(dealt.public_key, verification_keys, threshold)
    closed = encapsulate(dealt.public_key, secret, CONTEXT)
    chosen = data.draw(st.permutations(dealt.shares))[:threshold]
    given = [partial(share, dealt.public_key, closed, CONTEXT) for share in chosen]
    for one in given:
        check_partial(one, closed.kem, verification_keys[one.index])
    assert combine(dealt.public_key, closed, given, threshold, CONTEXT) == secret
    assert reconstruct(dealt.public_key, chosen, threshold).open(closed, CONTEXT) == secret
    for fewer in (given[1:], given[:-1]):
        with pytest.raises(ShareError, match=f"{threshold - 1} of the {threshold} shares"):
            combine(dealt.public_key, closed, fewer, threshold, CONTEXT)
    if threshold > 1:
        # Nor do fewer when they say that they are enough: the polynomial's degree decides.
        with pytest.raises(ShareError, match="do not open"):
            combine(dealt.public_key, closed, given[1:], threshold - 1, CONTEXT)
        with pytest.raises(ShareError, match="not shares of this key"):
            reconstruct(dealt.public_key, chosen[1:], threshold - 1)


def test_every_subset_of_three_of_five() -> None:
    dealt = deal(3, 5)
    closed = encapsulate(dealt.public_key, SECRET, CONTEXT)
    given = {one.index: one for one in partials(dealt, closed, range(1, 6))}
    for size in (3, 4, 5):
        for chosen in combinations(given, size):
            assert combine(dealt.public_key, closed, [given[i] for i in chosen], 3, CONTEXT) == SECRET


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (4, 3), (-1, 1), (1, 0), (2, SHARES_MAX + 1)])
def test_no_threshold(threshold: int, count: int) -> None:
    with pytest.raises(MemberError, match="not a threshold"):
        deal(threshold, count)


def test_largest_dealing() -> None:
    dealt = deal(2, SHARES_MAX)
    assert dealt.shares[-1].index == SHARES_MAX
    ends = [dealt.shares[0], dealt.shares[-1]]
    closed = encapsulate(dealt.public_key, SECRET, CONTEXT)
    assert reconstruct(dealt.public_key, ends, 2).open(closed, CONTEXT) == SECRET


def test_secrets_are_not_printed() -> None:
    key = reconstruct(DEALT.public_key, DEALT.shares, 2)
    assert "scalar" not in repr(DEALT.shares[0]) + repr(DEALT) + repr(key)


# ── ciphertexts ──────────────────────────────────────────────────────────────────────────────────


def other_kem() -> bytes:
    return encapsulate(DEALT.public_key, SECRET, CONTEXT).kem


CHANGED = {
    "kem of another": attrs.evolve(CLOSED, kem=other_kem()),
    "kem is its twin": attrs.evolve(CLOSED, kem=CLOSED.twin),
    "twin of another": attrs.evolve(CLOSED, twin=other_kem()),
    "kem of small order": attrs.evolve(CLOSED, kem=SMALL),
    "twin of small order": attrs.evolve(CLOSED, twin=SMALL),
    "kem is short": attrs.evolve(CLOSED, kem=CLOSED.kem[:31]),
    "proof changed": attrs.evolve(CLOSED, proof=CLOSED.proof[:-2] + b"\0\0"),
    "no proof": attrs.evolve(CLOSED, proof=b""),
    "ciphertext changed": attrs.evolve(CLOSED, ciphertext=bytes(len(CLOSED.ciphertext))),
    "ciphertext cut": attrs.evolve(CLOSED, ciphertext=CLOSED.ciphertext[:-1]),
    "no ciphertext": attrs.evolve(CLOSED, ciphertext=b""),
}


@pytest.mark.parametrize("fault", CHANGED)
def test_holders_refuse_what_was_changed(fault: str) -> None:
    changed = CHANGED[fault]
    given = partials(DEALT, CLOSED, (1, 2))
    with pytest.raises(IntegrityError):
        partial(DEALT.shares[0], DEALT.public_key, changed, CONTEXT)
    with pytest.raises(IntegrityError):
        combine(DEALT.public_key, changed, given, 2, CONTEXT)
    with pytest.raises(IntegrityError):
        reconstruct(DEALT.public_key, DEALT.shares, 2).open(changed, CONTEXT)


def test_holders_refuse_another_context_or_key() -> None:
    with pytest.raises(IntegrityError, match="not for this key and context"):
        partial(DEALT.shares[0], DEALT.public_key, CLOSED, b"epoch 2")
    with pytest.raises(IntegrityError, match="not for this key and context"):
        partial(DEALT.shares[0], deal(2, 3).public_key, CLOSED, CONTEXT)


def test_blinded_ciphertext_is_refused() -> None:
    """Without the proof, a partial decryption of s·kem would be one of kem under another name."""
    factor = group.scalar(5)
    blinded = attrs.evolve(
        CLOSED, kem=group.multiply(factor, CLOSED.kem), twin=group.multiply(factor, CLOSED.twin)
    )
    with pytest.raises(IntegrityError, match="not for this key and context"):
        partial(DEALT.shares[0], DEALT.public_key, blinded, CONTEXT)


def test_partial_decryptions_open_their_ciphertext_only() -> None:
    other = encapsulate(DEALT.public_key, b"of another epoch", CONTEXT)
    given = partials(DEALT, CLOSED, (1, 2))
    with pytest.raises(ShareError, match="partial decryptions 1, 2 do not open"):
        combine(DEALT.public_key, other, given, 2, CONTEXT)
    for one, share in zip(given, DEALT.shares, strict=False):
        with pytest.raises(ShareError, match=f"partial decryption {one.index} is not by that share"):
            check_partial(one, other.kem, share.verification_key)


def made_wrongly() -> Encapsulated:
    """A ciphertext by somebody who knew the randomness, and encrypted with another key."""
    randomness = group.random_scalar()
    kem = group.multiply(randomness, group.GENERATOR)
    twin = group.multiply(randomness, group.SECOND_GENERATOR)
    ciphertext = _cipher(kem, DEALT.public_key, kem, CONTEXT).encrypt(bytes(12), SECRET, None)
    message = group.framed(b"coco threshold ciphertext v1", DEALT.public_key, ciphertext, CONTEXT)
    pairs = ((group.GENERATOR, kem), (group.SECOND_GENERATOR, twin))
    return Encapsulated(kem, twin, group.prove_equal(randomness, pairs, message), ciphertext)


def test_ciphertext_made_wrongly() -> None:
    closed = made_wrongly()
    with pytest.raises(IntegrityError, match="made wrongly"):
        reconstruct(DEALT.public_key, DEALT.shares, 2).open(closed, CONTEXT)
    with pytest.raises(ShareError, match="do not open"):
        combine(DEALT.public_key, closed, partials(DEALT, closed, (2, 3)), 2, CONTEXT)


@pytest.mark.parametrize("public_key", [b"", bytes(32), SMALL, SMALL[:31]])
def test_no_public_key(public_key: bytes) -> None:
    with pytest.raises(IntegrityError, match="public key is not a point"):
        encapsulate(public_key, SECRET, CONTEXT)
    with pytest.raises(IntegrityError, match="public key is not a point"):
        partial(DEALT.shares[0], public_key, CLOSED, CONTEXT)


# ── shares and partial decryptions ───────────────────────────────────────────────────────────────


def test_forged_partial_decryption_is_named() -> None:
    first, second = partials(DEALT, CLOSED, (1, 2))
    keys = {share.index: share.verification_key for share in DEALT.shares}
    forged = (
        attrs.evolve(second, point=first.point),
        attrs.evolve(second, proof=first.proof),
        attrs.evolve(first, index=2),
        attrs.evolve(second, proof=bytes(64)),
        partial(attrs.evolve(DEALT.shares[0], index=2), DEALT.public_key, CLOSED, CONTEXT),
    )
    for one in forged:
        with pytest.raises(ShareError, match="partial decryption 2 is not by that share"):
            check_partial(one, CLOSED.kem, keys[2])
    with pytest.raises(ShareError, match="partial decryptions 1, 2 do not open"):
        combine(DEALT.public_key, CLOSED, [first, forged[0]], 2, CONTEXT)


@pytest.mark.parametrize("key", [b"", SMALL, bytes(32)])
def test_check_partial_wants_points(key: bytes) -> None:
    (one,) = partials(DEALT, CLOSED, (1,))
    with pytest.raises(IntegrityError, match="encapsulated key is not a point"):
        check_partial(one, key, DEALT.shares[0].verification_key)
    with pytest.raises(IntegrityError, match="verification key 1 is not a point"):
        check_partial(one, CLOSED.kem, key)


def test_twice_and_too_few() -> None:
    first, _ = given = partials(DEALT, CLOSED, (1, 2))
    with pytest.raises(ShareError, match="share 1 is given twice"):
        combine(DEALT.public_key, CLOSED, [*given, first], 2, CONTEXT)
    with pytest.raises(ShareError, match="share 3 is given twice"):
        reconstruct(DEALT.public_key, [DEALT.shares[2], DEALT.shares[2]], 2)
    with pytest.raises(ShareError, match="0 of the 2 shares"):
        reconstruct(DEALT.public_key, [], 2)


def test_shares_of_another_dealing() -> None:
    with pytest.raises(ShareError, match="shares 1, 2 are not shares of this key"):
        reconstruct(DEALT.public_key, [DEALT.shares[0], deal(2, 2).shares[1]], 2)
    # 2·one - other is the value at 0: zero, which is no key at all.
    one, other = Share(1, group.scalar(1)), Share(2, group.scalar(2))
    with pytest.raises(ShareError, match="not shares of this key"):
        reconstruct(DEALT.public_key, [one, other], 2)


@pytest.mark.parametrize("index", [0, -1, SHARES_MAX + 1])
def test_index_out_of_range(index: int) -> None:
    (one,) = partials(DEALT, CLOSED, (1,))
    for value in (one, DEALT.shares[0]):
        with pytest.raises(ShareError, match=f"share {index}: indices"):
            attrs.evolve(value, index=index)


@pytest.mark.parametrize("scalar", [bytes(32), group.ORDER.to_bytes(32, "little"), 32 * b"\xff", b"\1"])
def test_no_share(scalar: bytes) -> None:
    with pytest.raises(ShareError, match="share 1 is not a scalar"):
        Share(1, scalar)


@pytest.mark.parametrize("point", [bytes(32), SMALL, b""])
def test_no_partial_decryption(point: bytes) -> None:
    (one,) = partials(DEALT, CLOSED, (1,))
    with pytest.raises(ShareError, match="partial decryption 1 is malformed"):
        attrs.evolve(one, point=point)
    with pytest.raises(ShareError, match="partial decryption 1 is malformed"):
        attrs.evolve(one, proof=one.proof[:-1])


def test_encodings_return() -> None:
    for share in DEALT.shares:
        assert Share.from_bytes(share.to_bytes()) == share
    for one in partials(DEALT, CLOSED, (1, 2, 3)):
        assert PartialDecryption.from_bytes(one.to_bytes()) == one


@given(st.binary(max_size=120) | st.binary(min_size=34, max_size=98).map(lambda data: b"\1\0\1" + data))
def test_bytes_from_outside(data: bytes) -> None:
    for kind in (Share, PartialDecryption):
        try:
            value = kind.from_bytes(data)
        except ShareError:
            continue
        assert value.to_bytes() == data


# ── the dealer need not be believed ──────────────────────────────────────────────────────────────


def keys_of(dealt: Dealt) -> dict[int, bytes]:
    return {share.index: share.verification_key for share in dealt.shares}


def test_wrong_dealings() -> None:
    good, other = deal(3, 5), deal(3, 5)
    check_dealing(good.public_key, keys_of(good), 3)
    # Any three of a polynomial of degree 2 fix it, so a smaller threshold is not the one dealt.
    for public_key, keys, threshold, fault in (
        (other.public_key, keys_of(good), 3, "verification key 3 is not of a share"),
        (good.public_key, keys_of(good) | {4: keys_of(other)[4]}, 3, "verification key 4 is not of a share"),
        (good.public_key, keys_of(good), 2, "verification key 2 is not of a share"),
        (good.public_key, keys_of(good) | {5: SMALL}, 3, "verification key 5 is not a point"),
        (SMALL, keys_of(good), 3, "public key is not a point"),
        (good.public_key, keys_of(good), 6, "not a threshold"),
        (good.public_key, keys_of(good), 0, "not a threshold"),
        (good.public_key, {}, 1, "not a threshold"),
        (good.public_key, keys_of(good) | {0: good.public_key}, 3, "verification key 0: indices"),
    ):
        with pytest.raises(IntegrityError, match=fault):
            check_dealing(public_key, keys, threshold)
    one = deal(1, 2)
    check_dealing(one.public_key, keys_of(one), 1)
