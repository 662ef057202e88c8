"""Actions on the service itself: opening it, its keys, who recovers it, its configuration."""

from __future__ import annotations

import json
from typing import Final

import attrs

from coco_core.base import limits
from coco_core.crypto import read_certificate, service_id
from coco_core.errors import AttestationError, MemberError
from coco_core.governance.action import (
    Action,
    Args,
    check_count,
    check_text,
    check_validity,
    read_validity,
)
from coco_core.governance.consortium import (
    OPEN,
    checked_data,
    config_writes,
    read_config,
    read_service_info,
)
from coco_core.governance.decision import Decision
from coco_core.kv import maps


def _open_service(args: Args, decision: Decision) -> None:
    """Open the service whose identity the members name; its first shares are dealt now."""
    info = dict(read_service_info(decision.view))
    if info["status"] == OPEN:
        raise MemberError("the service is open already")
    _require_same(args["next_service_identity"], str(info["cert"]), "next_service_identity", "this service's")
    previous = info.get("previous_service_identity")
    if previous is not None:
        if "previous_service_identity" not in args:
            raise MemberError("a recovered service is opened by naming its previous identity, too")
        _require_same(
            args["previous_service_identity"], previous, "previous_service_identity", "the one before"
        )
    info["status"] = OPEN
    decision.put_singleton(maps.SERVICE_INFO, json.dumps(info).encode())
    decision.deal_shares()


def _require_same(given: str, expected: str, field: str, whose: str) -> None:
    if service_id(given) != service_id(expected):
        raise MemberError(f"{field!r} is not {whose} identity")


def _check_open(args: Args) -> None:
    for field in ("next_service_identity", "previous_service_identity"):
        if field in args:
            text = check_text(args[field], f"{field!r}", limits.CERTIFICATE_SIZE_MAX_BYTES)
            try:
                read_certificate(text)
            except AttestationError as error:
                raise MemberError(f"{field!r}: {error}") from error


def _rekey(_args: Args, decision: Decision) -> None:
    decision.renew_secret("a proposal asked for it")


def _refresh_shares(_args: Args, decision: Decision) -> None:
    if read_service_info(decision.view)["status"] != OPEN:
        raise MemberError("shares are dealt when the service opens")
    decision.deal_shares()


def _set_threshold(args: Args, decision: Decision) -> None:
    config = attrs.evolve(read_config(decision.view), recovery_threshold=args["recovery_threshold"])
    decision.write(config_writes(config))
    decision.deal_shares()


def _check_threshold(args: Args) -> None:
    check_count(args["recovery_threshold"], "'recovery_threshold'", 1, limits.SHARES_MAX)


def _set_key_policy(args: Args, decision: Decision) -> None:
    decision.put_singleton(maps.KEY_POLICY, json.dumps({"epoch_ms": args["epoch_s"] * 1000}).encode())


def _check_key_policy(args: Args) -> None:
    if type(args["epoch_s"]) is not int or args["epoch_s"] != 0:
        check_count(args["epoch_s"], "'epoch_s', unless it is 0,", limits.EPOCH_MIN_S, limits.LEASE_MAX_S)


def _set_confidentiality(args: Args, decision: Decision) -> None:
    decision.put_singleton(maps.CONFIDENTIALITY, json.dumps(args["policy"]).encode())


def _check_confidentiality(args: Args) -> None:
    if not isinstance(args["policy"], dict):
        raise MemberError("'policy' must be an object")
    checked_data(args["policy"])


def _set_configuration(args: Args, decision: Decision) -> None:
    config = attrs.evolve(read_config(decision.view), **dict(args))
    decision.write(config_writes(config))


def _check_configuration(args: Args) -> None:
    for name, value in args.items():
        check_count(value, f"{name!r}", 1, limits.CERTIFICATE_VALIDITY_DAYS_MAX)


def _set_service_validity(args: Args, decision: Decision) -> None:
    most = read_config(decision.view).maximum_service_certificate_validity_days
    decision.renew_service(read_validity(args, most))


_VALIDITY = frozenset({"maximum_node_certificate_validity_days", "maximum_service_certificate_validity_days"})

ACTIONS: Final = (
    Action(
        name="transition_service_to_open",
        apply=_open_service,
        check=_check_open,
        required=frozenset({"next_service_identity"}),
        optional=frozenset({"previous_service_identity"}),
    ),
    Action(name="trigger_ledger_rekey", apply=_rekey),
    Action(name="trigger_recovery_shares_refresh", apply=_refresh_shares),
    Action(
        name="set_recovery_threshold",
        apply=_set_threshold,
        check=_check_threshold,
        required=frozenset({"recovery_threshold"}),
    ),
    Action(
        name="set_key_policy", apply=_set_key_policy, check=_check_key_policy, required=frozenset({"epoch_s"})
    ),
    Action(
        name="set_confidentiality_policy",
        apply=_set_confidentiality,
        check=_check_confidentiality,
        required=frozenset({"policy"}),
    ),
    Action(
        name="set_service_configuration",
        apply=_set_configuration,
        check=_check_configuration,
        optional=_VALIDITY,
    ),
    Action(
        name="set_service_certificate_validity",
        apply=_set_service_validity,
        check=check_validity,
        required=frozenset({"valid_from"}),
        optional=frozenset({"validity_period_days"}),
    ),
)
