"""Where to listen or dial, as settings name it; knows text, opens nothing."""

from __future__ import annotations

import contextlib
import ipaddress

import attrs

from coco_core.base import is_loopback_address


@attrs.frozen
class Address:
    """Where to listen or dial."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port`` (IPv6 hosts in brackets); raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not host:port")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        """Return ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or is_loopback_address(self.host)

    @property
    def is_every(self) -> bool:
        """Whether it stands for every address of this machine: to listen on, not to be dialled."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_unspecified
        return False
