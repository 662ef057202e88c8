"""Epochs of ledger secrets: how one begins, who gets its secret, and when one is wanted.

The entry that begins an epoch is the last one of the epoch before. It holds the new secret, sealed to every
node that takes part, and what tells whether it is the right one (a commitment in
``public:coco.gov.epochs``); members' escrow of it is ``recovery``'s. A node that joins later is welcomed with
the secrets there are.

Who takes part: members, who learns to be one, and who was removed until the ledger says that this is agreed.
Until then its vote may be needed, so it must be able to read on.

Pure: tables and fresh entropy in, writes out. Raises IntegrityError for tables that cannot be right.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import orjson

from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey, hpke_open, hpke_seal
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance.join_requests import encryption_key
from coco_core.governance.json_values import read_json
from coco_core.governance.membership import RETIRED, TRUSTED, NodeRecord, read_change, read_nodes
from coco_core.governance.recovery import check_commitment, commitment_of, escrow_epoch
from coco_core.governance.recovery_tables import (
    EpochRecord,
    decode_epoch,
    epoch_key,
    newest_epoch,
    read_epochs,
)
from coco_core.kv import View, Writes, maps

_SECRET_SIZE_BYTES: Final = 32
_COPY_DOMAIN: Final = b"coco epoch copy v1"
MEMBERS_CHANGED: Final = "the members changed"
"""Why an epoch is wanted once a change of members is made."""
SERVICE_RECOVERED: Final = "the service was recovered"
"""Why an epoch begins with the recovery entry, and another is wanted once its nodes of before are gone."""
ADDITION_CANCELLED: Final = "an addition was cancelled"
"""Why an epoch is wanted once nodes that learned are sent away: they hold the newest secret."""

Changes = Mapping[str, Mapping[bytes, bytes | None]]


# ── how an epoch begins ──────────────────────────────────────────────────────────────────────────


def first_epoch(view: View, secret: bytes, *, time_ms: int) -> Writes:
    """Return the write that tells of a service's first epoch; its nodes are welcomed with ``secret``."""
    return escrow_epoch(view, first_seqno=1, secret=secret, created_ms=time_ms, reason="the service begins")


def begin_epoch(
    view: View, entropy: Callable[[int], bytes], *, seqno: int, time_ms: int, reason: str
) -> Writes:
    """Return the writes by which the entry at ``seqno`` begins an epoch, over the tables before it.

    ``entropy`` returns so many fresh random bytes. Raises MemberError when the ledger had LEDGER_EPOCHS_MAX
    epochs, or for a reason longer than EPOCH_REASON_SIZE_MAX_BYTES.
    """
    newest = newest_epoch(view)
    number = 1 if newest is None else newest.number + 1
    if number > limits.LEDGER_EPOCHS_MAX:
        raise MemberError(f"the ledger has had {limits.LEDGER_EPOCHS_MAX} epochs: no other can begin")
    secret = entropy(_SECRET_SIZE_BYTES)
    writes = escrow_epoch(view, first_seqno=seqno + 1, secret=secret, created_ms=time_ms, reason=reason)
    nodes, commitment = read_nodes(view), commitment_of(secret)
    copies: dict[str, str] = {}
    for name in sorted(taking_part(view)):
        receiver = encryption_key(nodes[name].encryption_key)
        sealed = hpke_seal(receiver, _purpose(number, commitment, name), secret)
        copies[name] = base64.b64encode(sealed).decode()
    writes[maps.LEDGER_SECRETS] = {epoch_key(number): orjson.dumps(copies)}
    return {**writes, **met_wish(view)}


def taking_part(view: View) -> frozenset[NodeID]:
    """Return the nodes that must be able to read what comes next."""
    nodes = read_nodes(view)
    return staying(view) | leaving(nodes)


def staying(view: View) -> frozenset[NodeID]:
    """Return the members and who learns to be one."""
    nodes, change = read_nodes(view), read_change(view)
    learning = frozenset(name for name in change.add if name in nodes) if change is not None else frozenset()
    return learning | frozenset(name for name, node in nodes.items() if node.status == TRUSTED)


def leaving(nodes: Mapping[NodeID, NodeRecord]) -> frozenset[NodeID]:
    """Return who was removed while the ledger does not say that this is agreed."""
    return frozenset(
        name for name, node in nodes.items() if node.status == RETIRED and not node.retired_committed
    )


# ── when one is wanted ───────────────────────────────────────────────────────────────────────────


def want_epoch(reason: str) -> Writes:
    """Return the write that has a new epoch begin as soon as nobody leaves any more."""
    return {maps.REKEY_WANTED: {maps.SINGLETON_KEY: orjson.dumps({"reason": reason})}}


def met_wish(view: View) -> Writes:
    """Return the write with which the entry that begins an epoch ends the wish for one, if it does."""
    met = wanted_epoch(view) is not None and not leaving(read_nodes(view))
    return {maps.REKEY_WANTED: {maps.SINGLETON_KEY: None}} if met else {}


def wanted_epoch(view: View) -> str | None:
    """Return why a new epoch is wanted, None when it is not."""
    match read_json(view, maps.REKEY_WANTED, maps.SINGLETON_KEY):
        case None:
            return None
        case {"reason": str(reason)}:
            return reason
    raise IntegrityError(f"{maps.REKEY_WANTED}: malformed")


def overdue_epoch(view: View, time_ms: int) -> bool:
    """Tell whether the newest epoch has lasted as long as ``public:coco.gov.key_policy`` lets it."""
    match read_json(view, maps.KEY_POLICY, maps.SINGLETON_KEY):
        case None:
            return False
        case {"epoch_ms": int(epoch_ms)} if epoch_ms >= 0:
            newest = newest_epoch(view)
            return epoch_ms > 0 and newest is not None and time_ms - newest.created_ms >= epoch_ms
    raise IntegrityError(f"{maps.KEY_POLICY}: malformed")


# ── who reads that one began ─────────────────────────────────────────────────────────────────────


def begun_epoch(writes: Changes, seqno: int) -> EpochRecord | None:
    """Return the epoch that the entry at ``seqno`` begins; raises IntegrityError when it does so wrongly."""
    rows = writes.get(maps.LEDGER_SECRETS)
    if rows is None:
        return None
    if len(rows) == 1:
        ((key, row),) = rows.items()
        value = writes.get(maps.EPOCHS, {}).get(key)
        if row is not None and value is not None:
            record = decode_epoch(int.from_bytes(key, "big"), value)
            if record.first_seqno == seqno + 1 and key == epoch_key(record.number):
                return record
    raise IntegrityError(f"entry {seqno} hands out a secret and begins no epoch at {seqno + 1}")


def read_copies(view: View, number: int) -> dict[NodeID, bytes]:
    """Return the sealed copies of an epoch's secret, none when there are none; raises IntegrityError."""
    copies = read_json(view, maps.LEDGER_SECRETS, epoch_key(number))
    if copies is None:
        return {}
    if isinstance(copies, dict):
        try:
            return {NodeID(name): base64.b64decode(copy, validate=True) for name, copy in copies.items()}
        except (ValueError, TypeError) as fault:
            raise IntegrityError(f"{maps.LEDGER_SECRETS}: {fault}") from fault
    raise IntegrityError(f"{maps.LEDGER_SECRETS}: malformed copies of epoch {number}")


def open_copy(record: EpochRecord, view: View, node_id: NodeID, key: PrivateKey) -> bytes:
    """Return an epoch's secret from the copy for a node, which is opened with its encryption key.

    ``view`` is of the tables behind the entry that begins the epoch, or later. Raises IntegrityError when
    there is no copy for the node, or it is not what the epoch's record commits to.
    """
    sealed = read_copies(view, record.number).get(node_id)
    if sealed is None:
        raise IntegrityError(
            f"epoch {record.number}, from seqno {record.first_seqno} on: no copy of its secret is for node"
            f" {node_id}, which took no part when it began, nor was it welcomed with it"
        )
    try:
        purpose = _purpose(record.number, record.commitment, node_id)
        secret = hpke_open(key, purpose, sealed)
    except AttestationError as fault:
        raise IntegrityError(f"epoch {record.number}: the copy for node {node_id}: {fault}") from fault
    check_commitment(record, secret)
    return secret


def secrets_at(
    view: View, known: Iterable[tuple[int, bytes]], node_id: NodeID, key: PrivateKey
) -> list[tuple[int, bytes]]:
    """Return ``(first_seqno, secret)`` of every epoch that ``view`` tells of.

    From the ``known`` ones, else from the copies for the node; raises IntegrityError when one is in neither.
    """
    secrets = dict(known)
    found: list[tuple[int, bytes]] = []
    for record in read_epochs(view):
        secret = secrets.get(record.first_seqno)
        if secret is None or commitment_of(secret) != record.commitment:
            secret = open_copy(record, view, node_id, key)
        found.append((record.first_seqno, secret))
    if not found:
        raise IntegrityError(f"{maps.EPOCHS}: a ledger has at least one epoch")
    return found


def _purpose(number: int, commitment: str, node_id: NodeID) -> bytes:
    """Bind a copy to its epoch and its node."""
    return _COPY_DOMAIN + epoch_key(number) + bytes.fromhex(commitment) + node_id.encode()
