"""Files of devices: written whole, read whole and bounded, made and removed.

The one place that opens them. Which files there are, and what they mean, is the platforms' business.
"""

from __future__ import annotations

import os
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from coco_core.errors import OperatorError
from coco_enclave import limits


class DeviceTree(Protocol):
    """A folder of a device, names relative to it."""

    def read(self, name: str) -> bytes:
        """Return a file; raises OperatorError when it cannot be read, or is too long."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one piece; raises OperatorError."""
        ...

    def make(self, name: str) -> None:
        """Make a folder, which must not exist; raises OperatorError."""
        ...

    def remove(self, name: str) -> None:
        """Remove a folder that ``make`` made; raises OperatorError."""
        ...


class KernelTree:
    """A folder the kernel, or a library operating system, shows."""

    def __init__(self, root: Path) -> None:
        """Show what is below ``root``."""
        self._root = root

    def read(self, name: str) -> bytes:
        """Return a file; raises OperatorError when it cannot be read, or is too long."""
        try:
            with (self._root / name).open("rb", buffering=0) as file:
                return _read_all(file, self._root / name)
        except OSError as error:
            raise OperatorError(f"cannot read {self._root / name}: {error}") from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one piece; raises OperatorError."""
        try:
            # For writing only, because much of this cannot be read, and a kernel refuses to open it for both.
            descriptor = os.open(self._root / name, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            try:
                # In one call: devices take what one call brings as the whole value.
                written = os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OperatorError(f"cannot write {self._root / name}: {error}") from error
        if written != len(data):
            raise OperatorError(f"{self._root / name} took {written} of {len(data)} bytes")

    def make(self, name: str) -> None:
        """Make a folder, which must not exist; raises OperatorError."""
        try:
            (self._root / name).mkdir()
        except OSError as error:
            raise OperatorError(f"cannot make {self._root / name}: {error}") from error

    def remove(self, name: str) -> None:
        """Remove a folder that ``make`` made; raises OperatorError."""
        try:
            (self._root / name).rmdir()
        except OSError as error:
            raise OperatorError(f"cannot remove {self._root / name}: {error}") from error


def _read_all(file: RawIOBase, path: Path) -> bytes:
    """Return everything a file has, within the bound: its size is not known before."""
    found = bytearray()
    while part := file.read(limits.DEVICE_ANSWER_MAX_BYTES):
        found += part
        if len(found) > limits.DEVICE_ANSWER_MAX_BYTES:
            raise OperatorError(f"{path} has more than {limits.DEVICE_ANSWER_MAX_BYTES} bytes")
    return bytes(found)
