"""Signature keys: ECDSA on P-256, P-384 or P-521, wrapped so that no wrong combination can be asked for.

The curve fixes the hash (SHA-256, SHA-384 and SHA-512, in that order). Verification raises. Entropy for
key generation and for signature nonces comes from the ``cryptography`` library, the one source of
entropy a pure room may use, because a key must never pass through a simulated generator.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from coco_core.base import NodeID
from coco_core.errors import AttestationError, IntegrityError

_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


class SignatureError(IntegrityError):
    """A signature does not verify under the key it is said to be made with."""


class Curve(enum.Enum):
    """The curves in use: P-256 where speed counts (nodes), P-384 for the service, any for people's keys."""

    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"

    @property
    def coordinate_size_bytes(self) -> int:
        """Size of one number of a raw ``r || s`` signature."""
        return {Curve.P256: 32, Curve.P384: 48, Curve.P521: 66}[self]


HASHES: Final[dict[Curve, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    Curve.P256: hashes.SHA256(),
    Curve.P384: hashes.SHA384(),
    Curve.P521: hashes.SHA512(),
}
"""What is signed with a key on a curve is digested by."""
_CURVES: Final[dict[Curve, ec.EllipticCurve]] = {
    Curve.P256: ec.SECP256R1(),
    Curve.P384: ec.SECP384R1(),
    Curve.P521: ec.SECP521R1(),
}
_ALGORITHMS: Final = {curve: ec.ECDSA(algorithm) for curve, algorithm in HASHES.items()}
_BY_NAME: Final = {curve.name: name for name, curve in _CURVES.items()}


def _checked(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _BY_NAME:
        raise AttestationError("key is not on P-256, P-384 or P-521")
    return key


@attrs.frozen(slots=True, eq=False, repr=False)
class PublicKey:
    """The public half: verifies, and names its holder."""

    key: ec.EllipticCurvePublicKey
    curve: Curve
    der: bytes
    """SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7)."""

    @classmethod
    def wrap(cls, key: object) -> PublicKey:
        """Take a key of the ``cryptography`` library; raises AttestationError for other curves."""
        checked = _checked(key)
        der = checked.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(checked, _BY_NAME[checked.curve.name], der)

    @classmethod
    def from_der(cls, der: bytes) -> PublicKey:
        """Read a DER SubjectPublicKeyInfo; raises AttestationError if it is not one of ours."""
        try:
            return cls.wrap(load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm) as fault:
            raise AttestationError(f"not a public key: {fault}") from fault

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Read a PEM SubjectPublicKeyInfo; raises AttestationError if it is not one of ours."""
        try:
            return cls.wrap(load_pem_public_key(pem.encode() if isinstance(pem, str) else pem))
        except (ValueError, UnsupportedAlgorithm) as fault:
            raise AttestationError(f"not a public key: {fault}") from fault

    @property
    def pem(self) -> str:
        """SubjectPublicKeyInfo as PEM text."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER key in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    def node_id(self) -> NodeID:
        """Return the name of the node whose key it is: the fingerprint."""
        return NodeID(self.fingerprint)

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a DER signature over ``message``; raises SignatureError."""
        try:
            self.key.verify(signature, message, _ALGORITHMS[self.curve])
        except InvalidSignature as fault:
            raise SignatureError(f"signature is not by key {self.fingerprint[:16]}…") from fault

    def verify_digest(self, signature: bytes, digest: bytes) -> None:
        """Check a DER signature over an existing SHA-256 ``digest``; raises SignatureError."""
        if len(digest) != 32:
            raise SignatureError(f"not a SHA-256 digest: {len(digest)} bytes")
        try:
            self.key.verify(signature, digest, _PREHASHED)
        except InvalidSignature as fault:
            raise SignatureError(f"signature is not by key {self.fingerprint[:16]}…") from fault

    def verify_raw(self, signature: bytes, message: bytes) -> None:
        """Check a raw ``r || s`` signature (IEEE P1363, as COSE uses it); raises SignatureError."""
        size = self.curve.coordinate_size_bytes
        if len(signature) != 2 * size:
            raise SignatureError(f"raw signature has {len(signature)} bytes, expected {2 * size}")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        self.verify(utils.encode_dss_signature(r, s), message)

    def __eq__(self, other: object) -> bool:
        """Two keys are equal when their encodings are."""
        return isinstance(other, PublicKey) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<PublicKey {self.curve.value} {self.fingerprint[:16]}…>"


@attrs.frozen(slots=True, eq=False, repr=False)
class PrivateKey:
    """The private half: signs. Never printed; leaves the process only as :meth:`to_pem`."""

    key: ec.EllipticCurvePrivateKey
    public: PublicKey

    @classmethod
    def generate(cls, curve: Curve = Curve.P256) -> PrivateKey:
        """Make a fresh key from the system's entropy."""
        key = ec.generate_private_key(_CURVES[curve])
        return cls(key, PublicKey.wrap(key.public_key()))

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PrivateKey:
        """Read an unencrypted PEM key; raises AttestationError if it is not on one of our curves."""
        try:
            key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise AttestationError(f"not a private key: {fault}") from fault
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AttestationError("key is not on P-256, P-384 or P-521")
        return cls(key, PublicKey.wrap(key.public_key()))

    def to_pem(self) -> str:
        """Return the key unencrypted as PKCS #8 PEM text; the caller guards it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, message: bytes) -> bytes:
        """Return a DER signature over ``message`` with the curve's own hash."""
        return self.key.sign(message, _ALGORITHMS[self.public.curve])

    def sign_digest(self, digest: bytes) -> bytes:
        """Return a DER signature over an existing 32-byte SHA-256 ``digest``, on any curve."""
        return self.key.sign(digest, _PREHASHED)

    def sign_raw(self, message: bytes) -> bytes:
        """Return a raw ``r || s`` signature (IEEE P1363) over ``message``, as COSE uses it."""
        size = self.public.curve.coordinate_size_bytes
        r, s = utils.decode_dss_signature(self.sign(message))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public!r}>"
