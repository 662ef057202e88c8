"""A node's word that a fresh one is to take its place: a signature with its identity key.

It is good for one service, one node and one fresh key, and worth what the tables say of the node that gave it
(see ``renewals``). A value and its form; knows no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from coco_core.base import NodeID, limits
from coco_core.crypto import PrivateKey, PublicKey
from coco_core.wire import cbor
from coco_core.wire.values import from_base64, text, to_base64

_VERSION: Final = "coco-voucher/1"


@attrs.frozen(kw_only=True)
class Voucher:
    """Who is to be replaced, and its signature over that, the service and the fresh node."""

    replaces: NodeID
    signature: bytes = attrs.field(repr=False)

    @classmethod
    def sign(cls, key: PrivateKey, service_id: str, fresh: NodeID) -> Voucher:
        """Return the word of the node with ``key`` for the node ``fresh`` of the service ``service_id``."""
        node_id = key.public.node_id()
        return cls(replaces=node_id, signature=key.sign(_signed(service_id, node_id, fresh)))

    def check(self, key: PublicKey, service_id: str, fresh: NodeID) -> None:
        """Check that the node with ``key`` gave it, for that service and node; raises SignatureError."""
        key.verify(self.signature, _signed(service_id, self.replaces, fresh))


def voucher_to_json(voucher: Voucher) -> dict[str, str]:
    """Return a voucher as JSON values."""
    return {"replaces": voucher.replaces, "signature": to_base64(voucher.signature)}


def voucher_from_json(value: Mapping[str, Any]) -> Voucher:
    """Read what voucher_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    signature = from_base64(text(value["signature"]))
    if len(signature) > limits.VOUCHER_SIGNATURE_MAX_BYTES:
        raise ValueError(f"a signature of {len(signature)} bytes")
    return Voucher(replaces=NodeID(text(value["replaces"])), signature=signature)


def _signed(service_id: str, node_id: NodeID, fresh: NodeID) -> bytes:
    return cbor.encode([_VERSION, service_id, node_id, fresh])
