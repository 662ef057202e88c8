"""What is raised when a promise was broken, in a simulated network or a real one, and who saw it."""

from __future__ import annotations

from coco_core.testing.stage import SafetyError


class ViolationError(SafetyError):
    """A promise of the network was broken.

    ``checker`` is the short name of what noticed, as docs/contributing/simulation.md lists them.
    """

    def __init__(self, checker: str, message: str) -> None:
        """Tell which ``checker`` saw what."""
        super().__init__(f"{checker}: {message}")
        self.checker = checker
