"""The whole node as one pure state machine; must not know sockets, files, clocks or threads."""

from coco_core.replica import effects, events
from coco_core.replica.administration import (
    ADMINISTRATION,
    Admission,
    cancel_payload,
    change_payload,
    join_payload,
)
from coco_core.replica.assembly import (
    FIRST_VIEW,
    Parts,
    Timing,
    found_service,
    join_service,
)
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_genesis, check_manifest
from coco_core.replica.history import ReceiptPlan, TransactionStatus, make_receipt, plan_receipt, status_of
from coco_core.replica.identities import Identity, ServiceIdentity
from coco_core.replica.joining import (
    JoinRequest,
    Welcome,
    admit,
    check_welcome,
    encode_join_request,
    encode_welcome,
    read_join_request,
    read_welcome,
    report_data,
)
from coco_core.replica.replica import Replica
from coco_core.replica.restoring import Agreed, Restoration
from coco_core.replica.snapshots import SnapshotReader

__all__ = [
    "ADMINISTRATION",
    "Admission",
    "Agreed",
    "Chain",
    "FIRST_VIEW",
    "Identity",
    "JoinRequest",
    "Parts",
    "ReceiptPlan",
    "Replica",
    "Restoration",
    "ServiceIdentity",
    "SnapshotReader",
    "Timing",
    "TransactionStatus",
    "Welcome",
    "admit",
    "cancel_payload",
    "change_payload",
    "check_genesis",
    "check_manifest",
    "check_welcome",
    "effects",
    "encode_join_request",
    "encode_welcome",
    "events",
    "found_service",
    "join_payload",
    "join_service",
    "make_receipt",
    "plan_receipt",
    "read_join_request",
    "read_welcome",
    "report_data",
    "status_of",
]
