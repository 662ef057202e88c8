"""The consortium's people as its tables tell: members, participants, and the service's configuration.

A *member* governs: proposes, votes, holds a share of the recovery key. It is **Accepted** once a
proposal named it, and **Active** once it acknowledged the state it joins, its constitution included. A
*participant* (the tables' word is user) transacts and has no vote. Each is known by the SHA-256 of its
X.509 certificate's DER form in hex. Tables and encodings are CCF's. Knows no requests and no votes.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from coco_core.base import limits, utc
from coco_core.crypto import Certificate, check_encryption_key, read_certificate
from coco_core.errors import AttestationError, IntegrityError, MemberError
from coco_core.governance.json_values import read_json
from coco_core.governance.runtime import JSON
from coco_core.kv import View, Writes, maps, merge

ACCEPTED, ACTIVE = "Accepted", "Active"
_STATUSES: Final = frozenset({ACCEPTED, ACTIVE})

OPENING, OPEN = "Opening", "Open"


@attrs.frozen(kw_only=True)
class Member:
    """One member of the consortium."""

    certificate: str
    """PEM."""
    encryption_key: str | None = None
    """PEM of its RSA key, to which its recovery share is encrypted; None when it holds no share."""
    data: JSON = None
    status: str = ACCEPTED

    @property
    def member_id(self) -> str:
        """The member's name: the fingerprint of its certificate."""
        return read_certificate(self.certificate).fingerprint

    @property
    def holds_share(self) -> bool:
        """Whether it is to hold a share of the recovery key."""
        return self.status == ACTIVE and self.encryption_key is not None


@attrs.frozen(kw_only=True)
class Participant:
    """One participant: a certificate, or an organisation's that issues those of its people."""

    certificate: str
    data: JSON = None


@attrs.frozen(kw_only=True)
class ServiceConfig:
    """What ``public:ccf.gov.service.config`` holds."""

    recovery_threshold: int = 1
    """How many members recover the ledger together."""
    maximum_node_certificate_validity_days: int = 365
    maximum_service_certificate_validity_days: int = 365


@attrs.frozen(kw_only=True)
class Charter:
    """Who founds a governed service, and by which rules."""

    members: tuple[Member, ...]
    constitution: str
    config: ServiceConfig


# ── judging what is to be written ────────────────────────────────────────────────────────────────


def checked_member(certificate: Any, encryption_key: Any = None, data: Any = None) -> Member:
    """Return a member of what a proposal or a settings file says; raises MemberError."""
    pem = _checked_certificate(certificate, "the member's certificate").pem
    if encryption_key is not None:
        try:
            if not isinstance(encryption_key, str):
                raise AttestationError("is no text")
            check_encryption_key(encryption_key)
        except AttestationError as error:
            raise MemberError(f"the member's encryption key: {error}") from error
    return Member(certificate=pem, encryption_key=encryption_key, data=checked_data(data))


def checked_participant(certificate: Any, data: Any = None) -> Participant:
    """Return a participant of what a proposal says; raises MemberError."""
    pem = _checked_certificate(certificate, "the user's certificate").pem
    return Participant(certificate=pem, data=checked_data(data))


def checked_data(data: Any) -> JSON:
    """Return data that a proposal attaches to somebody; raises MemberError when it is too long."""
    size = len(json.dumps(data))
    if size > limits.MEMBER_DATA_SIZE_MAX_BYTES:
        raise MemberError(f"data of {size} bytes exceeds {limits.MEMBER_DATA_SIZE_MAX_BYTES}")
    found: JSON = data
    return found


def check_data_total(data: Iterable[JSON], most_bytes: int, what: str) -> None:
    """Raise MemberError when the data of all of them together is too long.

    A constitution is asked with all of it, and cannot be asked with more than a bound.
    """
    size = sum(len(json.dumps(one)) for one in data)
    if size > most_bytes:
        raise MemberError(f"the data of all {what} together is {size} bytes, more than {most_bytes}")


def check_members_data(members: Iterable[Member]) -> None:
    """Raise MemberError when the data of all members together is too long."""
    check_data_total((one.data for one in members), limits.MEMBERS_DATA_TOTAL_MAX_BYTES, "members")


def _checked_certificate(value: Any, what: str) -> Certificate:
    try:
        if not isinstance(value, str):
            raise AttestationError("is no text")
        return read_certificate(value)
    except AttestationError as error:
        raise MemberError(f"{what}: {error}") from error


def check_valid(certificate: Certificate, at: datetime.datetime) -> None:
    """Raise MemberError unless ``certificate`` is valid at that time."""
    if not certificate.not_before <= at <= certificate.not_after:
        raise MemberError(
            f"the certificate is valid from {certificate.not_before:%Y-%m-%d %H:%M:%S} "
            f"to {certificate.not_after:%Y-%m-%d %H:%M:%S} UTC, and it is {at:%Y-%m-%d %H:%M:%S}"
        )


def check_lasts(certificate: Certificate, time_ms: int) -> None:
    """Raise MemberError when ``certificate`` has run out at that Unix time: nobody is registered by it."""
    at = utc(time_ms)
    if certificate.not_after < at:
        check_valid(certificate, at)


# ── writes ───────────────────────────────────────────────────────────────────────────────────────


def member_writes(member: Member) -> Writes:
    """Return the writes that put ``member`` into the tables as it is."""
    key = member.member_id.encode()
    info = {"status": member.status, "member_data": member.data, "recovery_role": None}
    encryption = None if member.encryption_key is None else member.encryption_key.encode()
    return {
        maps.MEMBERS_CERTS: {key: member.certificate.encode()},
        maps.MEMBERS_ENCRYPTION_KEYS: {key: encryption},
        maps.MEMBERS_INFO: {key: json.dumps(info).encode()},
    }


def renamed_member_writes(member: Member, certificate: str) -> Writes:
    """Return the writes by which ``member`` goes on under another certificate, and so another name."""
    writes = removed_member_writes(member.member_id)
    merge(writes, member_writes(attrs.evolve(member, certificate=certificate)))
    return writes


def removed_member_writes(member_id: str) -> Writes:
    """Return the writes that take a member out of the tables."""
    key = member_id.encode()
    tables = (maps.MEMBERS_CERTS, maps.MEMBERS_ENCRYPTION_KEYS, maps.MEMBERS_INFO, maps.MEMBERS_ACKS)
    return {name: {key: None} for name in tables}


def participant_writes(participant: Participant) -> Writes:
    """Return the writes that put a participant into the tables."""
    key = read_certificate(participant.certificate).fingerprint.encode()
    return {
        maps.USERS_CERTS: {key: participant.certificate.encode()},
        maps.USERS_INFO: {key: json.dumps({"user_data": participant.data}).encode()},
    }


def config_writes(config: ServiceConfig) -> Writes:
    """Return the write of the service's configuration."""
    return {maps.SERVICE_CONFIG: {maps.SINGLETON_KEY: json.dumps(attrs.asdict(config)).encode()}}


def constitution_writes(text: str) -> Writes:
    """Return the write of the constitution."""
    return {maps.CONSTITUTION: {maps.SINGLETON_KEY: json.dumps(text).encode()}}


def charter_writes(charter: Charter) -> Writes:
    """Return the first entry's part about the consortium."""
    writes: Writes = {**constitution_writes(charter.constitution), **config_writes(charter.config)}
    for member in charter.members:
        merge(writes, member_writes(member))
    return writes


# ── readings ─────────────────────────────────────────────────────────────────────────────────────


def read_consortium(view: View) -> dict[str, Member]:
    """Return the members by their ID; raises IntegrityError for malformed tables."""
    return {
        key.decode(): _read_member(view, key, certificate)
        for key, certificate in view.items(maps.MEMBERS_CERTS)
    }


def read_member(view: View, member_id: str) -> Member | None:
    """Return one member; raises IntegrityError for malformed tables."""
    key = member_id.encode(errors="replace")
    certificate = view.get(maps.MEMBERS_CERTS, key)
    return None if certificate is None else _read_member(view, key, certificate)


def _read_member(view: View, key: bytes, certificate: bytes) -> Member:
    info = read_json(view, maps.MEMBERS_INFO, key)
    encryption = view.get(maps.MEMBERS_ENCRYPTION_KEYS, key)
    if not isinstance(info, dict) or info.get("status") not in _STATUSES:
        raise IntegrityError(f"{maps.MEMBERS_INFO}: malformed record of member {key.decode()[:64]}")
    return Member(
        certificate=certificate.decode(),
        encryption_key=None if encryption is None else encryption.decode(),
        data=info.get("member_data"),
        status=str(info["status"]),
    )


def read_participants(view: View) -> dict[str, Participant]:
    """Return the participants by their ID; raises IntegrityError for malformed tables."""
    found: dict[str, Participant] = {}
    for key, certificate in view.items(maps.USERS_CERTS):
        info = read_json(view, maps.USERS_INFO, key)
        data = info.get("user_data") if isinstance(info, dict) else None
        found[key.decode()] = Participant(certificate=certificate.decode(), data=data)
    return found


def read_constitution(view: View) -> str | None:
    """Return the constitution in force, None for a service that nobody governs."""
    text = read_json(view, maps.CONSTITUTION, maps.SINGLETON_KEY)
    if text is not None and not isinstance(text, str):
        raise IntegrityError(f"{maps.CONSTITUTION}: not a text")
    return text


def read_config(view: View) -> ServiceConfig:
    """Return the service's configuration; raises IntegrityError for a malformed table."""
    value = read_json(view, maps.SERVICE_CONFIG, maps.SINGLETON_KEY)
    if value is None:
        return ServiceConfig()
    names = {field.name for field in attrs.fields(ServiceConfig)}
    if not isinstance(value, dict) or any(type(one) is not int or one < 1 for one in value.values()):
        raise IntegrityError(f"{maps.SERVICE_CONFIG}: malformed")
    return ServiceConfig(**{name: one for name, one in value.items() if name in names})


def read_service_info(view: View) -> Mapping[str, Any]:
    """Return ``public:ccf.gov.service.info``; raises IntegrityError for a malformed table."""
    value = read_json(view, maps.SERVICE_INFO, maps.SINGLETON_KEY)
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise IntegrityError(f"{maps.SERVICE_INFO}: malformed")
    return value
