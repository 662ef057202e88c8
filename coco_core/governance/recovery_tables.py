"""The tables of recovery: the key that members hold shares of, and the ledger's epochs.

``public:coco.gov.recovery`` and ``public:coco.gov.epochs`` as values, and the writes that put values there.
What is escrowed to whom and who opens it is ``recovery``'s. Raises IntegrityError for tables that cannot be
right.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import attrs
import orjson

from coco_core.base.limits import SHARES_MAX
from coco_core.crypto import DIGEST_SIZE_BYTES, Encapsulated
from coco_core.errors import IntegrityError
from coco_core.kv import View, Writes, maps

_NUMBER: Final = struct.Struct(">Q")


@attrs.frozen
class ShareRecord:
    """One recovery member's share: where it lies, how to tell it, and how its member gets it."""

    index: int
    verification_key: bytes
    encrypted_share: bytes
    """The share, encrypted to the member's encryption key."""


@attrs.frozen
class RecoveryKey:
    """The key that all epochs are escrowed to, as ``public:coco.gov.recovery`` tells it."""

    public_key: bytes
    threshold: int
    members: Mapping[str, ShareRecord]
    """By member ID."""


@attrs.frozen(kw_only=True)
class EpochRecord:
    """One epoch of the ledger, as ``public:coco.gov.epochs`` tells it."""

    number: int
    """From 1."""
    first_seqno: int
    """The first entry that its secret seals."""
    commitment: str
    """What tells the right secret, in hex: see commitment_of."""
    created_ms: int
    reason: str
    escrow: Encapsulated | None
    """The secret, encrypted to the recovery key; None when no member holds shares."""


def epoch_key(number: int) -> bytes:
    """Return the key of epoch ``number`` in every table about epochs."""
    return _NUMBER.pack(number)


# ── writes ───────────────────────────────────────────────────────────────────────────────────────


def recovery_writes(key: RecoveryKey) -> Writes:
    """Return the write of the recovery key."""
    members = {
        member_id: {
            "index": record.index,
            "verification_key": record.verification_key.hex(),
            "encrypted_share": base64.b64encode(record.encrypted_share).decode(),
        }
        for member_id, record in key.members.items()
    }
    said = {"public_key": key.public_key.hex(), "threshold": key.threshold, "members": members}
    return {maps.RECOVERY: {maps.SINGLETON_KEY: orjson.dumps(said)}}


def epoch_writes(epochs: Iterable[EpochRecord]) -> Writes:
    """Return the writes that put ``epochs`` into the table as they are."""
    return {maps.EPOCHS: {epoch_key(record.number): _encode_epoch(record) for record in epochs}}


# ── readings ─────────────────────────────────────────────────────────────────────────────────────


def read_recovery(view: View) -> RecoveryKey | None:
    """Return the recovery key, None before shares were dealt; raises IntegrityError when malformed."""
    value = view.get(maps.RECOVERY, maps.SINGLETON_KEY)
    if value is None:
        return None
    try:
        key = _decode_key(value)
    except (ValueError, TypeError, RecursionError) as fault:
        raise IntegrityError(f"{maps.RECOVERY}: {fault}") from fault
    count = len(key.members)
    if sorted(record.index for record in key.members.values()) != list(range(1, count + 1)):
        raise IntegrityError(f"{maps.RECOVERY}: shares are not numbered from 1")
    if not 1 <= key.threshold <= count <= SHARES_MAX:
        raise IntegrityError(f"{maps.RECOVERY}: threshold {key.threshold} of {count} shares")
    return key


def read_epochs(view: View) -> list[EpochRecord]:
    """Return every epoch, oldest first; raises IntegrityError for a malformed table."""
    epochs: list[EpochRecord] = []
    for place, (key, value) in enumerate(view.items(maps.EPOCHS), start=1):
        if key != epoch_key(place):
            raise IntegrityError(f"{maps.EPOCHS}: key {key[:40].hex()} where epoch {place} should be")
        epochs.append(decode_epoch(place, value))
    for one, after in pairwise(epochs):
        if after.first_seqno <= one.first_seqno:
            raise IntegrityError(f"{maps.EPOCHS}: epoch {after.number} does not begin after the one before")
    return epochs


def newest_epoch(view: View) -> EpochRecord | None:
    """Return the newest epoch without reading all others; raises IntegrityError when it is malformed."""
    none = 1
    while view.get(maps.EPOCHS, epoch_key(none)) is not None:
        none *= 2
    # Numbers leave no gap, so halving finds the last one there is.
    there = none // 2
    while none - there > 1:
        middle = (there + none) // 2
        if view.get(maps.EPOCHS, epoch_key(middle)) is None:
            none = middle
        else:
            there = middle
    value = view.get(maps.EPOCHS, epoch_key(there))
    return None if value is None else decode_epoch(there, value)


# ── encodings ────────────────────────────────────────────────────────────────────────────────────


def _decode_key(value: bytes) -> RecoveryKey:
    match orjson.loads(value):
        case {"public_key": str(public_key), "threshold": int(threshold), "members": dict(members)}:
            records = {member_id: _decode_share(one) for member_id, one in members.items()}
            return RecoveryKey(bytes.fromhex(public_key), threshold, records)
    raise ValueError("malformed recovery key")


def _decode_share(said: object) -> ShareRecord:
    match said:
        case {"index": int(index), "verification_key": str(key), "encrypted_share": str(encrypted)}:
            return ShareRecord(index, bytes.fromhex(key), base64.b64decode(encrypted, validate=True))
    raise ValueError("malformed share")


def _encode_epoch(record: EpochRecord) -> bytes:
    escrow = record.escrow
    said = {
        "first_seqno": record.first_seqno,
        "commitment": record.commitment,
        "created_ms": record.created_ms,
        "reason": record.reason,
        "escrow": None if escrow is None else _encode_escrow(escrow),
    }
    return orjson.dumps(said)


def _encode_escrow(escrow: Encapsulated) -> dict[str, str]:
    return {
        "kem": escrow.kem.hex(),
        "twin": escrow.twin.hex(),
        "proof": escrow.proof.hex(),
        "ciphertext": base64.b64encode(escrow.ciphertext).decode(),
    }


def decode_epoch(number: int, value: bytes) -> EpochRecord:
    """Return epoch ``number`` from its value; raises IntegrityError when it is malformed."""
    try:
        match orjson.loads(value):
            case {
                "first_seqno": int(first_seqno),
                "commitment": str(commitment),
                "created_ms": int(created_ms),
                "reason": str(reason),
                "escrow": escrow,
            } if first_seqno >= 1 and len(bytes.fromhex(commitment)) == DIGEST_SIZE_BYTES:
                return EpochRecord(
                    number=number,
                    first_seqno=first_seqno,
                    commitment=commitment,
                    created_ms=created_ms,
                    reason=reason,
                    escrow=None if escrow is None else _decode_escrow(escrow),
                )
    except (ValueError, TypeError, RecursionError) as fault:
        raise IntegrityError(f"{maps.EPOCHS}: malformed record of epoch {number}: {fault}") from fault
    raise IntegrityError(f"{maps.EPOCHS}: malformed record of epoch {number}")


def _decode_escrow(said: object) -> Encapsulated:
    match said:
        case {"kem": str(kem), "twin": str(twin), "proof": str(proof), "ciphertext": str(ciphertext)}:
            return Encapsulated(
                kem=bytes.fromhex(kem),
                twin=bytes.fromhex(twin),
                proof=bytes.fromhex(proof),
                ciphertext=base64.b64decode(ciphertext, validate=True),
            )
    raise ValueError("malformed escrow")
