"""The block info family (``block_info`` 1.0): what transactions may know of the blocks before theirs.

With the setting ``sawtooth.validator.batch_injectors`` a validator puts a batch of this family before the
others of each block; it tells of the block before. Knows contexts and signing. Facts are Sawtooth 1.2.6's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError

from coco_core.errors import RejectedError
from coco_sawtooth import messages
from coco_sawtooth.addresses import BLOCK_INFO_NAMESPACE, is_id
from coco_sawtooth.authoring import signed_batch, signed_transaction
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.records import NO_BLOCK, Block
from coco_sawtooth.settings_family import read_setting
from coco_sawtooth.signing import Signer

FAMILY: Final = ("block_info", "1.0")
INJECTORS: Final = "sawtooth.validator.batch_injectors"
BLOCKS_PREFIX: Final = BLOCK_INFO_NAMESPACE + "00"
CONFIG_ADDRESS: Final = BLOCK_INFO_NAMESPACE + "01" + "0" * 62
SYNC_TOLERANCE_S: Final = 300
TARGET_COUNT: Final = 256
"""How many blocks' information is kept."""
_DELETIONS_MAX: Final = 1_000
_KEY: Final = re.compile(r"[0-9a-fA-F]{66}")


def block_address(number: int) -> str:
    """Return where the information of a block is kept."""
    return f"{BLOCKS_PREFIX}{number:062x}"


def is_injected(read: Callable[[bytes], bytes]) -> bool:
    """Return whether blocks begin with information of the one before."""
    return "block_info" in [each.strip() for each in (read_setting(read, INJECTORS) or "").split(",")]


def injected_batch(signer: Signer, previous: Block, time_s: int) -> messages.Batch:
    """Return the batch with which a block begins: it tells of the block before it."""
    info = messages.BlockInfo(
        block_num=previous.number,
        previous_block_id=previous.header.previous_block_id,
        signer_public_key=previous.header.signer_public_key,
        header_signature=previous.id,
        timestamp=time_s,
    )
    places = [CONFIG_ADDRESS, BLOCKS_PREFIX]
    transaction = signed_transaction(
        signer,
        family=FAMILY,
        payload=messages.BlockInfoTxn(block=info).SerializeToString(),
        inputs=places,
        outputs=places,
    )
    return signed_batch(signer, [transaction])


def apply_block_info(transaction: Transaction, context: Context, time_s: int) -> None:
    """Keep the information of a block. Raises RejectedError when the transaction is not valid."""
    try:
        asked = messages.BlockInfoTxn.FromString(transaction.payload)
        [stored] = context.get([CONFIG_ADDRESS])
        config = messages.BlockInfoConfig.FromString(stored)
    except DecodeError:
        raise RejectedError("the block info payload or what is in state does not decode") from None
    info = asked.block
    _check_form(info)
    if asked.sync_tolerance or not stored:
        config.sync_tolerance = asked.sync_tolerance or SYNC_TOLERANCE_S
    if asked.target_count or not stored:
        config.target_count = asked.target_count or TARGET_COUNT
    if abs(time_s - info.timestamp) > config.sync_tolerance:
        raise RejectedError(
            f"Timestamp {info.timestamp} is more than {config.sync_tolerance} s from {time_s}"
        )
    if stored:
        _check_order(info, config, context)
        config.latest_block = info.block_num
    else:
        config.latest_block = config.oldest_block = info.block_num
    # A count that was lowered by much is caught up with over several blocks.
    oldest_kept = min(config.latest_block - config.target_count, config.oldest_block + _DELETIONS_MAX)
    context.delete([block_address(number) for number in range(config.oldest_block, oldest_kept)])
    config.oldest_block = max(config.oldest_block, oldest_kept)
    context.set(
        [
            (CONFIG_ADDRESS, config.SerializeToString()),
            (block_address(info.block_num), info.SerializeToString()),
        ]
    )


def _check_form(info: messages.BlockInfo) -> None:
    if info.previous_block_id != NO_BLOCK and not is_id(info.previous_block_id):
        raise RejectedError(f"Invalid previous block id '{info.previous_block_id}'")
    if not _KEY.fullmatch(info.signer_public_key):
        raise RejectedError(f"Invalid signer public_key '{info.signer_public_key}'")
    if not is_id(info.header_signature):
        raise RejectedError(f"Invalid header signature '{info.header_signature}'")
    if not info.timestamp:
        raise RejectedError(f"Invalid timestamp '{info.timestamp}'")


def _check_order(info: messages.BlockInfo, config: messages.BlockInfoConfig, context: Context) -> None:
    if info.block_num != config.latest_block + 1:
        raise RejectedError(
            "Block number must be one more than previous block's. "
            f"Got {info.block_num} expected {config.latest_block + 1}"
        )
    try:
        [stored] = context.get([block_address(config.latest_block)])
        previous = messages.BlockInfo.FromString(stored)
    except DecodeError:
        raise RejectedError("the latest block's information in state does not decode") from None
    if info.previous_block_id != previous.header_signature:
        raise RejectedError(
            "Previous block id must match header signature of previous block. "
            f"Got {info.previous_block_id} expected {previous.header_signature}"
        )
    if info.timestamp < previous.timestamp:
        raise RejectedError(
            "Timestamp must be greater than previous block's. "
            f"Got {info.timestamp}, expected >{previous.timestamp}"
        )
