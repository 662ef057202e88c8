"""One question to a node's REST API, as a client that knows nothing of Coco asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any, Final

TIMEOUT_S: Final = 120
"""Longer than a client in a test waits for batches."""


def ask_rest(
    address: str, method: str, target: str, body: bytes = b"", *, tls: Any = None
) -> tuple[int, Any]:
    """Return status and JSON of what ``address`` answers, over TLS when there is a context for it.

    Blocks until then. Raises OSError when the node is not there or goes away meanwhile.
    """
    host, port = address.rsplit(":", 1)
    if tls is None:
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    else:
        connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request(method, target, body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
