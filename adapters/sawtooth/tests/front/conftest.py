"""A chain in this process, with the front ends on it: batches are executed when somebody waits for them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import pytest
import trio

from coco_core.adapter import (
    ANONYMOUS,
    Caller,
    Committed,
    CommittedBatch,
    HTTPRequest,
    HTTPResponse,
    NodeStatus,
    NotCommitted,
    Rejected,
    TxID,
    Writes,
    merge,
)
from coco_core.errors import BusyError
from coco_core.kv import Store
from coco_sawtooth import batches, messages, records
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Invalid
from coco_sawtooth.front import Front
from coco_sawtooth.outside import Outside
from coco_sawtooth.rejections import MISSING_DEPENDENCY, NO_PROCESSOR
from coco_sawtooth.shell.outside import Pulse, Tasks, beside
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import Client, Intkey

Fate = Committed | Rejected | NotCommitted


@attrs.define
class _Submission:
    chain: Chain
    payloads: list[bytes]

    async def wait(self) -> Sequence[Fate]:
        await trio.lowlevel.checkpoint()
        while self.chain.stopped:
            await self.chain.stopped.pop().wait()
        return [await self.chain.execute(payload) for payload in self.payloads]


class Chain:
    """A LedgerService of one node: a block per batch, made by the integer key family in this process."""

    def __init__(self) -> None:
        self.store = Store(history_versions_max=16)
        self.signer = Signer(hashlib.sha256(b"validator").digest())
        self.processors = Intkey()
        self.front: Front | None = None
        self.stopped: list[trio.Event] = []
        """While one is in here, nothing is executed until it is set."""
        self.open_fates = 0
        """How many batches to answer with NotCommitted."""
        self.busy = False
        self.unserved = False
        """Whether no processor is there."""
        self.submitted: list[bytes] = []
        self._seqno = 0
        self._append(self._block([], {}))

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> _Submission:
        if self.busy:
            raise BusyError("full")
        self.submitted += payloads
        return _Submission(self, list(payloads))

    def view(self, seqno: int | None = None) -> Any:
        return self.store.view(seqno)

    def status(self) -> NodeStatus:
        return NodeStatus(
            node_id="ab" * 32, role="primary", view=2, committed_seqno=self._seqno, leader_known=True
        )

    async def execute(self, payload: bytes) -> Fate:
        batch, view = batches.read(payload), self.view()
        if self.open_fates:
            self.open_fates -= 1
            return NotCommitted("the primary changed")
        if self.unserved:
            return Rejected(NO_PROCESSOR, "nobody is registered for intkey 1.0")
        if records.number_of_batch(view, batch.id) is not None:
            return Rejected("duplicate-batch", "already committed")
        if any(records.place_of_transaction(view, each) is None for each in batches.dependencies(batch)):
            return Rejected(MISSING_DEPENDENCY, "a dependency is not committed")
        written: dict[bytes, bytes | None] = {}
        receipts: dict[bytes, bytes | None] = {}
        for transaction in batch.transactions:
            if records.place_of_transaction(view, transaction.id) is not None:
                return self._refused(transaction.id, Invalid("transaction is committed already"))
            below = [written, *view.chain(records.STATE)]
            context = Context(transaction.inputs, transaction.outputs, below)
            result = self.processors.process(transaction, context)
            if isinstance(result, Invalid):
                return self._refused(transaction.id, result)
            written |= context.writes
            receipts[bytes.fromhex(transaction.id)] = _receipt(transaction.id, context)
        return self._commit(batch, written, receipts)

    def _refused(self, transaction_id: str, why: Invalid) -> Rejected:
        invalid = messages.ClientBatchStatus.InvalidTransaction(
            transaction_id=transaction_id, message=why.message, extended_data=why.extended_data
        )
        data = messages.ClientBatchStatus(invalid_transactions=[invalid]).SerializeToString()
        return Rejected("invalid-transaction", why.message, data)

    def _commit(self, batch: batches.Batch, written: Any, receipts: Any) -> Committed:
        writes = self._block([batch.id], written)
        number = writes[records.CHAIN][records.HEAD]
        rows = {
            bytes.fromhex(each.id): records.position(batch.id, index)
            for index, each in enumerate(batch.transactions)
        }
        merge(
            writes,
            {
                records.STATE: written,
                records.RECEIPTS: receipts,
                records.BATCHES: {bytes.fromhex(batch.id): number + batch.raw},
                records.TRANSACTIONS: rows,
            },
        )
        self._append(writes)
        return Committed(TxID(2, self._seqno), b"")

    def _block(self, batch_ids: list[str], written: dict[bytes, bytes | None]) -> Writes:
        view = self.view()
        head = records.head(view)
        number = head.number + 1 if head else 0
        state = dict(view.items(records.STATE)) | written
        root = hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest()
        header = messages.BlockHeader(
            block_num=number,
            previous_block_id=head.id if head else records.NO_BLOCK,
            signer_public_key=self.signer.public_key,
            batch_ids=batch_ids,
            state_root_hash=root,
        )
        raw = header.SerializeToString()
        block = records.Block(
            id=self.signer.sign(raw),
            header=header,
            header_bytes=raw,
            base_seqno=self._seqno,
        )
        key = records.number_key(number)
        return {
            records.BLOCKS: {key: block.pack()},
            records.BLOCK_IDS: {bytes.fromhex(block.id): key},
            records.ROOTS: {bytes.fromhex(root): key},
            records.CHAIN: {records.HEAD: key},
        }

    def _append(self, writes: Writes) -> None:
        self._seqno += 2
        self.store.append(self._seqno, writes)
        self.store.commit(self._seqno)
        if self.front is not None:
            self.front.committed(CommittedBatch(TxID(2, self._seqno), writes))


def _receipt(transaction_id: str, context: Context) -> bytes:
    change = messages.StateChange
    return messages.TransactionReceipt(
        transaction_id=transaction_id,
        state_changes=[
            change(address=key.hex(), value=value or b"", type=change.DELETE if value is None else change.SET)
            for key, value in context.writes.items()
        ],
        events=context.events,
        data=context.data,
    ).SerializeToString()


@attrs.frozen
class World:
    """A chain, its front ends, and clients."""

    chain: Chain
    front: Front
    alice: Client

    async def request(
        self, method: str, target: str, body: bytes = b"", content_type: str = "", **headers: str
    ) -> HTTPResponse:
        """Return the answer to a request."""
        named = {"host": "localhost:8008", **{key.replace("_", "-"): each for key, each in headers.items()}}
        if content_type:
            named["content-type"] = content_type
        request = HTTPRequest(method=method, target=target, headers=named, body=body)
        answer = self.front.rest.accept(request)
        if isinstance(answer, HTTPResponse):
            return answer
        assert callable(answer)
        return await answer()

    async def get(self, target: str, status: int = 200, **headers: str) -> Any:
        """Return the JSON of an answer."""
        return self.read(await self.request("GET", target, **headers), status)

    async def post_json(self, target: str, content: Any, status: int = 200) -> Any:
        """Return the JSON of the answer to JSON."""
        answer = await self.request("POST", target, orjson.dumps(content), "application/json")
        return self.read(answer, status)

    async def post_batches(self, *sent: messages.Batch, status: int = 202) -> Any:
        """Return the JSON of the answer to a list of batches."""
        body = messages.BatchList(batches=sent).SerializeToString()
        answer = await self.request("POST", "/batches", body, "application/octet-stream")
        return self.read(answer, status)

    async def commit(self, *sent: messages.Batch) -> None:
        """Have batches committed, one after the other."""
        for each in sent:
            await self.post_batches(each)
            (status,) = (await self.get(f"/batch_statuses?id={each.header_signature}&wait=10"))["data"]
            assert status["status"] == "COMMITTED", status

    @staticmethod
    def read(answer: HTTPResponse, status: int) -> Any:
        """Return the JSON of an answer that has to have a status."""
        assert answer.status == status, answer.body
        assert answer.content_type == "application/json; charset=utf-8"
        return orjson.loads(answer.body)


async def _at_once(work: Callable[[], Any]) -> Any:
    """Threads and a clock that jumps do not go together."""
    await trio.lowlevel.checkpoint()
    return work()


Worlds = Callable[[], Any]


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    chain, faults = Chain(), []
    async with trio.open_nursery() as nursery:
        outside = Outside(
            worker=_at_once,
            pulse=Pulse(),
            start=Tasks(nursery),
            beside=beside,
            report=faults.append,
        )
        chain.front = Front(chain, outside, CheckedBatches())
        with trio.fail_after(1000):
            yield World(chain, chain.front, Client.named("alice"))
        nursery.cancel_scope.cancel()
    assert not faults


@pytest.fixture(scope="session")
def world() -> Worlds:
    """Call it for a world to be in: ``async with world() as here``."""
    return _world
