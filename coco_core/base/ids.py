"""Identifiers: who a node is, and where in the one global order a transaction stands."""

from __future__ import annotations

from typing import NewType

import attrs

from coco_core.errors import MalformedError

NodeID = NewType("NodeID", str)
"""64 lower-case hex digits: SHA-256 of the node's public key as DER SubjectPublicKeyInfo."""


@attrs.frozen(order=True, slots=True)
class TxID:
    """A transaction's place: the view it was ordered in and its sequence number.

    ``view`` is the consensus term, ``seqno`` the log index and the Merkle leaf index; the text
    form is ``view.seqno`` (CCF's convention), for example ``2.15``.
    """

    view: int
    seqno: int

    def __str__(self) -> str:
        """Return ``view.seqno``."""
        return f"{self.view}.{self.seqno}"

    @classmethod
    def parse(cls, text: str) -> TxID:
        """Read ``view.seqno``, both from 1 on without leading zeros; raises MalformedError for anything else.

        ``TxID(0, 0)`` stands for "nothing yet" inside a node; nobody outside may ask for it.
        """
        view, dot, seqno = text.partition(".")
        if not (dot and view.isascii() and view.isdigit() and seqno.isascii() and seqno.isdigit()):
            raise MalformedError(f"not a transaction ID: {text[:40]!r}; expected view.seqno, such as 2.15")
        if view.startswith("0") or seqno.startswith("0"):
            raise MalformedError(f"not a transaction ID: {text[:40]!r}; views and seqnos begin at 1")
        if len(view) > 20 or len(seqno) > 20:
            raise MalformedError(f"transaction ID out of range: {text[:40]!r}")
        return cls(int(view), int(seqno))
