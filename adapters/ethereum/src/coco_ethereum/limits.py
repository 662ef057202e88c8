"""Every bound of the Ethereum adapter, unit last in the name, relations asserted below.

Bounds of the core (payload, batch, HTTP body) hold as well; these are the ledger's own. Knows
nothing of any other room.
"""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# One transaction, as geth's pool bounds it (core/txpool: txMaxSize).
TRANSACTION_SIZE_MAX_BYTES: Final = 128 * KIB

# What one transaction may write; the core's bound on an entry leaves room for its envelope beside it.
TRANSACTION_WRITES_SIZE_MAX_BYTES: Final = 15 * MIB

# Genesis: one ledger entry per part, far below the core's bound on a write set.
GENESIS_PART_SIZE_MAX_BYTES: Final = 8 * MIB
GENESIS_ACCOUNTS_MAX: Final = 5_000_000

# Gas of one block, so also of one transaction. Above this a single transaction would hold the chain for
# seconds on the fast engine, and its receipt (8 gas per byte of log) could exceed the core's write set.
BLOCK_GAS_MIN: Final = 21_000
BLOCK_GAS_MAX: Final = 100_000_000
EXCESS_BLOB_GAS_MAX: Final = 150_000_000
"""Beyond it the blob base fee leaves 128 bits."""
TIMESTAMP_MAX_SECONDS: Final = 4_102_444_800
"""The year 2100: a later one is in milliseconds by mistake."""

# JSON-RPC. A batch's transaction IDs go into one response header of at most about 20 bytes each.
RPC_BATCH_CALLS_MAX: Final = 1_000
RPC_RESPONSE_SIZE_MAX_BYTES: Final = 25_000_000
RPC_ERROR_ECHO_MAX_CHARS: Final = 200
RPC_INLINE_SIZE_MAX_BYTES: Final = 4 * KIB
RPC_BODY_TIME_MAX_MS: Final = 30_000

# Threads for JSON-RPC apart from the one that executes blocks, calls that may wait for one, and how long.
RPC_THREADS: Final = 2
RPC_WAITING_MAX: Final = 256
RPC_WAIT_MAX_MS: Final = 10_000

# A transaction whose predecessor has not come yet: how long it waits for it, and how many may.
NONCE_GAP_WAIT_MS: Final = 3_000
NONCE_GAP_WAITING_MAX: Final = 4_096
NONCE_GAP_SENDER_MAX: Final = 16
NONCE_GAP_SIZE_MAX_BYTES: Final = 16 * MIB

# eth_call and eth_estimateGas: geth's --rpc.gascap for the native engine, a few seconds' work for py-evm.
CALL_GAS_MAX: Final = 50_000_000
CALL_GAS_MAX_PORTABLE: Final = 5_000_000
ESTIMATE_ROUNDS_MAX: Final = 64

# eth_getLogs and filters. Work is counted in readings of one block's bloom, about 5 µs each; what else
# a search does is stated in the same unit (``rpc.logs``). Addresses and topics are counted together.
LOGS_WORK_MAX: Final = 1_000_000
LOGS_RESULTS_MAX: Final = 10_000
LOGS_RESULTS_SIZE_MAX_BYTES: Final = 16 * MIB
LOGS_TOPICS_MAX: Final = 4
LOGS_ALTERNATIVES_MAX: Final = 1_000
FILTERS_MAX: Final = 1_000
FILTERS_SIZE_MAX_BYTES: Final = 16 * MIB
FILTER_BLOCKS_MAX: Final = 10_000

# eth_feeHistory (geth: maxBlockFetchers aside, the same bounds).
FEE_HISTORY_BLOCKS_MAX: Final = 1_024
FEE_HISTORY_PERCENTILES_MAX: Final = 100

# Call data of one access list, so that a request cannot make the engine warm a whole state.
ACCESS_LIST_ENTRIES_MAX: Final = 1_000

# Authorizations of one call: each costs a recovered signature whenever the call is tried.
AUTHORIZATIONS_MAX: Final = 128
