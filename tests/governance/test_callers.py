"""Who asks: certificates of members, participants and organisations, and tokens of registered issuers."""

from __future__ import annotations

import base64
import datetime
import functools
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from coco_core.adapter import ANONYMOUS, Caller
from coco_core.base import limits
from coco_core.crypto import Curve, PrivateKey, endorse, read_certificate, self_signed, token_key
from coco_core.errors import AttestationError
from coco_core.governance import ANYONE, KnownCallers, access_policy, trust_anchors
from coco_core.governance.consortium import Participant, participant_writes
from coco_core.kv import Store, View, Writes, maps, merge
from coco_core.testing.members import NOW_MS, Signatory

NOW_S = NOW_MS // 1000
_FROM = datetime.datetime.fromtimestamp(NOW_S, datetime.UTC) - datetime.timedelta(days=1)
_TO = _FROM + datetime.timedelta(days=30)

MEMBER, USER, STRANGER = (Signatory.make(name, curve=Curve.P256) for name in ("member", "user", "stranger"))
ORGANISATION = PrivateKey.generate(Curve.P256)
ORGANISATION_PEM = self_signed(ORGANISATION, "Organisation", not_before=_FROM, not_after=_TO, ca=True)
EMPLOYEE_PEM = endorse(
    PrivateKey.generate().public, "Employee", ORGANISATION, ORGANISATION_PEM, not_before=_FROM, not_after=_TO
)
IMPOSTOR = PrivateKey.generate(Curve.P256)
IMPOSTOR_PEM = self_signed(IMPOSTOR, "Organisation", not_before=_FROM, not_after=_TO, ca=True)
FALSE_EMPLOYEE_PEM = endorse(
    PrivateKey.generate().public, "Employee", IMPOSTOR, IMPOSTOR_PEM, not_before=_FROM, not_after=_TO
)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def certified(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_TO)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def jwt_key(kid: str, key: Any, issuer: str = "https://front.example") -> Writes:
    public = base64.b64encode(token_key(certified(key))).decode()
    value = [{"public_key": public, "issuer": issuer, "constraint": issuer}]
    return {maps.JWT_KEYS: {kid.encode(): json.dumps(value).encode()}}


def tables() -> View:
    writes: Writes = {maps.MEMBERS_CERTS: {MEMBER.member_id.encode(): MEMBER.certificate.encode()}}
    merge(writes, participant_writes(Participant(certificate=USER.certificate)))
    merge(writes, participant_writes(Participant(certificate=ORGANISATION_PEM)))
    merge(writes, jwt_key("rsa", RSA_KEY))
    merge(writes, jwt_key("ec", EC_KEY))
    store = Store()
    store.append(1, writes)
    store.commit(1)
    return store.view()


VIEW = tables()


def der(pem: str) -> bytes:
    return read_certificate(pem).x509.public_bytes(Encoding.DER)


def identify(view: View, certificate_der: bytes | None, headers: Mapping[str, str], now_s: int) -> Caller:
    """Ask who it is for the first time."""
    return KnownCallers().identify(view, certificate_der, headers, now_s)


def by_certificate(pem: str) -> Caller:
    return identify(VIEW, der(pem), {}, NOW_S)


def by_token(key: Any = EC_KEY, kid: str = "ec", algorithm: str = "ES256", **claims: Any) -> Caller:
    said = {"iss": "https://front.example", "sub": "carla", "exp": NOW_S + 60, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    token = jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})
    return identify(VIEW, None, {"authorization": f"Bearer {token}"}, NOW_S)


def test_certificates() -> None:
    assert identify(VIEW, None, {}, NOW_S) is ANONYMOUS
    assert by_certificate(MEMBER.certificate) == Caller(kind="member", identity=MEMBER.member_id)
    assert by_certificate(USER.certificate) == Caller(kind="user", identity=USER.member_id)
    organisation = read_certificate(ORGANISATION_PEM).fingerprint
    employee = read_certificate(EMPLOYEE_PEM).fingerprint
    assert by_certificate(EMPLOYEE_PEM) == Caller(kind="user", identity=f"{organisation}/{employee}")
    assert len(trust_anchors(VIEW)) == 3
    assert access_policy(VIEW, "ethereum") == ANYONE


@pytest.mark.parametrize("pem", [STRANGER.certificate, FALSE_EMPLOYEE_PEM, IMPOSTOR_PEM])
def test_certificates_of_strangers(pem: str) -> None:
    with pytest.raises(AttestationError):
        by_certificate(pem)


def test_tokens() -> None:
    carla = Caller(kind="jwt", identity="https://front.example/carla")
    assert by_token() == carla
    assert by_token(RSA_KEY, "rsa", "RS256") == carla
    assert by_token(RSA_KEY, "rsa", "PS256") == carla


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW_S},
        {"exp": None},
        {"exp": "tomorrow"},
        {"nbf": NOW_S + 5},
        {"iss": "https://other.example"},
        {"sub": None},
    ],
)
def test_tokens_that_say_the_wrong_thing(claims: dict[str, Any]) -> None:
    with pytest.raises(AttestationError, match="token"):
        by_token(**claims)


def test_tokens_by_the_wrong_key() -> None:
    with pytest.raises(AttestationError, match="token is not acceptable"):
        by_token(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(AttestationError, match="no registered issuer"):
        by_token(kid="other")
    with pytest.raises(AttestationError, match="token is not acceptable"):
        by_token(bytes(32), "rsa", "HS256")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "." * limits.TOKEN_SIZE_MAX_BYTES + ".."])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(AttestationError):
        identify(VIEW, None, {"authorization": f"Bearer {token}"}, NOW_S)


def test_keys_that_issue_no_tokens() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for key, reason in (
        (weak, "1024 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), "neither RSA nor ECDSA"),
    ):
        with pytest.raises(AttestationError, match=reason):
            token_key(certified(key))
    with pytest.raises(AttestationError, match="not a certificate"):
        token_key(b"x")
    with pytest.raises(AttestationError, match="exceeds"):
        token_key(bytes(limits.CERTIFICATE_SIZE_MAX_BYTES + 1))


# ── remembered ───────────────────────────────────────────────────────────────────────────────────


def changed(*writes: Writes) -> View:
    return functools.reduce(lambda view, one: view.over(one), writes, VIEW)


def without(name: str, pem: str) -> Writes:
    return {name: {read_certificate(pem).fingerprint.encode(): None}}


def test_remembered_until_the_tables_change() -> None:
    known = KnownCallers()
    for pem in (MEMBER.certificate, USER.certificate, EMPLOYEE_PEM):
        assert known.identify(VIEW, der(pem), {}, NOW_S) == by_certificate(pem)
    view = changed(
        without(maps.MEMBERS_CERTS, MEMBER.certificate),
        without(maps.USERS_CERTS, USER.certificate),
        without(maps.USERS_CERTS, ORGANISATION_PEM),
    )
    known.people_changed()
    for pem in (MEMBER.certificate, USER.certificate, EMPLOYEE_PEM):
        for _ in range(2):
            with pytest.raises(AttestationError, match="no longer, one of a member"):
                known.identify(view, der(pem), {}, NOW_S)
    known.people_changed()
    assert known.identify(VIEW, der(EMPLOYEE_PEM), {}, NOW_S) == by_certificate(EMPLOYEE_PEM)


def test_who_is_remembered_is_out_when_the_certificate_is() -> None:
    known = KnownCallers()
    assert known.identify(VIEW, der(USER.certificate), {}, NOW_S).kind == "user"
    end_s = int(read_certificate(USER.certificate).not_after.timestamp())
    assert known.identify(VIEW, der(USER.certificate), {}, end_s).kind == "user"
    with pytest.raises(AttestationError, match="no longer, valid"):
        known.identify(VIEW, der(USER.certificate), {}, end_s + 1)


def test_two_organisations_of_one_name() -> None:
    known = KnownCallers()
    view = changed(participant_writes(Participant(certificate=IMPOSTOR_PEM)))
    for pem, issuer in ((EMPLOYEE_PEM, ORGANISATION_PEM), (FALSE_EMPLOYEE_PEM, IMPOSTOR_PEM)):
        name = f"{read_certificate(issuer).fingerprint}/{read_certificate(pem).fingerprint}"
        assert known.identify(view, der(pem), {}, NOW_S) == Caller(kind="user", identity=name)


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CALLERS_REMEMBERED_MAX", 1)
    known = KnownCallers()
    for pem in (MEMBER.certificate, USER.certificate, MEMBER.certificate, EMPLOYEE_PEM):
        assert known.identify(VIEW, der(pem), {}, NOW_S) == by_certificate(pem)
