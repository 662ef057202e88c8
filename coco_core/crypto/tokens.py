"""Tokens by which a front end says for whom it asks: JWT (RFC 7519), signed by an issuer's key.

On PyJWT for form and signature. Time is an argument here, so its claims are checked here, too. RSA and ECDSA
only: a token under a shared secret would prove nothing about who made it. Knows no issuer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from coco_core.base.limits import CERTIFICATE_SIZE_MAX_BYTES, TOKEN_SIZE_MAX_BYTES
from coco_core.errors import AttestationError

_RSA_BITS_MIN: Final = 2_048
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def token_key(certificate_der: bytes) -> bytes:
    """Return the key (DER SubjectPublicKeyInfo) of a certificate that issues tokens.

    Raises AttestationError unless it is RSA of 2048 bits or more, or ECDSA on a NIST curve.
    """
    if len(certificate_der) > CERTIFICATE_SIZE_MAX_BYTES:
        raise AttestationError(f"certificate exceeds {CERTIFICATE_SIZE_MAX_BYTES} bytes")
    try:
        key = x509.load_der_x509_certificate(certificate_der).public_key()
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise AttestationError(f"not a certificate: {fault}") from fault
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise AttestationError("the key is neither RSA nor ECDSA")
    _algorithms(key)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def token_key_id(token: str) -> str:
    """Return the ID of the key that a token names, unchecked; raises AttestationError."""
    if len(token) > TOKEN_SIZE_MAX_BYTES:
        raise AttestationError(f"token exceeds {TOKEN_SIZE_MAX_BYTES} bytes")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError) as fault:
        raise AttestationError(f"not a token: {fault}") from fault
    if not isinstance(kid, str):
        raise AttestationError("the token names no key ('kid')")
    return kid


def check_token(token: str, key_der: bytes, issuer: str, now_s: int) -> Mapping[str, Any]:
    """Return the claims of a token signed by a key of ``issuer`` and valid at ``now_s``.

    Raises AttestationError otherwise. It must say when it expires (``exp``) and for whom it is (``sub``).
    """
    key = load_der_public_key(key_der)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise AttestationError("the issuer's key is neither RSA nor ECDSA")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_algorithms(key),
            issuer=issuer,
            options={
                "require": ["exp", "sub", "iss"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as fault:
        raise AttestationError(f"the token is not acceptable: {fault}") from fault
    expires, begins = claims["exp"], claims.get("nbf", 0)
    if not _is_time(expires) or now_s >= expires:
        raise AttestationError("the token has expired")
    if not _is_time(begins) or now_s < begins:
        raise AttestationError("the token is not valid yet")
    return claims


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _algorithms(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> list[str]:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _RSA_BITS_MIN:
            raise AttestationError(f"RSA key of {key.key_size} bits, {_RSA_BITS_MIN} at least")
        return list(_RSA_ALGORITHMS)
    algorithm = _EC_ALGORITHMS.get(key.curve.name)
    if algorithm is None:
        raise AttestationError(f"ECDSA on {key.curve.name} signs no tokens")
    return [algorithm]
