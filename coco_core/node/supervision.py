"""What a node and who keeps it say to each other: orders on standard input, events on standard output.

::

    the fresh node                 who keeps both                the old node
      voucher_wanted       →
                                     vouch NODE_ID         →
                                                           ←       voucher
                           ←       voucher SIGNATURE

Whoever may write to a node's standard input runs it, so there is nobody to ask for leave and no way in from
the network. Must not know processes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any, Final

import structlog
import trio

from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey
from coco_core.errors import OperatorError
from coco_core.governance import (
    VOTE,
    Voucher,
    read_lease_policy,
    read_leases,
    read_nodes,
    voucher_from_json,
    voucher_to_json,
)
from coco_core.kv import View

Announce = Callable[[Mapping[str, Any]], None]

_NODE_ID: Final = re.compile("[0-9a-f]{64}")
_log: Final = structlog.get_logger("coco.supervision")


class Supervision:
    """The node's side."""

    def __init__(self, orders: AsyncIterable[str] | None, announce: Announce) -> None:
        """Take ``orders``, a line each; None for a node that nobody keeps."""
        self._orders = orders
        self._announce = announce

    async def ask_for_voucher(self, fresh: NodeID, replaces: NodeID) -> Voucher:
        """Return the word of the node that ``fresh``, which is this one, is to replace.

        Raises OperatorError when nobody is there to ask, or does not answer for JOIN_TIMEOUT_MS.
        """
        if self._orders is None:
            raise OperatorError("'join.replaces' is for nodes that are kept: see 'coco node keep'")
        self._announce({"event": "voucher_wanted", "node_id": fresh, "replaces": replaces})
        with trio.move_on_after(limits.JOIN_TIMEOUT_MS / 1000):
            async for order in self._orders:
                match order.split():
                    case ["voucher", signature]:
                        return _voucher(replaces, signature)
                _log.warning("passed over an order", order=order[:80])
        raise OperatorError(f"nobody brought the voucher of node {replaces}")

    async def vouch(self, key: PrivateKey, service_id: str) -> None:
        """Vouch with ``key``, this node's, for whom the orders say, until there are no more."""
        if self._orders is None:
            return
        async for order in self._orders:
            match order.split():
                case ["vouch", fresh] if _NODE_ID.fullmatch(fresh):
                    voucher = voucher_to_json(Voucher.sign(key, service_id, NodeID(fresh)))
                    self._announce({"event": "voucher", "node_id": fresh, "signature": voucher["signature"]})
                case _:
                    _log.warning("passed over an order", order=order[:80])


def lease_teller(node_id: NodeID, view: Callable[[], View], announce: Announce) -> Callable[[], None]:
    """Return what announces a node's lease, its status, and how leases are renewed, when that changed."""
    told: Mapping[str, Any] = {}

    def tell() -> None:
        nonlocal told
        tables = view()
        lease, record = read_leases(tables).get(node_id), read_nodes(tables).get(node_id)
        refused = lease is not None and lease.renewal_refused
        event = {
            "event": "lease",
            "node_id": node_id,
            "status": record.status if record is not None else "",
            "granted_ms": lease.granted_ms if lease is not None else None,
            "until_ms": lease.until_ms if lease is not None else None,
            "renewal": VOTE if refused else read_lease_policy(tables).renewal,
        }
        if event != told and (lease is not None or told):
            told = event
            announce(event)

    return tell


def _voucher(replaces: NodeID, signature: str) -> Voucher:
    try:
        return voucher_from_json({"replaces": replaces, "signature": signature})
    except ValueError as error:
        raise OperatorError(f"what was brought is no voucher: {error}") from error
