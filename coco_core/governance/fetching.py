"""What a batch may fetch while it is executed, and what it did fetch, in order.

Whether the consortium allows an origin is asked of the state that the batch is executed over, so what is
recorded can be judged by the ledger alone. The fetch of a batch ends with it. Must not know connections: how
a URL is asked for comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from coco_core.adapter import Batch, Fetched, Manifest, Origin
from coco_core.base import limits
from coco_core.errors import FetchError
from coco_core.governance.fetch_origins import FetchPolicy, read_fetch_policy
from coco_core.kv import View

Get = Callable[[str, Origin, str | None], Awaitable[Fetched]]
"""Asks for a URL, which was read already, of who has a certificate issued by these (PEM; None: by whom the
system believes); raises FetchError."""

_NONE_YET: Final = 0


class Fetching:
    """Gives each batch its fetch."""

    def __init__(self, begin: Callable[[], Get]) -> None:
        """Have what one batch asks for asked by what ``begin()`` returns."""
        self._begin = begin
        self._number = _NONE_YET
        self._budget = _Budget(begin())

    @contextmanager
    def during(
        self, number: int, batch: Batch, view: View, manifest: Manifest
    ) -> Iterator[tuple[Batch, list[Fetched]]]:
        """Yield batch ``number``, over ``view``, as ``manifest``'s adapter gets it; and what it fetched."""
        fetched: list[Fetched] = []
        policy = read_fetch_policy(view, manifest.name) if manifest.fetches else FetchPolicy()
        if not policy.origins:
            yield batch, fetched
            return
        if number != self._number:  # Ledgers that execute parts of one bundle share what it may fetch.
            self._number, self._budget = number, _Budget(self._begin())
        one = _OneBatch(policy, self._budget, fetched)
        try:
            yield attrs.evolve(batch, fetch=one.fetch), fetched
        finally:
            one.over = True


@attrs.define
class _Budget:
    get: Get
    left: int = limits.FETCHES_PER_BATCH_MAX


@attrs.define
class _OneBatch:
    policy: FetchPolicy
    budget: _Budget
    fetched: list[Fetched]
    over: bool = False

    async def fetch(self, url: str) -> Fetched:
        """Ask for ``url`` (see adapter.Fetch)."""
        origin = Origin.of(url)
        self._check_over()
        if origin.text not in self.policy.origins:
            raise FetchError("not-allowed", f"the consortium does not let this ledger ask {origin.text}")
        if not self.budget.left:
            most = limits.FETCHES_PER_BATCH_MAX
            raise FetchError("exhausted", f"a batch fetches at most {most} times: try again with the next")
        self.budget.left -= 1
        failure = "given-up"
        try:
            found = await self.budget.get(url, origin, self.policy.ca_certs)
            failure = ""
        except FetchError as error:
            failure = error.code
            raise
        finally:
            if failure and not self.over:
                self.fetched.append(Fetched(url, 0, b"", failure))
        self._check_over()
        self.fetched.append(found)
        return found

    def _check_over(self) -> None:
        if self.over:
            raise FetchError("over", "the batch that this fetch was for has ended")
