"""A host on a real socket, and processors of the published SDKs in processes of their own."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import cbor2
import pytest
import trio

from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Processed
from coco_sawtooth.messages import TransactionHeader
from coco_sawtooth.processors import Policy
from coco_sawtooth.shell.processor_host import ProcessorHost

MISBEHAVING = Path(__file__).with_name("misbehaving.py")
PATIENT = Policy(absent_ms=60_000)
"""For tests that begin before their processor is there."""


def transaction(
    name: str, payload: bytes, address: str, version: str = "1.0", identifier: str = "ab" * 64
) -> Transaction:
    """Make a transaction as execution gives it, of one address or prefix; nobody signed it."""
    header = TransactionHeader(
        family_name=name,
        family_version=version,
        inputs=[address],
        outputs=[address],
        signer_public_key="02" + "ab" * 32,
    )
    return Transaction(identifier, header, header.SerializeToString(), payload, (address,), (address,))


async def process(host: ProcessorHost, sent: Transaction, context: Context) -> Processed:
    """Have a host process a transaction; cancelled, it is given up."""
    ended, found = trio.Event(), []

    def done(processed: Processed) -> None:
        found.append(processed)
        ended.set()

    started = host.start(sent, context, done)
    if not callable(started):
        return started
    try:
        await ended.wait()
    finally:
        started()
    return found[0]


class Ledger:
    """State, and a host through which transactions change it."""

    def __init__(self, host: ProcessorHost) -> None:
        self.host = host
        self.state: dict[bytes, bytes | None] = {}

    async def run(self, sent: Transaction) -> tuple[Processed, Context]:
        """Process a transaction over the state."""
        context = Context(sent.inputs, sent.outputs, (self.state,))
        return await process(self.host, sent, context), context

    async def run_all(self, transactions: Sequence[Transaction]) -> list[Processed]:
        """Process transactions that touch nothing in common, all at once."""
        results: list[Processed | None] = [None] * len(transactions)

        async def one(number: int) -> None:
            results[number], _ = await self.run(transactions[number])

        async with trio.open_nursery() as nursery:
            for number in range(len(transactions)):
                nursery.start_soon(one, number)
        return [result for result in results if result is not None]


@pytest.fixture
def serving() -> Callable[..., contextlib.AbstractAsyncContextManager[Ledger]]:
    """Serve a host as long as a block lasts."""

    @contextlib.asynccontextmanager
    async def run(endpoint: str, policy: Policy = PATIENT, clients: Any = None) -> AsyncIterator[Ledger]:
        async with trio.open_nursery() as nursery:
            host = ProcessorHost(endpoint, policy, clients)
            await nursery.start(host.serve)
            yield Ledger(host)
            nursery.cancel_scope.cancel()

    return run


@pytest.fixture
def ledger_of() -> Callable[[ProcessorHost], Ledger]:
    """Return state for a host that the test serves."""
    return Ledger


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/p"


@pytest.fixture
def intkey() -> Callable[..., Transaction]:
    """Make a transaction of the family intkey."""

    def make(verb: str, name: str, value: int, payload: bytes = b"") -> Transaction:
        address = "1cf126" + hashlib.sha512(name.encode()).hexdigest()[-64:]
        payload = payload or cbor2.dumps({"Verb": verb, "Name": name, "Value": value})
        return transaction("intkey", payload, address, identifier=name)

    return make


@pytest.fixture
def xo() -> Callable[[str], Transaction]:
    """Make a transaction of the family xo."""

    def make(move: str) -> Transaction:
        address = "5b7349" + hashlib.sha512(move.partition(",")[0].encode()).hexdigest()[:64]
        return transaction("xo", move.encode(), address)

    return make


@pytest.fixture
def command() -> Callable[..., Transaction]:
    """Make a transaction that tells the misbehaving processor what to do."""

    def make(what: str, version: str = "1.0") -> Transaction:
        return transaction("misbehave", what.encode(), "aa", version, identifier=what)

    return make


@pytest.fixture
def sent() -> Transaction:
    """Some transaction."""
    return transaction("f", b"payload", "", "1")


@pytest.fixture
def misbehaving(processors: Any, endpoint: str) -> Callable[[], subprocess.Popen[bytes]]:
    """Start a processor that does what it is told."""
    return lambda: processors.python(MISBEHAVING, endpoint)
