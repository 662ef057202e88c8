"""The Ethereum ledger adapter: batches become blocks, the engine's results become write sets.

Ties the pure parts (genesis, blocks, engine, JSON-RPC) to the contract of ``coco_core.adapter``.
Keeps no state of its own beside filters of JSON-RPC clients: everything else is in the maps, so a
node that restarts or takes over as primary needs nothing but the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from coco_core.adapter import (
    Applied,
    Batch,
    BatchResult,
    CommittedBatch,
    ConfigurationField,
    Deferred,
    LedgerService,
    Manifest,
    Outcome,
    ReadView,
    Rejected,
    Request,
    Writes,
    merge,
)
from coco_core.errors import IntegrityError
from coco_ethereum import blocks, genesis
from coco_ethereum.chain import read_config
from coco_ethereum.engine import BlockContext, BlockResult, EvmEngine, Executed, Invalid, NoRoom, State
from coco_ethereum.identity import NAME, VERSION
from coco_ethereum.limits import (
    BLOCK_GAS_MAX,
    BLOCK_GAS_MIN,
    RPC_THREADS,
    RPC_WAIT_MAX_MS,
    RPC_WAITING_MAX,
    TRANSACTION_WRITES_SIZE_MAX_BYTES,
)
from coco_ethereum.records import (
    ACCOUNTS,
    BLOCKS,
    CODE,
    MAPS,
    STORAGE,
    TRANSACTIONS,
    Transaction,
    pack_transaction,
    packed_first_seqno,
    packed_header,
)
from coco_ethereum.rpc import Outside, RPCServer, revert_reason
from coco_ethereum.shell import Pulse, WorkerPool, let_others_run, report_fault, run_in_worker

GAS_LIMIT: Final = "gas_limit"
"""What the consortium may set: the gas limit of blocks."""
_CLAIMS_PREFIX: Final = b"coco.ethereum.receipt.v1"
_ROW_SIZE_MAX_BYTES: Final = 160
"""An account (20 + 72 bytes), a slot (52 + 32) or code's key, with what frames it in an entry."""
# A transaction can be refused for what one before it, deferred, would have changed.
_MAY_DEPEND_ON_DEFERRED: Final = frozenset(("nonce-too-high", "insufficient-funds"))


def receipt_claims(transaction_hash: bytes, receipt: bytes) -> bytes:
    """Return the claims digest of a transaction: SHA-256 over prefix, hash and consensus receipt.

    It is part of the transaction's Merkle leaf. So whoever holds a Coco receipt for the entry and
    the Ethereum receipt (``[type] ‖ rlp([status, cumulative gas, bloom, logs])``) can check that the
    consortium committed exactly this result for exactly this transaction, without asking any node.
    """
    return hashlib.sha256(_CLAIMS_PREFIX + transaction_hash + receipt).digest()


class EthereumAdapter:
    """Ethereum on Coco, over any EvmEngine."""

    def __init__(self, engine: EvmEngine) -> None:
        """Execute with ``engine``."""
        self._engine = engine
        self._commits = Pulse()
        self._manifest = Manifest(
            name=NAME,
            version=VERSION,
            engine=f"{engine.name} {engine.version}",
            maps=MAPS,
            deterministic=True,
            configuration=(
                ConfigurationField(
                    name=GAS_LIMIT,
                    kind="integer",
                    description="gas limit that blocks move towards; that of genesis unless set",
                    minimum=BLOCK_GAS_MIN,
                    maximum=BLOCK_GAS_MAX,
                ),
            ),
        )

    @property
    def manifest(self) -> Manifest:
        """What it is and which maps it owns."""
        return self._manifest

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return the writes of the first entries from a geth-format genesis. Raises OperatorError."""
        del randomness  # A genesis block is the same wherever it is made.
        return genesis.genesis_writes(config, self._engine)

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute a batch as one block over ``view``; no block when nothing was applied."""
        chain = read_config(view)
        parent, wanted = blocks.read_head(view), batch.configuration.get(GAS_LIMIT)
        gas_limit = None if wanted is None else blocks.next_gas_limit(view, parent, wanted)
        header = blocks.next_header(chain, parent, batch.time_ms, batch.randomness, gas_limit)
        context = blocks.context_of(chain, header, blocks.block_hashes(view))
        payloads = [request.payload for request in batch.requests]
        state = State(view.chain(ACCOUNTS), view.chain(STORAGE), view.chain(CODE))
        result = await run_in_worker(lambda: _execute(self._engine, context, payloads, state))
        outcomes = _outcomes(result, payloads, header.number, view)
        executed = [
            (raw, each.hash)
            for raw, each in zip(payloads, result.results, strict=True)
            if isinstance(each, Executed)
        ]
        if not executed:
            return BatchResult(outcomes)
        envelopes, hashes = zip(*executed, strict=True)
        closing = blocks.block_writes(blocks.sealed(header, result), batch, envelopes, hashes, self._engine)
        return BatchResult(outcomes, closing)

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Execute blocks anew from their transactions and headers (see adapter.LedgerAdapter)."""
        found: list[Writes] = []
        written: Writes = {}
        payloads: list[bytes] = []
        for entry in entries:
            payloads += [
                Transaction.unpack(record).raw for record in entry.get(TRANSACTIONS, {}).values() if record
            ]
            for block in entry.get(BLOCKS, {}).values():
                if block is None:
                    raise IntegrityError("no ledger of ours removes a block")
                for writes in await self._replay_block(block, payloads, view.over(written)):
                    merge(written, writes)
                    found.append(writes)
                payloads = []
        if payloads:
            raise IntegrityError("transactions without a block")
        return found

    async def _replay_block(self, packed: bytes, payloads: Sequence[bytes], view: ReadView) -> list[Writes]:
        header = blocks.Header.decode(packed_header(packed))
        batch = Batch(
            requests=tuple(map(Request, payloads)),
            view=0,
            first_seqno=packed_first_seqno(packed),
            time_ms=header.timestamp * 1000,
            randomness=header.prev_randao,
            configuration={GAS_LIMIT: header.gas_limit},
        )
        result = await self.execute(batch, view)
        for outcome in result.outcomes:
            if not isinstance(outcome, Applied):
                raise IntegrityError(f"a transaction of block {header.number} cannot have been executed")
        return [*(one.writes for one in result.outcomes if isinstance(one, Applied)), result.closing]

    async def serve(self, service: LedgerService) -> None:
        """Serve Ethereum JSON-RPC until cancelled."""
        outside = Outside(
            worker=WorkerPool(RPC_THREADS, RPC_WAITING_MAX, RPC_WAIT_MAX_MS),
            pause=let_others_run,
            commits=self._commits,
            report=report_fault,
        )
        await service.serve_http(RPCServer(service, self._engine, outside))

    def committed(self, batch: CommittedBatch) -> None:
        """Let transactions that wait for a predecessor look again; queries read blocks from state."""
        self._commits.beat(batch.writes.get(ACCOUNTS, {}))

    def restored(self, view: ReadView) -> None:
        """Let every transaction that waits look again; blocks and receipts are in state."""
        del view
        self._commits.beat_all()


def _execute(engine: EvmEngine, context: BlockContext, payloads: list[bytes], state: State) -> BlockResult:
    """Execute transactions; one whose writes no ledger entry holds is refused alone.

    What follows it ran on what it wrote, so it is put off, and the block is made again without them. With
    genesis' bounds on gas nothing we know of writes so much; if something does, nobody else pays for it.
    """
    result = engine.execute(context, payloads, state)
    too_large = (
        (position, each.hash)
        for position, each in enumerate(result.results)
        if isinstance(each, Executed) and _size(each) > TRANSACTION_WRITES_SIZE_MAX_BYTES
    )
    found = next(too_large, None)
    if found is None:
        return result
    position, named = found
    message = f"transaction writes more than {TRANSACTION_WRITES_SIZE_MAX_BYTES} bytes"
    refused = Invalid("writes-too-large", message, named)
    shorter = engine.execute(context, payloads[:position], state)
    put_off = [NoRoom()] * (len(payloads) - position - 1)
    return attrs.evolve(shorter, results=[*shorter.results, refused, *put_off])


def _size(executed: Executed) -> int:
    """Return what a transaction's writes come to at most, without looking at every key."""
    rows = len(executed.accounts) + len(executed.storage) + len(executed.code)
    return len(executed.receipt) + rows * _ROW_SIZE_MAX_BYTES + sum(map(len, executed.code.values()))


def _outcomes(result: BlockResult, payloads: Sequence[bytes], number: int, view: ReadView) -> list[Outcome]:
    outcomes: list[Outcome] = []
    append = outcomes.append
    index = first_log = 0
    in_block: set[bytes] = set()
    deferring = False
    for raw, each in zip(payloads, result.results, strict=True):
        if isinstance(each, Executed):
            receipt = each.receipt
            record = pack_transaction(
                number=number,
                index=index,
                first_log=first_log,
                gas_used=each.gas_used,
                effective_gas_price=each.effective_gas_price,
                sender=each.sender,
                created=each.created,
                raw=raw,
                receipt=receipt,
            )
            writes: Writes = {ACCOUNTS: each.accounts, TRANSACTIONS: {each.hash: record}}
            if each.storage:
                writes[STORAGE] = each.storage
            if each.code:
                writes[CODE] = dict(each.code)
            failure = "" if each.status else _failure(each.output)
            append(Applied(writes, each.hash, receipt_claims(each.hash, receipt), failure))
            in_block.add(each.hash)
            index += 1
            first_log += each.log_count
        elif isinstance(each, Invalid):
            deferring_now = deferring and each.code in _MAY_DEPEND_ON_DEFERRED
            append(Deferred() if deferring_now else _rejected(each, in_block, view))
        else:
            deferring = True
            append(Deferred())
    return outcomes


def _failure(output: bytes) -> str:
    reason = revert_reason(output)
    return f"execution reverted: {reason}" if reason else "execution failed"


def _rejected(invalid: Invalid, in_block: set[bytes], view: ReadView) -> Rejected:
    """Say "already known" of a transaction the chain holds: a client's retry, not its mistake."""
    known = invalid.hash and (invalid.hash in in_block or view.get(TRANSACTIONS, invalid.hash) is not None)
    if known:
        return Rejected("already-known", "already known", invalid.hash)
    return Rejected(invalid.code, invalid.message, invalid.hash)
