"""Empty folders for workers, which nobody leaves behind: also not a node that is killed.

A folder is locked by the process that made it, as long as that lives. Whoever starts later removes those of
its own user that nobody locks any more. Where there are no such locks (Windows, some network file systems), a
killed node's stay.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

if sys.platform != "win32":
    import fcntl

PREFIX: Final = "coco-corda-worker-"
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system without such locks answers."""


class Folder:
    """An empty folder among the system's temporary ones; its own process's until it is removed."""

    def __init__(self) -> None:
        """Make it; raises OSError."""
        self._lock: int | None = None
        while self._lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            try:
                self._lock = _locked(self.path)
            except OSError as error:
                if error.errno in _NO_LOCKS:
                    return
                self.path.rmdir()
                raise
            # Where it is not: somebody took it for one that was left.

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Path:
        """Return where it is."""
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.remove()


def remove_left() -> None:
    """Remove the folders of processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = _locked(path)
        except OSError:
            # It stays: nobody can tell whose it is.
            continue
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """Return a descriptor that locks a folder of this user; None where another has it, or it is none.

    Raises OSError where that cannot be told: no locks here (``_NO_LOCKS``), no descriptor left.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found, named = os.fstat(descriptor), os.lstat(path)
        # Somebody may have removed it before the lock was had.
        if found.st_uid == os.getuid() and (found.st_dev, found.st_ino) == (named.st_dev, named.st_ino):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
