"""Kits that judge implementations of our contracts, and stages to play them on. Only tests import this.

It may use every room below; nothing that ships may depend on it.
"""

from coco_core.testing.scenarios import Scenario, run_transcript
from coco_core.testing.stage import Judge, SafetyError, Stage, StageDisk, StageNode

__all__ = ["Judge", "SafetyError", "Scenario", "Stage", "StageDisk", "StageNode", "run_transcript"]
