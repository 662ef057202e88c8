"""Whoever verifies transactions: what is asked of it, how it may answer. Knows the protocol's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import attrs

from coco_corda import wire
from coco_corda.notary_key import NotaryKey, Template


@attrs.frozen
class Cause:
    """One exception of a chain."""

    class_name: str
    message: str


@attrs.frozen
class Refused:
    """Corda's own verdict: the transaction, attachment or parameters are not valid."""

    kind: str
    causes: Sequence[Cause] = ()


@attrs.frozen
class Broken:
    """It ended the worker that executed it, or was not done in time, tried alone."""

    message: str
    is_late: bool = False
    """Whether it was not done in time, which a machine that is busy with others may be to blame for."""


@attrs.frozen
class Unavailable:
    """There is no worker here, or none that starts; nothing is said about the transaction."""

    message: str


T = TypeVar("T")
Failure = Refused | Broken | Unavailable


@attrs.frozen(kw_only=True)
class Job:
    """One transaction to verify, and what a worker has to have for it."""

    request: wire.Verify
    domain: bytes
    """Whose code it runs: transactions of one domain share a worker, and no others."""
    attachments: Mapping[bytes, bytes] = attrs.field(repr=False)
    parameters: Mapping[bytes, bytes] = attrs.field(repr=False)


class Verifier(Protocol):
    """Corda's code in some other process. Every call returns within a bounded time; answers are in order."""

    async def describe(self, transactions: Sequence[bytes]) -> Sequence[wire.Description | Failure]:
        """Read transactions, without executing any code of theirs."""
        ...

    async def verify(self, jobs: Sequence[Job]) -> Sequence[wire.Verified | Failure]:
        """Verify transactions that do not depend on each other."""
        ...

    async def inspect(self, attachment: bytes) -> wire.AttachmentInfo | Failure:
        """Read what a jar is, without executing it."""
        ...

    async def read_parameters(self, parameters: bytes) -> wire.NetworkParametersInfo | Failure:
        """Read network parameters."""
        ...

    async def template(self, key: NotaryKey) -> Template | Failure:
        """Return what a notary signs; that a signature of ``key`` on it is one for Corda was tried."""
        ...

    async def tear_off(
        self, transaction: bytes, groups: Sequence[int], outputs: Sequence[int]
    ) -> bytes | Failure:
        """Return the transaction with nothing but these component groups and outputs visible."""
        ...
