"""What code is running: the measurement the virtual platform claims.

Hardware measures the loaded image itself; here it is a digest over the source files of the core, so
that at least an accidental mix of versions is refused.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import coco_core


def code_measurement() -> str:
    """Return 64 hex digits over names and contents of every source file of ``coco_core``."""
    root = Path(coco_core.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
