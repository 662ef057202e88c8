"""How a request about the service is refused: with a code that stays the same, and a sentence."""

from __future__ import annotations


class RefusedError(Exception):
    """The rules refuse a request; nothing is written. Becomes a Rejected outcome."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with a stable ``code`` and what to read."""
        super().__init__(message)
        self.code = code
