"""Checking submitted batches once: whoever takes them from clients, and whoever executes them.

A node that did both would verify every signature twice. Knows digests of what it has checked, not state.
"""

from __future__ import annotations

import hashlib

from coco_core.errors import MalformedError
from coco_sawtooth import batches
from coco_sawtooth.batches import Batch
from coco_sawtooth.limits import CHECKED_BATCHES_KEPT_MAX


class CheckedBatches:
    """Batches whose signatures are known to be good, by digest, the oldest forgotten first.

    May be used from several threads at one time.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._digests: dict[bytes, None] = {}

    def check(self, raw: bytes) -> Batch:
        """Read a serialised ``Batch``, checking form, structure and signatures. Raises MalformedError."""
        batch = batches.read(raw)
        digest = hashlib.sha256(raw).digest()
        if digest not in self._digests:
            batches.verify_signatures(batch)
            while len(self._digests) >= CHECKED_BATCHES_KEPT_MAX:
                # Another thread may have been there first.
                self._digests.pop(next(iter(self._digests)), None)
            self._digests[digest] = None
        return batch

    def checked(self, raw: bytes) -> Batch | MalformedError:
        """Return the batch, or why it is refused."""
        try:
            return self.check(raw)
        except MalformedError as error:
            return error
