"""Who asks: from what a client presents, a certificate or a token, to a caller that adapters know.

A client is known by its own certificate, by one that a registered organisation issued (its certificate, or an
intermediate one, is registered as a participant), or by a token of a registered issuer. Reads tables; must
not know sockets. That TLS proved possession of the certificate's key is the shell's duty.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from coco_core.adapter import ANONYMOUS, Caller
from coco_core.base import limits
from coco_core.crypto import (
    Certificate,
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


@attrs.frozen
class _Found:
    """Whose a certificate is, None for nobody's, and from when until when it is valid (Unix seconds)."""

    caller: Caller | None
    from_s: float
    until_s: float


class KnownCallers:
    """Who asks; what was found is remembered until the tables of people change.

    A client asks often with one certificate, and thousands of organisations may have issued it.
    """

    def __init__(self) -> None:
        """Know nobody yet."""
        self._found: dict[bytes, _Found] = {}
        self._subjects: dict[str, bytes] = {}
        self._organisations: dict[bytes, list[str]] | None = None

    def people_changed(self) -> None:
        """Look again: members or participants may have come or gone."""
        self._found.clear()
        self._organisations = None

    def identify(
        self, view: View, certificate_der: bytes | None, headers: Mapping[str, str], now_s: int
    ) -> Caller:
        """Return who asks, as ``view`` of now knows them; ANONYMOUS for a client that presents nothing.

        Raises AttestationError for a certificate or token that is not, or no longer, known or valid.
        """
        authorization = headers.get("authorization", "")
        if authorization[: len(_BEARER)].lower() == _BEARER:
            return _by_token(view, authorization[len(_BEARER) :].strip(), now_s)
        if certificate_der is not None:
            return self._by_certificate(view, certificate_der, now_s)
        return ANONYMOUS

    def _by_certificate(self, view: View, der: bytes, now_s: int) -> Caller:
        found = self._found.get(der)
        if found is None:
            certificate = read_certificate_der(der)
            start, end = certificate.not_before.timestamp(), certificate.not_after.timestamp()
            found = _Found(self._holder(view, certificate), start, end)
            if len(self._found) >= limits.CALLERS_REMEMBERED_MAX:
                del self._found[next(iter(self._found))]
            self._found[der] = found
        # TLS looked when the connection was made, which may be long ago.
        if not found.from_s <= now_s <= found.until_s:
            raise AttestationError("the certificate is not, or no longer, valid")
        if found.caller is None:
            raise AttestationError("the certificate is not, or no longer, one of a member or participant")
        return found.caller

    def _holder(self, view: View, certificate: Certificate) -> Caller | None:
        name = certificate.fingerprint
        if view.get(maps.MEMBERS_CERTS, name.encode()) is not None:
            return Caller(kind="member", identity=name)
        if view.get(maps.USERS_CERTS, name.encode()) is not None:
            return Caller(kind="user", identity=name)
        anchors = trust_anchors(view)
        for organisation in self._named(anchors).get(certificate.x509.issuer.public_bytes(), ()):
            try:
                check_issued(certificate, read_certificate(anchors[organisation]))
            except AttestationError:
                continue
            return Caller(kind="user", identity=f"{organisation}/{name}")
        return None

    def _named(self, anchors: Mapping[str, str]) -> Mapping[bytes, Sequence[str]]:
        """Return the IDs of who may have issued a certificate, by subject; a certificate is read once."""
        if self._organisations is None:
            known, self._subjects = self._subjects, {}
            self._organisations = {}
            for name, pem in anchors.items():
                subject = known.get(name) or read_certificate(pem).x509.subject.public_bytes()
                self._subjects[name] = subject
                self._organisations.setdefault(subject, []).append(name)
        return self._organisations


def _by_token(view: View, token: str, now_s: int) -> Caller:
    kid = token_key_id(token)
    value = view.get(maps.JWT_KEYS, kid.encode())
    if value is None:
        raise AttestationError(f"no registered issuer has a key {kid[:64]!r}")
    (record,) = json.loads(value)
    key = base64.b64decode(record["public_key"])
    claims = check_token(token, key, record["issuer"], now_s)
    return Caller(kind="jwt", identity=f"{record['issuer']}/{claims['sub']}")
