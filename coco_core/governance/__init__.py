"""How a consortium governs its network: who takes part, by which rules, and what changes them.

Pure: tables in, writes out. Must not know consensus, requests, sockets, files, clocks or processes.
"""

from coco_core.governance.membership import (
    PENDING,
    RETIRED,
    TRUSTED,
    Members,
    MembershipChange,
    NodeRecord,
    change_writes,
    forgetting_writes,
    founding_writes,
    node_writes,
    opening_writes,
    read_change,
    read_members,
    read_nodes,
    read_operators,
    signing_keys,
    tells_members,
)

__all__ = [
    "Members",
    "MembershipChange",
    "NodeRecord",
    "PENDING",
    "RETIRED",
    "TRUSTED",
    "change_writes",
    "forgetting_writes",
    "founding_writes",
    "node_writes",
    "opening_writes",
    "read_change",
    "read_members",
    "read_nodes",
    "read_operators",
    "signing_keys",
    "tells_members",
]
