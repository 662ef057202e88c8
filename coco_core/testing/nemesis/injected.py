"""What node processes of a nemesis run are given beside the code: the Tally ledger and a clock to set wrong.

Both come through PYTHONPATH, so nothing is installed and nothing that ships knows of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from coco_core.adapter import ENTRY_POINT_GROUP, HARNESS_GROUP
from coco_core.testing.nemesis import shifted_clock
from coco_core.testing.nemesis.shifted_clock import OFFSET, VARIABLE

CLOCK_FILE = "clock"
# Called as the distribution of the tutorial's tally is: where that is installed, this one stands before it.
_METADATA = "Metadata-Version: 2.1\nName: coco-framework-tally\nVersion: 1\n"
_ENTRY_POINTS = f"""[{ENTRY_POINT_GROUP}]
tally = coco_core.testing.nemesis.tally_plugin

[{HARNESS_GROUP}]
tally = coco_core.testing.conformance.tally:TallyHarness
"""


def write_modules(folder: Path) -> None:
    """Write into ``folder`` what goes on PYTHONPATH: a distribution's metadata and a ``sitecustomize``."""
    metadata = folder / "coco_framework_tally-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(_METADATA)
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS)
    shutil.copy(shifted_clock.__file__, folder / "sitecustomize.py")


def environment(modules: Path, node_folder: Path) -> Mapping[str, str]:
    """Return the variables a node process needs, and make its clock file."""
    move_clock(node_folder, 0)
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join([str(modules), *([inherited] if inherited else [])])
    return {"PYTHONPATH": path, VARIABLE: str(node_folder / CLOCK_FILE)}


def move_clock(node_folder: Path, offset_ms: int) -> None:
    """Have the node whose folder this is believe that the time is off by ``offset_ms``."""
    node_folder.mkdir(parents=True, exist_ok=True)
    path = node_folder / CLOCK_FILE
    # Written in place: the node has the file mapped.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, OFFSET.pack(offset_ms * 1_000_000), 0)
    finally:
        os.close(descriptor)
