"""Who a node is, and who its service is: keys and what is said of them. Knows no ledger."""

from __future__ import annotations

import attrs

from coco_core.base import NodeID
from coco_core.crypto import PrivateKey


@attrs.frozen(kw_only=True)
class Identity:
    """A node's own keys and what the service says of it."""

    node_id: NodeID
    key: PrivateKey = attrs.field(repr=False)
    """Signs, and ends TLS."""
    encryption_key: PrivateKey = attrs.field(repr=False)
    """Opens what is sealed to this node (HPKE); P-256."""
    certificate: str


@attrs.frozen(kw_only=True)
class ServiceIdentity:
    """The service's key, shared by all its nodes, its certificate, and the identities it had before."""

    key: PrivateKey = attrs.field(repr=False)
    certificate: str
    endorsements: tuple[str, ...] = ()
    """Of the identities before, oldest first: PEM, each issued by the next one, the last by this one."""
