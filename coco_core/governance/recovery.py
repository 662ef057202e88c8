"""Who can open the ledger beside its nodes: members' shares of one key, and what is escrowed to it.

Every epoch's ledger secret is in the tables, encrypted to a public key whose secret half nobody holds:
each recovery member has a share of it, in the tables too, encrypted to the member's own key. So many
members together (the *threshold*) can recover the whole ledger when every node is lost, by giving their
shares to a node they trust. Or they let an auditor read one epoch, by giving *partial decryptions* of that
epoch's escrow, which open nothing else (see ``coco_core.crypto.threshold``).

Whose fault: IntegrityError for tables that cannot be right, MemberError for what a member brought.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
import orjson

from coco_core.base import invariant
from coco_core.base.limits import EPOCH_REASON_SIZE_MAX_BYTES, PARTIAL_DECRYPTION_SIZE_MAX_BYTES
from coco_core.crypto import (
    Encapsulated,
    PartialDecryption,
    Share,
    ShareError,
    check_dealing,
    check_encapsulated,
    check_partial,
    combine,
    deal,
    encapsulate,
    partial,
    reconstruct,
    sha256,
    unwrap_by_member,
    wrap_for_member,
)
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance.recovery_tables import (
    EpochRecord,
    RecoveryKey,
    ShareRecord,
    epoch_writes,
    newest_epoch,
    read_epochs,
    read_recovery,
    recovery_writes,
)
from coco_core.kv import View, Writes

_COMMITMENT_DOMAIN: Final = b"coco epoch v1"
_ESCROW_DOMAIN: Final = b"coco epoch escrow v1"


def commitment_of(secret: bytes) -> str:
    """Return SHA-256 of "coco epoch v1" and the secret, in hex."""
    return sha256(_COMMITMENT_DOMAIN + secret).hex()


def check_commitment(record: EpochRecord, secret: bytes) -> None:
    """Check that ``secret`` is the one the table commits to; raises IntegrityError."""
    if commitment_of(secret) != record.commitment:
        raise IntegrityError(f"epoch {record.number}: the secret is not the one committed to")


# ── dealing and escrow ───────────────────────────────────────────────────────────────────────────


def deal_shares(
    members: Mapping[str, str], threshold: int, epochs: Sequence[tuple[EpochRecord, bytes]]
) -> Writes:
    """Return the writes of a fresh recovery key, and of all ``epochs`` with their secrets escrowed to it.

    ``members``: PEM of the encryption key by member ID. The shares dealt before open nothing written from
    now on; what they opened stays open to whoever keeps the old tables and enough old shares. Raises
    MemberError for an impossible threshold or a member's unusable key.
    """
    dealt = deal(threshold, len(members))
    records: dict[str, ShareRecord] = {}
    for share, member_id in zip(dealt.shares, sorted(members), strict=True):
        try:
            wrapped = wrap_for_member(members[member_id], share.to_bytes())
        except AttestationError as fault:
            raise MemberError(f"member {member_id}: {fault}") from fault
        records[member_id] = ShareRecord(share.index, share.verification_key, wrapped)
    key = RecoveryKey(dealt.public_key, threshold, records)
    return {
        **recovery_writes(key),
        **epoch_writes(_escrowed(record, secret, key) for record, secret in epochs),
    }


def escrow_epoch(view: View, *, first_seqno: int, secret: bytes, created_ms: int, reason: str) -> Writes:
    """Return the write of the next epoch, its secret escrowed to the recovery key of ``view``, if any.

    Raises IntegrityError for malformed tables, MemberError for a reason longer than
    EPOCH_REASON_SIZE_MAX_BYTES. ``first_seqno`` is after that of the epoch before.
    """
    if len(reason.encode(errors="replace")) > EPOCH_REASON_SIZE_MAX_BYTES:
        raise MemberError(f"the reason for an epoch exceeds {EPOCH_REASON_SIZE_MAX_BYTES} bytes")
    newest = newest_epoch(view)
    invariant(newest is None or first_seqno > newest.first_seqno, "epochs begin in ascending order")
    record = EpochRecord(
        number=1 if newest is None else newest.number + 1,
        first_seqno=first_seqno,
        commitment=commitment_of(secret),
        created_ms=created_ms,
        reason=reason,
        escrow=None,
    )
    key = read_recovery(view)
    if key is not None:
        record = _escrowed(record, secret, key)
    return epoch_writes([record])


def with_secrets(
    epochs: Sequence[EpochRecord], secrets: Iterable[tuple[int, bytes]]
) -> list[tuple[EpochRecord, bytes]]:
    """Return every epoch with its secret, found by first seqno (``LedgerSecrets.epochs``).

    Raises IntegrityError when one is missing or is not the one the table commits to.
    """
    known = dict(secrets)
    found: list[tuple[EpochRecord, bytes]] = []
    for record in epochs:
        if record.first_seqno not in known:
            raise IntegrityError(f"epoch {record.number}: no secret from seqno {record.first_seqno}")
        check_commitment(record, known[record.first_seqno])
        found.append((record, known[record.first_seqno]))
    return found


# ── members' shares: disaster recovery ───────────────────────────────────────────────────────────


def open_share(encrypted: bytes, private_pem: str | bytes) -> bytes:
    """Return a member's share in the clear, from its encrypted form and the member's private key.

    Raises AttestationError when the key is not the member's, MemberError when what it opens is no share.
    """
    return Share.from_bytes(unwrap_by_member(private_pem, encrypted)).to_bytes()


def check_share(view: View, member_id: str, share: bytes) -> None:
    """Check that ``share`` is the one dealt to the member; raises MemberError naming the member."""
    _member_share(_key_of(view), member_id, share)


def check_shares_dealt(view: View) -> None:
    """Check that any threshold of the shares open the recovery key, whoever dealt them.

    For members, who need not believe the dealer. Raises IntegrityError naming what is wrong.
    """
    key = _key_of(view)
    by_index = {record.index: record.verification_key for record in key.members.values()}
    check_dealing(key.public_key, by_index, key.threshold)


def check_escrowed(view: View, records: Iterable[EpochRecord]) -> None:
    """Check that the escrow in each of ``records`` was made for the recovery key and that epoch.

    Whether it holds the secret only who opens it sees. Raises IntegrityError naming the epoch.
    """
    key = _key_of(view)
    for record in records:
        try:
            check_encapsulated(key.public_key, _escrow_of(record), _context(record))
        except IntegrityError as fault:
            raise IntegrityError(f"epoch {record.number}: {fault}") from fault


def recover_secrets(view: View, shares: Mapping[str, bytes]) -> list[tuple[int, bytes]]:
    """Return ``(first_seqno, secret)`` of every epoch, from shares by member ID.

    Raises MemberError when they are too few, or one is not its member's, naming the member; and
    IntegrityError when an epoch is not escrowed, or opens to what its commitment does not tell.
    """
    key = _key_of(view)
    given = [_member_share(key, member_id, share) for member_id, share in sorted(shares.items())]
    if len(given) < key.threshold:
        raise MemberError(f"{len(given)} of the {key.threshold} shares needed are given")
    try:
        whole = reconstruct(key.public_key, given, key.threshold)
    except ShareError as fault:
        # Every one of them is the share that was dealt, so it is the tables that are wrong.
        raise IntegrityError(f"recovery key: {fault}") from fault
    secrets: list[tuple[int, bytes]] = []
    for record in read_epochs(view):
        try:
            secret = whole.open(_escrow_of(record), _context(record))
        except IntegrityError as fault:
            raise IntegrityError(f"epoch {record.number}: {fault}") from fault
        check_commitment(record, secret)
        secrets.append((record.first_seqno, secret))
    return secrets


# ── partial decryptions: an auditor's reading of one epoch ───────────────────────────────────────


def partial_for_epoch(view: View, number: int, member_id: str, share: bytes) -> bytes:
    """Return what a member gives so that an epoch is opened: JSON, of use for this epoch only.

    Raises MemberError when there is no such epoch or the share is not the member's, IntegrityError when
    the tables' escrow was not made for this epoch: a member who signed it away would open another.
    """
    key, record = _key_of(view), _epoch(view, number)
    own = _member_share(key, member_id, share)
    given = partial(own, key.public_key, _escrow_of(record), _context(record))
    said = {
        "epoch": number,
        "member_id": member_id,
        "public_key": key.public_key.hex(),
        "partial": base64.b64encode(given.to_bytes()).decode(),
    }
    return orjson.dumps(said)


def open_epoch(view: View, number: int, partials: Iterable[bytes]) -> bytes:
    """Return an epoch's secret from what partial_for_epoch gave enough members.

    Raises MemberError when they are too few, or one does not serve, naming the member; IntegrityError
    when the tables contradict themselves.
    """
    key, record = _key_of(view), _epoch(view, number)
    escrow = _escrow_of(record)
    given: dict[str, PartialDecryption] = {}
    for data in partials:
        member_id, one = _decode_partial(data, number, key)
        if member_id in given:
            raise MemberError(f"member {member_id}: a second partial decryption")
        try:
            check_partial(one, escrow.kem, key.members[member_id].verification_key)
        except ShareError as fault:
            raise MemberError(f"member {member_id}: {fault}") from fault
        given[member_id] = one
    if len(given) < key.threshold:
        raise MemberError(f"{len(given)} of the {key.threshold} partial decryptions needed are given")
    try:
        secret = combine(key.public_key, escrow, given.values(), key.threshold, _context(record))
    except ShareError as fault:
        # Every one of them was proved right, so it is the tables that are wrong.
        raise IntegrityError(f"epoch {number}: {fault}") from fault
    check_commitment(record, secret)
    return secret


def _decode_partial(data: bytes, number: int, key: RecoveryKey) -> tuple[str, PartialDecryption]:
    if len(data) > PARTIAL_DECRYPTION_SIZE_MAX_BYTES:
        raise MemberError(f"partial decryption of {len(data)} bytes")
    try:
        match orjson.loads(data):
            case {
                "member_id": str(member_id),
                "epoch": int(epoch),
                "public_key": str(public),
                "partial": str(said),
            }:
                encoded = base64.b64decode(said, validate=True)
            case _:
                raise ValueError("no members as they should be")
    except (ValueError, TypeError, RecursionError) as fault:
        raise MemberError(f"not a partial decryption: {fault}") from fault
    record = key.members.get(member_id)
    if record is None:
        raise MemberError(f"member {member_id[:80]} holds no share")
    if epoch != number:
        raise MemberError(f"member {member_id}: partial decryption of epoch {epoch}, not of {number}")
    if public != key.public_key.hex():
        raise MemberError(f"member {member_id}: the share was dealt anew since")
    try:
        given = PartialDecryption.from_bytes(encoded)
    except ShareError as fault:
        raise MemberError(f"member {member_id}: {fault}") from fault
    if given.index != record.index:
        raise MemberError(f"member {member_id} holds share {record.index}, not {given.index}")
    return member_id, given


# ── what both need ───────────────────────────────────────────────────────────────────────────────


def _key_of(view: View) -> RecoveryKey:
    key = read_recovery(view)
    if key is None:
        raise MemberError("no shares were dealt: no member can open this ledger")
    return key


def _epoch(view: View, number: int) -> EpochRecord:
    epochs = read_epochs(view)
    if not 1 <= number <= len(epochs):
        raise MemberError(f"there is no epoch {number}; the newest is {len(epochs)}")
    return epochs[number - 1]


def _member_share(key: RecoveryKey, member_id: str, data: bytes) -> Share:
    record = key.members.get(member_id)
    if record is None:
        raise MemberError(f"member {member_id} holds no share")
    try:
        share = Share.from_bytes(data)
    except ShareError as fault:
        raise MemberError(f"member {member_id}: {fault}") from fault
    if share.index != record.index or share.verification_key != record.verification_key:
        raise MemberError(f"member {member_id}: this is not the share that was dealt")
    return share


def _context(record: EpochRecord) -> bytes:
    """Bind an escrow to its epoch; not to the service, whose identity a recovery changes."""
    return _ESCROW_DOMAIN + record.number.to_bytes(8, "big") + bytes.fromhex(record.commitment)


def _escrowed(record: EpochRecord, secret: bytes, key: RecoveryKey) -> EpochRecord:
    check_commitment(record, secret)
    return attrs.evolve(record, escrow=encapsulate(key.public_key, secret, _context(record)))


def _escrow_of(record: EpochRecord) -> Encapsulated:
    if record.escrow is None:
        raise IntegrityError(f"epoch {record.number} is not escrowed, though members hold shares")
    return record.escrow
