"""The whole node as one pure state machine; must not know sockets, files, clocks or threads."""

from coco_core.replica import effects, events
from coco_core.replica.assembly import (
    FIRST_VIEW,
    Identity,
    Parts,
    ServiceIdentity,
    Timing,
    found_service,
    join_service,
)
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_genesis, check_manifest
from coco_core.replica.history import ReceiptPlan, TransactionStatus, make_receipt, plan_receipt, status_of
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
from coco_core.replica.membership import NodeRecord, read_nodes, signing_keys
from coco_core.replica.replica import Replica

__all__ = [
    "Chain",
    "FIRST_VIEW",
    "Identity",
    "JoinRequest",
    "NodeRecord",
    "Parts",
    "ReceiptPlan",
    "Replica",
    "ServiceIdentity",
    "Timing",
    "TransactionStatus",
    "Welcome",
    "admit",
    "check_genesis",
    "check_manifest",
    "check_welcome",
    "effects",
    "encode_join_request",
    "encode_welcome",
    "events",
    "found_service",
    "join_service",
    "make_receipt",
    "plan_receipt",
    "read_join_request",
    "read_nodes",
    "read_welcome",
    "report_data",
    "signing_keys",
    "status_of",
]
