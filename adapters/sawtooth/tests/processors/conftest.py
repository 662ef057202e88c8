"""A dispatcher on a stage: what processors send it, what it sends them, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context
from coco_sawtooth.execution import Processed
from coco_sawtooth.messages import (
    Message,
    MessageType,
    TpProcessRequest,
    TpProcessResponse,
    TpRegisterRequest,
    TpRegisterResponse,
    TransactionHeader,
)
from coco_sawtooth.processors import Dispatcher, Job, Policy, envelope

INTKEY = ("intkey", "1.0")


@attrs.frozen
class Given:
    """A request to process, as a processor reads it."""

    to: bytes
    correlation_id: str
    request: TpProcessRequest


def job(signature: str, payload: bytes, family: tuple[str, str] = INTKEY, **fields: Any) -> Job:
    """Make a job of a transaction that nobody signed."""
    header = TransactionHeader(family_name=family[0], family_version=family[1], nonce="n", **fields)
    transaction = Transaction(signature, header, header.SerializeToString(), payload, ("aa",), ("aa",))
    return Job(transaction, Context(("aa",), ("aa",), ()))


class Stage:
    """One dispatcher and everybody it talks to."""

    def __init__(self, **policy: int) -> None:
        self.now = 1_000_000
        self.policy = Policy(**policy)
        self.dispatcher = Dispatcher(self.policy, bytes(8), self.now)
        self._asked = 0
        self._signed = 0

    def said(self) -> list[tuple[bytes, Message]]:
        """Return what was sent since the last call."""
        sent = [(identity, Message.FromString(frame)) for identity, frame in self.dispatcher.outbox]
        self.dispatcher.outbox.clear()
        return sent

    def given(self) -> list[Given]:
        """Return the requests to process among what was sent; the rest is dropped."""
        return [
            Given(identity, message.correlation_id, TpProcessRequest.FromString(message.content))
            for identity, message in self.said()
            if message.message_type == MessageType.TP_PROCESS_REQUEST
        ]

    def asked(self) -> list[bytes]:
        """Return who was asked whether it is there; the rest of what was sent is dropped."""
        return [
            identity for identity, message in self.said() if message.message_type == MessageType.PING_REQUEST
        ]

    def results(self) -> list[Processed]:
        """Return the results since the last call."""
        results = [result for _, result in self.dispatcher.results]
        self.dispatcher.results.clear()
        return results

    def receive(self, identity: bytes, kind: int, content: bytes = b"", correlation_id: str = "") -> str:
        """Have the dispatcher receive a message; return its correlation identifier."""
        self._asked += 1
        correlation_id = correlation_id or f"c{self._asked}"
        assert self.dispatcher.receive(identity, envelope(kind, correlation_id, content), self.now) is None
        return correlation_id

    def register(
        self, identity: bytes, family: tuple[str, str] = INTKEY, **fields: Any
    ) -> TpRegisterResponse:
        """Register a processor and return the answer, which must be all that is sent."""
        request = TpRegisterRequest(family=family[0], version=family[1], **fields)
        self.said()
        correlation_id = self.receive(identity, MessageType.TP_REGISTER_REQUEST, request.SerializeToString())
        ((to, answer),) = self.said()
        assert (to, answer.correlation_id) == (identity, correlation_id)
        assert answer.message_type == MessageType.TP_REGISTER_RESPONSE
        return TpRegisterResponse.FromString(answer.content)

    def ready(self, *identities: bytes, **fields: Any) -> None:
        """Register processors and let the time pass in which they are given nothing."""
        for identity in identities:
            self.register(identity, **fields)
        self.wait(self.policy.fresh_ms)

    def submit(self, number: int = 1, family: tuple[str, str] = INTKEY) -> list[Job]:
        """Submit jobs that may read and write what begins with ``aa``."""
        first, self._signed = self._signed, self._signed + number
        jobs = [job(f"signature {each}", b"%d" % each, family) for each in range(first, self._signed)]
        for each in jobs:
            self.dispatcher.submit(each, self.now)
        return jobs

    def answer(self, given: Given, status: int = TpProcessResponse.OK, message: str = "") -> None:
        """Answer a request to process."""
        response = TpProcessResponse(status=status, message=message, extended_data=message.encode())
        self.receive(
            given.to,
            MessageType.TP_PROCESS_RESPONSE,
            response.SerializeToString(),
            given.correlation_id,
        )

    def wait(self, ms: int, step: int = 20) -> None:
        """Let time pass, in ticks."""
        end = self.now + ms
        while self.now < end:
            self.now = min(self.now + step, end)
            self.dispatcher.tick(self.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def patient() -> Stage:
    """A stage on which families may be without a processor for five seconds."""
    return Stage(absent_ms=5_000)


@pytest.fixture
def make_job() -> Callable[..., Job]:
    return job
