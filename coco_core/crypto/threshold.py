"""Threshold decryption: a key held in shares; so many holders together open, fewer learn nothing.

The scheme TDH2 of Shoup and Gennaro ("Securing threshold cryptosystems against chosen ciphertext attack",
Journal of Cryptology 15, 2002, §4) over the prime-order group of edwards25519, as a hashed ElGamal KEM
with AES-256-GCM (NIST SP 800-38D). A dealer shares the secret key (Shamir, "How to share a secret", 1979)
and publishes a verification key per share (after Feldman, "A practical scheme for non-interactive
verifiable secret sharing", 1987). Who holds a share can give a *partial decryption* of one ciphertext
instead (Desmedt and Frankel, "Threshold cryptosystems", 1989), with a proof that it is right (Chaum and
Pedersen 1992); enough of them open that ciphertext and no other.

A ciphertext proves that whoever made it knew its randomness, for its context: holders refuse one that
was derived from another's, so a partial decryption cannot be had under a false name.

Knows nothing of members or ledgers. Whose fault an error is: ShareError that of a share's holder,
IntegrityError that of whoever stored public keys and ciphertexts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self, TypeVar

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coco_core.base import invariant
from coco_core.base.limits import SHARES_MAX
from coco_core.crypto import group
from coco_core.errors import IntegrityError, MemberError

_KEY_DOMAIN: Final = b"coco threshold key v1"
_CIPHERTEXT_DOMAIN: Final = b"coco threshold ciphertext v1"
_PARTIAL_DOMAIN: Final = b"coco threshold partial v1"

# The key is used once, so the nonce may always be the same.
_NONCE: Final = bytes(12)
_VERSION: Final = 1
_SHARE = struct.Struct(">BH32s")
_PARTIAL = struct.Struct(">BH32s64s")

_Given = TypeVar("_Given", "Share", "PartialDecryption")


class ShareError(MemberError):
    """A share or partial decryption is malformed, or is not what its holder should have given."""


def _check_index(_instance: object, _attribute: object, index: int) -> None:
    if not 1 <= index <= SHARES_MAX:
        raise ShareError(f"share {index}: indices are 1 to {SHARES_MAX}")


@attrs.frozen(slots=True)
class Share:
    """One holder's part of the secret key: the polynomial's value at ``index``."""

    index: int = attrs.field(validator=_check_index)
    scalar: bytes = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not group.is_scalar(self.scalar):
            raise ShareError(f"share {self.index} is not a scalar of the group")

    @property
    def verification_key(self) -> bytes:
        """The share times the generator: tells the right share, and nothing else of it."""
        return group.multiply(self.scalar, group.GENERATOR)

    def to_bytes(self) -> bytes:
        """Return the share in the clear; the caller guards it."""
        return _SHARE.pack(_VERSION, self.index, self.scalar)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what to_bytes wrote; raises ShareError for anything else."""
        if len(data) != _SHARE.size or data[0] != _VERSION:
            raise ShareError(f"not a share: {len(data)} bytes")
        _, index, scalar = _SHARE.unpack(data)
        return cls(index, scalar)


@attrs.frozen(slots=True)
class Dealt:
    """A fresh key: the public half, and a share for every holder. The secret half is forgotten."""

    public_key: bytes
    shares: tuple[Share, ...]


@attrs.frozen(slots=True)
class Encapsulated:
    """A ciphertext; its parts are looked at where it is used."""

    kem: bytes
    """The randomness times the generator."""
    twin: bytes
    """The randomness times the second generator."""
    proof: bytes
    """That both have the same randomness, for this public key, ciphertext and context."""
    ciphertext: bytes


@attrs.frozen(slots=True)
class PartialDecryption:
    """What one share makes of one ciphertext, with the proof that it did."""

    index: int = attrs.field(validator=_check_index)
    point: bytes
    proof: bytes

    def __attrs_post_init__(self) -> None:
        if not group.is_point(self.point) or len(self.proof) != group.PROOF_SIZE_BYTES:
            raise ShareError(f"partial decryption {self.index} is malformed")

    def to_bytes(self) -> bytes:
        """Return the one encoding of it."""
        return _PARTIAL.pack(_VERSION, self.index, self.point, self.proof)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what to_bytes wrote; raises ShareError for anything else."""
        if len(data) != _PARTIAL.size or data[0] != _VERSION:
            raise ShareError(f"not a partial decryption: {len(data)} bytes")
        _, index, point, proof = _PARTIAL.unpack(data)
        return cls(index, point, proof)


@attrs.frozen(slots=True)
class DecryptionKey:
    """The whole secret key, put together again; lives only where everything may be opened."""

    public_key: bytes
    scalar: bytes = attrs.field(repr=False)

    def open(self, encapsulated: Encapsulated, context: bytes) -> bytes:
        """Return the plaintext; raises IntegrityError when it is not for this key and context."""
        check_encapsulated(self.public_key, encapsulated, context)
        shared = group.multiply(self.scalar, encapsulated.kem)
        try:
            return _cipher(shared, self.public_key, encapsulated.kem, context).decrypt(
                _NONCE, encapsulated.ciphertext, None
            )
        except InvalidTag as fault:
            raise IntegrityError("ciphertext does not open: it was made wrongly") from fault


# ── dealing ──────────────────────────────────────────────────────────────────────────────────────


def deal(threshold: int, count: int) -> Dealt:
    """Make a key that any ``threshold`` of ``count`` shares open. The dealer must be trusted to forget.

    Raises MemberError unless 1 ≤ threshold ≤ count ≤ SHARES_MAX.
    """
    if not 1 <= threshold <= count <= SHARES_MAX:
        raise MemberError(f"{threshold} of {count} shares: not a threshold (at most {SHARES_MAX} shares)")
    coefficients = [group.random_scalar() for _ in range(threshold)]
    shares = tuple(Share(index, _value_at(coefficients, index)) for index in range(1, count + 1))
    return Dealt(group.multiply(coefficients[0], group.GENERATOR), shares)


def check_dealing(public_key: bytes, verification_keys: Mapping[int, bytes], threshold: int) -> None:
    """Check that any ``threshold`` of the shares behind ``verification_keys`` open ``public_key``.

    Verification keys by index. With this a holder need not believe that the dealer dealt right. Raises
    IntegrityError naming the first index that does not lie on the one polynomial.
    """
    if not 1 <= threshold <= len(verification_keys) <= SHARES_MAX:
        raise IntegrityError(f"{threshold} of {len(verification_keys)} verification keys: not a threshold")
    check_point(public_key, "public key")
    for index, key in verification_keys.items():
        check_point(key, f"verification key {index}")
        if not 1 <= index <= SHARES_MAX:
            raise IntegrityError(f"verification key {index}: indices are 1 to {SHARES_MAX}")
    first, *others = sorted(verification_keys)
    base = {0: public_key} | {index: verification_keys[index] for index in [first, *others][: threshold - 1]}
    for index in [first, *others][threshold - 1 :]:
        if group.weighted_sum(group.lagrange(base, at=index), base) != verification_keys[index]:
            raise IntegrityError(f"verification key {index} is not of a share of the public key")


def check_point(data: bytes, what: str) -> None:
    """Check that ``data`` is a point of the group; raises IntegrityError naming ``what``."""
    if not group.is_point(data):
        raise IntegrityError(f"{what} is not a point of the group")


def _value_at(coefficients: Sequence[bytes], index: int) -> bytes:
    """Evaluate the polynomial, lowest coefficient first (Horner)."""
    *lower, value = coefficients
    for coefficient in reversed(lower):
        value = group.add_scalars(group.multiply_scalars(value, group.scalar(index)), coefficient)
    return value


# ── closing ──────────────────────────────────────────────────────────────────────────────────────


def encapsulate(public_key: bytes, plaintext: bytes, context: bytes) -> Encapsulated:
    """Return ``plaintext`` encrypted for ``context``; raises IntegrityError for what is no public key."""
    check_point(public_key, "public key")
    randomness = group.random_scalar()
    kem = group.multiply(randomness, group.GENERATOR)
    twin = group.multiply(randomness, group.SECOND_GENERATOR)
    shared = group.multiply(randomness, public_key)
    ciphertext = _cipher(shared, public_key, kem, context).encrypt(_NONCE, plaintext, None)
    message = group.framed(_CIPHERTEXT_DOMAIN, public_key, ciphertext, context)
    pairs = ((group.GENERATOR, kem), (group.SECOND_GENERATOR, twin))
    return Encapsulated(kem, twin, group.prove_equal(randomness, pairs, message), ciphertext)


def _cipher(shared: bytes, public_key: bytes, kem: bytes, context: bytes) -> AESGCM:
    info = group.framed(_KEY_DOMAIN, public_key, kem, context)
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(shared))


def check_encapsulated(public_key: bytes, encapsulated: Encapsulated, context: bytes) -> None:
    """Raise IntegrityError unless a ciphertext was made for this key and context; what it holds is unseen."""
    check_point(public_key, "public key")
    check_point(encapsulated.kem, "encapsulated key")
    check_point(encapsulated.twin, "twin of the encapsulated key")
    pairs = ((group.GENERATOR, encapsulated.kem), (group.SECOND_GENERATOR, encapsulated.twin))
    message = group.framed(_CIPHERTEXT_DOMAIN, public_key, encapsulated.ciphertext, context)
    try:
        group.check_equal(encapsulated.proof, pairs, message)
    except group.ProofError as fault:
        raise IntegrityError("ciphertext is not for this key and context, or was changed") from fault


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def partial(share: Share, public_key: bytes, encapsulated: Encapsulated, context: bytes) -> PartialDecryption:
    """Return what ``share`` contributes to opening this ciphertext; it helps with no other.

    Raises IntegrityError when the ciphertext was not made for this key and context: the partial
    decryption would be of something else than its holder believes.
    """
    check_encapsulated(public_key, encapsulated, context)
    point = group.multiply(share.scalar, encapsulated.kem)
    pairs = ((group.GENERATOR, share.verification_key), (encapsulated.kem, point))
    return PartialDecryption(
        share.index, point, group.prove_equal(share.scalar, pairs, _partial_message(share.index))
    )


def check_partial(given: PartialDecryption, kem: bytes, verification_key: bytes) -> None:
    """Check that ``given`` was made of ``kem`` by the share behind ``verification_key``.

    Raises ShareError naming the index; IntegrityError when one of the keys is no point of the group.
    """
    check_point(kem, "encapsulated key")
    check_point(verification_key, f"verification key {given.index}")
    pairs = ((group.GENERATOR, verification_key), (kem, given.point))
    try:
        group.check_equal(given.proof, pairs, _partial_message(given.index))
    except group.ProofError as fault:
        raise ShareError(
            f"partial decryption {given.index} is not by that share of this ciphertext"
        ) from fault


def combine(
    public_key: bytes,
    encapsulated: Encapsulated,
    partials: Iterable[PartialDecryption],
    threshold: int,
    context: bytes,
) -> bytes:
    """Return the plaintext of partial decryptions, each checked with check_partial by the caller.

    Raises IntegrityError when the ciphertext is not for this key and context; ShareError when there are
    too few, an index comes twice, or they do not open it.
    """
    check_encapsulated(public_key, encapsulated, context)
    given = {one.index: one.point for one in _enough(partials, threshold)}
    shared = group.weighted_sum(group.lagrange(given), given)
    try:
        return _cipher(shared, public_key, encapsulated.kem, context).decrypt(
            _NONCE, encapsulated.ciphertext, None
        )
    except InvalidTag as fault:
        indices = ", ".join(map(str, given))
        raise ShareError(f"partial decryptions {indices} do not open the ciphertext") from fault


def reconstruct(public_key: bytes, shares: Iterable[Share], threshold: int) -> DecryptionKey:
    """Return the whole key; raises ShareError when shares are too few, come twice, or are of another."""
    given = _enough(shares, threshold)
    weights = group.lagrange([share.index for share in given])
    total = group.scalar(0)
    for share in given:
        total = group.add_scalars(total, group.multiply_scalars(weights[share.index], share.scalar))
    if not group.is_scalar(total) or group.multiply(total, group.GENERATOR) != public_key:
        indices = ", ".join(str(share.index) for share in given)
        raise ShareError(f"shares {indices} are not shares of this key")
    return DecryptionKey(public_key, total)


def _partial_message(index: int) -> bytes:
    return group.framed(_PARTIAL_DOMAIN, index.to_bytes(4, "big"))


def _enough(given: Iterable[_Given], threshold: int) -> list[_Given]:
    """Return the first ``threshold`` by index: that many fix the polynomial."""
    invariant(threshold >= 1, "a threshold is at least 1")
    chosen: dict[int, _Given] = {}
    for one in given:
        if one.index in chosen:
            raise ShareError(f"share {one.index} is given twice")
        chosen[one.index] = one
    if len(chosen) < threshold:
        raise ShareError(f"{len(chosen)} of the {threshold} shares needed are given")
    return [chosen[index] for index in sorted(chosen)[:threshold]]
