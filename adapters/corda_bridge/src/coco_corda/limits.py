"""Every bound of the Corda adapter, unit last in the name.

Bounds of the core (payload, batch, HTTP body) hold as well; these are the ledger's own. Knows nothing of any
other room.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# One transaction: Corda's notaries take fewer than so many inputs and references together.
STATES_MAX: Final = 10_000
PARTICIPANTS_MAX: Final = 50_000
"""Keys that participate in what a transaction makes, for each output anew; and different ones in all."""
OUTPUTS_MAX_BYTES: Final = 8 * MIB
"""Of all outputs of one transaction: with the keys above and the transaction they fit into one entry."""
ROW_CONTENT_MAX_BYTES: Final = OUTPUTS_MAX_BYTES
"""Of one row before it is packed: an output, or a transaction, which is a payload of the core and smaller."""
STATES_MAX_BYTES: Final = 32 * MIB
"""Of the states that one transaction uses: they come from the ledger, whoever names them. And about so much
of what is verified at one time. Below what a worker takes in one frame."""
# How much of a batch of the core is verified at one time; what does not fit is offered again in the next.
ROUND_TRANSACTIONS_MAX: Final = 250

# A jar that is larger than a payload of the core comes in parts.
PART_MAX_BYTES: Final = 960 * KIB
PARTS_MAX: Final = 13
UNPACKED_IN_VAIN_MAX: Final = 1
"""Jars of one batch that are unpacked to find who signed them, and refused: anybody may bring some, each
takes a second or more, and transactions wait."""
ATTACHMENT_MAX_BYTES: Final = PARTS_MAX * PART_MAX_BYTES
"""12 MiB and some: it is written in one entry of the core, as one of genesis is."""

# What a client is told of a refusal.
CONSUMED_TOLD_MAX: Final = 1_000
CAUSES_TOLD_MAX: Final = 16
MESSAGE_MAX_CHARS: Final = 2_000
TYPE_MAX_CHARS: Final = 500
"""Of the name of an exception's class, which its author may make as long as Java takes it."""

# What the consortium trusts: hashes in one field of its configuration, as text.
TRUST_MAX_CHARS: Final = 16 * KIB
# Genesis.
GENESIS_ATTACHMENTS_MAX: Final = 100
GENESIS_PARAMETERS_MAX: Final = 100
GENESIS_STATES_MAX: Final = 100_000
GENESIS_ENTRY_MAX_BYTES: Final = 4 * MIB

# Signed requests of clients.
REQUEST_KEY_MAX_BYTES: Final = 4 * KIB
REQUEST_SIGNATURE_MAX_BYTES: Final = 2 * KIB
REQUEST_TEXT_MAX_BYTES: Final = 8 * KIB
REQUEST_TIME_OFF_MAX_MS: Final = 60_000
REQUEST_NONCES_MAX: Final = 100_000
REQUEST_NONCES_OF_ONE_KEY_MAX: Final = 10_000
"""Signed requests of one key that a node takes in the time for which their nonces are remembered."""

# Questions.
PAGE_STATES: Final = 100
PAGE_STATES_MAX: Final = 1_000
PAGE_SIZE_MAX_BYTES: Final = 8 * MIB
STATUS_REFS_MAX: Final = 1_000
UPDATES_WAIT_MAX_S: Final = 60
UPDATES_KEPT_MAX: Final = 100_000
"""Changes of states that a node remembers for those who ask what happened since."""
UPDATES_TOLD_MAX: Final = 1_000
LISTENERS_MAX: Final = 256

# The JVM workers.
WORKERS_MAX: Final = 4
"""Trust domains that have a worker at one time; the one used least recently gives way to another."""
GIVE_WAY_EVERY_MS: Final = 5_000
"""How often one gives way: a worker takes seconds to start, and whoever sends transactions says which jars
they name together, which is a domain."""
SHOWER_WAITING_MAX: Final = 32
"""Requests that wait at a node to be shown a transaction in part."""
WORKER_THREADS: Final = 2
WORKER_WINDOW: Final = 16
"""Requests a worker has at one time: whoever is among them when it ends is tried again alone."""
WORKER_FRAME_MAX_BYTES: Final = 64 * MIB
WORKERS_LOST_MAX: Final = 4
"""Workers of one domain that a batch may lose: the whole network waits for it, other ledgers too."""
WORKER_START_MS: Final = 60_000
"""How long a worker may take to start, and to load the classes of the jars it is given."""
WORKER_HEAP_MIB: Final = 256
WORKER_ADDRESS_SPACE_MIB: Final = 8 * 1024
WORKER_FILES_MAX: Final = 256
WORKER_FILE_MAX_BYTES: Final = 32 * MIB
REQUEST_DEADLINE_MS: Final = 10_000
"""How long a worker may do nothing but one transaction before it is killed; what it waited for a processor
does not count."""
DEADLINE_STRETCH_MAX: Final = 6
"""How many times as long it may take with such waiting."""
REQUEST_DEADLINE_MAX_MS: Final = 60_000
RESTART_PAUSE_MS: Final = 500
RESTART_PAUSE_MAX_MS: Final = 30_000
"""After a worker that does not start: the first pause, and the longest, for it doubles."""
FAILURES_REMEMBERED_MAX: Final = 1_000
FAILURES_REMEMBERED_S: Final = 600
"""What ended a JVM is refused at once when it is sent again, for a while: its client may not have heard."""
LATE_REMEMBERED_S: Final = 60
