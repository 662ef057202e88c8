"""Systems outside for tests: what each URL answers, and who asked what. Must not know connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from coco_core.adapter import Fetched, Origin
from coco_core.errors import FetchError


@attrs.define
class ScriptedWeb:
    """Answers at once and as it is told (see governance.fetching.Get); other URLs cannot be reached."""

    answers: dict[str, tuple[int, bytes] | Callable[[], Any]] = attrs.field(factory=dict)
    """By URL: status and body, or what is called instead; what it raises is what comes of asking."""
    asked: list[str] = attrs.field(factory=list)
    """Every URL that was asked for, in order."""

    async def __call__(self, url: str, origin: Origin, ca_certs: str | None) -> Fetched:
        """Return the answer to ``url``; raises FetchError."""
        del ca_certs
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise FetchError("unreachable", f"{origin.text} cannot be reached")
        status, body = answer() if callable(answer) else answer
        return Fetched(url, status, body)
