"""The part of a founder's settings that says who governs: files to a charter, all faults reported at once.

::

    "members": [{"certificate": "alice.pem", "encryption_key": "alice_enc.pem", "data": {…}}],
    "constitution": "majority",        one that comes with the framework, or a file's path
    "recovery_threshold": 1            how many members recover the ledger together
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coco_core.base import limits
from coco_core.errors import MemberError
from coco_core.governance import (
    SHIPPED,
    Charter,
    Member,
    ServiceConfig,
    check_members_data,
    checked_member,
    shipped_constitution,
)

FIELDS = frozenset({"members", "constitution", "recovery_threshold"})


def read_charter(value: Mapping[str, Any], base: Path, faults: list[str]) -> Charter | None:
    """Return the charter of the ``found`` object in ``value``, None for a service that nobody governs.

    Paths are relative to ``base``; what is wrong is added to ``faults``.
    """
    if not FIELDS & value.keys():
        return None
    named = value.get("members")
    if not isinstance(named, list) or not 1 <= len(named) <= limits.MEMBERS_MAX:
        faults.append(f"'found.members' must name 1 to {limits.MEMBERS_MAX} members")
        return None
    members = [_member(one, number, base, faults) for number, one in enumerate(named)]
    found = tuple(one for one in members if one is not None)
    threshold = value.get("recovery_threshold", 1)
    if type(threshold) is not int or not 1 <= threshold <= limits.SHARES_MAX:
        faults.append(f"'found.recovery_threshold' must be 1 to {limits.SHARES_MAX}")
        threshold = 1
    if len({one.member_id for one in found}) != len(found):
        faults.append("'found.members' names a member twice")
    try:
        check_members_data(found)
    except MemberError as error:
        faults.append(f"'found.members': {error}")
    return Charter(
        members=found,
        constitution=_constitution(value.get("constitution"), base, faults),
        config=ServiceConfig(recovery_threshold=threshold),
    )


def _member(value: Any, number: int, base: Path, faults: list[str]) -> Member | None:
    field = f"found.members[{number}]"
    match value:
        case {"certificate": str(certificate), **rest} if rest.keys() <= {"encryption_key", "data"}:
            key = rest.get("encryption_key")
            texts = [
                _text(field, base / str(name), faults) for name in (certificate, key) if name is not None
            ]
        case _:
            faults.append(f"'{field}' needs 'certificate', and may have 'encryption_key' and 'data'")
            return None
    if any(text is None for text in texts):
        return None
    try:
        return checked_member(texts[0], texts[1] if len(texts) > 1 else None, rest.get("data"))
    except MemberError as error:
        faults.append(f"'{field}': {error}")
        return None


def _constitution(value: Any, base: Path, faults: list[str]) -> str:
    if not isinstance(value, str) or not value:
        faults.append(f"'found.constitution' must be a file, or one of {', '.join(SHIPPED)}")
        return ""
    if value in SHIPPED:
        return shipped_constitution(value)
    return _text("found.constitution", base / value, faults) or ""


def _text(field: str, path: Path, faults: list[str]) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"'{field}' {path}: {error}")
        return None
    if len(text.encode()) > limits.SCRIPT_SIZE_MAX_BYTES:
        faults.append(f"'{field}' {path}: longer than {limits.SCRIPT_SIZE_MAX_BYTES} bytes")
        return None
    return text
