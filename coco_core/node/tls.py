"""TLS contexts for a node: what it presents, and whom it believes.

Python's ``ssl`` loads keys from files only, so the key passes through a temporary file, encrypted
under a password that exists in this process alone, and the file is gone when the function returns.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from coco_core.base import NodeID
from coco_core.crypto import PrivateKey, PublicKey
from coco_core.errors import AttestationError
from coco_core.node.entropy import random_bytes

NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's ``X509_V_FLAG_NO_CHECK_TIME``; Python's ``ssl`` has no name for it."""


def frontend_context(certificate: str, key: PrivateKey) -> ssl.SSLContext:
    """Return the context for client-facing listeners: presents the node, asks for no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    show(context, certificate, key)
    return context


class ClientAnchors:
    """Which client certificates a context believes: those of the consortium's people, as they come.

    A context cannot forget one. That somebody left is found out from the tables, request by request.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        """Believe nobody's certificate yet; nobody is asked for one then."""
        self._context = context
        self._known: set[str] = set()

    def believe(self, anchors: Mapping[str, str]) -> None:
        """Believe ``anchors``, PEM by ID, and what they issued; a client may still present nothing."""
        new = anchors.keys() - self._known
        if new:
            self._context.verify_mode = ssl.CERT_OPTIONAL
            self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            self._context.load_verify_locations(cadata="".join(anchors[name] for name in sorted(new)))
            self._known |= new


def operators_context(certificate: str, key: PrivateKey, operators: Sequence[str]) -> ssl.SSLContext:
    """Return the context for the operators' interface: who presents a certificate must be an operator.

    Nobody has to: what anyone may ask for is the routes' business. ``operators`` are PEM certificates,
    each believed as it is, whoever issued it.
    """
    context = frontend_context(certificate, key)
    if operators:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata="".join(operators))
    return context


def peer_server_context(certificate: str, key: PrivateKey, service_certificate: str) -> ssl.SSLContext:
    """Return the context for node-to-node listeners: both sides present service-endorsed certificates.

    Nodes ask each other for no validity time, at either end: who takes part the tables say, and how long its
    lease. A node whose certificate ran out, so that it serves no client, must hear of its renewal.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _mutual(context, certificate, key, service_certificate)
    return context


def peer_client_context(certificate: str, key: PrivateKey, service_certificate: str) -> ssl.SSLContext:
    """Return the context for dialling peers; who answered is checked by node ID, not by host name or time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _mutual(context, certificate, key, service_certificate)
    return context


def service_client_context(service_certificate: str) -> ssl.SSLContext:
    """Return a context that believes only nodes of the service with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=service_certificate)
    return context


def peer_id(certificate_der: bytes | None) -> NodeID:
    """Return the node a verified TLS certificate belongs to; raises AttestationError without one."""
    if certificate_der is None:
        raise AttestationError("the peer presented no certificate")
    return PublicKey.wrap(load_der_x509_certificate(certificate_der).public_key()).node_id()


def _mutual(context: ssl.SSLContext, certificate: str, key: PrivateKey, service_certificate: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | NO_CHECK_TIME)
    context.load_verify_locations(cadata=service_certificate)
    show(context, certificate, key)


def show(context: ssl.SSLContext, certificate: str, key: PrivateKey) -> None:
    """Have ``context`` present ``certificate`` on connections to come."""
    password = random_bytes(32).hex().encode()
    encrypted = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    with tempfile.TemporaryDirectory(prefix="coco-") as folder:
        path = Path(folder, "identity.pem")
        path.touch(mode=0o600)
        path.write_bytes(certificate.encode() + encrypted)
        context.load_cert_chain(path, password=password)
