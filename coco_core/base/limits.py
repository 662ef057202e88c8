"""Every bound in the system, unit last in the name, relations between them asserted below.

A queue, message, loop or recursion without a bound here is a defect. Values are defaults for a
small machine; those that operators may change are copied into ``node.settings``.
"""

from coco_core.base.invariants import invariant

KIB = 1024
MIB = 1024 * KIB

# One transaction and what it may write.
PAYLOAD_SIZE_MAX_BYTES = 1 * MIB
WRITE_SET_SIZE_MAX_BYTES = 16 * MIB
MAP_NAME_SIZE_MAX_BYTES = 256
KEY_SIZE_MAX_BYTES = 64 * KIB
OUTCOME_RECEIPT_SIZE_MAX_BYTES = 8 * MIB
REJECTION_SIZE_MAX_BYTES = 1 * MIB

# Transactions that are committed together or not at all.
BUNDLE_PARTS_MAX = 64

# The maps of one ledger, and everything it may write to begin with.
MANIFEST_MAPS_MAX = 64
GENESIS_SIZE_MAX_BYTES = 1024 * MIB

# One batch: what one signature entry closes.
BATCH_REQUESTS_MAX = 500
BATCH_PAYLOAD_MAX_BYTES = 8 * MIB
BATCH_RESULT_MAX_BYTES = 64 * MIB

# What one batch may fetch from systems outside; the next batch waits meanwhile.
FETCHES_PER_BATCH_MAX = 16
FETCH_BODY_MAX_BYTES = 512 * KIB
FETCH_URL_SIZE_MAX_BYTES = 2 * KIB
FETCH_TIMEOUT_MS = 5_000
FETCHES_TIMEOUT_MS = 10_000
"""How long all fetches of one batch may take together."""
FETCH_ORIGINS_MAX = 64
FETCH_CA_CERTS_SIZE_MAX_BYTES = 64 * KIB

# Requests waiting for a batch on the primary, and forwarded ones waiting on a backup.
QUEUE_REQUESTS_MAX = 10_000
QUEUE_PAYLOAD_MAX_BYTES = 64 * MIB
FORWARDED_PAYLOAD_MAX_BYTES = 32 * MIB

# How long a backup waits for the primary's answer to forwarded requests, in ticks of the shell.
FORWARDED_DEADLINE_TICKS = 1_500

# Batches executed but not committed: beyond this, execution waits for replication.
PIPELINE_BATCHES_MAX = 4

# Peer messages and how much may be under way to one follower.
MESSAGE_SIZE_MAX_BYTES = 64 * MIB
APPEND_SIZE_MAX_BYTES = 4 * MIB
APPEND_IN_FLIGHT_MAX = 16
APPEND_ENTRIES_MAX = 16_384
CONSENSUS_HEAD_MAX_BYTES = 512 * KIB
PEER_SEND_QUEUE_MAX_BYTES = 128 * MIB

# Connections between nodes: strangers being judged at one time, how long connecting may take, and
# how long what is queued for a peer that cannot be reached is kept.
PEER_HANDSHAKES_MAX = 64
PEER_CONNECT_TIMEOUT_MS = 10_000
PEER_UNREACHABLE_MS = 5_000

# The tail of the log kept in memory for followers; older entries are read back from disk.
LOG_CACHE_MAX_BYTES = 64 * MIB

# A ledger chunk ends after so many entries at the latest: the state there may become a snapshot.
CHUNK_TARGET_ENTRIES = 50_000

# A snapshot on its way to a peer: one part of it, how long the receiver waits for a part until it asks
# again, and the sender for being asked until it gives up.
SNAPSHOT_PART_MAX_BYTES = 1 * MIB
SNAPSHOT_ASK_AGAIN_TICKS = 50
SNAPSHOT_IDLE_MAX_TICKS = 500

# A snapshot: everything in it is sealed under one nonce; it states the first seqno of every view.
SNAPSHOT_SIZE_MAX_BYTES = 32 * 1024 * MIB
SNAPSHOT_VIEWS_MAX = 1_000_000
SNAPSHOT_BUFFER_SIZE_BYTES = 1 * MIB

# How far a learner may be behind the newest snapshot and still be served from the log.
SNAPSHOT_LAG_ENTRIES = 50_000

# Committed versions whose reverse diffs are kept for reads of the recent past: so many, while they take
# no more memory than this, but always a few.
HISTORY_VERSIONS_MIN = 16
HISTORY_VERSIONS_MAX = 4_096
HISTORY_SIZE_MAX_BYTES = 64 * MIB

# Ledger files. Positions inside a chunk are u32.
CHUNK_SIZE_TARGET_BYTES = 64 * MIB
CHUNK_SIZE_MAX_BYTES = 4 * 1024 * MIB - 1
ENTRY_SIZE_MAX_BYTES = WRITE_SET_SIZE_MAX_BYTES + 64 * KIB

# Proofs. A path has one digest per level of the tree; a serialised tree one per retained leaf.
MERKLE_PATH_LENGTH_MAX = 63
SERIALISED_TREE_SIZE_MAX_BYTES = 4 * MIB
SIGNATURE_SIZE_MAX_BYTES = 16 * KIB
RECEIPT_SIZE_MAX_BYTES = 64 * KIB
CERTIFICATE_SIZE_MAX_BYTES = 16 * KIB
CERTIFICATE_HOSTS_MAX = 16
CERTIFICATE_QUOTE_MAX_BYTES = 8 * KIB
LEDGER_EPOCHS_MAX = 10_000

# Identities that one service had, one after the other: a receipt may have to show them all. After a recovery
# views go on so much later: nodes that are lost may have begun some that this ledger does not know of.
RECOVERIES_MAX = 32
RECOVERY_UNKNOWN_VIEWS_MAX = 100
# How many epochs of ledger secrets there may be for one more to begin because time passed, because nodes came
# or went, or by a decision of members. Each leaves some for those behind it, the last some for recoveries.
SCHEDULED_EPOCHS_MAX = 9_000
NODES_EPOCHS_MAX = 9_500
DECIDED_EPOCHS_MAX = LEDGER_EPOCHS_MAX - RECOVERIES_MAX
EPOCH_MIN_S = 3_600
"""How long a key policy lets an epoch last at least."""

# HTTP.
HTTP_HEADERS_MAX_BYTES = 32 * KIB
HTTP_BODY_MAX_BYTES = 5 * MIB
# One header of an answer: common clients take no more (aiohttp 8 190).
HTTP_ANSWER_HEADER_MAX_BYTES = 8_000
HTTP_PIPELINED_REQUESTS_MAX = 64
HTTP_CONNECTIONS_MAX = 1_024
HTTP_IDLE_TIMEOUT_MS = 120_000

# How long a node waits for its front ends before it says that it is open.
FRONT_ENDS_OPEN_MAX_MS = 5_000

# Of Python's calls within calls, whatever libraries ask for: see ``recursion``.
RECURSION_MAX = 16_384

# From the first byte of a request to its last, and those of all connections that are not answered yet.
HTTP_REQUEST_TIMEOUT_MS = 60_000
HTTP_UNFINISHED_MAX_BYTES = 256 * MIB
HTTP_UNFINISHED_FREE_BYTES = 32 * KIB  # of each connection, whatever others hold

# How long what a refused client still sends is taken and dropped, so that it reads why: in all, and while
# nothing comes.
HTTP_LINGER_MS = 20_000
HTTP_LINGER_SILENT_MS = 2_000

# WebSocket: how many of a front end's connections may be for it, frames of one message, and messages that
# arrived and were not taken yet. Who is silent is pinged, and left at HTTP_IDLE_TIMEOUT_MS of silence;
# closing takes so long at most.
WEBSOCKETS_MAX = 512
WEBSOCKET_FRAMES_MAX = 4_096
WEBSOCKET_WAITING_MESSAGES_MAX = 4
WEBSOCKET_PING_MS = 30_000
WEBSOCKET_CLOSING_MS = 5_000

# Open files kept for the node itself: chunks, listeners, peers, strangers being judged at the peer port.
NODE_FILES_RESERVED_MIN = 320

# How long a primary that stops waits for another node to lead.
HAND_OVER_TIMEOUT_MS = 2_000

# How long a primary that asked another to take over begins nothing, before it goes on itself.
HAND_OVER_TICKS = 50

# How long a front end waits for a submission's fate before it says that it does not know it yet.
SUBMISSION_TIMEOUT_MS = 30_000

# How long a poll for new commits is held open.
COMMIT_POLL_MAX_MS = 10_000

# How long a joining node tries to reach the founder, and the founder waits for joiners.
JOIN_TIMEOUT_MS = 60_000
JOIN_RETRY_MS = 200

# How often a node asks that must wait for an operator: each time both sides make evidence.
JOIN_WAITING_RETRY_MS = 500

# Nonces a node gave out to those who ask to join, evidence it makes at one time, and refusals it remembers.
NONCE_SIZE_BYTES = 32
NONCE_TTL_MS = 60_000
NONCES_MAX = 1_024
EVIDENCE_AT_ONCE_MAX = 1
"""One: what the kernel and Gramine show is one for the whole process, and two questions spoil each other."""
REFUSALS_KEPT_MAX = 64
REFUSAL_MESSAGE_SIZE_MAX = 500

FOUNDING_NODES_MAX = 32

# Members of a running service: nodes that take part, wait for their admission, or are remembered as
# retired. A learner this close to the end of the ledger has caught up.
NODES_MAX = 64
PENDING_NODES_MAX = 32
RETIRED_NODES_KEPT_MAX = 64
DISMISSED_NODES_KEPT_MAX = 64
NODES_KNOWN_MAX = NODES_MAX + PENDING_NODES_MAX + RETIRED_NODES_KEPT_MAX
CAUGHT_UP_ENTRIES_MAX = 2_000
OPERATORS_MAX = 64

# A node that hears of no primary asks the others who takes part, so often.
MEMBERSHIP_ASKED_TICKS = 100

# Recovery: holders of shares of one key, members' RSA keys, and what a member sends for one epoch.
SHARES_MAX = 255
MEMBER_ENCRYPTION_KEY_BITS_MIN = 2_048
MEMBER_ENCRYPTION_KEY_BITS_MAX = 8_192
MEMBER_ENCRYPTION_KEY_SIZE_MAX_BYTES = 16 * KIB
PARTIAL_DECRYPTION_SIZE_MAX_BYTES = 4 * KIB
EPOCH_REASON_SIZE_MAX_BYTES = 256

# What a node presents of its platform, and what the founder answers: all nodes' records.
QUOTE_SIZE_MAX_BYTES = 96 * KIB
ENDORSEMENTS_SIZE_MAX_BYTES = 64 * KIB
EVIDENCE_FILE_MAX_BYTES = 1 * MIB
WELCOME_SIZE_MAX_BYTES = 16 * MIB

# Members' Starlark texts: constitutions and ballots. Text, what it is asked about, what it answers.
SCRIPT_SIZE_MAX_BYTES = 256 * KIB
SCRIPT_INPUT_MAX_BYTES = 8 * MIB
SCRIPT_RESULT_MAX_BYTES = 2 * MIB
SCRIPT_RESULT_DEPTH_MAX = 64
SCRIPT_MESSAGE_SIZE_MAX = 2_000

# One evaluation of such a text. Steps are counted and the same everywhere; memory and time hold what a
# single step can take. Its process is watched so often, and replaced when it keeps memory afterwards.
SCRIPT_STEPS_MAX = 10_000_000
SCRIPT_CALL_DEPTH_MAX = 64
SCRIPT_MEMORY_MAX_BYTES = 256 * MIB
SCRIPT_MEMORY_KEPT_MAX_BYTES = 64 * MIB
SCRIPT_TIMEOUT_MS = 2_000
SCRIPT_WATCHED_EVERY_MS = 10
SCRIPT_START_TIMEOUT_MS = 10_000
SCRIPTS_CACHED_MAX = 8

invariant(PAYLOAD_SIZE_MAX_BYTES <= BATCH_PAYLOAD_MAX_BYTES, "a batch holds at least one payload")
invariant(
    3 * BUNDLE_PARTS_MAX + 1 <= BATCH_REQUESTS_MAX, "the largest bundle has no more entries than a batch"
)
invariant(BATCH_PAYLOAD_MAX_BYTES <= QUEUE_PAYLOAD_MAX_BYTES, "the queue holds at least one batch")
invariant(
    FORWARDED_PAYLOAD_MAX_BYTES + 16 * QUEUE_REQUESTS_MAX + MIB < MESSAGE_SIZE_MAX_BYTES,
    "requests a backup forwards in one message fit it",
)
invariant(HISTORY_VERSIONS_MIN <= HISTORY_VERSIONS_MAX, "the versions always kept are within the bound")
invariant(APPEND_SIZE_MAX_BYTES < MESSAGE_SIZE_MAX_BYTES, "an append fits a peer message")
invariant(WRITE_SET_SIZE_MAX_BYTES < MESSAGE_SIZE_MAX_BYTES, "the largest entry fits a peer message")
invariant(ENTRY_SIZE_MAX_BYTES < MESSAGE_SIZE_MAX_BYTES, "the largest entry fits a peer message")
invariant(
    2 * NODES_MAX + PEER_HANDSHAKES_MAX < NODE_FILES_RESERVED_MIN,
    "connections of peers are reserved",
)
invariant(2 * WEBSOCKETS_MAX <= HTTP_CONNECTIONS_MAX, "long conversations leave room for short ones")
invariant(2 * WEBSOCKET_PING_MS <= HTTP_IDLE_TIMEOUT_MS, "who answers a ping is not taken for gone")
invariant(HTTP_BODY_MAX_BYTES * 16 < HTTP_UNFINISHED_MAX_BYTES, "many large requests may arrive at once")
invariant(SNAPSHOT_SIZE_MAX_BYTES < 64 * 1024 * MIB - 32, "AES-GCM seals a snapshot under one nonce")
invariant(CHUNK_SIZE_TARGET_BYTES + ENTRY_SIZE_MAX_BYTES < CHUNK_SIZE_MAX_BYTES, "a full chunk fits u32")
invariant(
    CHUNK_SIZE_TARGET_BYTES
    + BATCH_RESULT_MAX_BYTES
    + (BATCH_REQUESTS_MAX + 3) * 64 * KIB
    + FETCHES_PER_BATCH_MAX * FETCH_BODY_MAX_BYTES
    < CHUNK_SIZE_MAX_BYTES,
    "a batch that begins below the target ends within the chunk",
)
invariant(
    WRITE_SET_SIZE_MAX_BYTES
    > FOUNDING_NODES_MAX
    * (8 * (QUOTE_SIZE_MAX_BYTES + ENDORSEMENTS_SIZE_MAX_BYTES) // 3 + CERTIFICATE_SIZE_MAX_BYTES + 4 * KIB),
    "the records of all founding nodes, with both their evidences in base64, fit one entry",
)
invariant(
    PAYLOAD_SIZE_MAX_BYTES
    > 8 * (QUOTE_SIZE_MAX_BYTES + ENDORSEMENTS_SIZE_MAX_BYTES) // 3
    + 2 * CERTIFICATE_SIZE_MAX_BYTES
    + 4 * KIB,
    "a request to join, with both evidences in base64, is one payload",
)
invariant(
    WELCOME_SIZE_MAX_BYTES
    > NODES_MAX
    * (4 * (QUOTE_SIZE_MAX_BYTES + ENDORSEMENTS_SIZE_MAX_BYTES) // 3 + CERTIFICATE_SIZE_MAX_BYTES + 4 * KIB),
    "the records of all nodes, with their standing evidence in base64, fit one welcome",
)
invariant(
    LEDGER_EPOCHS_MAX * KIB + SHARES_MAX * 2 * KIB < WRITE_SET_SIZE_MAX_BYTES - 4 * MIB,
    "all shares and all epochs, dealt anew, fit one entry beside the decision to do so",
)
invariant(
    (PIPELINE_BATCHES_MAX - 1) * (BATCH_REQUESTS_MAX + 3) < CAUGHT_UP_ENTRIES_MAX,
    "who is behind by what is on its way has caught up, or nodes would never change under load",
)
invariant(2 * CERTIFICATE_QUOTE_MAX_BYTES <= CERTIFICATE_SIZE_MAX_BYTES, "a certificate holds a quote in PEM")
invariant(SCHEDULED_EPOCHS_MAX * EPOCH_MIN_S > 366 * 86_400, "no schedule uses its epochs up within a year")
invariant(
    SCHEDULED_EPOCHS_MAX < NODES_EPOCHS_MAX < DECIDED_EPOCHS_MAX < LEDGER_EPOCHS_MAX,
    "nodes may change when a schedule used its epochs up, members decide, and a lost service be recovered",
)
invariant(
    2 * NODES_MAX * KIB + KIB < WRITE_SET_SIZE_MAX_BYTES, "copies of a secret for all nodes fit one entry"
)
invariant(2 * GENESIS_SIZE_MAX_BYTES < CHUNK_SIZE_MAX_BYTES, "the founding batch fits one chunk")
invariant(
    2 * WRITE_SET_SIZE_MAX_BYTES + OUTCOME_RECEIPT_SIZE_MAX_BYTES <= BATCH_RESULT_MAX_BYTES,
    "one request and its closing writes fit a batch",
)
invariant(
    FETCHES_PER_BATCH_MAX * (FETCH_BODY_MAX_BYTES + FETCH_URL_SIZE_MAX_BYTES + KIB)
    < WRITE_SET_SIZE_MAX_BYTES,
    "all that a batch fetched fits one entry",
)
invariant(FETCH_TIMEOUT_MS <= FETCHES_TIMEOUT_MS, "one fetch may take as long as it may")
invariant(FETCHES_TIMEOUT_MS < SUBMISSION_TIMEOUT_MS, "who submits still waits when a fetch has timed out")
invariant(
    FETCH_ORIGINS_MAX * 2 * FETCH_URL_SIZE_MAX_BYTES + 2 * FETCH_CA_CERTS_SIZE_MAX_BYTES
    < PAYLOAD_SIZE_MAX_BYTES,
    "a proposal holds all origins that a ledger may fetch from",
)
invariant(
    RECOVERIES_MAX * KIB + 16 * KIB < RECEIPT_SIZE_MAX_BYTES, "a receipt holds all identities of a service"
)
invariant(OUTCOME_RECEIPT_SIZE_MAX_BYTES + KIB < MESSAGE_SIZE_MAX_BYTES, "a receipt fits a peer message")
invariant(
    MANIFEST_MAPS_MAX * (MAP_NAME_SIZE_MAX_BYTES + 64) + KIB
    <= ENTRY_SIZE_MAX_BYTES - WRITE_SET_SIZE_MAX_BYTES,
    "an entry holds a full write set and the names of its maps",
)
invariant(SCRIPT_SIZE_MAX_BYTES < PAYLOAD_SIZE_MAX_BYTES, "a proposal holds a constitution")
invariant(
    2 * PAYLOAD_SIZE_MAX_BYTES + SCRIPT_SIZE_MAX_BYTES < SCRIPT_INPUT_MAX_BYTES,
    "a text may be asked about a full proposal",
)
invariant(PAYLOAD_SIZE_MAX_BYTES < SCRIPT_RESULT_MAX_BYTES, "a text may answer with a full proposal")
invariant(APPEND_ENTRIES_MAX * 20 + KIB <= CONSENSUS_HEAD_MAX_BYTES, "the head of a full append fits")
invariant(
    max(APPEND_SIZE_MAX_BYTES, ENTRY_SIZE_MAX_BYTES) + CONSENSUS_HEAD_MAX_BYTES < MESSAGE_SIZE_MAX_BYTES,
    "an append and its head fit a peer message",
)

MEMBER_DATA_SIZE_MAX_BYTES = 64 * KIB
MEMBERS_DATA_TOTAL_MAX_BYTES = 2 * MIB
NODES_DATA_TOTAL_MAX_BYTES = 512 * KIB
CODE_MEASUREMENTS_MAX = 1_024
"""A constitution is asked with all of these: beyond its bound nothing could be decided any more."""
SIGNED_REQUEST_SIZE_MAX_BYTES = 512 * KIB
"""A member's signed request: most of it is the proposal, and a constitution is part of one."""
OPEN_PROPOSALS_MAX = 256
MEMBERS_OPEN_PROPOSALS_MAX = 16
ENDED_PROPOSALS_KEPT_MAX = 512
"""Ended proposals the tables remember; the ledger keeps all."""
PROPOSAL_ACTIONS_MAX = 100
RECENT_PROPOSALS_MAX = 100
"""A proposal must be newer than the median of so many before it (CCF's rule)."""
CREATED_AHEAD_MAX_S = 600
"""How far the clock of who signed a request may be ahead of the ledger's."""
CLOCK_BEHIND_MAX_S = 600
"""How far the clock of who joins a service may be behind the ledger's."""
MEMBERS_MAX = 255
USERS_MAX = 10_000
CALLERS_REMEMBERED_MAX = 1_024
JWT_KEYS_MAX = 32
LEASE_MIN_S = 1
LEASE_MAX_S = 10 * 366 * 86_400
VOUCHER_SIGNATURE_MAX_BYTES = 256
ADVISORIES_MAX = 256
PLATFORM_RULES_MAX_BYTES = 16 * KIB
POLICY_FILE_MAX_BYTES = 64 * KIB
CERTIFICATE_VALIDITY_DAYS_MAX = 3_660
TOKEN_SIZE_MAX_BYTES = 16 * KIB

_PROPOSAL_JSON_GROWTH_MAX = 6
"""By how much JSON may grow when it is written anew: ``1E9`` is then ``1000000000.0``."""
invariant(
    SCRIPT_SIZE_MAX_BYTES * 2
    + SIGNED_REQUEST_SIZE_MAX_BYTES * _PROPOSAL_JSON_GROWTH_MAX
    + MEMBERS_DATA_TOTAL_MAX_BYTES
    + NODES_DATA_TOTAL_MAX_BYTES * 2  # Who renews a lease has the data of the old node, too.
    + MEMBERS_MAX * KIB
    + NODES_KNOWN_MAX * KIB
    + CODE_MEASUREMENTS_MAX * KIB // 4
    < SCRIPT_INPUT_MAX_BYTES,
    "whatever members and nodes are told of, a constitution can be asked about the largest proposal",
)
invariant(OPEN_PROPOSALS_MAX < ENDED_PROPOSALS_KEPT_MAX, "all that end with one entry are remembered")
