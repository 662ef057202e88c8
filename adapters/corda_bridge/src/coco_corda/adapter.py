"""The Corda ledger adapter: one request is one transaction, jar or set of parameters.

Ties execution to the contract of ``coco_core.adapter``. What it keeps beside the maps can be made from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from coco_corda import records
from coco_corda.execution import Notary, execute
from coco_corda.genesis import genesis_writes
from coco_corda.identity import NAME, VERSION
from coco_corda.notary_key import NotaryKey
from coco_corda.shell import run_together
from coco_corda.terms import CONFIGURATION
from coco_corda.verification import Verifier
from coco_core.adapter import (
    Batch,
    BatchResult,
    CommittedBatch,
    LedgerService,
    Manifest,
    ReadView,
    Writes,
)
from coco_core.errors import AdapterError, IntegrityError


class Part(Protocol):
    """What runs beside execution on every node: a front end, or the keeper of workers."""

    async def serve(self, service: LedgerService) -> None:
        """Run until cancelled."""
        ...

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of a committed batch, as ``LedgerAdapter.committed`` does."""
        ...

    def restored(self, view: ReadView) -> None:
        """Take note of where state begins, as ``LedgerAdapter.restored`` does."""
        ...


class CordaAdapter:
    """Corda on Coco."""

    manifest: Final = Manifest(
        name=NAME,
        version=VERSION,
        engine="",
        maps=records.MAPS,
        deterministic=False,
        configuration=CONFIGURATION,
    )
    """Contract code runs in a JVM elsewhere, so a node cannot promise that it does the same again."""

    def __init__(self, verifier: Verifier, parts: Sequence[Part] = ()) -> None:
        """Verify with ``verifier``; ``parts`` run beside."""
        self._verifier = verifier
        self._parts = parts
        self._key: tuple[bytes, NotaryKey] | None = None

    def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
        """Return the writes of the first entry. Raises OperatorError."""
        return genesis_writes(config, randomness)

    async def execute(self, batch: Batch, view: ReadView) -> BatchResult:
        """Execute requests as if one by one; transactions are verified side by side."""
        notary = Notary(verifier=self._verifier, key=self._notary_key(view))
        return BatchResult(await execute(batch, view, notary))

    async def replay(self, entries: Sequence[Writes], view: ReadView) -> Sequence[Writes]:
        """Raise IntegrityError: what contract code in a JVM says, only that could say again."""
        del entries, view
        raise IntegrityError("a Corda ledger is not deterministic, as far as this node knows")

    async def serve(self, service: LedgerService) -> None:
        """Run the front end and keep workers, until cancelled."""
        await run_together([partial(part.serve, service) for part in self._parts])

    def committed(self, batch: CommittedBatch) -> None:
        """Take note of a committed batch."""
        for part in self._parts:
            part.committed(batch)

    def restored(self, view: ReadView) -> None:
        """Begin again with a state."""
        for part in self._parts:
            part.restored(view)

    def _notary_key(self, view: ReadView) -> NotaryKey:
        seed = records.seed(view)
        if seed is None:
            raise AdapterError("the ledger has no notary's key")
        if self._key is None or self._key[0] != seed:
            self._key = seed, NotaryKey(seed)
        return self._key[1]
