"""Requests that a member signed: COSE_Sign1 with the payload inside (RFC 9052 §4.2), as CCF's tools make.

Protected header: ``{1: alg, 4: kid, "ccf.gov.msg.type": …, "ccf.gov.msg.created_at": Unix seconds}`` and, for
ballots and withdrawals, ``"ccf.gov.msg.proposal_id"``. ``kid`` is the member's ID in ASCII: the SHA-256 of
its certificate in hex. ES256, ES384 and ES512 (RFC 9053 §2.1). ``"coco.service"`` may say for which service
it is meant, by the SHA-256 of that one's key; our tools do. Without it a request can be made again at another
service that has the same member.

Two messages are the same request when they sign the same bytes, whatever their signatures look like (an
ECDSA signature has two forms). Knows messages and keys; which requests are acceptable when is ``proposals``'.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import cbor2

from coco_core.base import limits
from coco_core.crypto import Curve, PrivateKey, PublicKey, SignatureError, read_certificate, sha256
from coco_core.errors import MemberError
from coco_core.wire import cbor

PROPOSAL, BALLOT, WITHDRAWAL = "proposal", "ballot", "withdrawal"
ACK, STATE_DIGEST, RECOVERY_SHARE = "ack", "state_digest", "recovery_share"
TYPES: Final = frozenset({PROPOSAL, BALLOT, WITHDRAWAL, ACK, STATE_DIGEST, RECOVERY_SHARE})

_TAG_SIGN1: Final = 18
_ALG, _KID = 1, 4
_TYPE, _CREATED_AT, _PROPOSAL_ID = "ccf.gov.msg.type", "ccf.gov.msg.created_at", "ccf.gov.msg.proposal_id"
_SERVICE: Final = "coco.service"
_ALGORITHMS: Final = {Curve.P256: -7, Curve.P384: -35, Curve.P521: -36}
_CREATED_AT_MAX: Final = 2**53
_MEMBER_ID: Final = re.compile(rb"[0-9a-f]{64}")
_HEX_ID: Final = re.compile("[0-9a-f]{64}")


@attrs.frozen(kw_only=True)
class SignedRequest:
    """A request as its message says; nothing of it is true before ``check_signature``."""

    member_id: str
    kind: str
    created_at_s: int
    proposal_id: str | None
    service: str | None = None
    """SHA-256 of the key of the service it is meant for, in hex; None when it does not say."""
    payload: bytes = attrs.field(repr=False)
    algorithm: int
    signature: bytes = attrs.field(repr=False)
    signed: bytes = attrs.field(repr=False)
    """What the signature is over."""

    @property
    def digest(self) -> str:
        """What makes it this request: SHA-256 of what is signed, in hex."""
        return sha256(self.signed).hex()


def read_signed_request(data: bytes) -> SignedRequest:
    """Read a message; raises MemberError when it is none, or its header is not one of a member's request."""
    if len(data) > limits.SIGNED_REQUEST_SIZE_MAX_BYTES:
        raise MemberError(
            f"a signed request of {len(data)} bytes exceeds {limits.SIGNED_REQUEST_SIZE_MAX_BYTES}"
        )
    message = _decode(data)
    if not isinstance(message, cbor2.CBORTag) or message.tag != _TAG_SIGN1:
        raise MemberError("not a COSE_Sign1 message: tag 18 is missing")
    match message.value:
        case [bytes(protected), _, bytes(payload), bytes(signature)]:
            header = _decode(protected)
        case [bytes(), _, None, bytes()]:
            raise MemberError("the payload is detached; it belongs inside the message")
        case _:
            raise MemberError("not a COSE_Sign1 message: expected headers, payload and signature")
    if not isinstance(header, dict):
        raise MemberError("the protected header is no map")
    return SignedRequest(
        member_id=_kid(header.get(_KID)),
        kind=_kind(header.get(_TYPE)),
        created_at_s=_created_at(header.get(_CREATED_AT)),
        proposal_id=_proposal_id(header.get(_PROPOSAL_ID)),
        service=_service(header.get(_SERVICE)),
        payload=payload,
        algorithm=header[_ALG] if type(header.get(_ALG)) is int else 0,
        signature=signature,
        signed=to_be_signed(protected, payload),
    )


def check_signature(request: SignedRequest, certificate: str) -> None:
    """Raise MemberError unless the holder of ``certificate`` signed ``request``."""
    key = read_certificate(certificate).public_key
    expected = _ALGORITHMS[key.curve]
    if request.algorithm != expected:
        raise MemberError(
            f"algorithm {request.algorithm} is not that of the member's key, {expected} on {key.curve.value}"
        )
    _verify(request, key)


def sign_request(
    key: PrivateKey,
    certificate: str,
    kind: str,
    payload: bytes,
    *,
    created_at_s: int,
    proposal_id: str | None = None,
    service: str | None = None,
) -> bytes:
    """Return the message by which the holder of ``certificate`` asks for something."""
    protected = protected_header(
        certificate, kind, created_at_s=created_at_s, proposal_id=proposal_id, service=service
    )
    return assemble(protected, payload, key.sign_raw(to_be_signed(protected, payload)))


def protected_header(
    certificate: str,
    kind: str,
    *,
    created_at_s: int,
    proposal_id: str | None = None,
    service: str | None = None,
) -> bytes:
    """Return the header of a request, for a signer that is elsewhere (see ``to_be_signed``)."""
    parsed = read_certificate(certificate)
    header: dict[int | str, object] = {
        _ALG: _ALGORITHMS[parsed.public_key.curve],
        _KID: parsed.fingerprint.encode(),
        _TYPE: kind,
        _CREATED_AT: created_at_s,
    }
    if proposal_id is not None:
        header[_PROPOSAL_ID] = proposal_id
    if service is not None:
        header[_SERVICE] = service
    return cbor.encode(header)


def assemble(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the message of a header, a payload and the raw ``r || s`` signature over both."""
    return cbor.encode(cbor2.CBORTag(_TAG_SIGN1, [protected, {}, payload, signature]))


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return what the signer signs (RFC 9052 §4.4)."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _verify(request: SignedRequest, key: PublicKey) -> None:
    try:
        key.verify_raw(request.signature, request.signed)
    except SignatureError as error:
        raise MemberError(f"the request is not signed by member {request.member_id[:16]}…") from error


def _decode(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MemberError(f"not CBOR: {error}") from error


def _kid(value: Any) -> str:
    if isinstance(value, bytes) and _MEMBER_ID.fullmatch(value):
        return value.decode()
    raise MemberError("header 4 (kid) must be the member's ID: SHA-256 of its certificate, 64 hex digits")


def _kind(value: Any) -> str:
    if isinstance(value, str) and value in TYPES:
        return value
    raise MemberError(f"header {_TYPE!r} must be one of {', '.join(sorted(TYPES))}")


def _created_at(value: Any) -> int:
    if type(value) is int and 0 <= value < _CREATED_AT_MAX:
        return value
    raise MemberError(f"header {_CREATED_AT!r} must be Unix seconds")


def _service(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and _HEX_ID.fullmatch(value)):
        return value
    raise MemberError(f"header {_SERVICE!r} must be SHA-256 of a service's key, 64 hex digits")


def _proposal_id(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= 64):
        return value
    raise MemberError(f"header {_PROPOSAL_ID!r} must be a proposal's ID")
