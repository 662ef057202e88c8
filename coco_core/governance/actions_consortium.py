"""Actions on people and rules: members, participants, operators, the constitution, who signs tokens."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

import attrs

from coco_core.base import limits, utc
from coco_core.crypto import read_certificate, token_key
from coco_core.errors import AttestationError, MemberError
from coco_core.governance.action import Action, Args, check_digest, check_text
from coco_core.governance.consortium import (
    ACTIVE,
    Member,
    check_lasts,
    check_members_data,
    check_valid,
    checked_data,
    checked_member,
    checked_participant,
    constitution_writes,
    member_writes,
    participant_writes,
    read_consortium,
    read_member,
    read_participants,
    removed_member_writes,
    renamed_member_writes,
)
from coco_core.governance.decision import Decision
from coco_core.governance.member_requests import RENEW_MEMBER
from coco_core.kv import maps


def _set_member(args: Args, decision: Decision) -> None:
    """Name a member, or give one another encryption key or data; a new one must acknowledge first."""
    member = checked_member(args["cert"], args.get("encryption_pub_key"), args.get("member_data"))
    members = read_consortium(decision.view)
    known = members.get(member.member_id)
    if known is None:
        check_lasts(read_certificate(member.certificate), decision.time_ms)
        if len(members) >= limits.MEMBERS_MAX:
            raise MemberError(f"there are {limits.MEMBERS_MAX} members already")
    if known is not None:
        member = attrs.evolve(member, status=known.status)
        if member.holds_share or known.holds_share:
            decision.deal_shares()
    _write_member(member, decision)


def _write_member(member: Member, decision: Decision) -> None:
    decision.write(member_writes(member))
    check_members_data(read_consortium(decision.view).values())


def _check_member(args: Args) -> None:
    checked_member(args["cert"], args.get("encryption_pub_key"), args.get("member_data"))


def _remove_member(args: Args, decision: Decision) -> None:
    member = read_member(decision.view, args["member_id"])
    if member is None:
        raise MemberError(f"there is no member {args['member_id'][:64]}")
    decision.write(removed_member_writes(args["member_id"]))
    if not any(one.status == ACTIVE for one in read_consortium(decision.view).values()):
        raise MemberError("nobody would be left to govern")
    if member.holds_share:
        # Whoever leaves keeps a share: what is written from now on must not be open to it and its friends.
        decision.deal_shares()
        decision.renew_secret("a member who held a share was removed")


def _set_member_data(args: Args, decision: Decision) -> None:
    member = read_member(decision.view, args["member_id"])
    if member is None:
        raise MemberError(f"there is no member {args['member_id'][:64]}")
    _write_member(attrs.evolve(member, data=checked_data(args["member_data"])), decision)


def _renew_member(args: Args, decision: Decision) -> None:
    """Have a member go on under a new certificate over its key: with its status, data, nodes and share.

    Its name is its certificate's, so that changes; ballots it cast under the old one do not count any more.
    """
    member = read_member(decision.view, args["member_id"])
    if member is None:
        raise MemberError(f"there is no member {args['member_id'][:64]}")
    old, certificate = read_certificate(member.certificate), read_certificate(args["cert"])
    if certificate.public_key != old.public_key:
        raise MemberError("'cert' is over another key than the member's: that would be another member")
    if certificate.fingerprint in read_consortium(decision.view):
        raise MemberError("'cert' is a member's already")
    at = utc(decision.time_ms)
    check_valid(certificate, at)
    decision.write(renamed_member_writes(member, certificate.pem))
    for node, value in list(decision.view.items(maps.NODE_OWNERS)):
        owned = json.loads(value)
        if owned["member_id"] == args["member_id"]:
            owned["member_id"] = certificate.fingerprint
            decision.put(maps.NODE_OWNERS, node.decode(), json.dumps(owned).encode())
    if member.holds_share:
        decision.deal_shares()


def _check_renewal(args: Args) -> None:
    _check_member_id(args)
    _check_operator(args)


def _check_member_id(args: Args) -> None:
    check_digest(args["member_id"], "'member_id'")


def _check_user_id(args: Args) -> None:
    check_digest(args["user_id"], "'user_id'")


def _set_user(args: Args, decision: Decision) -> None:
    participant = checked_participant(args["cert"], args.get("user_data"))
    check_lasts(read_certificate(participant.certificate), decision.time_ms)
    if len(read_participants(decision.view)) >= limits.USERS_MAX:
        raise MemberError(f"there are {limits.USERS_MAX} users already")
    decision.write(participant_writes(participant))


def _check_user(args: Args) -> None:
    checked_participant(args["cert"], args.get("user_data"))


def _remove_user(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.USERS_CERTS, args["user_id"].encode()) is None:
        raise MemberError(f"there is no user {args['user_id'][:64]}")
    for name in (maps.USERS_CERTS, maps.USERS_INFO):
        decision.put(name, args["user_id"], None)


def _set_user_data(args: Args, decision: Decision) -> None:
    participant = read_participants(decision.view).get(args["user_id"])
    if participant is None:
        raise MemberError(f"there is no user {args['user_id'][:64]}")
    decision.write(participant_writes(attrs.evolve(participant, data=checked_data(args["user_data"]))))


def _set_operator(args: Args, decision: Decision) -> None:
    certificate = read_certificate(args["cert"])
    check_lasts(certificate, decision.time_ms)
    decision.put(maps.OPERATORS, certificate.fingerprint, certificate.pem.encode())
    if len(list(decision.view.items(maps.OPERATORS))) > limits.OPERATORS_MAX:
        raise MemberError(f"there are {limits.OPERATORS_MAX} operators already")


def _check_operator(args: Args) -> None:
    try:
        read_certificate(check_text(args["cert"], "'cert'", limits.CERTIFICATE_SIZE_MAX_BYTES))
    except AttestationError as error:
        raise MemberError(f"'cert': {error}") from error


def _remove_operator(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.OPERATORS, args["operator_id"].encode()) is None:
        raise MemberError(f"there is no operator {args['operator_id'][:64]}")
    decision.put(maps.OPERATORS, args["operator_id"], None)


def _check_operator_id(args: Args) -> None:
    check_digest(args["operator_id"], "'operator_id'")


def _set_constitution(args: Args, decision: Decision) -> None:
    decision.write(constitution_writes(args["constitution"]))
    decision.drops_others = True


def _check_constitution(args: Args) -> None:
    check_text(args["constitution"], "'constitution'", limits.SCRIPT_SIZE_MAX_BYTES)


def _set_jwt_issuer(args: Args, decision: Decision) -> None:
    decision.put(maps.JWT_ISSUERS, args["issuer"], json.dumps({"auto_refresh": False}).encode())
    if "jwks" in args:
        _put_keys(args, decision)


def _check_jwt_issuer(args: Args) -> None:
    check_text(args["issuer"], "'issuer'")
    if "jwks" in args:
        _check_keys(args)


def _check_issuer(args: Args) -> None:
    check_text(args["issuer"], "'issuer'")


def _remove_jwt_issuer(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.JWT_ISSUERS, args["issuer"].encode()) is None:
        raise MemberError(f"there is no issuer {args['issuer'][:64]!r}")
    decision.put(maps.JWT_ISSUERS, args["issuer"], None)
    _remove_keys(args["issuer"], decision)


def _set_jwt_keys(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.JWT_ISSUERS, args["issuer"].encode()) is None:
        raise MemberError(f"there is no issuer {args['issuer'][:64]!r}")
    _put_keys(args, decision)


def _check_keys(args: Args) -> None:
    check_text(args["issuer"], "'issuer'")
    match args["jwks"]:
        case {"keys": list(keys)} if 0 < len(keys) <= limits.JWT_KEYS_MAX:
            for key in keys:
                _key_of(key)
        case _:
            raise MemberError(f"'jwks' must hold 1 to {limits.JWT_KEYS_MAX} keys (RFC 7517)")


def _key_of(key: object) -> tuple[str, str]:
    match key:
        case {"kid": str(kid), "x5c": [str(chain), *_]}:
            try:
                public = token_key(base64.b64decode(chain, validate=True))
                return check_text(kid, "'kid'"), base64.b64encode(public).decode()
            except (AttestationError, binascii.Error) as error:
                raise MemberError(f"key {kid[:40]!r}: {error}") from error
    raise MemberError("a key needs 'kid' and 'x5c', a certificate with an RSA or ECDSA key")


def _put_keys(args: Args, decision: Decision) -> None:
    _remove_keys(args["issuer"], decision)
    for key in args["jwks"]["keys"]:
        kid, public = _key_of(key)
        taken = decision.view.get(maps.JWT_KEYS, kid.encode())
        if taken is not None:
            raise MemberError(f"another issuer has a key {kid[:40]!r}")
        value = [{"public_key": public, "issuer": args["issuer"], "constraint": args["issuer"]}]
        decision.put(maps.JWT_KEYS, kid, json.dumps(value).encode())


def _remove_keys(issuer: str, decision: Decision) -> None:
    for kid, value in list(decision.view.items(maps.JWT_KEYS)):
        if any(one["issuer"] == issuer for one in json.loads(value)):
            decision.put(maps.JWT_KEYS, kid.decode(), None)


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


ACTIONS: Final = (
    Action(
        name="set_member",
        apply=_set_member,
        check=_check_member,
        required=_names("cert"),
        optional=_names("encryption_pub_key", "member_data"),
    ),
    Action(name="remove_member", apply=_remove_member, check=_check_member_id, required=_names("member_id")),
    Action(
        name=RENEW_MEMBER,
        apply=_renew_member,
        check=_check_renewal,
        required=_names("member_id", "cert"),
    ),
    Action(
        name="set_member_data",
        apply=_set_member_data,
        check=_check_member_id,
        required=_names("member_id", "member_data"),
    ),
    Action(
        name="set_user",
        apply=_set_user,
        check=_check_user,
        required=_names("cert"),
        optional=_names("user_data"),
    ),
    Action(name="remove_user", apply=_remove_user, check=_check_user_id, required=_names("user_id")),
    Action(
        name="set_user_data",
        apply=_set_user_data,
        check=_check_user_id,
        required=_names("user_id", "user_data"),
    ),
    Action(name="set_operator", apply=_set_operator, check=_check_operator, required=_names("cert")),
    Action(
        name="remove_operator",
        apply=_remove_operator,
        check=_check_operator_id,
        required=_names("operator_id"),
    ),
    Action(
        name="set_constitution",
        apply=_set_constitution,
        check=_check_constitution,
        required=_names("constitution"),
    ),
    Action(
        name="set_jwt_issuer",
        apply=_set_jwt_issuer,
        check=_check_jwt_issuer,
        required=_names("issuer"),
        optional=_names("jwks"),
    ),
    Action(
        name="set_jwt_public_signing_keys",
        apply=_set_jwt_keys,
        check=_check_keys,
        required=_names("issuer", "jwks"),
    ),
    Action(
        name="remove_jwt_issuer",
        apply=_remove_jwt_issuer,
        check=_check_issuer,
        required=_names("issuer"),
    ),
)
