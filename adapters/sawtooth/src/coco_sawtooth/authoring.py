"""Making signed transactions and batches: for what a validator injects, for genesis, for tests.

Knows keys that it is given and no state. The same arguments give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from coco_sawtooth import messages
from coco_sawtooth.settings_family import (
    APPROVAL_THRESHOLD,
    AUTHORIZED_KEYS,
    FAMILY,
    PROPOSALS,
    setting_address,
)
from coco_sawtooth.signing import Signer


def signed_transaction(
    signer: Signer,
    *,
    family: tuple[str, str],
    payload: bytes,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    dependencies: Sequence[str] = (),
    nonce: str = "",
    batcher_public_key: str = "",
    **fields: Any,
) -> messages.Transaction:
    """Return a transaction, to be batched by its signer when no batcher is named.

    ``fields`` replace those of its header.
    """
    values: dict[str, Any] = {
        "batcher_public_key": batcher_public_key or signer.public_key,
        "dependencies": dependencies,
        "family_name": family[0],
        "family_version": family[1],
        "inputs": inputs,
        "nonce": nonce,
        "outputs": outputs,
        "payload_sha512": hashlib.sha512(payload).hexdigest(),
        "signer_public_key": signer.public_key,
    }
    header = messages.TransactionHeader(**(values | fields)).SerializeToString(deterministic=True)
    return messages.Transaction(header=header, header_signature=signer.sign(header), payload=payload)


def signed_batch(signer: Signer, transactions: Sequence[messages.Transaction]) -> messages.Batch:
    """Return a batch of transactions."""
    ids = [each.header_signature for each in transactions]
    header = messages.BatchHeader(signer_public_key=signer.public_key, transaction_ids=ids)
    raw = header.SerializeToString(deterministic=True)
    return messages.Batch(header=raw, header_signature=signer.sign(raw), transactions=transactions)


def proposed_setting(
    signer: Signer, setting: str, value: str, *, nonce: str, batcher_public_key: str = ""
) -> messages.Transaction:
    """Return a transaction that changes a setting, as ``sawset proposal create`` makes it."""
    proposal = messages.SettingProposal(setting=setting, value=value, nonce=nonce)
    payload = messages.SettingsPayload(
        action=messages.SettingsPayload.PROPOSE, data=proposal.SerializeToString()
    )
    names = (AUTHORIZED_KEYS, APPROVAL_THRESHOLD, PROPOSALS, setting)
    places = list(dict.fromkeys(setting_address(name) for name in names))
    return signed_transaction(
        signer,
        family=FAMILY,
        payload=payload.SerializeToString(),
        inputs=places,
        outputs=places,
        nonce=nonce,
        batcher_public_key=batcher_public_key,
    )
