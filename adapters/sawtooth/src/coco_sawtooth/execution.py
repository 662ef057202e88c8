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


@attrs.frozen
class Unavailable:
    """Nobody can execute the transaction now, but perhaps soon: its family has no processor or lost it.

    Nothing waits for that here, since every other batch would wait too: the batch is refused, and whoever
    took it from its client offers it again for a while.
    """

    message: str


Processed = Valid | Invalid | Unavailable


class Processors(Protocol):
    """Whoever executes transactions of the families that are not built in."""

    async def process(self, transaction: Transaction, context: Context) -> Processed:
        """Execute one transaction in ``context`` and say whether it is valid.

        Several are under way at one time. Always returns within a bounded time: a family nobody is registered
        for is Unavailable at once, a processor that dies, hangs or fails again and again ends in Invalid or
        Unavailable with a message. What a failed try wrote is taken back (``Context.reset``) before the next.
        """
        ...
