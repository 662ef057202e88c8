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

# How much of a batch of the core is executed at one time, in transactions; what does not fit is offered again
# in the next. So many inputs and outputs count as one more transaction: whoever reads everything is compared
# with each of them.
ROUND_WEIGHT_MAX: Final = 1_000
PART_WEIGHT: Final = 100
"""Whose signatures are checked before the first of them is executed."""
ADDRESSES_PER_TRANSACTION: Final = 16
ROUND_WRITES_SIZE_MAX_BYTES: Final = 24 * MIB
# A round is handed over before it is done once so many of its transactions are in blocks and at most so many
# are not: those keep processors busy until the next round.
HAND_OVER_DONE_MIN: Final = 100
HAND_OVER_LEFT_MAX: Final = 200

# What a client is told of an invalid transaction.
MESSAGE_SIZE_MAX_CHARS: Final = 4_096
EXTENDED_DATA_SIZE_MAX_BYTES: Final = 32 * KIB

# Batches whose signatures this node has checked and need not check again when it executes them.
CHECKED_BATCHES_KEPT_MAX: Final = 10_000
READ_BATCHES_SIZE_MAX_BYTES: Final = 4 * MIB
"""Of those, kept as they were read: who took them from clients, and who offers them again, need not again."""

# State roots: addresses read again at one time by a node that does not execute, how often while there are
# any, and how often it looks for some.
ROOTS_CATCH_UP_ADDRESSES: Final = 200
ROOTS_CATCH_UP_EVERY_MS: Final = 20
ROOTS_LOOK_EVERY_MS: Final = 500

# Genesis.
GENESIS_SETTINGS_MAX: Final = 1_000
GENESIS_BATCHES_MAX: Final = 1_000

# Answers to questions: items of a page when nobody says how many, and at most; a page ends before it has more
# bytes than this.
PAGE_ITEMS: Final = 100
PAGE_ITEMS_MAX: Final = 1_000
PAGE_SIZE_MAX_BYTES: Final = 8 * MIB

# What one subscriber may want to hear.
SUBSCRIPTION_FILTERS_MAX: Final = 1_000
SUBSCRIPTION_EXPRESSION_MAX_CHARS: Final = 1_000
SUBSCRIPTION_EXPRESSION_MEMORY_BYTES: Final = 1 * MIB

# Batches this node took: under way, waiting for transactions they depend on, and remembered as invalid.
PENDING_BATCHES_MAX: Final = 10_000
PENDING_BATCHES_SIZE_MAX_BYTES: Final = 128 * MIB
PARKED_BATCHES_MAX: Final = 1_024
PARKED_BATCHES_SIZE_MAX_BYTES: Final = 32 * MIB
PARKED_MAX_S: Final = 1_200
INVALID_STATUSES_MAX: Final = 10_000
INVALID_STATUSES_SIZE_MAX_BYTES: Final = 16 * MIB
# Places in the core's ledger, remembered of batches that this node took; how long who asks waits for one of a
# batch that was committed this moment.
PLACES_MAX: Final = 10_000
PLACE_WAIT_S: Final = 1
PLACES_TOLD_MAX: Final = 200
"""Batches asked for at one time whose places an answer's header names: clients take 8 KiB of a header."""
# How often a batch is handed on whose fate a change of primaries left open, how long one is whose family has
# no processor, and after which pause: the first, and the longest, for it doubles.
SUBMISSIONS_MAX: Final = 20
PROCESSOR_WAIT_S: Final = 30
SUBMIT_AGAIN_S: Final = 0.25
SUBMIT_AGAIN_MAX_S: Final = 4

# Threads that answer questions, who waits for one, and how long.
QUERY_THREADS: Final = 4
QUERIES_WAITING_MAX: Final = 256
QUERY_WAIT_MAX_MS: Final = 10_000

# How long a client may wait for batches, at most and when it does not say.
STATUS_WAIT_MAX_S: Final = 300
STATUS_WAIT_S: Final = 285

# Who hears of new blocks over the component socket and by WebSocket, and identifiers in one question.
SUBSCRIBERS_MAX: Final = 256
SUBSCRIBER_ASKED_S: Final = 30
"""How long nothing happens until a subscriber on the socket is asked whether it is there."""
QUESTION_IDS_MAX: Final = PAGE_ITEMS_MAX
"""As many as an answer may list."""
RECEIPTS_SIZE_MAX_BYTES: Final = 16 * MIB
RECENT_BLOCKS_MAX: Final = 8
"""Blocks whose events are kept for the listeners that come for them next."""
STATUS_IDS_MAX: Final = 10_000
"""Batches one question about statuses may name: Sawtooth's command asks for all of a file at once."""
STATUSES_AT_ONCE: Final = 16
STATUSES_PAUSE_S: Final = 0.02
"""Who waits for more batches than that looks again no sooner than after a pause, and in a thread.

The pause is for each thousand of them: many of one client cost what as many of several do.
"""
STATUSES_LOOKS_MAX: Final = 3
STATUSES_AWAITED_MAX: Final = 100_000
"""Batches that all who wait for some wait for together; who comes then is told at once how things are."""
EVENTS_SIZE_MAX_BYTES: Final = 16 * MIB
# Lists of events sent to one subscriber at a time, and the pause after them.
PUSHES_PER_TURN: Final = 100
PUSH_PAUSE_S: Final = 0.02

# The most an operator may let a processor take for one transaction: all else of the node's waits for it.
PROCESSOR_SECONDS_MAX: Final = 300
