"""Kits that judge implementations of our contracts, and stages to play them on. Only tests import this.

It may use every room below; nothing that ships may depend on it.
"""

from coco_core.testing.cluster import Cluster
from coco_core.testing.cluster_node import ClusterDisk, ClusterNode
from coco_core.testing.consortium import MEASUREMENT, Consortium, derived_key
from coco_core.testing.sandbox import Sandbox
from coco_core.testing.scenarios import Scenario, run_transcript
from coco_core.testing.scripted_web import ScriptedWeb
from coco_core.testing.share_holders import ShareHolders
from coco_core.testing.stage import (
    Judge,
    Letter,
    SafetyError,
    Shipment,
    Stage,
    StageDisk,
    StageNode,
    read_members,
    write_members,
)
from coco_core.testing.tally import Tally, TallyFrontEnd, add, quote
from coco_core.testing.verifier_tests import Genuine, VerifierTests

__all__ = [
    "Cluster",
    "ClusterDisk",
    "ClusterNode",
    "Consortium",
    "Genuine",
    "Judge",
    "Letter",
    "MEASUREMENT",
    "SafetyError",
    "Sandbox",
    "Scenario",
    "ScriptedWeb",
    "ShareHolders",
    "Shipment",
    "Stage",
    "StageDisk",
    "StageNode",
    "Tally",
    "TallyFrontEnd",
    "VerifierTests",
    "add",
    "derived_key",
    "quote",
    "read_members",
    "run_transcript",
    "write_members",
]
