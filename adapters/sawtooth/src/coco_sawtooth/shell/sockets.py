"""Places for sockets that nobody else uses, for whoever starts many component endpoints on one machine."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path


class Sockets:
    """A folder of sockets that goes with this object."""

    def __init__(self) -> None:
        """Make the folder."""
        self._folder = tempfile.TemporaryDirectory(prefix="coco-sawtooth-")
        self._numbers = itertools.count()

    def another(self) -> str:
        """Return an endpoint that was not returned before."""
        return f"ipc://{Path(self._folder.name, str(next(self._numbers)))}"
