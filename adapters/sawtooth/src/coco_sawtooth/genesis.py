"""Genesis: from the operator's configuration to the first block.

All of it is optional::

    {
      "authorized_keys": ["02…"],          public keys that may change settings
      "settings": {"sawtooth.…": "…"},     settings to begin with
      "batches": ["…"],                    instead of both: BatchLists in base64, as ``sawset genesis`` writes
      "validator_private_key": "…"         who signs blocks; made of fresh randomness when it is not given
    }

The first block holds batches as any other: what is configured becomes a batch of settings that the validator
key signs. Only families that are built in can be executed here, for no processor is connected yet. Without
keys nobody can change settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from coco_core.adapter import Writes
from coco_core.errors import MalformedError, OperatorError
from coco_sawtooth import fields, records
from coco_sawtooth.authoring import proposed_setting, signed_batch
from coco_sawtooth.batches import Batch, read, split, verify_signatures
from coco_sawtooth.blocks import block_writes, next_block, receipt
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Valid
from coco_sawtooth.families import BUILT_IN, apply_built_in
from coco_sawtooth.identity import NAME
from coco_sawtooth.limits import GENESIS_BATCHES_MAX, GENESIS_SETTINGS_MAX
from coco_sawtooth.merkle import tree_of
from coco_sawtooth.settings_family import APPROVAL_THRESHOLD, AUTHORIZED_KEYS, PROPOSALS
from coco_sawtooth.signing import Signer

_KNOWN: Final = frozenset(("authorized_keys", "batches", "settings", "validator_private_key"))
_KEY_DOMAIN: Final = b"coco.sawtooth.validator.v1"


def genesis_writes(config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
    """Return the write set of the first block. Raises OperatorError naming the faulty field."""
    fields.only(config, _KNOWN, NAME)
    key, signer = _validator(config, randomness)
    batches = _given(config) if config.get("batches") else [_settings_batch(config, signer)]
    state: dict[bytes, bytes | None] = {}
    made = [(batch, _execute(batch, state)) for batch in batches]
    root = tree_of((address, value) for address, value in state.items() if value is not None).root
    block = next_block(signer, None, [batch.id for batch in batches], root, 0)
    writes = block_writes(block, made, {key: value for key, value in state.items() if value is not None})
    writes[records.KEYS] = {records.VALIDATOR: key}
    return [writes]


def _validator(config: Mapping[str, Any], randomness: bytes) -> tuple[bytes, Signer]:
    key = fields.private_key(config, "validator_private_key", NAME)
    if key is None:
        key = hashlib.sha256(_KEY_DOMAIN + randomness).digest()
    try:
        return key, Signer(key)
    except ValueError:
        raise OperatorError(f"{NAME}.validator_private_key: not a private key of secp256k1") from None


def _given(config: Mapping[str, Any]) -> list[Batch]:
    for name in ("authorized_keys", "settings"):
        if config.get(name):
            raise OperatorError(f"{NAME}.{name}: given beside batches, which say everything")
    found: list[Batch] = []
    lists = fields.strings(config, "batches", NAME, most=GENESIS_BATCHES_MAX)
    for index, text in enumerate(lists):
        where = f"{NAME}.batches[{index}]"
        try:
            for raw in split(fields.base64_data(text, where)):
                batch = read(raw)
                verify_signatures(batch)
                found.append(batch)
        except MalformedError as error:
            raise OperatorError(f"{where}: {error}") from None
    if len({batch.id for batch in found}) != len(found) or len(found) > GENESIS_BATCHES_MAX:
        raise OperatorError(f"{NAME}.batches: a batch twice, or more than {GENESIS_BATCHES_MAX}")
    return found


def _settings_batch(config: Mapping[str, Any], signer: Signer) -> Batch:
    """Return the batch of what is configured.

    Its signer must be authorized until the last setting is made, and stays so where more than one key has to
    agree: then it could not take itself out alone.
    """
    given = fields.strings(config, "authorized_keys", NAME, most=GENESIS_SETTINGS_MAX)
    keys = [fields.public_key(key, f"{NAME}.authorized_keys[{index}]") for index, key in enumerate(given)]
    settings = dict(fields.table_of_strings(config, "settings", NAME, most=GENESIS_SETTINGS_MAX))
    if AUTHORIZED_KEYS in settings or PROPOSALS in settings:
        raise OperatorError(f"{NAME}.settings: {AUTHORIZED_KEYS} and {PROPOSALS} are not set here")
    threshold = settings.pop(APPROVAL_THRESHOLD, None)
    steps = [(AUTHORIZED_KEYS, ",".join([signer.public_key, *keys])), *settings.items()]
    if threshold is not None:
        steps.append((APPROVAL_THRESHOLD, threshold))
    elif keys:
        steps.append((AUTHORIZED_KEYS, ",".join(keys)))
    transactions = [
        proposed_setting(signer, setting, value, nonce=str(index))
        for index, (setting, value) in enumerate(steps)
    ]
    return read(signed_batch(signer, transactions).SerializeToString())


def _execute(batch: Batch, state: dict[bytes, bytes | None]) -> list[bytes]:
    """Execute a batch over ``state``, which it changes; return receipts."""
    receipts: list[bytes] = []
    for transaction in batch.transactions:
        if transaction.family not in BUILT_IN:
            name, version = transaction.family
            raise OperatorError(f"{NAME}.batches: family {name} {version} cannot be executed at genesis")
        context = Context(transaction.inputs, transaction.outputs, (state,))
        processed = apply_built_in(transaction, context, 0)
        if not isinstance(processed, Valid):
            raise OperatorError(f"{NAME}: transaction {transaction.id[:16]}…: {processed.message}")
        state.update(context.writes)
        receipts.append(receipt(transaction.id, context))
    return receipts
