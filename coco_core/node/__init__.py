"""The shell: the only room that touches sockets, files, clocks, entropy and plugins (trio)."""

from coco_core.node.address import Address
from coco_core.node.clock import unix_ms, utc_now
from coco_core.node.plugins import installed, load
from coco_core.node.policy_file import load_policy
from coco_core.node.run import LEDGER_FOLDER, run_node
from coco_core.node.settings import (
    BUNDLES_FRONT_END,
    Founding,
    Joining,
    LedgerSettings,
    NodeSettings,
    Recovering,
    load_settings,
)

__all__ = [
    "Address",
    "BUNDLES_FRONT_END",
    "Founding",
    "Joining",
    "LEDGER_FOLDER",
    "LedgerSettings",
    "NodeSettings",
    "Recovering",
    "installed",
    "load",
    "load_policy",
    "load_settings",
    "run_node",
    "unix_ms",
    "utc_now",
]
