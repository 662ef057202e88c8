"""How much strangers may hold of this process: its open files and its memory. Knows no protocol.

Every connection is an open file, and a process out of files can no longer read its own ledger. So the
operating system's limit is asked before anything listens, raised as far as it goes, and what it leaves
beside the node's own needs is shared out among the front ends, each its part.
"""

from __future__ import annotations

import attrs

from coco_core.base import limits
from coco_core.errors import OperatorError

try:
    import resource
except ImportError:  # Windows has no such limit.
    _bounded = False
else:
    _bounded = True

_CONNECTIONS_MIN = 16


@attrs.define
class UnfinishedBytes:
    """Bytes of requests that are not complete or not answered yet, over all connections of the node."""

    bytes_max: int = limits.HTTP_UNFINISHED_MAX_BYTES
    free_bytes: int = limits.HTTP_UNFINISHED_FREE_BYTES
    """What each connection may hold in any case, so that nobody's large requests keep out small ones."""
    held: int = 0

    @property
    def exceeded(self) -> bool:
        """Whether whoever sends more now must be refused."""
        return self.held > self.bytes_max


def connections_each(servers: int) -> int:
    """Return how many connections each of ``servers`` front ends may have; raises OperatorError if few.

    Raises the process's soft limit on open files as far as that needs and the hard limit allows.
    """
    wanted = servers * limits.HTTP_CONNECTIONS_MAX + limits.NODE_FILES_RESERVED_MIN
    files = _raise_open_files(wanted) if _bounded else wanted
    each = min(limits.HTTP_CONNECTIONS_MAX, (files - limits.NODE_FILES_RESERVED_MIN) // servers)
    if each < _CONNECTIONS_MIN:
        need = servers * _CONNECTIONS_MIN + limits.NODE_FILES_RESERVED_MIN
        raise OperatorError(f"this process may open {files} files (ulimit -n); a node needs {need}")
    return each


def _raise_open_files(wanted: int) -> int:
    """Return the limit on open files in force, ``wanted`` if that can be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):
        return soft
    return target
