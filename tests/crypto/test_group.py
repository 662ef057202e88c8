"""Only points of the prime-order group are points here; proofs hold for what they were made for."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from coco_core.crypto import group
from coco_core.errors import IntegrityError

SMALL_ORDER = [
    bytes.fromhex(text)
    for text in (
        "01" + 31 * "00",
        "ec" + 30 * "ff" + "7f",
        32 * "00",
        31 * "00" + "80",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
IDENTITY, *TORSION = SMALL_ORDER


def point() -> bytes:
    return group.multiply(group.random_scalar(), group.GENERATOR)


def test_generators() -> None:
    seed = hashlib.sha512(b"coco threshold second generator v1").digest()[:32]
    assert bindings.crypto_core_ed25519_from_uniform(seed) == group.SECOND_GENERATOR
    assert group.multiply(group.scalar(1), group.GENERATOR) == group.GENERATOR
    assert group.is_point(group.GENERATOR)
    assert group.is_point(group.SECOND_GENERATOR)


@pytest.mark.parametrize("small", SMALL_ORDER, ids=lambda one: one.hex()[-4:])
def test_points_of_small_order(small: bytes) -> None:
    assert not group.is_point(small)


@pytest.mark.parametrize("small", TORSION, ids=lambda one: one.hex()[-4:])
def test_points_beside_the_group(small: bytes) -> None:
    """A point plus one of small order: on the curve, and in no prime-order group (CVE-2025-69277)."""
    assert not group.is_point(bindings.crypto_core_ed25519_add(point(), small))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        group.GENERATOR[:31],
        group.GENERATOR + b"\0",
        # Not reduced modulo 2^255 - 19: other forms of points with y = 0 and 1.
        bytes.fromhex("ed" + 30 * "ff" + "7f"),
        bytes.fromhex("ee" + 30 * "ff" + "7f"),
        # No curve point has this y.
        bytes.fromhex("02" + 31 * "00"),
    ],
)
def test_other_bytes(data: bytes) -> None:
    assert not group.is_point(data)


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (bytes(32), False),
        (group.scalar(1), True),
        (group.scalar(-1), True),
        (group.ORDER.to_bytes(32, "little"), False),
        ((group.ORDER + 1).to_bytes(32, "little"), False),
        (32 * b"\xff", False),
        (group.scalar(1)[:31], False),
    ],
)
def test_scalars(data: bytes, is_one: bool) -> None:
    assert group.is_scalar(data) == is_one


@given(st.sets(st.integers(1, 255), min_size=1, max_size=6), st.integers(0, 255), st.data())
def test_interpolation(indices: set[int], at: int, data: st.DataObject) -> None:
    degrees = st.lists(st.integers(0, group.ORDER - 1), min_size=len(indices), max_size=len(indices))
    coefficients = data.draw(degrees)

    def value(x: int) -> int:
        return sum(c * x**degree for degree, c in enumerate(coefficients)) % group.ORDER

    weights = group.lagrange(indices, at)
    total = sum(int.from_bytes(weight, "little") * value(index) for index, weight in weights.items())
    assert total % group.ORDER == value(at)


def test_framing_has_one_reading() -> None:
    assert group.framed(b"a", b"bc") != group.framed(b"ab", b"c")
    assert group.framed(b"a", b"") != group.framed(b"a")


# ── equal logarithms ─────────────────────────────────────────────────────────────────────────────


def test_proof_holds_for_its_statement_only() -> None:
    secret, base = group.random_scalar(), point()
    pairs = (
        (group.GENERATOR, group.multiply(secret, group.GENERATOR)),
        (base, group.multiply(secret, base)),
    )
    proof = group.prove_equal(secret, pairs, b"this")
    group.check_equal(proof, pairs, b"this")
    assert group.prove_equal(secret, pairs, b"this") != proof
    for other, message in (
        (pairs, b"that"),
        (pairs[::-1], b"this"),
        (pairs[:1], b"this"),
        ((pairs[0], (base, point())), b"this"),
        ((pairs[0], (point(), pairs[1][1])), b"this"),
    ):
        with pytest.raises(group.ProofError, match="not shown"):
            group.check_equal(proof, other, message)


def test_different_logarithms_cannot_be_proved() -> None:
    secret, base = group.random_scalar(), point()
    pairs = (
        (group.GENERATOR, group.multiply(secret, group.GENERATOR)),
        (base, group.multiply(group.random_scalar(), base)),
    )
    with pytest.raises(IntegrityError):
        group.check_equal(group.prove_equal(secret, pairs, b""), pairs, b"")


def test_changed_proofs() -> None:
    secret = group.random_scalar()
    pairs = ((group.GENERATOR, group.multiply(secret, group.GENERATOR)),)
    proof = group.prove_equal(secret, pairs, b"")
    for at in range(len(proof)):
        changed = bytearray(proof)
        changed[at] ^= 1
        with pytest.raises(group.ProofError):
            group.check_equal(bytes(changed), pairs, b"")
    response = int.from_bytes(proof[32:], "little")
    second_form = proof[:32] + (response + group.ORDER).to_bytes(32, "little")
    for malformed in (b"", proof[:32], proof + b"\0", bytes(64), second_form, proof[:32] + bytes(32)):
        with pytest.raises(group.ProofError, match="two scalars"):
            group.check_equal(malformed, pairs, b"")
