"""How processors are asked to execute a transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

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


Processed: TypeAlias = Valid | Invalid | Unavailable
Done: TypeAlias = Callable[[Processed], None]
GiveUp: TypeAlias = Callable[[], None]


class Processors(Protocol):
    """Whoever executes transactions of the families that are not built in."""

    def start(self, transaction: Transaction, context: Context, done: Done) -> Processed | GiveUp:
        """Have one transaction executed in ``context``; return whether it is valid, if that is known at once.

        If not, what is returned gives it up, and ``done`` is told later, once, on the thread of the event
        loop, unless it was given up before. Until then the context is the processors', and remains theirs
        when it is given up. Several transactions are under way at one time.

        There is a result within a bounded time: a family nobody is registered for is Unavailable soon, a
        processor that dies, hangs or fails again and again ends in Invalid or Unavailable with a message.
        What a failed try wrote is taken back (``Context.reset``) before the next.
        """
        ...
