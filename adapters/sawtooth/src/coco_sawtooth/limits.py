"""Every bound of the Sawtooth adapter, unit last in the name.

Bounds of the core (payload, batch, HTTP body) hold as well; these are the ledger's own. Knows nothing of any
other room.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# One batch of transactions. Its bytes are bounded by the core's payload.
BATCH_TRANSACTIONS_MAX: Final = 10_000
BATCH_DEPENDENCIES_MAX: Final = 10_000
TRANSACTION_ADDRESSES_MAX: Final = 10_000
"""Inputs and outputs of one transaction, together."""

# What one batch may write: state, events and receipt data of its transactions, beside its own bytes. State is
# written twice, to the state and to receipts.
BATCH_WRITES_SIZE_MAX_BYTES: Final = 5 * MIB
STATE_VALUE_SIZE_MAX_BYTES: Final = 1 * MIB
TRANSACTION_EVENTS_MAX: Final = 10_000
TRANSACTION_RECEIPT_DATA_MAX: Final = 10_000

# How much of a batch of the core is executed at one time; what does not fit is offered again in the next.
ROUND_TRANSACTIONS_MAX: Final = 2_000
ROUND_WRITES_SIZE_MAX_BYTES: Final = 32 * MIB

# What a client is told of an invalid transaction.
MESSAGE_SIZE_MAX_CHARS: Final = 4_096
EXTENDED_DATA_SIZE_MAX_BYTES: Final = 64 * KIB

# Batches whose signatures this node has checked and need not check again when it executes them.
CHECKED_BATCHES_KEPT_MAX: Final = 1_024

# Genesis.
GENESIS_SETTINGS_MAX: Final = 1_000
GENESIS_BATCHES_MAX: Final = 1_000
