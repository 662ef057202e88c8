"""The families that are built in: executed in this process, whoever registers for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from coco_core.errors import RejectedError
from coco_sawtooth import block_info, identity_family, settings_family
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Invalid, Processed, Valid

Apply = Callable[[Transaction, Context, int], None]
"""Execute a transaction in a context at a Unix time in seconds. Raises RejectedError when it is not valid."""

BUILT_IN: Final[Mapping[tuple[str, str], Apply]] = {
    settings_family.FAMILY: settings_family.apply_settings,
    identity_family.FAMILY: identity_family.apply_identity,
    block_info.FAMILY: block_info.apply_block_info,
}


def apply_built_in(transaction: Transaction, context: Context, time_s: int) -> Processed:
    """Execute a transaction of a family that is built in."""
    try:
        BUILT_IN[transaction.family](transaction, context, time_s)
    except RejectedError as error:
        return Invalid(str(error))
    return Valid()
