"""What an adapter may ask of systems outside: a URL of an allowed origin, for one whole answer.

URLs are read by one narrow grammar, and an origin is compared as it is written: nothing is normalised,
decoded or resolved before it is allowed, so no two readings of a URL can differ. Values only; who asks over
which connection is the shell's, what is allowed is governance's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs

from coco_core.base import check_host, is_loopback_address, limits
from coco_core.errors import FetchError, IntegrityError
from coco_core.wire import cbor

_ORIGIN: Final = r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
_TARGET: Final = r"(?P<target>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
_URL: Final = re.compile(f"(?P<origin>{_ORIGIN}){_TARGET}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@attrs.frozen
class Fetched:
    """What a system outside answered; whether a ``status`` but 200 will do, the adapter decides."""

    url: str
    status: int
    body: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    failure: str = ""
    """In records only: code of the FetchError that was raised instead, ``given-up`` when the adapter waited
    no longer; then there is neither status nor body."""


Fetch = Callable[[str], Awaitable[Fetched]]
"""Asks for a URL (GET); raises FetchError. Redirects are answers like any other and are not followed."""


@attrs.frozen(kw_only=True)
class Origin:
    """Whom a URL is asked of, and what."""

    text: str
    """As it is written on the consortium's list: ``https://host`` or ``https://host:port``."""
    host: str
    port: int
    encrypted: bool
    target: str
    """Path and query; ``/`` when the URL has none."""

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read a URL; raises FetchError (``malformed-url``)."""
        try:
            return _read(url)
        except ValueError as error:
            raise FetchError("malformed-url", str(error)) from error


@attrs.frozen(kw_only=True)
class FetchRecord:
    """What was answered while one ledger executed its part of one batch, in order."""

    time_ms: int
    """Time of the batch."""
    fetched: tuple[Fetched, ...]


def check_origin(text: object) -> None:
    """Raise ValueError unless ``text`` is an origin as URLs begin with it, encrypted if it is elsewhere."""
    origin = _read(text)
    if origin.text != text:
        raise ValueError(f"{origin.text!r} has a path: an origin is scheme, host and port")
    if not origin.encrypted and not is_loopback_address(origin.host):
        raise ValueError(f"{origin.text!r}: plain http is for addresses of the node's own machine")


def encode_fetch_record(record: FetchRecord) -> bytes:
    """Return the record as the ledger holds it."""
    return cbor.encode(
        {"time_ms": record.time_ms, "fetched": [attrs.asdict(fetched) for fetched in record.fetched]}
    )


def read_fetch_record(value: bytes) -> FetchRecord:
    """Read a value of map ``coco.fetched``; raises IntegrityError."""
    match cbor.decode(value, error=IntegrityError):
        case {"time_ms": int(time_ms), "fetched": list(fetched), **rest} if not rest:
            return FetchRecord(time_ms=time_ms, fetched=_fetched(fetched))
    raise IntegrityError("no record of what was fetched")


def _fetched(values: Sequence[object]) -> tuple[Fetched, ...]:
    found: list[Fetched] = []
    for value in values:
        match value:
            case {
                "url": str(url),
                "status": int(status),
                "body": bytes(body),
                "failure": str(failure),
                **rest,
            } if not rest:
                found.append(Fetched(url, status, body, failure))
            case _:
                raise IntegrityError("no record of what was fetched")
    return tuple(found)


def _read(url: object) -> Origin:
    if not isinstance(url, str) or len(url) > limits.FETCH_URL_SIZE_MAX_BYTES:
        raise ValueError(f"a URL is a text of at most {limits.FETCH_URL_SIZE_MAX_BYTES} characters")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"{url[:80]!r} is not written as https://host/path, the host in lower case")
    scheme, host = match["scheme"], match["host"].strip("[]")
    check_host(host)
    if (":" in host) != match["host"].startswith("[") or (":" in host and _canonical(host) != host):
        raise ValueError(f"{url[:80]!r}: an IPv6 address stands in brackets, in its shortest form")
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if port >= 1 << 16 or match["port"] == str(_DEFAULT_PORTS[scheme]):
        raise ValueError(f"{url[:80]!r}: the port is at most 65535, and is left out when it is the usual one")
    return Origin(
        text=match["origin"],
        host=host,
        port=port,
        encrypted=scheme == "https",
        target=match["target"] or "/",
    )


def _canonical(host: str) -> str:
    return str(ipaddress.ip_address(host))
