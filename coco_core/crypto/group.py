"""The prime-order group of edwards25519 (RFC 8032 §5.1) on libsodium, and a proof about it.

Scalars and points are 32 bytes, little-endian, each in the one form it has. libsodium multiplies secret
scalars in constant time; coefficients computed here with Python's integers are public.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Final

from nacl import bindings, utils

from coco_core.base import invariant
from coco_core.errors import IntegrityError

SCALAR_SIZE_BYTES: Final = 32
POINT_SIZE_BYTES: Final = 32
PROOF_SIZE_BYTES: Final = 2 * SCALAR_SIZE_BYTES

ORDER: Final = 2**252 + 27742317777372353535851937790883648493
GENERATOR: Final = bytes.fromhex("58" + 31 * "66")
SECOND_GENERATOR: Final = bytes.fromhex("9819a35d28eca24aa1eddc01d622be060f042b25f21525d89c5a155063efdb39")
"""A generator whose logarithm nobody knows: a digest of a text, mapped to the group (Elligator 2)."""

_PROOF_DOMAIN: Final = b"coco equal logarithms v1"
_NONCE_DOMAIN: Final = b"coco equal logarithms nonce v1"

Pairs = Sequence[tuple[bytes, bytes]]
"""A base and its image, several times: all images are said to have the same logarithm."""


class ProofError(IntegrityError):
    """A proof of equal logarithms does not hold."""


def framed(*parts: bytes) -> bytes:
    """Join ``parts`` so that no others give the same bytes: each after its length (u32)."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


# ── scalars ──────────────────────────────────────────────────────────────────────────────────────


def random_scalar() -> bytes:
    """Return a uniform scalar that is not zero, from libsodium's entropy."""
    return _reduced(utils.random(64))


def scalar(value: int) -> bytes:
    """Return a public integer as a scalar."""
    return (value % ORDER).to_bytes(SCALAR_SIZE_BYTES, "little")


def is_scalar(data: bytes) -> bool:
    """Tell whether ``data`` is a scalar in its one form, and not zero."""
    return len(data) == SCALAR_SIZE_BYTES and 0 < int.from_bytes(data, "little") < ORDER


def add_scalars(one: bytes, other: bytes) -> bytes:
    """Return the sum."""
    return bindings.crypto_core_ed25519_scalar_add(one, other)


def multiply_scalars(one: bytes, other: bytes) -> bytes:
    """Return the product."""
    return bindings.crypto_core_ed25519_scalar_mul(one, other)


def lagrange(indices: Collection[int], at: int = 0) -> dict[int, bytes]:
    """Return the weight of the value at each of ``indices`` in the value at ``at``.

    For polynomials of a degree below the number of indices, which differ from each other.
    """
    weights: dict[int, bytes] = {}
    for index in indices:
        above, below = 1, 1
        for other in indices:
            if other != index:
                above = above * (at - other) % ORDER
                below = below * (index - other) % ORDER
        weights[index] = scalar(above * pow(below, -1, ORDER))
    return weights


def _reduced(digest: bytes) -> bytes:
    reduced = bindings.crypto_core_ed25519_scalar_reduce(digest)
    invariant(any(reduced), "zero has odds of one in 2^252")
    return reduced


# ── points ───────────────────────────────────────────────────────────────────────────────────────


def is_point(data: bytes) -> bool:
    """Tell whether ``data`` is a point of the prime-order group in its one form, and not the identity.

    Versions of libsodium before the one pyproject.toml asks for also let points of twice that order pass
    (CVE-2025-69277).
    """
    return len(data) == POINT_SIZE_BYTES and bindings.crypto_core_ed25519_is_valid_point(data)


def multiply(factor: bytes, point: bytes) -> bytes:
    """Return the product; ``factor`` is a scalar but not zero, ``point`` was checked with is_point."""
    if point == GENERATOR:
        return bindings.crypto_scalarmult_ed25519_base_noclamp(factor)
    return bindings.crypto_scalarmult_ed25519_noclamp(factor, point)


def weighted_sum(weights: dict[int, bytes], points: dict[int, bytes]) -> bytes:
    """Return the sum of ``points``, each times its weight."""
    first, *others = (multiply(weight, points[index]) for index, weight in weights.items())
    for other in others:
        first = bindings.crypto_core_ed25519_add(first, other)
    return first


# ── equal logarithms ─────────────────────────────────────────────────────────────────────────────


def prove_equal(secret: bytes, pairs: Pairs, message: bytes) -> bytes:
    """Return a proof for ``message`` that every image in ``pairs`` is ``secret`` times its base.

    Chaum and Pedersen, "Wallet databases with observers" (CRYPTO 1992), made non-interactive by a hash
    of everything (Fiat and Shamir 1986). The nonce also depends on secret and statement, so that a weak
    source of entropy does not give the secret away.
    """
    statement = framed(*(part for pair in pairs for part in pair), message)
    seed = framed(_NONCE_DOMAIN, utils.random(64), secret, statement)
    nonce = _reduced(hashlib.sha512(seed).digest())
    challenge = _challenge(pairs, [multiply(nonce, base) for base, _ in pairs], message)
    return challenge + add_scalars(nonce, multiply_scalars(challenge, secret))


def check_equal(proof: bytes, pairs: Pairs, message: bytes) -> None:
    """Check a proof that prove_equal made; raises ProofError. Bases and images are points of the group."""
    challenge, response = proof[:SCALAR_SIZE_BYTES], proof[SCALAR_SIZE_BYTES:]
    if not is_scalar(challenge) or not is_scalar(response):
        raise ProofError("a proof is two scalars of the group")
    commitments = [
        bindings.crypto_core_ed25519_sub(multiply(response, base), multiply(challenge, image))
        for base, image in pairs
    ]
    if _challenge(pairs, commitments, message) != challenge:
        raise ProofError("the logarithms are not shown to be equal")


def _challenge(pairs: Pairs, commitments: Sequence[bytes], message: bytes) -> bytes:
    points = [part for pair in pairs for part in pair]
    said = framed(_PROOF_DOMAIN, len(pairs).to_bytes(4, "big"), *points, *commitments, message)
    return _reduced(hashlib.sha512(said).digest())
