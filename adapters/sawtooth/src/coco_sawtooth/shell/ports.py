"""Ports of this machine that nobody listens at, for networks to develop against. Knows sockets only."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

from coco_core.errors import OperatorError

_STEP: Final = 100
_TRIES: Final = 100


def free_ports(first: int, count: int) -> int:
    """Return the first of ``count`` free ports in a row on loopback: ``first``, or 100 further on, and so on.

    Somebody else may take them before they are used; whoever listens then says so. Raises OperatorError when
    there are none.
    """
    for start in range(first, first + _TRIES * _STEP, _STEP):
        if all(_is_free(port) for port in range(start, start + count)):
            return start
    raise OperatorError(f"no {count} free ports in a row from {first} on: end what listens there")


def drawn_ports(count: int) -> list[int]:
    """Return different free ports on loopback, as the system draws them: two who ask at one time get others.

    For whoever need not know them beforehand.
    """
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            # As whoever listens there will: a port of a network that has just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
