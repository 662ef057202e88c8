"""Who asks: from what a client presents, a certificate or a token, to a caller that adapters know.

A client is known by its own certificate, by one that a registered organisation issued (its certificate, or an
intermediate one, is registered as a participant), or by a token of a registered issuer. Reads tables; must
not know sockets. That TLS proved possession of the certificate's key is the shell's duty.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final

from coco_core.adapter import ANONYMOUS, Caller
from coco_core.crypto import (
    check_issued,
    check_token,
    read_certificate,
    read_certificate_der,
    token_key_id,
)
from coco_core.errors import AttestationError
from coco_core.kv import View, maps

ANYONE, PARTICIPANTS = "anyone", "participants"
POLICIES: Final = frozenset({ANYONE, PARTICIPANTS})
_BEARER: Final = "bearer "


def trust_anchors(view: View) -> dict[str, str]:
    """Return every certificate (PEM) by its ID that a client may present, or have been issued by."""
    return {
        key.decode(): pem.decode()
        for name in (maps.MEMBERS_CERTS, maps.USERS_CERTS)
        for key, pem in view.items(name)
    }


def access_policy(view: View, adapter: str) -> str:
    """Return who may use a ledger's front ends: ANYONE, or PARTICIPANTS only."""
    value = view.get(maps.ACCESS, adapter.encode())
    return ANYONE if value is None else str(json.loads(value)["callers"])


def identify(view: View, certificate_der: bytes | None, headers: Mapping[str, str], now_s: int) -> Caller:
    """Return who asks; ANONYMOUS for a client that presents nothing.

    Raises AttestationError for a certificate or token that is not, or no longer, known or valid.
    """
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return _by_token(view, authorization[len(_BEARER) :].strip(), now_s)
    if certificate_der is not None:
        return _by_certificate(view, certificate_der, now_s)
    return ANONYMOUS


def _by_certificate(view: View, der: bytes, now_s: int) -> Caller:
    certificate = read_certificate_der(der)
    # TLS looked when the connection was made, which may be long ago.
    if not certificate.not_before.timestamp() <= now_s <= certificate.not_after.timestamp():
        raise AttestationError("the certificate is not, or no longer, valid")
    name = certificate.fingerprint
    if view.get(maps.MEMBERS_CERTS, name.encode()) is not None:
        return Caller(kind="member", identity=name)
    if view.get(maps.USERS_CERTS, name.encode()) is not None:
        return Caller(kind="user", identity=name)
    for organisation, pem in trust_anchors(view).items():
        issuer = read_certificate(pem)
        if issuer.x509.subject != certificate.x509.issuer:
            continue
        check_issued(certificate, issuer)
        return Caller(kind="user", identity=f"{organisation}/{name}")
    raise AttestationError("the certificate is not, or no longer, one of a member or participant")


def _by_token(view: View, token: str, now_s: int) -> Caller:
    kid = token_key_id(token)
    value = view.get(maps.JWT_KEYS, kid.encode())
    if value is None:
        raise AttestationError(f"no registered issuer has a key {kid[:64]!r}")
    (record,) = json.loads(value)
    key = base64.b64decode(record["public_key"])
    claims = check_token(token, key, record["issuer"], now_s)
    return Caller(kind="jwt", identity=f"{record['issuer']}/{claims['sub']}")
