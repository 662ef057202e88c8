"""Files that survive a loss of power, and whose fault it is when they cannot be written.

What the ledger's and the snapshots' folders have in common: names made durable, moves that never
overwrite, errors told apart. Must not know what the files hold.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from coco_core.errors import IntegrityError, OperatorError

_COPY_SIZE_BYTES = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the process ran out of; says nothing about the file."""


class DiskFullError(OperatorError):
    """There is no room left, or no quota: the same call succeeds once there is some again."""


def write_fault(error: OSError, what: str) -> OperatorError:
    """Return what to raise when ``what`` could not be written."""
    kind = DiskFullError if error.errno in _FULL else OperatorError
    return kind(f"{what}: {error.strerror or error}")


def read_fault(error: OSError, path: Path) -> OperatorError | IntegrityError:
    """Return what to raise when a file that this node wrote cannot be read."""
    kind = OperatorError if error.errno in _EXHAUSTED else IntegrityError
    return kind(f"{path}: cannot be read: {error.strerror or error}")


def open_new(path: Path) -> BinaryIO:
    """Open an empty file to write and read, readable for nobody but this user and group."""
    return open(path, "w+b", opener=lambda name, flags: os.open(name, flags, 0o640))


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write everything, however many calls that takes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """Make names durable. Windows has no such call: its journal orders renames itself."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is missing above it, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


def same_contents(one: Path, other: Path) -> bool:
    """Return whether two files hold the same bytes."""
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            data = left.read(_COPY_SIZE_BYTES)
            if data != right.read(_COPY_SIZE_BYTES):
                return False
            if not data:
                return True


def copy_file(source: Path, target: Path) -> None:
    """Copy durably; ``target`` has its name only once it is whole."""
    part = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _COPY_SIZE_BYTES)
            sync_file(writer)
        shutil.copymode(source, part)
        os.replace(part, target)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_file(file: BinaryIO) -> None:
    """Make everything written to ``file`` durable."""
    file.flush()
    os.fsync(file.fileno())
