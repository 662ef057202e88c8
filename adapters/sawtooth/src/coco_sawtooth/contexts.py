"""What one transaction may read and write while a processor executes it, and what it has written.

Addresses are checked against the inputs and outputs that its signer declared, as Sawtooth's validator does
(``tp_state_handlers``, ``execution_context``). Nothing here waits or knows how processors are reached.

A context may be used from another thread than the one that made it, by one thread at a time: the layers below
hold no writes of transactions that overlap and are still being executed, so nothing it can read changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from coco_core.errors import RejectedError
from coco_sawtooth.addresses import is_address
from coco_sawtooth.limits import (
    BATCH_WRITES_SIZE_MAX_BYTES,
    STATE_VALUE_SIZE_MAX_BYTES,
    TRANSACTION_EVENTS_MAX,
    TRANSACTION_RECEIPT_DATA_MAX,
)
from coco_sawtooth.messages import Event

Layer = Mapping[bytes, bytes | None]
"""State by address in bytes; ``None`` = deleted."""

_NOT_HERE: Final = b"not here"
"""Compared by identity."""
_ROW_SIZE_BYTES: Final = 70
"""What a row of state is beside its value, half of the row and what a receipt says of it together."""
_FRAME_SIZE_BYTES: Final = 8
"""What frames an event, or a piece of receipt data, in a receipt."""


def look_up(layers: Sequence[Layer], key: bytes) -> bytes:
    """Return the value of an address in bytes, from the first layer that has it; empty when none."""
    for layer in layers:
        found = layer.get(key, _NOT_HERE)
        if found is not _NOT_HERE:
            return found or b""
    return b""


class UnauthorizedError(RejectedError):
    """An address is malformed, or outside what the transaction declared."""


class TooMuchError(RejectedError):
    """The transaction writes more than one may."""


@attrs.define(slots=True)
class Context:
    """State as one transaction sees it."""

    inputs: tuple[str, ...]
    """Prefixes of addresses it may read."""
    outputs: tuple[str, ...]
    """Prefixes of addresses it may write; that it may write one does not mean that it may read it."""
    below: Sequence[Layer] = attrs.field(repr=False)
    """What was written before: first hit wins."""
    writes: dict[bytes, bytes | None] = attrs.field(factory=dict, repr=False)
    """What it has set (bytes) and deleted (None), by address in bytes."""
    events: list[Event] = attrs.field(factory=list, repr=False)
    data: list[bytes] = attrs.field(factory=list, repr=False)
    """Receipt data, in the order it came."""
    size: int = 0
    """Bytes of everything written, about."""

    def get(self, addresses: Sequence[str]) -> list[bytes]:
        """Return the value of every address in order, empty where there is none.

        Raises UnauthorizedError when one of them is malformed or not declared as an input.
        """
        _check(addresses, self.inputs, "inputs")
        return [self._read(bytes.fromhex(address)) for address in addresses]

    def _read(self, key: bytes) -> bytes:
        found = self.writes.get(key, _NOT_HERE)
        return look_up(self.below, key) if found is _NOT_HERE else found or b""

    def set(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Write values. All or none: raises UnauthorizedError (not an output) or TooMuchError."""
        _check([address for address, _ in entries], self.outputs, "outputs")
        size = self.size
        for _, value in entries:
            if len(value) > STATE_VALUE_SIZE_MAX_BYTES:
                raise TooMuchError(f"a value has {len(value)} bytes; {STATE_VALUE_SIZE_MAX_BYTES} at most")
            size += len(value) + _ROW_SIZE_BYTES
        self._grow(size)
        for address, value in entries:
            self.writes[bytes.fromhex(address)] = value

    def delete(self, addresses: Sequence[str]) -> None:
        """Delete addresses, also such that hold nothing. Raises as ``set`` does."""
        _check(addresses, self.outputs, "outputs")
        self._grow(self.size + _ROW_SIZE_BYTES * len(addresses))
        for address in addresses:
            self.writes[bytes.fromhex(address)] = None

    def add_event(self, event: Event) -> None:
        """Add an event; which addresses it is about is nobody's business. Raises TooMuchError."""
        if len(self.events) >= TRANSACTION_EVENTS_MAX:
            raise TooMuchError(f"more than {TRANSACTION_EVENTS_MAX} events")
        self._grow(self.size + event.ByteSize() + _FRAME_SIZE_BYTES)
        self.events.append(event)

    def add_receipt_data(self, data: bytes) -> None:
        """Add data to the receipt. Raises TooMuchError."""
        if len(self.data) >= TRANSACTION_RECEIPT_DATA_MAX:
            raise TooMuchError(f"more than {TRANSACTION_RECEIPT_DATA_MAX} pieces of receipt data")
        self._grow(self.size + len(data) + _FRAME_SIZE_BYTES)
        self.data.append(data)

    def reset(self) -> None:
        """Forget everything written, for a processor that begins anew."""
        self.writes.clear()
        self.events.clear()
        self.data.clear()
        self.size = 0

    def adopt(self, other: Context) -> None:
        """Have written what ``other`` has, which saw the same state."""
        self.writes, self.events, self.data, self.size = other.writes, other.events, other.data, other.size

    def _grow(self, size: int) -> None:
        if size > BATCH_WRITES_SIZE_MAX_BYTES:
            raise TooMuchError(f"more than {BATCH_WRITES_SIZE_MAX_BYTES} bytes written")
        self.size = size


def _check(addresses: Iterable[str], allowed: tuple[str, ...], what: str) -> None:
    for address in addresses:
        if not address.startswith(allowed):
            raise UnauthorizedError(f"{address[:70]!r} is not in the transaction's {what}")
        if not is_address(address):
            raise UnauthorizedError(f"{address[:70]!r} is not an address")
