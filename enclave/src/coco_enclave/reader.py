"""Binary structures taken apart from front to back; what is missing is a refusal.

Pure, and knows no format.
"""

from __future__ import annotations

from coco_enclave.errors import EvidenceError


class Reader:
    """Bytes that are read once, in order."""

    def __init__(self, data: bytes, what: str) -> None:
        """Read ``data``, named ``what`` in refusals."""
        self._data = data
        self._at = 0
        self._what = what

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._at

    @property
    def at(self) -> int:
        """How many bytes have been read."""
        return self._at

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes; raises EvidenceError (``malformed``) when there are fewer."""
        end = self._at + size
        if end > len(self._data):
            raise EvidenceError("malformed", f"{self._what} ends after {len(self._data)} bytes")
        found = self._data[self._at : end]
        self._at = end
        return found

    def u16(self) -> int:
        """Return the next 2 bytes, little-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Return the next 4 bytes, little-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """Return the next 8 bytes, little-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(8), "little")

    def u8(self) -> int:
        """Return the next byte; raises EvidenceError (``malformed``)."""
        return self.take(1)[0]

    def u16_be(self) -> int:
        """Return the next 2 bytes, big-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(2), "big")

    def u32_be(self) -> int:
        """Return the next 4 bytes, big-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(4), "big")

    def u64_be(self) -> int:
        """Return the next 8 bytes, big-endian; raises EvidenceError (``malformed``)."""
        return int.from_bytes(self.take(8), "big")

    def sized(self) -> bytes:
        """Return bytes after their size, 2 bytes big-endian (TPM2B); raises EvidenceError (``malformed``)."""
        return self.take(self.u16_be())

    def rest(self) -> bytes:
        """Return what is left."""
        return self.take(len(self._data) - self._at)

    def finish(self) -> None:
        """Check that nothing is left; raises EvidenceError (``malformed``)."""
        if self._at != len(self._data):
            raise EvidenceError("malformed", f"{self._what}: {len(self._data) - self._at} bytes too many")

    def malformed(self, why: str) -> EvidenceError:
        """Return the refusal of bytes that are not what they should be."""
        return EvidenceError("malformed", f"{self._what}: {why}")
