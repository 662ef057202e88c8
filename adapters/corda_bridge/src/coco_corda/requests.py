"""Signed requests: how a key proves itself. Lines of text, signed with any scheme that Corda's keys have.

Which keys there are and how they sign is Corda's (``net.corda.core.crypto.Crypto``): Ed25519; ECDSA on
secp256r1 and secp256k1 over SHA-256, in DER; RSA, PKCS #1 v1.5 over SHA-256. Knows bytes only; when it is and
which nonces were seen, whoever asks says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from coco_corda.limits import (
    REQUEST_NONCES_MAX,
    REQUEST_NONCES_OF_ONE_KEY_MAX,
    REQUEST_TIME_OFF_MAX_MS,
)
from coco_corda.payloads import Proof, check_sizes
from coco_corda.refs import hash_text, sha256
from coco_core.errors import BusyError, CallerError, MalformedError

PURPOSE: Final = "coco.corda.request.v1"
_Nonce: TypeAlias = tuple[bytes, str]
"""The SHA-256 of a key, and a text that it signs once."""
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TIME: Final = re.compile(r"[0-9]{1,15}")
_CURVES: Final = (ec.SECP256R1, ec.SECP256K1)
_RSA_BITS: Final = range(2048, 8193)
_RSA_EXPONENT_BITS_MAX: Final = 64


class RequestSignatureError(CallerError):
    """A signed request proves nothing (Corda's ``NotaryError.RequestSignatureInvalid``)."""


def signed_text(method: str, target: str, notary_key: bytes, time_ms: int, nonce: str, body: bytes) -> bytes:
    """Return the lines that a key signs to prove itself to the network of ``notary_key``."""
    lines = (PURPOSE, method, target, hash_text(sha256(notary_key)), str(time_ms), nonce)
    return "\n".join((*lines, hash_text(sha256(body)))).encode()


def verify(proof: Proof) -> None:
    """Check the signature of a proof; raises RequestSignatureError."""
    try:
        check_sizes(proof)
        key = load_der_public_key(proof.key)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(proof.signature, proof.text)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
            key.verify(proof.signature, proof.text, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey) and _is_quick(key):
            key.verify(proof.signature, proof.text, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise RequestSignatureError("keys of this kind cannot sign requests")
    except InvalidSignature:
        raise RequestSignatureError("the signature is not of this request and key") from None
    except (MalformedError, UnsupportedAlgorithm, ValueError) as error:
        raise RequestSignatureError(f"the key or the signature cannot be read: {error}"[:200]) from None


def _is_quick(key: rsa.RSAPublicKey) -> bool:
    """Return whether checking a signature of a key costs no more than others': anybody may send one."""
    return key.key_size in _RSA_BITS and key.public_numbers().e.bit_length() <= _RSA_EXPONENT_BITS_MAX


def verify_submission(proof: Proof, stx: bytes, notary_key: bytes) -> None:
    """Check that a proof is of submitting ``stx`` to this notary; raises RequestSignatureError.

    When it was made is not asked: a request waits in queues, and is offered again after a failover.
    """
    lines = proof.text.decode(errors="replace").split("\n")
    expected = (PURPOSE, "POST", hash_text(sha256(notary_key)), hash_text(sha256(stx)))
    if len(lines) != 7 or (lines[0], lines[1], lines[3], lines[6]) != expected:
        raise RequestSignatureError("what was signed is not this submission")
    verify(proof)


class Desk:
    """Where one node judges signed requests: their time, and that each nonce comes once.

    It remembers so many, and of one key so many. Anybody may sign more, so that the oldest are forgotten
    before their time is over: a request as old as these could be one of them again, and is to be signed anew.
    Keys that have something here are remembered apart, so that strangers, who may make any number of keys,
    keep out strangers only.
    """

    def __init__(
        self,
        has_something: Callable[[bytes], bool] = lambda key: False,
        remembered_max: int = REQUEST_NONCES_MAX,
        of_one_key_max: int = REQUEST_NONCES_OF_ONE_KEY_MAX,
    ) -> None:
        """Start with no nonce seen; ``has_something`` is asked about the SHA-256 of a key."""
        self._has_something = has_something
        self._of_one_key_max = of_one_key_max
        self._participants, self._strangers = _Nonces(remembered_max), _Nonces(remembered_max)

    def check(self, proof: Proof, now_ms: int) -> None:
        """Check a proof's time, nonce and signature at ``now_ms``.

        Raises RequestSignatureError, and BusyError for what may have been here before, or not, and for more
        of one key than is remembered.
        """
        lines = proof.text.decode(errors="replace").split("\n")
        if len(lines) != 7 or not _TIME.fullmatch(lines[4]) or not _NONCE.fullmatch(lines[5]):
            raise RequestSignatureError("time or nonce of the signed request cannot be read")
        time_ms = int(lines[4])
        if abs(now_ms - time_ms) > REQUEST_TIME_OFF_MAX_MS:
            raise RequestSignatureError(f"its time is more than {REQUEST_TIME_OFF_MAX_MS // 1000} s off")
        verify(proof)
        key = sha256(proof.key)
        nonce = key, lines[5]
        for each in (self._participants, self._strangers):
            each.forget_before(now_ms - REQUEST_TIME_OFF_MAX_MS)
            if nonce in each:
                raise RequestSignatureError("the nonce was used before")
        kept = self._participants if self._has_something(key) else self._strangers
        if kept.count(key) >= self._of_one_key_max:
            raise BusyError(f"this key signed {self._of_one_key_max} requests in a short time: wait a minute")
        if time_ms <= kept.forgotten_ms:
            raise BusyError("so many signed requests come that one as old may be one of before: sign it anew")
        kept.add(nonce, time_ms)


class _Nonces:
    """Those of the newest requests, each with its key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: set[_Nonce] = set()
        self._by_time: list[tuple[int, _Nonce]] = []
        """Time (Unix, ms) of each, too: a heap."""
        self._counts: Counter[bytes] = Counter()
        self.forgotten_ms = -1
        """The newest time of a request that is not remembered any more."""

    def __contains__(self, nonce: _Nonce) -> bool:
        return nonce in self._all

    def count(self, key: bytes) -> int:
        return self._counts[key]

    def add(self, nonce: _Nonce, time_ms: int) -> None:
        self._all.add(nonce)
        self._counts[nonce[0]] += 1
        heappush(self._by_time, (time_ms, nonce))
        if len(self._all) > self._most:
            self._forget_oldest()

    def forget_before(self, time_ms: int) -> None:
        while self._by_time and self._by_time[0][0] < time_ms:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self.forgotten_ms, nonce = heappop(self._by_time)
        self._all.remove(nonce)
        self._counts[nonce[0]] -= 1
        if not self._counts[nonce[0]]:
            del self._counts[nonce[0]]
