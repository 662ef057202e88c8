"""What else comes over the component socket, and who takes it. Knows nothing of what clients want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

Send = Callable[[int, bytes], None]
"""Sends a message of a type with a content."""


@attrs.frozen
class ClientMessage:
    """A message that is none of a processor's."""

    identity: bytes
    """Whose connection it came over, until that one is lost."""
    message_type: int
    correlation_id: str
    content: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


class ClientMessages(Protocol):
    """Who answers clients; everything runs on the node's trio thread."""

    async def handle(self, message: ClientMessage, answer: Send, push: Send) -> None:
        """Handle one message in a task of its own.

        ``answer`` sends in reply to it, ``push`` sends of its own accord, then or later, until ``lost``.
        """
        ...

    def lost(self, identity: bytes) -> None:
        """Note that something pushed did not arrive: the client is gone, or does not read."""
        ...
