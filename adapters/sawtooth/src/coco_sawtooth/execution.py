"""How processors are asked to execute a transaction."""

from __future__ import annotations

from typing import Protocol

import attrs

from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context


@attrs.frozen
class Valid:
    """The processor executed the transaction; what it wrote is in the context."""


@attrs.frozen
class Invalid:
    """The transaction is not valid, and so its batch: by its processor's word, or because none could say."""

    message: str
    extended_data: bytes = b""


Processed = Valid | Invalid


class Processors(Protocol):
    """Whoever executes transactions of the families that are not built in."""

    async def process(self, transaction: Transaction, context: Context) -> Processed:
        """Execute one transaction in ``context`` and say whether it is valid.

        Several are under way at one time. Always returns within a bounded time: a family nobody is registered
        for and a processor that dies, hangs or fails again and again end in Invalid with a message. What a
        failed try wrote is taken back (``Context.reset``) before the next.
        """
        ...
