"""The policy nodes are judged by, as the tables have it: which code may run, on which platforms.

Pure: tables in, values out. Who may change the tables is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from coco_core.attestation import Policy
from coco_core.crypto import sha256
from coco_core.errors import IntegrityError
from coco_core.kv import View, Writes, maps
from coco_core.wire import cbor
from coco_core.wire.values import text


def policy_of(measured: Iterable[tuple[str, str]]) -> Policy:
    """Return the policy that accepts what was ``measured``, pairs of platform and measurement."""
    measurements = frozenset(measured)
    return Policy(formats=frozenset(platform for platform, _ in measurements), measurements=measurements)


def policy_writes(policy: Policy) -> Writes:
    """Return the writes that put a policy into empty tables."""
    if not (policy.measurements or policy.formats):
        return {}
    production: Writes = {maps.PRODUCTION: {maps.SINGLETON_KEY: b"true"}} if policy.production else {}
    return {
        **production,
        maps.CODE_MEASUREMENTS: {
            f"{platform}:{measurement}".encode(): b"{}" for platform, measurement in policy.measurements
        },
        maps.PLATFORMS: {
            platform.encode(): platform_row(
                policy.minimum_tcb.get(platform),
                sorted(policy.allowed_advisories.get(platform, ())),
                policy.rules.get(platform),
            )
            for platform in policy.formats
        },
    }


def platform_row(minimum_tcb: str | None, allowed_advisories: list[str], rules: str | None) -> bytes:
    """Return what ``public:coco.gov.platforms`` keeps of one platform."""
    row: dict[str, Any] = {"minimum_tcb": minimum_tcb, "allowed_advisories": allowed_advisories}
    return json.dumps(row if rules is None else {**row, "rules": rules}).encode()


def read_policy(view: View) -> Policy:
    """Return the policy in force; raises IntegrityError for malformed tables."""
    minimum_tcb: dict[str, str] = {}
    allowed_advisories: dict[str, frozenset[str]] = {}
    own_rules: dict[str, str] = {}
    formats: set[str] = set()
    measurements: set[tuple[str, str]] = set()
    try:
        for key, _ in view.items(maps.CODE_MEASUREMENTS):
            platform, colon, measurement = key.decode().rpartition(":")
            if not colon:
                raise ValueError("no platform is named")
            measurements.add((platform, measurement))
        for key, value in view.items(maps.PLATFORMS):
            platform, rules = key.decode(), orjson.loads(value)
            formats.add(platform)
            if rules["minimum_tcb"] is not None:
                minimum_tcb[platform] = text(rules["minimum_tcb"])
            if rules["allowed_advisories"]:
                allowed_advisories[platform] = frozenset(map(text, rules["allowed_advisories"]))
            if "rules" in rules:
                own_rules[platform] = text(rules["rules"])
        production = view.get(maps.PRODUCTION, maps.SINGLETON_KEY)
        if production not in (None, b"true"):
            raise ValueError("it is neither for production nor not")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"the tables of code and platforms are malformed: {error}") from error
    return Policy(
        formats=frozenset(formats),
        measurements=frozenset(measurements),
        minimum_tcb=minimum_tcb,
        allowed_advisories=allowed_advisories,
        rules=own_rules,
        production=production is not None,
    )


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return a policy as JSON values, the same for equal policies."""
    return {
        "platforms": sorted(policy.formats),
        "measurements": [list(pair) for pair in sorted(policy.measurements)],
        "minimum_tcb": dict(sorted(policy.minimum_tcb.items())),
        "allowed_advisories": {
            platform: sorted(names) for platform, names in sorted(policy.allowed_advisories.items()) if names
        },
        **({"rules": dict(sorted(policy.rules.items()))} if policy.rules else {}),
        **({"production": True} if policy.production else {}),
    }


def policy_from_json(value: Mapping[str, Any]) -> Policy:
    """Read what policy_to_json returned; raises ValueError, KeyError or TypeError for anything else."""
    return Policy(
        formats=frozenset(map(text, value["platforms"])),
        measurements=frozenset(map(_pair, value["measurements"])),
        minimum_tcb={text(name): text(tcb) for name, tcb in dict(value["minimum_tcb"]).items()},
        allowed_advisories={
            text(name): frozenset(map(text, names))
            for name, names in dict(value["allowed_advisories"]).items()
        },
        rules={text(name): text(rules) for name, rules in dict(value.get("rules", {})).items()},
        production=_flag(value.get("production", False)),
    )


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("'production' is true or false")
    return value


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, list):
        raise TypeError("a measurement is listed with its platform")
    platform, measurement = value
    return text(platform), text(measurement)


def policy_digest(policy: Policy) -> str:
    """Return SHA-256 over a policy in hex: which one a verdict was reached by."""
    return sha256(cbor.encode(policy_to_json(policy))).hex()
