"""Addresses other machines dial: text to host and port, strictly. Must not know who listens there."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_HOST_NAME_SIZE_MAX: Final = 253


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; IPv6 addresses stand in brackets.

    Raises ValueError unless the host passes ``check_host`` and the port is 1 to 65535. A resolver
    fails in its own ways on anything else (empty and overlong labels are UnicodeError in Python's),
    so what a stranger gave must pass here before it is dialled or written down.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    check_host(bare)
    if bracketed != (":" in bare):
        raise ValueError(f"{text!r}: an IPv6 address, and only that, stands in brackets")
    if not _PORT.fullmatch(port) or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r}: the port must be 1 to 65535")
    return bare, int(port)


def is_loopback_address(host: str) -> bool:
    """Tell whether it is an IP address of this machine alone; what a name stands for, others may decide."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Raise ValueError unless ``host`` is an IP address without a scope, or a host name.

    Names are letters, digits and hyphens in labels of at most 63 (RFC 1123 §2.1); a last label of
    digits alone would be a broken IPv4 address.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        fits = len(host) <= _HOST_NAME_SIZE_MAX and all(map(_LABEL.fullmatch, labels))
        if not fits or labels[-1].isdigit():
            raise ValueError(f"{host!r} is neither an IP address nor a host name") from None
    else:
        if "%" in host:
            raise ValueError(f"{host!r}: a scope means nothing on another machine")
