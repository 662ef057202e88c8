"""Who may send what: roles of the identity family, and the setting that lists families.

Both are read from state each time; nobody is asked and nothing is remembered but how texts parse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import attrs
import orjson

from coco_core.errors import RejectedError
from coco_sawtooth import messages
from coco_sawtooth.batches import Batch, Transaction
from coco_sawtooth.identity_family import read_policy, read_role
from coco_sawtooth.settings_family import read_setting
from coco_sawtooth.signing import canonical_key

FAMILIES: Final = "sawtooth.validator.transaction_families"
BATCH_ROLES: Final = ("transactor.batch_signer", "transactor")
TRANSACTION_ROLES: Final = ("transactor.transaction_signer", "transactor")
DEFAULT_POLICY: Final = "default"

Read = Callable[[bytes], bytes]


def check_signers(batch: Batch, read: Read) -> None:
    """Check the batch's signer and those of its transactions against the roles in state.

    A role without a policy, like no role and no default policy, permits everybody. Raises RejectedError.
    """
    _check_key(batch.header.signer_public_key, _policy(read, BATCH_ROLES), "batch signer")
    checked: set[tuple[str, str]] = set()
    for transaction in batch.transactions:
        signer = transaction.header.signer_public_key
        family = transaction.header.family_name
        if (signer, family) in checked:
            continue
        checked.add((signer, family))
        roles = (f"transactor.transaction_signer.{family}", *TRANSACTION_ROLES)
        _check_key(signer, _policy(read, roles), "transaction signer")


def _policy(read: Read, roles: Iterable[str]) -> messages.Policy | None:
    for name in roles:
        role = read_role(read, name)
        if role is not None:
            return read_policy(read, role.policy_name)
    return read_policy(read, DEFAULT_POLICY)


def _check_key(public_key: str, policy: messages.Policy | None, what: str) -> None:
    if policy is None:
        return
    key = canonical_key(public_key)
    for entry in policy.entries:
        # Keys in policies are written as people write them.
        if entry.key in ("*", public_key) or entry.key.lower() == key:
            if entry.type == messages.Policy.PERMIT_KEY:
                return
            if entry.type == messages.Policy.DENY_KEY:
                break
    raise RejectedError(f"the {what} {public_key} is not permitted by policy {policy.name!r}")


@attrs.frozen
class _Family:
    name: str
    version: str
    namespaces: tuple[str, ...] | None


def check_family(transaction: Transaction, read: Read) -> None:
    """Check that a transaction's family is one that the settings list, and writes where they let it.

    No list, or one that lists no family at all, permits every family; of a list that lists some, what is
    no family permits nothing. Raises RejectedError.
    """
    families = _families(read_setting(read, FAMILIES) or "")
    if not families:
        return
    listed = [each for each in families if (each.name, each.version) == transaction.family]
    if not listed:
        name, version = transaction.family
        raise RejectedError(f"family {name} {version} is not listed in {FAMILIES}")
    namespaces = [each.namespaces for each in listed]
    for output in transaction.outputs:
        if not any(allowed is None or output.startswith(allowed) for allowed in namespaces):
            raise RejectedError(f"output {output!r} is outside the family's namespaces in {FAMILIES}")


@lru_cache(maxsize=64)
def _families(text: str) -> tuple[_Family, ...]:
    """Return the families of a setting, none when it is no list of them."""
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    entries = told if isinstance(told, list) else []
    return tuple(family for each in entries if (family := _family(each)) is not None)


def _family(entry: object) -> _Family | None:
    """Return an entry's family; None when it is none: one mistake must not take the others' effect away."""
    if not isinstance(entry, dict):
        return None
    name, version = entry.get("family"), entry.get("version")
    # Null, or an empty list, is as if there were none: anywhere.
    namespaces = [] if entry.get("namespaces") is None else entry["namespaces"]
    texts = isinstance(namespaces, list) and all(isinstance(each, str) for each in namespaces)
    if not (isinstance(name, str) and isinstance(version, str) and texts):
        return None
    return _Family(name, version, tuple(namespaces) or None)
