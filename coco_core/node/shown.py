"""The certificates this node shows, always the newest ones: members may renew them while it runs.

A context takes another certificate over the same key for connections to come; those that are open go on.
Only renewals are followed: a certificate over another key is another node's, or another service's. Knows TLS
and tables; must not know who decides.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from coco_core.base import NodeID
from coco_core.crypto import PrivateKey, read_certificate, service_id
from coco_core.governance import read_service_info
from coco_core.kv import View, maps
from coco_core.node import tls


class ShownCertificates:
    """A node's own certificate and its service's, and every TLS context that shows or believes them."""

    def __init__(self, node_id: NodeID, key: PrivateKey, certificate: str, service_certificate: str) -> None:
        """Begin with what the node was welcomed with, or founded or recovered its service with."""
        self._node_id = node_id
        self._key = key
        self.certificate = certificate
        """PEM, issued by the service."""
        self.service_certificate = service_certificate
        """PEM."""
        self._contexts: list[ssl.SSLContext] = []
        self._peers: list[ssl.SSLContext] = []

    def frontend(self) -> ssl.SSLContext:
        """Return a context for clients."""
        self._contexts.append(tls.frontend_context(self.certificate, self._key))
        return self._contexts[-1]

    def operators(self, operators: Sequence[str]) -> ssl.SSLContext:
        """Return the context for operators, whose certificates (PEM) these are."""
        self._contexts.append(tls.operators_context(self.certificate, self._key, operators))
        return self._contexts[-1]

    def peers(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """Return the contexts for being dialled by peers, and for dialling them."""
        server = tls.peer_server_context(self.certificate, self._key, self.service_certificate)
        client = tls.peer_client_context(self.certificate, self._key, self.service_certificate)
        self._contexts += [server, client]
        self._peers += [server, client]
        return server, client

    def follow(self, view: View) -> None:
        """Show what the tables have for this node; nothing changes as long as they do not know it."""
        told = view.get(maps.NODES_ENDORSED_CERTIFICATES, self._node_id.encode())
        if told is None:
            return
        service = str(read_service_info(view)["cert"])
        if service_id(service) != service_id(self.service_certificate):
            return
        if service != self.service_certificate:
            self.service_certificate = service
            for context in self._peers:
                context.load_verify_locations(cadata=service)
        certificate = told.decode()
        if certificate != self.certificate and read_certificate(certificate).public_key == self._key.public:
            for context in self._contexts:
                tls.show(context, certificate, self._key)
            self.certificate = certificate
