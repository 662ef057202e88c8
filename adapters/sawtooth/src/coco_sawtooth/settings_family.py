"""The settings family (``sawtooth_settings`` 1.0): on-chain settings, and who may change them.

Who may is itself a setting: keys that are authorized, and how many of them must agree. Knows contexts, not
when it runs. Facts of a value's place and of the rules are those of Sawtooth 1.2.6.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError

from coco_core.errors import RejectedError
from coco_sawtooth import messages
from coco_sawtooth.addresses import SETTINGS_NAMESPACE
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context

FAMILY: Final = ("sawtooth_settings", "1.0")
AUTHORIZED_KEYS: Final = "sawtooth.settings.vote.authorized_keys"
APPROVAL_THRESHOLD: Final = "sawtooth.settings.vote.approval_threshold"
PROPOSALS: Final = "sawtooth.settings.vote.proposals"

_PARTS_MAX: Final = 4
_PART_LENGTH: Final = 16


@lru_cache(maxsize=1024)
def setting_address(key: str) -> str:
    """Return where a setting is kept: a short hash of each part of its name, the fourth has the rest."""
    parts = key.split(".", _PARTS_MAX - 1)
    parts += [""] * (_PARTS_MAX - len(parts))
    return SETTINGS_NAMESPACE + "".join(
        hashlib.sha256(part.encode()).hexdigest()[:_PART_LENGTH] for part in parts
    )


def read_setting(read: Callable[[bytes], bytes], key: str) -> str | None:
    """Return a setting's value from state, None when it is not set or what is there does not decode."""
    return _value_in(read(bytes.fromhex(setting_address(key))), key)


@lru_cache(maxsize=256)
def _value_in(stored: bytes, key: str) -> str | None:
    try:
        entries = messages.Setting.FromString(stored).entries
    except DecodeError:
        return None
    return next((entry.value for entry in entries if entry.key == key), None)


def split_keys(value: str | None) -> list[str]:
    """Return the keys of a comma-separated list, without blanks and empty ones."""
    return [key.strip() for key in (value or "").split(",") if key.strip()]


def with_setting(stored: bytes, key: str, value: str) -> bytes:
    """Return what is kept at an address after a setting there has got a value."""
    setting = messages.Setting.FromString(stored)
    for entry in setting.entries:
        if entry.key == key:
            entry.value = value
            break
    else:
        setting.entries.add(key=key, value=value)
    return setting.SerializeToString()


def apply_settings(transaction: Transaction, context: Context, time_s: int) -> None:
    """Execute a proposal or a vote. Raises RejectedError when it is not valid."""
    del time_s
    signer = transaction.header.signer_public_key
    authorized = split_keys(_get(context, AUTHORIZED_KEYS))
    if authorized and signer not in authorized:
        raise RejectedError(f'"{signer}" is not authorized to change settings')
    try:
        payload = messages.SettingsPayload.FromString(transaction.payload)
        if payload.action == messages.SettingsPayload.PROPOSE:
            proposal = messages.SettingProposal.FromString(payload.data)
            proposal_id = hashlib.sha256(payload.data).hexdigest()
            _propose(context, authorized, signer, proposal, proposal_id)
        elif payload.action == messages.SettingsPayload.VOTE:
            _vote(context, authorized, signer, messages.SettingVote.FromString(payload.data))
        else:
            raise RejectedError("'action' must be one of {PROPOSE, VOTE}")
    except DecodeError:
        raise RejectedError("the settings payload does not decode") from None


def _propose(
    context: Context, authorized: list[str], signer: str, proposal: messages.SettingProposal, proposal_id: str
) -> None:
    _check_value(authorized, proposal.setting, proposal.value)
    if _threshold(context) <= 1:
        _set(context, proposal.setting, proposal.value)
        return
    candidates = _candidates(context)
    if any(each.proposal_id == proposal_id for each in candidates.candidates):
        raise RejectedError(f'Duplicate proposal for "{proposal.setting}"')
    candidate = candidates.candidates.add(proposal_id=proposal_id, proposal=proposal)
    candidate.votes.add(public_key=signer, vote=messages.SettingVote.ACCEPT)
    _save(context, candidates)


def _vote(context: Context, authorized: list[str], signer: str, vote: messages.SettingVote) -> None:
    candidates = _candidates(context)
    found = (
        index for index, each in enumerate(candidates.candidates) if each.proposal_id == vote.proposal_id
    )
    index = next(found, None)
    if index is None:
        raise RejectedError(f'Proposal "{vote.proposal_id}" does not exist')
    candidate = candidates.candidates[index]
    if any(record.public_key == signer for record in candidate.votes):
        raise RejectedError(f'"{signer}" has already voted')
    if vote.vote not in (messages.SettingVote.ACCEPT, messages.SettingVote.REJECT):
        raise RejectedError("a vote must be one of {ACCEPT, REJECT}")
    candidate.votes.add(public_key=signer, vote=vote.vote)
    accepted = sum(record.vote == messages.SettingVote.ACCEPT for record in candidate.votes)
    rejected = len(candidate.votes) - accepted
    threshold = _threshold(context)
    if accepted >= threshold:
        _set(context, candidate.proposal.setting, candidate.proposal.value)
        del candidates.candidates[index]
    elif rejected >= threshold or len(candidate.votes) == len(authorized):
        del candidates.candidates[index]
    _save(context, candidates)


def _check_value(authorized: list[str], setting: str, value: str) -> None:
    if not authorized and setting != AUTHORIZED_KEYS:
        raise RejectedError(f'Cannot set "{setting}" until authorized_keys is set.')
    if setting == AUTHORIZED_KEYS and not split_keys(value):
        raise RejectedError("authorized_keys must not be empty.")
    if setting == APPROVAL_THRESHOLD:
        threshold = _number(value)
        if threshold is None:
            raise RejectedError("approval_threshold must be an integer")
        if threshold > len(authorized):
            raise RejectedError("approval_threshold must be less than or equal to number of authorized_keys")
    if setting == PROPOSALS:
        raise RejectedError(f"Setting {PROPOSALS} is read-only")


def _number(value: str) -> int | None:
    try:
        return int(value) if len(value) < 12 else None
    except ValueError:
        return None


def _threshold(context: Context) -> int:
    value = _get(context, APPROVAL_THRESHOLD)
    return 1 if value is None else _number(value) or 1


def _candidates(context: Context) -> messages.SettingCandidates:
    try:
        return messages.SettingCandidates.FromString(
            base64.b64decode(_get(context, PROPOSALS) or "", validate=True)
        )
    except (DecodeError, ValueError):
        raise RejectedError(f"{PROPOSALS} does not decode") from None


def _save(context: Context, candidates: messages.SettingCandidates) -> None:
    _set(context, PROPOSALS, base64.b64encode(candidates.SerializeToString()).decode())


def _get(context: Context, key: str) -> str | None:
    [stored] = context.get([setting_address(key)])
    return _value_in(stored, key)


def _set(context: Context, key: str, value: str) -> None:
    address = setting_address(key)
    [stored] = context.get([address])
    context.set([(address, with_setting(stored, key, value))])
    updated = messages.Event.Attribute(key="updated", value=key)
    context.add_event(messages.Event(event_type="settings/update", attributes=[updated]))
