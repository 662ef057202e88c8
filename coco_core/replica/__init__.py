"""The whole node as one pure state machine; must not know sockets, files, clocks or threads."""

from coco_core.replica import effects, events
from coco_core.replica.assembly import (
    FIRST_VIEW,
    Parts,
    Timing,
    found_service,
    join_service,
    recover_service,
)
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_genesis, check_manifest
from coco_core.replica.history import ReceiptPlan, TransactionStatus, make_receipt, plan_receipt, status_of
from coco_core.replica.identities import Identity, ServiceIdentity
from coco_core.replica.joining import Welcome, check_welcome, encode_welcome, read_welcome
from coco_core.replica.ledger_keys import LedgerKeys
from coco_core.replica.replica import Replica
from coco_core.replica.restoring import Agreed, Restoration
from coco_core.replica.snapshots import SnapshotReader

__all__ = [
    "Agreed",
    "Chain",
    "FIRST_VIEW",
    "Identity",
    "LedgerKeys",
    "Parts",
    "ReceiptPlan",
    "Replica",
    "Restoration",
    "ServiceIdentity",
    "SnapshotReader",
    "Timing",
    "TransactionStatus",
    "Welcome",
    "check_genesis",
    "check_manifest",
    "check_welcome",
    "effects",
    "encode_welcome",
    "events",
    "found_service",
    "join_service",
    "make_receipt",
    "plan_receipt",
    "read_welcome",
    "recover_service",
    "status_of",
]
