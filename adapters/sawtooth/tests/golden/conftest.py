"""The real adapter with its front ends in one process, and recorded answers made comparable with its own."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import orjson
import pytest
import trio

from coco_core.adapter import (
    ANONYMOUS,
    Applied,
    Caller,
    Committed,
    CommittedBatch,
    HTTPRequest,
    HTTPResponse,
    NodeStatus,
    Rejected,
    TxID,
)
from coco_sawtooth import messages
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.batches import Transaction
from coco_sawtooth.checking import CheckedBatches
from coco_sawtooth.contexts import Context
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.execution import Processed
from coco_sawtooth.front import Front
from coco_sawtooth.outside import Outside
from coco_sawtooth.settings_family import (
    APPROVAL_THRESHOLD,
    AUTHORIZED_KEYS,
    FAMILY,
    PROPOSALS,
    setting_address,
)
from coco_sawtooth.shell.outside import Pulse, Tasks, beside
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import Client, Intkey, Ledger

HOST = "127.0.0.1:8009"
"""Where the recorded answers came from."""


@attrs.define
class _Submission:
    service: Service
    payloads: list[bytes]

    async def wait(self) -> Sequence[Committed | Rejected]:
        fates: list[Committed | Rejected] = []
        for outcome in await self.service.ledger.execute(*self.payloads):
            assert isinstance(outcome, Applied | Rejected)
            applied = isinstance(outcome, Applied)
            fates.append(Committed(TxID(2, self.service.ledger.seqno), b"") if applied else outcome)
        return fates


class _Silent(Intkey):
    """Integer keys without events, as the recorded processor had none."""

    def process(self, transaction: Transaction, context: Context) -> Processed:
        processed = super().process(transaction, context)
        context.events.clear()
        return processed


def _genesis() -> dict[str, Any]:
    """Return a genesis of one batch with one setting, as the recorded chain had."""
    admin = Client(Signer(development_key(0)))
    proposal = messages.SettingProposal(setting=AUTHORIZED_KEYS, value=admin.public_key, nonce="n")
    payload = messages.SettingsPayload(
        action=messages.SettingsPayload.PROPOSE, data=proposal.SerializeToString()
    )
    keys, threshold, proposals = map(setting_address, (AUTHORIZED_KEYS, APPROVAL_THRESHOLD, PROPOSALS))
    transaction = admin.transaction(
        family=FAMILY,
        payload=payload.SerializeToString(),
        inputs=[keys, threshold, proposals, keys],
        outputs=[proposals, keys],
    )
    sent = messages.BatchList(batches=[admin.batch(transaction)]).SerializeToString()
    key = development_ledger().config["validator_private_key"]
    return {"batches": [base64.b64encode(sent).decode()], "validator_private_key": key}


class Service:
    """A LedgerService over a ledger in this process."""

    def __init__(self) -> None:
        self.adapter = SawtoothAdapter(_Silent())
        self.ledger = Ledger(self.adapter, _genesis())

    def submit(self, payloads: Sequence[bytes], *, caller: Caller = ANONYMOUS) -> _Submission:
        return _Submission(self, list(payloads))

    def view(self, seqno: int | None = None) -> Any:
        return self.ledger.store.view(seqno)

    def status(self) -> NodeStatus:
        return NodeStatus(
            node_id="ab" * 32,
            role="primary",
            view=2,
            committed_seqno=self.ledger.seqno,
            leader_known=True,
        )


@attrs.frozen
class World:
    """A node without its sockets."""

    service: Service
    front: Front
    alice: Client
    bob: Client
    admin: Client

    async def ask(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> HTTPResponse:
        """Return the answer to a request."""
        headers = {"host": HOST}
        if content_type:
            headers["content-type"] = content_type
        answer = self.front.rest.accept(HTTPRequest(method=method, target=target, headers=headers, body=body))
        if isinstance(answer, HTTPResponse):
            return answer
        assert callable(answer)
        return await answer()


class _Told:
    """Brings commits to the front ends, as the adapter's parts are told."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def serve(self, service: object) -> None:
        raise AssertionError("nobody serves here")

    def committed(self, batch: CommittedBatch) -> None:
        self._front.committed(batch)

    def restored(self, view: object) -> None:
        self._front.restored()


async def _at_once(work: Callable[[], Any]) -> Any:
    await trio.lowlevel.checkpoint()
    return work()


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    service, faults = Service(), []
    async with trio.open_nursery() as nursery:
        outside = Outside(
            worker=_at_once,
            pulse=Pulse(),
            start=Tasks(nursery),
            beside=beside,
            report=faults.append,
        )
        front = Front(service, outside, CheckedBatches())
        service.adapter._parts = [_Told(front)]
        with trio.fail_after(60):
            yield World(
                service,
                front,
                Client.named("alice"),
                Client.named("bob"),
                Client(Signer(development_key(0))),
            )
        nursery.cancel_scope.cancel()
    assert not faults


@pytest.fixture
def world() -> Callable[[], Any]:
    """Call it for a world to be in: ``async with world() as here``."""
    return _world


_MASKS = [
    (re.compile(r"[0-9a-fA-F]{128}"), "<id>"),
    (re.compile(r"[0-9a-f]{70}"), "<address>"),
    (re.compile(r"[0-9a-f]{66}"), "<key>"),
    (re.compile(r"[0-9a-f]{64}"), "<root>"),
    (re.compile(r"0x[0-9a-f]{16}"), "<number>"),
]
_OPAQUE = frozenset(("data", "value", "payload", "nonce", "consensus", "block_num"))
"""Fields that hold what was sent, or where in the chain it is."""


def _masked(value: Any, key: str = "") -> Any:
    """Return an answer without what differs from run to run: identifiers, addresses, bytes that were sent.

    What a processor says of an invalid transaction is the processor's business.
    """
    if isinstance(value, dict):
        hidden = {"message"} if "id" in value else set()
        return {name: "<said>" if name in hidden else _masked(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if not isinstance(value, str):
        return value
    if key in _OPAQUE:
        return "<opaque>"
    for pattern, mask in _MASKS:
        value = pattern.sub(mask, value)
    return value


def _content(answer: HTTPResponse) -> Any:
    """Return the JSON, or the text, of an answer."""
    if answer.content_type.startswith("application/json"):
        return orjson.loads(answer.body)
    return answer.body.decode()


@pytest.fixture
def masked() -> Callable[[Any], Any]:
    """Hides in an answer what differs from run to run."""
    return _masked


@pytest.fixture
def content() -> Callable[[HTTPResponse], Any]:
    """Reads an answer."""
    return _content
