"""What evidence is bound to: which keys, which service, which question, and what for.

Evidence that a node presents to join is bound to a *transcript*: the version of the protocol, the service,
which side presents it, the nonce of who judges it, the keys of the joiner and of the node it asks. It is
good for one answer to one question of one node. *Standing* evidence is bound to a node's keys alone, so
that anybody may judge it later; the two never pass for each other, because what is hashed begins
differently.

Both are 64 bytes: SHA-512 over canonical CBOR. Knows values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_core.attestation import report_data
from coco_core.base import NodeID, limits
from coco_core.crypto import PublicKey
from coco_core.errors import AttestationError
from coco_core.wire import cbor
from coco_core.wire.values import from_base64, from_hex_digest, text, to_base64

JOINER: Final = "joiner"
"""The role of who asks to join."""
MEMBER: Final = "member"
"""The role of the node that is asked."""
CHANNEL_BINDING: Final = "certificates"
"""How evidence is bound to the channel: by the certificates seen on it. Python's ``ssl`` exports no keying
material in TLS 1.3, which would bind it to the session too."""

_VERSION: Final = "coco-join/2"
_STANDING: Final = "coco-node/1"


@attrs.frozen(kw_only=True)
class Transcript:
    """What one side's evidence is bound to while a node asks to join."""

    service_id: str
    """SHA-256 of the service's public key."""
    role: str
    """Whose evidence it is: JOINER or MEMBER."""
    nonce: bytes = attrs.field(repr=False)
    """Of who judges it."""
    joiner: NodeID
    """SHA-256 of the joiner's public key."""
    encryption_key: str
    """SHA-256 of the joiner's encryption key (SubjectPublicKeyInfo, DER), in hex."""
    verifier: NodeID
    """SHA-256 of the public key in the certificate of the node that is asked."""
    channel_binding: str = CHANNEL_BINDING

    @property
    def report_data(self) -> bytes:
        """The 64 bytes the evidence must be bound to."""
        return report_data(
            cbor.encode(
                [
                    _VERSION,
                    self.service_id,
                    self.role,
                    self.nonce,
                    bytes.fromhex(self.joiner),
                    bytes.fromhex(self.encryption_key),
                    bytes.fromhex(self.verifier),
                    self.channel_binding,
                ]
            )
        )


def standing_claims(key: PublicKey, encryption_key: PublicKey) -> bytes:
    """Return what a node's standing evidence says of its keys; it is bound to their ``report_data``."""
    digests = [bytes.fromhex(one.fingerprint) for one in (key, encryption_key)]
    return cbor.encode([_STANDING, *digests])


def check_standing_claims(claims: bytes, key: PublicKey) -> None:
    """Check that ``claims`` are of a node with ``key``, whatever its other key; raises AttestationError."""
    try:
        value = cbor.decode(claims, error=AttestationError)
    except AttestationError as error:
        raise AttestationError(f"malformed claims: {error}", code="malformed") from error
    match value:
        case [str(version), bytes(digest), bytes()] if version == _STANDING:
            if digest.hex() != key.fingerprint:
                raise AttestationError("the evidence is of another key", code="pubkey_hash")
        case _:
            raise AttestationError("malformed claims", code="malformed")


def standing_report_data(key: PublicKey, encryption_key: PublicKey) -> bytes:
    """Return the 64 bytes a node's standing evidence is bound to."""
    return report_data(standing_claims(key, encryption_key))


def transcript_to_json(transcript: Transcript) -> dict[str, Any]:
    """Return a transcript as JSON values."""
    return {
        "version": _VERSION,
        "service_id": transcript.service_id,
        "role": transcript.role,
        "nonce": to_base64(transcript.nonce),
        "joiner": transcript.joiner,
        "encryption_key": transcript.encryption_key,
        "verifier": transcript.verifier,
        "channel_binding": transcript.channel_binding,
    }


def transcript_from_json(value: Mapping[str, Any]) -> Transcript:
    """Read what transcript_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    if value["version"] != _VERSION:
        raise ValueError(f"another version than {_VERSION}")
    return Transcript(
        service_id=text(value["service_id"]),
        role=text(value["role"]),
        nonce=read_nonce(value["nonce"]),
        joiner=NodeID(_digest(value["joiner"])),
        encryption_key=_digest(value["encryption_key"]),
        verifier=NodeID(_digest(value["verifier"])),
        channel_binding=text(value["channel_binding"]),
    )


def read_nonce(value: Any) -> bytes:
    """Read a nonce from base64 text; raises ValueError or TypeError."""
    nonce = from_base64(text(value))
    if len(nonce) != limits.NONCE_SIZE_BYTES:
        raise ValueError(f"a nonce has {limits.NONCE_SIZE_BYTES} bytes, not {len(nonce)}")
    return nonce


def _digest(value: Any) -> str:
    return from_hex_digest(text(value)).hex()
