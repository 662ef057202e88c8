"""Actions on nodes, on the code and platforms they may run, and on ledgers."""

from __future__ import annotations

import json
import re
from typing import Final

from coco_core.attestation import Policy, known_verifiers
from coco_core.base import NodeID, limits
from coco_core.errors import AttestationError, MemberError
from coco_core.governance.action import (
    Action,
    Args,
    check_count,
    check_digest,
    check_text,
    check_validity,
    read_validity,
)
from coco_core.governance.admission import check_platform_policy
from coco_core.governance.callers import POLICIES
from coco_core.governance.configuration import configuration_row
from coco_core.governance.consortium import check_data_total, checked_data, read_config
from coco_core.governance.decision import Decision
from coco_core.governance.fetch_origins import check_fetch_origins, fetch_origins_row
from coco_core.governance.leases import RENEWALS, VOTE, LeasePolicy, lease_policy_writes, lease_writes
from coco_core.governance.membership import PENDING, RETIRED, TRUSTED, read_nodes
from coco_core.governance.policy import platform_row, read_policy
from coco_core.governance.renewals import sent_away_writes
from coco_core.governance.validity import Validity
from coco_core.kv import View, maps

_HEX: Final = re.compile("[0-9a-f]+")


def _trust_node(args: Args, decision: Decision) -> None:
    """Let a node in that waits; it is its proposer's, or another active member's if the proposal says so."""
    owner = args.get("owner", decision.proposer)
    decision.active_member(owner)
    _own(args["node_id"], owner, decision)
    decision.change_nodes([NodeID(args["node_id"])], [])


def _check_trust(args: Args) -> None:
    _check_node(args)
    if "owner" in args:
        check_digest(args["owner"], "'owner'")


def _check_node(args: Args) -> None:
    check_digest(args["node_id"], "'node_id'")


def _own(node_id: str, owner: str, decision: Decision) -> None:
    value = {"member_id": owner, "node_data": None}
    decision.put(maps.NODE_OWNERS, node_id, json.dumps(value).encode())


def _remove_node(args: Args, decision: Decision) -> None:
    decision.write(sent_away_writes(decision.view, [NodeID(args["node_id"])]))
    decision.change_nodes([], [NodeID(args["node_id"])])


def _replace_node(args: Args, decision: Decision) -> None:
    """Let a node in and have another go, in one step."""
    owner = args.get("owner", decision.proposer)
    decision.active_member(owner)
    _own(args["node_id"], owner, decision)
    decision.write(sent_away_writes(decision.view, [NodeID(args["replaces"])]))
    decision.replace_node(NodeID(args["node_id"]), NodeID(args["replaces"]))


def _check_replace(args: Args) -> None:
    _check_trust(args)
    check_digest(args["replaces"], "'replaces'")


def _set_node_data(args: Args, decision: Decision) -> None:
    node = read_nodes(decision.view).get(NodeID(args["node_id"]))
    if node is None:
        raise MemberError(f"there is no node {args['node_id'][:64]}")
    value = decision.view.get(maps.NODE_OWNERS, args["node_id"].encode())
    record = {"member_id": None} if value is None else json.loads(value)
    record["node_data"] = checked_data(args["node_data"])
    decision.put(maps.NODE_OWNERS, args["node_id"], json.dumps(record).encode())
    gone = {node.node_id.encode() for node in read_nodes(decision.view).values() if node.status == RETIRED}
    owned = [json.loads(value) for key, value in decision.view.items(maps.NODE_OWNERS) if key not in gone]
    data = (one["node_data"] for one in owned)
    check_data_total(data, limits.NODES_DATA_TOTAL_MAX_BYTES, "nodes")


def _set_node_validity(args: Args, decision: Decision) -> None:
    name = NodeID(args["node_id"])
    node = read_nodes(decision.view).get(name)
    if node is None or node.status == RETIRED:
        raise MemberError(f"node {name[:64]} is {'unknown' if node is None else node.status}")
    decision.renew_nodes([name], _node_validity(args, decision))


def _set_all_validity(args: Args, decision: Decision) -> None:
    nodes = [name for name, node in read_nodes(decision.view).items() if node.status != RETIRED]
    decision.renew_nodes(nodes, _node_validity(args, decision))


def _node_validity(args: Args, decision: Decision) -> Validity:
    return read_validity(args, read_config(decision.view).maximum_node_certificate_validity_days)


def _check_node_validity(args: Args) -> None:
    _check_node(args)
    check_validity(args)


# ── code and platforms ───────────────────────────────────────────────────────────────────────────


def _add_code(args: Args, decision: Decision) -> None:
    decision.put(maps.CODE_MEASUREMENTS, _code_key(args), b"{}")
    if len(list(decision.view.items(maps.CODE_MEASUREMENTS))) > limits.CODE_MEASUREMENTS_MAX:
        raise MemberError(f"{limits.CODE_MEASUREMENTS_MAX} measurements are allowed already: remove some")
    _check_in_force(args["platform"], decision)


def _remove_code(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.CODE_MEASUREMENTS, _code_key(args).encode()) is None:
        raise MemberError(f"measurement {args['measurement']} is not allowed anyway")
    decision.put(maps.CODE_MEASUREMENTS, _code_key(args), None)
    measurement, platform = args["measurement"], args["platform"]
    for node in read_nodes(decision.view).values():
        if node.status == PENDING and (node.evidence.format, node.measurement) == (platform, measurement):
            decision.change_nodes([], [node.node_id])


def _check_code(args: Args) -> None:
    check_text(args["platform"], "'platform'", 64)
    if not _HEX.fullmatch(check_text(args["measurement"], "'measurement'", 128)):
        raise MemberError("'measurement' must be lower-case hex")


def _check_new_code(args: Args) -> None:
    _check_code(args)
    platform = args["platform"]
    _check_readable(
        platform, Policy(formats=frozenset(), measurements=frozenset({(platform, args["measurement"])}))
    )


def _code_key(args: Args) -> str:
    return f"{args['platform']}:{args['measurement']}"


def _set_platform(args: Args, decision: Decision) -> None:
    advisories = sorted(args.get("allowed_advisories", []))
    rules = json.dumps(args["rules"], sort_keys=True) if "rules" in args else None
    decision.put(maps.PLATFORMS, args["platform"], platform_row(args.get("minimum_tcb"), advisories, rules))
    _check_in_force(args["platform"], decision)


def _check_platform(args: Args) -> None:
    check_text(args["platform"], "'platform'", 64)
    if args.get("minimum_tcb") is not None:
        check_text(args["minimum_tcb"], "'minimum_tcb'")
    advisories = args.get("allowed_advisories", [])
    if not isinstance(advisories, list) or len(advisories) > limits.ADVISORIES_MAX:
        raise MemberError(f"'allowed_advisories' must be a list of at most {limits.ADVISORIES_MAX}")
    for one in advisories:
        check_text(one, "an advisory", 64)
    rules = args.get("rules", {})
    if not isinstance(rules, dict) or len(json.dumps(rules)) > limits.PLATFORM_RULES_MAX_BYTES:
        raise MemberError(f"'rules' must be a JSON object of at most {limits.PLATFORM_RULES_MAX_BYTES} bytes")
    platform = args["platform"]
    asked = Policy(
        formats=frozenset({platform}),
        measurements=frozenset(),
        minimum_tcb={platform: args["minimum_tcb"]} if args.get("minimum_tcb") is not None else {},
        allowed_advisories={platform: frozenset(advisories)},
        rules={platform: json.dumps(rules)},
    )
    _check_readable(platform, asked)


def _check_readable(platform: str, policy: Policy) -> None:
    """Check that evidence can be judged by a policy, as when one is read from a file; raises MemberError.

    Otherwise the first to notice would be a node that is refused for its members' mistake.
    """
    try:
        check_platform_policy(platform, policy, known_verifiers())
    except AttestationError as error:
        raise MemberError(f"{error.code}: {error}") from error


def _check_in_force(platform: str, decision: Decision) -> None:
    """Check the same of the policy as it is after this action: for production it refuses more."""
    _check_readable(platform, read_policy(decision.view))


def _remove_platform(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.PLATFORMS, args["platform"].encode()) is None:
        raise MemberError(f"platform {args['platform'][:64]!r} is not accepted anyway")
    decision.put(maps.PLATFORMS, args["platform"], None)


def _check_platform_name(args: Args) -> None:
    check_text(args["platform"], "'platform'", 64)


# ── ledgers and leases ───────────────────────────────────────────────────────────────────────────


def _enable_adapter(args: Args, decision: Decision) -> None:
    _known_adapter(args, decision)
    decision.put(maps.DISABLED_ADAPTERS, args["name"], None)


def _disable_adapter(args: Args, decision: Decision) -> None:
    _known_adapter(args, decision)
    decision.put(maps.DISABLED_ADAPTERS, args["name"], b"{}")


def _configure_adapter(args: Args, decision: Decision) -> None:
    row = configuration_row(decision.view, args["name"], args["configuration"])
    decision.put(maps.ADAPTER_CONFIGURATION, args["name"], row)


def _check_configuration(args: Args) -> None:
    _check_adapter(args)
    if not isinstance(args["configuration"], dict):
        raise MemberError("'configuration' must be an object; {} for what the ledger does by itself")


def _check_configured(args: Args, view: View) -> None:
    configuration_row(view, args["name"], args["configuration"])


def _set_fetch_origins(args: Args, decision: Decision) -> None:
    row = fetch_origins_row(decision.view, args["name"], args["origins"], args.get("ca_certs"))
    decision.put(maps.FETCH_ORIGINS, args["name"], row)


def _check_origins(args: Args) -> None:
    _check_adapter(args)
    check_fetch_origins(args["origins"], args.get("ca_certs"))


def _known_adapter(args: Args, decision: Decision) -> None:
    if decision.view.get(maps.ADAPTERS, args["name"].encode()) is None:
        raise MemberError(f"this service runs no ledger {args['name'][:64]!r}")


def _check_adapter(args: Args) -> None:
    check_text(args["name"], "'name'", 64)


def _set_access(args: Args, decision: Decision) -> None:
    _known_adapter(args, decision)
    decision.put(maps.ACCESS, args["name"], json.dumps({"callers": args["callers"]}).encode())


def _check_access(args: Args) -> None:
    _check_adapter(args)
    if args["callers"] not in POLICIES:
        raise MemberError(f"'callers' must be one of {', '.join(sorted(POLICIES))}")


def _set_lease_policy(args: Args, decision: Decision) -> None:
    policy = LeasePolicy(lease_s=args["lease_s"], renewal=args.get("renewal", VOTE))
    decision.write(lease_policy_writes(policy))
    trusted = [node.node_id for node in read_nodes(decision.view).values() if node.status == TRUSTED]
    decision.write(lease_writes(trusted, policy.lease_s, decision.time_ms))


def _check_lease_policy(args: Args) -> None:
    if args["lease_s"] is not None:
        check_count(args["lease_s"], "'lease_s'", limits.LEASE_MIN_S, limits.LEASE_MAX_S)
    if args.get("renewal", VOTE) not in RENEWALS:
        raise MemberError(f"'renewal' must be one of {', '.join(RENEWALS)}")


_NODE = frozenset({"node_id"})
_CODE = frozenset({"platform", "measurement"})
_NAME = frozenset({"name"})
_DAYS = frozenset({"validity_period_days"})

ACTIONS: Final = (
    Action(
        name="transition_node_to_trusted",
        apply=_trust_node,
        check=_check_trust,
        required=_NODE,
        optional=frozenset({"owner"}),
    ),
    Action(name="remove_node", apply=_remove_node, check=_check_node, required=_NODE),
    Action(
        name="replace_node",
        apply=_replace_node,
        check=_check_replace,
        required=frozenset({"node_id", "replaces"}),
        optional=frozenset({"owner"}),
    ),
    Action(
        name="set_node_data",
        apply=_set_node_data,
        check=_check_node,
        required=frozenset({"node_id", "node_data"}),
    ),
    Action(name="add_code_measurement", apply=_add_code, check=_check_new_code, required=_CODE),
    Action(name="remove_code_measurement", apply=_remove_code, check=_check_code, required=_CODE),
    Action(
        name="set_platform",
        apply=_set_platform,
        check=_check_platform,
        required=frozenset({"platform"}),
        optional=frozenset({"minimum_tcb", "allowed_advisories", "rules"}),
    ),
    Action(
        name="remove_platform",
        apply=_remove_platform,
        check=_check_platform_name,
        required=frozenset({"platform"}),
    ),
    Action(name="enable_adapter", apply=_enable_adapter, check=_check_adapter, required=_NAME),
    Action(name="disable_adapter", apply=_disable_adapter, check=_check_adapter, required=_NAME),
    Action(
        name="configure_adapter",
        apply=_configure_adapter,
        check=_check_configuration,
        check_tables=_check_configured,
        required=frozenset({"name", "configuration"}),
    ),
    Action(
        name="set_fetch_origins",
        apply=_set_fetch_origins,
        check=_check_origins,
        required=frozenset({"name", "origins"}),
        optional=frozenset({"ca_certs"}),
    ),
    Action(
        name="set_access_policy",
        apply=_set_access,
        check=_check_access,
        required=frozenset({"name", "callers"}),
    ),
    Action(
        name="set_lease_policy",
        apply=_set_lease_policy,
        check=_check_lease_policy,
        required=frozenset({"lease_s"}),
        optional=frozenset({"renewal"}),
    ),
    Action(
        name="set_node_certificate_validity",
        apply=_set_node_validity,
        check=_check_node_validity,
        required=_NODE | {"valid_from"},
        optional=_DAYS,
    ),
    Action(
        name="set_all_nodes_certificate_validity",
        apply=_set_all_validity,
        check=check_validity,
        required=frozenset({"valid_from"}),
        optional=_DAYS,
    ),
)
