"""Checking submitted batches once: whoever takes them from clients, and whoever executes them.

A node that did both would read every batch and verify every signature twice. Knows what it has checked, not
state.
"""

from __future__ import annotations

import hashlib

from coco_core.errors import MalformedError
from coco_sawtooth import batches
from coco_sawtooth.batches import Batch
from coco_sawtooth.limits import CHECKED_BATCHES_KEPT_MAX, READ_BATCHES_SIZE_MAX_BYTES


class CheckedBatches:
    """Batches whose signatures are known to be good, by digest, and the newest as they were read.

    The oldest are forgotten first. May be used from several threads at one time.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._digests: dict[bytes, None] = {}
        self._read: dict[bytes, Batch] = {}
        self._read_before: dict[bytes, Batch] = {}
        self._read_size = 0

    def check(self, raw: bytes) -> Batch:
        """Read a serialised ``Batch``, checking form, structure and signatures. Raises MalformedError."""
        known = self.known(raw)
        if known is not None:
            return known
        batch = batches.read(raw)
        digest = hashlib.sha256(raw).digest()
        if digest not in self._digests:
            batches.verify_signatures(batch)
            while len(self._digests) >= CHECKED_BATCHES_KEPT_MAX:
                # Another thread may have been there first.
                self._digests.pop(next(iter(self._digests)), None)
            self._digests[digest] = None
        self._keep(batch)
        return batch

    def known(self, raw: bytes) -> Batch | None:
        """Return a batch that was checked a short while ago; None when it takes work to say what it is."""
        return self._read.get(raw) or self._read_before.get(raw)

    def _keep(self, batch: Batch) -> None:
        # Two halves, the older of which is dropped at once: nothing to agree on with other threads.
        if self._read_size + len(batch.raw) > READ_BATCHES_SIZE_MAX_BYTES // 2:
            self._read_before, self._read, self._read_size = self._read, {}, 0
        self._read[batch.raw] = batch
        self._read_size += len(batch.raw)

    def checked(self, raw: bytes) -> Batch | MalformedError:
        """Return the batch, or why it is refused."""
        try:
            return self.check(raw)
        except MalformedError as error:
            return error
