"""The file in which an operator says which evidence is accepted: read whole, refused whole.

::

    {"development": true,                       only where nothing is at stake; false unless given
     "platforms": {"snp": {"measurements": ["c0ff…"], "minimum_tcb": "…", "allowed_advisories": ["…"],
                           …}}}                 the rest is for who judges that platform

The same file founds a service, tells a joiner whom to believe, and is what ``coco attest verify`` judges by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from coco_core.attestation import Policy, check_named_once, known_verifiers
from coco_core.base import limits
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import check_policy

_IN_THE_TABLES: Final = ("measurements", "minimum_tcb", "allowed_advisories")
"""What has a table, or a column, of its own in the ledger; the rest is one text."""


def load_policy(path: Path) -> Policy:
    """Return the policy in a file; raises OperatorError when it cannot be judged by."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.POLICY_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"policy {path}: {error.strerror or error}") from error
    if len(data) > limits.POLICY_FILE_MAX_BYTES:
        raise OperatorError(f"policy {path}: more than {limits.POLICY_FILE_MAX_BYTES} bytes")
    try:
        value = orjson.loads(data)
        check_named_once(data)
        policy = policy_from_file(value)
        check_policy(policy, known_verifiers())
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OperatorError(f"policy {path}: {error}") from error
    except AttestationError as error:
        raise OperatorError(f"policy {path}: {error.code}: {error}") from error
    return policy


def policy_from_file(value: Any) -> Policy:
    """Return the policy that a file's JSON says; raises ValueError or TypeError saying what is wrong."""
    match value:
        case {"platforms": dict(platforms), **rest} if rest.keys() <= {"development"}:
            development = rest.get("development", False)
        case _:
            raise ValueError("expected {\"platforms\": {…}}, and 'development' at most")
    if type(development) is not bool:
        raise TypeError("'development' must be true or false")
    if not platforms:
        raise ValueError("no platform is accepted: nobody could join")
    measurements: set[tuple[str, str]] = set()
    for name, one in platforms.items():
        measurements |= {(name, code) for code in _texts(name, one, "measurements")}
    return Policy(
        formats=frozenset(platforms),
        measurements=frozenset(measurements),
        minimum_tcb={
            name: _text(name, one["minimum_tcb"], "minimum_tcb")
            for name, one in platforms.items()
            if one.get("minimum_tcb")
        },
        allowed_advisories={
            name: frozenset(found)
            for name, one in platforms.items()
            if (found := _texts(name, one, "allowed_advisories"))
        },
        rules={name: rules for name, one in platforms.items() if (rules := _rules(name, one))},
        production=not development,
    )


def _rules(platform: str, value: Mapping[str, Any]) -> str:
    """Return what is for the platform's own verifier, as ``set_platform`` keeps it; empty for nothing."""
    own = {name: one for name, one in value.items() if name not in _IN_THE_TABLES}
    text = json.dumps(own, sort_keys=True) if own else ""
    if len(text) > limits.PLATFORM_RULES_MAX_BYTES:
        raise ValueError(f"{platform!r}: rules of more than {limits.PLATFORM_RULES_MAX_BYTES} bytes")
    return text


def _texts(platform: str, value: Any, field: str) -> list[str]:
    if not isinstance(value, dict):
        raise TypeError(f"{platform!r} must be an object")
    found = value.get(field, [])
    if found == "any":
        raise ValueError(f"{platform!r}: a network names the code it accepts, and never takes 'any'")
    if not isinstance(found, list):
        raise TypeError(f"{platform!r}: {field!r} must be a list")
    return [_text(platform, one, field) for one in found]


def _text(platform: str, value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise TypeError(f"{platform!r}: {field!r} must be text")
    return value
