"""The one error of this distribution: evidence that does not prove what it should."""

from __future__ import annotations

from coco_core.errors import AttestationError


class EvidenceError(AttestationError):
    """Evidence, or the collateral it is judged by, is malformed, not genuine or not acceptable.

    ``code`` names the first rule that failed. It is the same for the same fault in every version; the message
    may change.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)
