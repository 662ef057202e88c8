"""Sealing: bytes that only the same code, on the same machine, for the same node can read again.

Pure: the platform's key and entropy are arguments. Sealing cannot tell an old blob from the last one. Whoever
unseals says how far the ledger is known to be, from a majority of nodes; a node that trusts its own disk
alone can be taken back in time. A policy is never weakened in silence: what was sealed for exact code is
asked for as that.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

import attrs
import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coco_core.errors import IntegrityError
from coco_enclave import limits

_FORM: Final = "coco-sealed/1"
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12
ENTROPY_BYTES: Final = _SALT_BYTES + _NONCE_BYTES


class SealingError(IntegrityError):
    """A sealed blob is not what it should be, or not for whoever opens it; ``code`` says which.

    ``malformed``, ``platform``, ``policy``, ``code``, ``svn``, ``context``, ``machine``, ``altered``,
    ``rollback``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SealPolicy(StrEnum):
    """To whom the platform gives the same key again."""

    EXACT = "exact"
    """The same code, byte for byte."""
    AUTHOR = "author"
    """Any code of the same signer, old and faulty builds with it: ask for a security version."""


@attrs.frozen(kw_only=True)
class SealingKey:
    """The key a platform gives this code, and what it depends on."""

    platform: str
    policy: SealPolicy
    code: str
    """Measurement or signer, lower-case hex: what must be the same."""
    svn: int = 0
    """The security version of the running code."""
    tcb: str = ""
    """The state of the firmware mixed into the key, empty when none is."""
    secret: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SealContext:
    """For whom and for what something is sealed."""

    service_id: str
    node_id: str
    purpose: str

    @property
    def digest(self) -> bytes:
        """SHA-256 over all of it."""
        return hashlib.sha256(_dumps([self.service_id, self.node_id, self.purpose])).digest()


@attrs.frozen(kw_only=True)
class SealedHeader:
    """What a blob says of itself in the clear; all of it is authenticated."""

    platform: str
    policy: SealPolicy
    code: str
    svn: int
    tcb: str
    seqno: int
    """How far the ledger was when it was sealed."""
    context: bytes
    key_id: bytes
    salt: bytes
    nonce: bytes


@attrs.frozen(kw_only=True)
class Unsealed:
    """What was sealed."""

    secret: bytes = attrs.field(repr=False)
    seqno: int
    stale: bool
    """The firmware is newer than when it was sealed: seal it again, or the next update may lose it."""


def seal(secret: bytes, key: SealingKey, context: SealContext, seqno: int, entropy: bytes) -> bytes:
    """Return ``secret`` sealed; ``entropy`` is 44 bytes, never used twice. Raises SealingError for fewer."""
    if len(entropy) != ENTROPY_BYTES or len(secret) > limits.SEALED_SIZE_MAX_BYTES:
        raise SealingError("malformed", "sealing takes 44 bytes of entropy and a secret within its bound")
    salt, nonce = entropy[:_SALT_BYTES], entropy[_SALT_BYTES:]
    header = SealedHeader(
        platform=key.platform,
        policy=key.policy,
        code=key.code,
        svn=key.svn,
        tcb=key.tcb,
        seqno=seqno,
        context=context.digest,
        key_id=_key_id(key, salt),
        salt=salt,
        nonce=nonce,
    )
    ciphertext = AESGCM(_cipher_key(key, salt, context)).encrypt(nonce, secret, _associated(header))
    return _dumps([_FORM, *_values(header), ciphertext])


def read_header(blob: bytes) -> SealedHeader:
    """Return what a blob says of itself, to ask the platform for the key; raises SealingError."""
    return _read(blob)[0]


def unseal(
    blob: bytes,
    key: SealingKey,
    context: SealContext,
    *,
    committed_seqno: int,
    current_tcb: str | None = None,
) -> Unsealed:
    """Return what was sealed; raises SealingError.

    ``committed_seqno`` is how far the ledger is known to be from a majority of nodes: what was sealed before
    has been replaced since. ``current_tcb`` is the state of the firmware now, that of ``key`` unless given.
    """
    header, ciphertext = _read(blob)
    for code, sealed, now in (
        ("platform", header.platform, key.platform),
        ("policy", header.policy, key.policy),
        ("code", header.code, key.code),
        ("context", header.context, context.digest),
        ("machine", (header.tcb, header.key_id), (key.tcb, _key_id(key, header.salt))),
    ):
        if sealed != now:
            raise SealingError(code, f"sealed for another {code}")
    if header.svn > key.svn:
        raise SealingError("svn", f"sealed by code of security version {header.svn}, this is {key.svn}")
    try:
        secret = AESGCM(_cipher_key(key, header.salt, context)).decrypt(
            header.nonce, ciphertext, _associated(header)
        )
    except InvalidTag as error:
        raise SealingError("altered", "the sealed bytes have been altered") from error
    if header.seqno < committed_seqno:
        raise SealingError(
            "rollback", f"sealed at {header.seqno}, the ledger is at {committed_seqno} at least"
        )
    stale = header.tcb != (key.tcb if current_tcb is None else current_tcb)
    return Unsealed(secret=secret, seqno=header.seqno, stale=stale)


def _key_id(key: SealingKey, salt: bytes) -> bytes:
    """Return what tells keys apart without telling them: also commits the ciphertext to one key."""
    return _derive(key, salt, b"coco-seal/1 key id", 16)


def _cipher_key(key: SealingKey, salt: bytes, context: SealContext) -> bytes:
    return _derive(key, salt, b"coco-seal/1 " + context.digest, 32)


def _derive(key: SealingKey, salt: bytes, info: bytes, size: int) -> bytes:
    """Return a key of our own: platforms give the same one to others (Gramine to its encrypted mounts)."""
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(key.secret)


def _associated(header: SealedHeader) -> bytes:
    return _dumps([_FORM, *_values(header)])


def _values(header: SealedHeader) -> list[object]:
    values: tuple[object, ...] = attrs.astuple(header, recurse=False)
    return [value.value if isinstance(value, SealPolicy) else value for value in values]


def _read(blob: bytes) -> tuple[SealedHeader, bytes]:
    if len(blob) > 2 * limits.SEALED_SIZE_MAX_BYTES:
        raise SealingError("malformed", "a sealed blob beyond its bound")
    try:
        value = cbor2.loads(blob)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SealingError("malformed", f"not CBOR: {error}") from error
    match value:
        case [
            form,
            str(platform),
            str(policy),
            str(code),
            int(svn),
            str(tcb),
            int(seqno),
            bytes(context),
            bytes(key_id),
            bytes(salt),
            bytes(nonce),
            bytes(ciphertext),
        ] if (
            form == _FORM
            and _dumps(value) == blob
            and policy in set(SealPolicy)
            and len(nonce) == _NONCE_BYTES
        ):
            header = SealedHeader(
                platform=platform,
                policy=SealPolicy(policy),
                code=code,
                svn=svn,
                tcb=tcb,
                seqno=seqno,
                context=context,
                key_id=key_id,
                salt=salt,
                nonce=nonce,
            )
            return header, ciphertext
    raise SealingError("malformed", "this is no sealed blob")


def _dumps(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)
