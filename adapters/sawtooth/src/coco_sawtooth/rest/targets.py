"""Request targets: path and query of a request, and the links that answers carry. Knows no route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

import attrs

from coco_core.adapter import HTTPRequest

_FIRST: Final = ("head", "start", "limit")
"""Query parameters that come first in links, in this order; the others follow sorted."""
_PLAIN: Final = ",:/-._~"
_FORWARDED: Final = {
    key: re.compile(rf'(?:^|[;,\s]){key}=("[^"]*"|[^\s,;]+)', re.IGNORECASE)
    for key in ("proto", "host", "path")
}


@attrs.frozen
class Target:
    """Where a request goes, and what it is called from outside."""

    path: str
    query: Mapping[str, str]
    origin: str
    """What links begin with: scheme, host, and the path a proxy put before ours."""

    def link(self, path: str | None = None, **changes: str | int | None) -> str:
        """Return the request's own URL with query parameters changed; None leaves one as it is."""
        changed = {key: str(value) for key, value in changes.items() if value is not None}
        query = {**self.query, **changed}
        keys = [key for key in _FIRST if key in query] + sorted(query.keys() - set(_FIRST))
        # An empty value is printed bare, as clients of Sawtooth know it.
        pairs = [f"{_quoted(key)}={_quoted(query[key])}" if query[key] else _quoted(key) for key in keys]
        shown = quote(self.path if path is None else path, safe="/")
        return f"{self.origin}{shown}" + (f"?{'&'.join(pairs)}" if pairs else "")


def read(request: HTTPRequest) -> Target:
    """Return the target of a request; its links say what the client, or a proxy before us, called it."""
    path, _, query = request.target.partition("#")[0].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    # The first of several values counts.
    first = dict(reversed(pairs))
    headers = request.headers
    scheme = _forwarded(headers, "proto") or ("https" if request.tls else "http")
    host = _forwarded(headers, "host") or headers.get("host", "")
    return Target(unquote(path), first, f"{scheme}://{host}{_forwarded(headers, 'path')}")


def _forwarded(headers: Mapping[str, str], key: str) -> str:
    """Return what a proxy says of the request it passes on (RFC 7239, or X-Forwarded-…), or nothing."""
    found = _FORWARDED[key].search(headers.get("forwarded", ""))
    if found:
        return found[1].strip('"')
    return headers.get(f"x-forwarded-{key}", "")


def _quoted(text: str) -> str:
    return quote(text, safe=_PLAIN)
