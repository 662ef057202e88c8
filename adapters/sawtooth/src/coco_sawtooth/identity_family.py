"""The identity family (``sawtooth_identity`` 1.0): policies over keys, and roles that name policies.

A setting says who may write them. Knows contexts, not when it runs. Facts are those of Sawtooth 1.2.6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError

from coco_core.errors import RejectedError
from coco_sawtooth import messages
from coco_sawtooth.addresses import IDENTITY_NAMESPACE
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.settings_family import setting_address, split_keys

FAMILY: Final = ("sawtooth_identity", "1.0")
ALLOWED_KEYS: Final = "sawtooth.identity.allowed_keys"

_PARTS_MAX: Final = 4


@lru_cache(maxsize=1024)
def policy_address(name: str) -> str:
    """Return where a policy is kept."""
    return f"{IDENTITY_NAMESPACE}00{_hash(name)[:62]}"


@lru_cache(maxsize=1024)
def role_address(name: str) -> str:
    """Return where a role is kept: a short hash of each part of its name, the fourth has the rest."""
    parts = name.split(".", _PARTS_MAX - 1)
    parts += [""] * (_PARTS_MAX - len(parts))
    return f"{IDENTITY_NAMESPACE}01{_hash(parts[0])[:14]}" + "".join(_hash(part)[:16] for part in parts[1:])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_policy(read: Callable[[bytes], bytes], name: str) -> messages.Policy | None:
    """Return a policy from state, or None."""
    stored = read(bytes.fromhex(policy_address(name)))
    try:
        found = messages.PolicyList.FromString(stored).policies if stored else ()
    except DecodeError:
        return None
    return next((policy for policy in found if policy.name == name), None)


def read_role(read: Callable[[bytes], bytes], name: str) -> messages.Role | None:
    """Return a role from state, or None."""
    stored = read(bytes.fromhex(role_address(name)))
    try:
        found = messages.RoleList.FromString(stored).roles if stored else ()
    except DecodeError:
        return None
    return next((role for role in found if role.name == name), None)


def apply_identity(transaction: Transaction, context: Context, time_s: int) -> None:
    """Set a policy or a role. Raises RejectedError when the transaction is not valid."""
    del time_s
    signer = transaction.header.signer_public_key
    try:
        if signer not in _allowed(context):
            raise RejectedError(f"The transaction signer is not authorized to submit transactions: {signer}")
        payload = messages.IdentityPayload.FromString(transaction.payload)
        if payload.type == messages.IdentityPayload.POLICY:
            _set_policy(context, messages.Policy.FromString(payload.data))
        elif payload.type == messages.IdentityPayload.ROLE:
            _set_role(context, messages.Role.FromString(payload.data))
        else:
            raise RejectedError("The IdentityType must be either a ROLE or a POLICY")
    except DecodeError:
        raise RejectedError("the identity payload or what is in state does not decode") from None


def _allowed(context: Context) -> list[str]:
    [stored] = context.get([setting_address(ALLOWED_KEYS)])
    entries = messages.Setting.FromString(stored).entries
    return [key for entry in entries if entry.key == ALLOWED_KEYS for key in split_keys(entry.value)]


def _set_policy(context: Context, policy: messages.Policy) -> None:
    if not policy.entries:
        raise RejectedError("At least one entry must be in a policy.")
    if not policy.name:
        raise RejectedError("The name must be set in a policy.")
    if not all(entry.key for entry in policy.entries):
        raise RejectedError("Every policy entry must have a key.")
    address = policy_address(policy.name)
    [stored] = context.get([address])
    others = [each for each in messages.PolicyList.FromString(stored).policies if each.name != policy.name]
    policies = messages.PolicyList(policies=sorted([*others, policy], key=lambda each: each.name))
    _store(context, address, policies.SerializeToString(), policy.name)


def _set_role(context: Context, role: messages.Role) -> None:
    if not role.name:
        raise RejectedError("The name must be set in a role.")
    if not role.policy_name:
        raise RejectedError("A role must contain a policy name.")
    [stored] = context.get([policy_address(role.policy_name)])
    if all(each.name != role.policy_name for each in messages.PolicyList.FromString(stored).policies):
        raise RejectedError(f"Cannot set Role {role.name}, the Policy {role.policy_name} is not set.")
    address = role_address(role.name)
    [stored] = context.get([address])
    others = [each for each in messages.RoleList.FromString(stored).roles if each.name != role.name]
    roles = messages.RoleList(roles=sorted([*others, role], key=lambda each: each.name))
    _store(context, address, roles.SerializeToString(), role.name)


def _store(context: Context, address: str, value: bytes, name: str) -> None:
    context.set([(address, value)])
    updated = messages.Event.Attribute(key="updated", value=name)
    context.add_event(messages.Event(event_type="identity/update", attributes=[updated]))
