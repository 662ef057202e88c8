"""Whom this node refused to admit lately, and why: operators see what no ledger records."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs
import structlog

from coco_core.base import limits
from coco_core.governance import JoinRequest
from coco_core.node.clock import unix_ms

_log: Final = structlog.get_logger("coco.admission")


@attrs.frozen(kw_only=True)
class Refusal:
    """One node that was refused."""

    at_ms: int
    node_id: str
    """Empty when it did not even say so in a proper form, as is the address."""
    peer_address: str
    code: str
    message: str


class Refusals:
    """The newest refusals of one node."""

    def __init__(self, now_ms: Callable[[], int] = unix_ms) -> None:
        """Begin with none."""
        self._now_ms = now_ms
        self._kept: deque[Refusal] = deque(maxlen=limits.REFUSALS_KEPT_MAX)

    def note(self, code: str, message: str, request: JoinRequest | None) -> None:
        """Keep and log that ``request`` was refused, or something that was none."""
        refusal = Refusal(
            at_ms=self._now_ms(),
            node_id=request.node_id if request is not None else "",
            peer_address=request.peer_address if request is not None else "",
            code=code,
            message=message[: limits.REFUSAL_MESSAGE_SIZE_MAX],
        )
        self._kept.append(refusal)
        _log.warning("a node was refused", **attrs.asdict(refusal))

    def to_json(self) -> list[dict[str, Any]]:
        """Return what is kept, the oldest first."""
        return [attrs.asdict(one) for one in self._kept]
