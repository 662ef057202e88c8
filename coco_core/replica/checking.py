"""What an adapter hands over, checked against its manifest and the bounds before anything is placed.

An adapter is somebody else's code, so nothing here relies on the types it declares. Every fault is an
AdapterError; what that costs (a batch, a request, the founding of a service) its callers decide.
Knows values only; must not know the ledger's order, consensus or who asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from coco_core.adapter import (
    API,
    NO_CLAIMS,
    Applied,
    BatchResult,
    Deferred,
    Manifest,
    Rejected,
    Writes,
    check_fields,
)
from coco_core.base import limits
from coco_core.errors import AdapterError
from coco_core.kv import maps

_FRAMING_BYTES = 16
"""What an entry holds for each key beside it and its value: the length of both."""
_ENTRY_BYTES = 1 * limits.KIB
"""What an entry holds beside its keys and values, roughly: header, digests, names of maps."""
_KEY_TYPES = frozenset({bytes})
_TYPES = frozenset({bytes, type(None)})
_ENGINE: Final = re.compile(r"(?:\S+ \S+)?")


def check_result(result: object, requests: int, owned: frozenset[str]) -> BatchResult:
    """Check what an adapter returned or raised for a batch of ``requests``; return it as a result.

    Raises AdapterError for an exception, a wrong type or number of outcomes, a write outside ``owned``,
    anything beyond the bounds of an entry or a batch, or a batch that defers before it applied anything
    (it would never make progress).
    """
    if not isinstance(result, BatchResult):
        verb = "raised" if isinstance(result, Exception) else "returned"
        raise AdapterError(f"adapter {verb} {type(result).__name__} instead of returning a BatchResult")
    outcomes = result.outcomes
    if type(outcomes) not in (list, tuple):
        raise AdapterError(f"outcomes are a {type(outcomes).__name__}, neither list nor tuple")
    if len(outcomes) != requests:
        raise AdapterError(f"adapter returned {len(outcomes)} outcomes for {requests} requests")
    size = 0
    applied = False
    for outcome in outcomes:
        if isinstance(outcome, Applied):
            applied = True
            size += _check_applied(outcome, owned)
        elif isinstance(outcome, Rejected):
            size += _check_rejected(outcome)
        elif not isinstance(outcome, Deferred):
            raise AdapterError(f"{type(outcome).__name__} is no outcome")
        elif not applied:
            raise AdapterError("adapter deferred a request before applying any")
    closing = _check_writes(result.closing, owned)
    if result.closing and not applied:
        raise AdapterError("adapter closed a batch in which it applied nothing")
    if size + closing > limits.BATCH_RESULT_MAX_BYTES:
        # One request alone always fits (see limits), so that executing one by one gets through.
        raise AdapterError(
            f"results of {size + closing} bytes exceed a batch's bound of {limits.BATCH_RESULT_MAX_BYTES}"
        )
    return result


def check_genesis(entries: object, owned: frozenset[str], size_max_bytes: int) -> int:
    """Check an adapter's first entries as any other writes, and together; return their size.

    Raises AdapterError beyond ``size_max_bytes``: all ledgers of a service begin in one batch.
    """
    if type(entries) not in (list, tuple):
        raise AdapterError(f"genesis entries are a {type(entries).__name__}, neither list nor tuple")
    checked: Sequence[Writes] = entries  # type: ignore[assignment] # each entry is checked below
    size = sum(_check_writes(writes, owned) + _ENTRY_BYTES for writes in checked)
    if size > size_max_bytes:
        raise AdapterError(f"genesis of {size} bytes exceeds the bound of {size_max_bytes} bytes")
    return size


def check_manifest(name: str, manifest: Manifest) -> None:
    """Raise AdapterError unless the manifest is for ``name``, this contract and maps of its own."""
    if not maps.is_ledger_name(name):
        raise AdapterError(f"adapter name {name[:64]!r} is no word of lower-case letters, digits and _")
    if manifest.name != name:
        raise AdapterError(f"adapter {name!r} says that its name is {manifest.name!r}")
    if manifest.api != API:
        raise AdapterError(f"adapter {name!r} is made for contract version {manifest.api}, this one is {API}")
    if type(manifest.engine) is not str or not _ENGINE.fullmatch(manifest.engine):
        raise AdapterError(f"adapter {name!r}: engine {manifest.engine!r} is not 'name version'")
    if not len(set(manifest.maps)) == len(manifest.maps) <= limits.MANIFEST_MAPS_MAX:
        raise AdapterError(f"adapter {name!r} claims a map twice, or more than {limits.MANIFEST_MAPS_MAX}")
    if type(manifest.fetches) is not bool:
        raise AdapterError(f"adapter {name!r} does not say whether it fetches, but {manifest.fetches!r:.40}")
    try:
        check_fields(manifest.configuration)
    except ValueError as error:
        raise AdapterError(f"adapter {name!r}: {error}") from error
    for one in manifest.maps:
        if (
            type(one) is not str
            or maps.is_reserved(one)
            or not one.removeprefix(maps.PUBLIC_PREFIX).startswith(f"{name}.")
        ):
            raise AdapterError(f"adapter {name!r} claims map {one!r}; its maps must begin with {name!r}.")
        if len(one.encode()) > limits.MAP_NAME_SIZE_MAX_BYTES:
            raise AdapterError(
                f"adapter {name!r}: map name {one[:40]!r} exceeds {limits.MAP_NAME_SIZE_MAX_BYTES} bytes"
            )


def _check_applied(outcome: Applied, owned: frozenset[str]) -> int:
    if type(outcome.claims) is not bytes:
        raise AdapterError(f"claims digest is a {type(outcome.claims).__name__}, not bytes")
    if len(outcome.claims) != len(NO_CLAIMS):
        raise AdapterError(f"claims digest of {len(outcome.claims)} bytes")
    if type(outcome.receipt) is not bytes:
        raise AdapterError("a receipt is not bytes")
    if type(outcome.failure) is not str:
        raise AdapterError("the failure of a transaction is not text")
    size = len(outcome.receipt)
    if size > limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES:
        raise AdapterError(
            f"receipt of {size} bytes exceeds the bound of {limits.OUTCOME_RECEIPT_SIZE_MAX_BYTES}"
        )
    return size + _check_writes(outcome.writes, owned)


def _check_rejected(outcome: Rejected) -> int:
    if type(outcome.code) is not str or type(outcome.message) is not str:
        raise AdapterError("code or message of a rejection is not text")
    if type(outcome.data) is not bytes:
        raise AdapterError("data of a rejection is not bytes")
    try:
        size = len(outcome.code.encode()) + len(outcome.message.encode()) + len(outcome.data)
    except UnicodeEncodeError as error:
        raise AdapterError("code or message of a rejection is not Unicode text") from error
    if size > limits.REJECTION_SIZE_MAX_BYTES:
        raise AdapterError(f"rejection of {size} bytes exceeds {limits.REJECTION_SIZE_MAX_BYTES}")
    return size


def _check_writes(writes: Writes, owned: frozenset[str]) -> int:
    """Return the size of a write set that may be one entry.

    Whole collections are looked at at once: this runs for every key that any transaction writes.
    """
    _check_dict(writes)
    size = 0
    for name, changes in writes.items():
        if name not in owned:
            raise AdapterError(f"adapter wrote a map that is not in its manifest: {name}")
        _check_dict(changes)
        values = changes.values()
        if not (_KEY_TYPES.issuperset(map(type, changes)) and _TYPES.issuperset(map(type, values))):
            raise AdapterError(f"adapter wrote what is not bytes to {name}")
        keys = sum(map(len, changes))
        if keys > limits.KEY_SIZE_MAX_BYTES and max(map(len, changes)) > limits.KEY_SIZE_MAX_BYTES:
            raise AdapterError(f"a key in {name} exceeds the bound of {limits.KEY_SIZE_MAX_BYTES} bytes")
        size += keys + sum(map(len, _present(values))) + _FRAMING_BYTES * len(changes)
    if size > limits.WRITE_SET_SIZE_MAX_BYTES:
        raise AdapterError(
            f"write set of {size} bytes exceeds the bound of {limits.WRITE_SET_SIZE_MAX_BYTES} bytes"
        )
    return size


def _present(values: Iterable[bytes | None]) -> Iterable[bytes]:
    return filter(None, values)


def _check_dict(value: object) -> None:
    if type(value) is not dict:
        raise AdapterError(f"{type(value).__name__} is no write set")
