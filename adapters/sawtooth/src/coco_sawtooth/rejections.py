"""Why a batch is refused: codes for programs, and what its client is told. Knows messages only."""

from __future__ import annotations

from typing import Final

from coco_core.adapter import Rejected
from coco_sawtooth import messages
from coco_sawtooth.limits import EXTENDED_DATA_SIZE_MAX_BYTES, MESSAGE_SIZE_MAX_CHARS

MALFORMED: Final = "invalid-batch"
"""Form, signatures or structure: what Sawtooth refuses when it is submitted."""
DUPLICATE_BATCH: Final = "duplicate-batch"
"""The batch is committed: its status is COMMITTED."""
DUPLICATE_TRANSACTION: Final = "duplicate-transaction"
MISSING_DEPENDENCY: Final = "missing-dependency"
NOT_PERMITTED: Final = "not-permitted"
RULE_BROKEN: Final = "validation-rule"
INVALID_TRANSACTION: Final = "invalid-transaction"
NO_PROCESSOR: Final = "no-processor"
TOO_LARGE: Final = "too-large"


def rejected(
    code: str,
    message: str,
    *,
    batch_id: str = "",
    transaction_id: str = "",
    extended_data: bytes = b"",
) -> Rejected:
    """Return a refusal whose data is the batch's status, a serialised ``ClientBatchStatus``.

    What a processor says is cut where it would be more than a client is told.
    """
    message = message[:MESSAGE_SIZE_MAX_CHARS]
    status = messages.ClientBatchStatus(batch_id=batch_id, status=messages.ClientBatchStatus.INVALID)
    status.invalid_transactions.add(
        transaction_id=transaction_id,
        message=message,
        extended_data=extended_data[:EXTENDED_DATA_SIZE_MAX_BYTES],
    )
    return Rejected(code, message, status.SerializeToString())
