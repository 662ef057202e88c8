"""Where processors may connect. Whoever can is trusted with every payload and may write state.

So the endpoint is a socket file of this machine or a loopback address, unless the operator says otherwise.
"""

from __future__ import annotations

import ipaddress
import sys
from typing import Final

from coco_core.errors import OperatorError

IPC_PATH_MAX_BYTES: Final = 103 if sys.platform == "darwin" else 107
"""What fits into a socket address of the system, its end marker apart."""


def checked_endpoint(endpoint: str, *, anywhere: bool) -> str:
    """Return ``endpoint`` (``ipc://path`` or ``tcp://address:port``) as sockets bind it.

    Raises OperatorError for what is neither, and for an address beyond loopback unless ``anywhere``.
    """
    scheme, separator, rest = endpoint.partition("://")
    if scheme == "ipc" and separator and rest:
        if len(rest.encode()) > IPC_PATH_MAX_BYTES:
            raise OperatorError(
                f"processors: the path of {endpoint!r} is longer than the {IPC_PATH_MAX_BYTES} bytes"
                " that a socket's name may have"
            )
        return endpoint
    host, colon, port = rest.rpartition(":")
    if scheme != "tcp" or not separator or not host or not colon or not _is_port(port):
        raise OperatorError(f"processors: {endpoint!r} is neither ipc://PATH nor tcp://ADDRESS:PORT")
    if not anywhere and not _is_loopback(host.strip("[]")):
        raise OperatorError(
            f"processors: {endpoint!r} is not of this machine alone. Whoever connects there reads every"
            " transaction and can write state; say processors_anywhere if that is meant"
        )
    return f"tcp://{host}:{'*' if port == '0' else port}"


def _is_port(port: str) -> bool:
    return port == "*" or (port.isascii() and port.isdecimal() and int(port) < 65_536)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
