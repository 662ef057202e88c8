"""What the kit has to be told of one ledger: how to make it, a genesis, and a few native transactions.

Must not know how the kit uses them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from coco_core.adapter import AdapterPlugin, HTTPRequest, LedgerAdapter, ReadView
from coco_core.node import load


@attrs.frozen(kw_only=True)
class Configured:
    """Something a consortium may set, and a transaction on which it tells."""

    values: Mapping[str, Any]
    payload: bytes
    """Executed on the state of genesis, without ``values`` and with them.

    What becomes of it, or what it writes, or what closes its batch, is another with ``values`` set.
    """


@attrs.frozen(kw_only=True)
class Asking:
    """A transaction for which the ledger asks a system outside, and what that may answer."""

    payload: bytes
    answer: bytes
    """A body for which it is applied."""
    another: bytes
    """Another one, for which it is applied too, and something else is written."""


class LedgerHarness(ABC):
    """One ledger as the kit needs it; every method gives the same for the same arguments, in any process.

    Of ``number`` the kit uses 0 to 199.
    """

    name: str = ""
    """The adapter's name."""
    no_front_end: str = ""
    """Why ``questions`` and ``submission`` give nothing, of a ledger that does not speak HTTP."""
    no_bad_genesis: str = ""
    """Why ``bad_genesis`` gives nothing, of a ledger whose operator says nothing at genesis."""

    execute_max_s: float = 120.0
    """How long ``execute`` may take for any batch; what takes longer counts as what never returns."""

    arguments: Sequence[str] = ()
    """What the class was called with, if anything: another process makes the same harness with it."""

    def plugin(self) -> AdapterPlugin:
        """Return what the distribution registers; the installed plugin called ``name`` unless overridden."""
        return load(self.name)

    def make(self) -> LedgerAdapter:
        """Return a new adapter, as a node makes one when it starts."""
        return self.plugin().create("", self.settings())

    def settings(self) -> Mapping[str, Any]:
        """Return what one more node on this machine tells its adapter: where it alone listens, say."""
        return {}

    def genesis(self) -> Mapping[str, Any]:
        """Return a genesis configuration under which the transactions below are what they are said to be."""
        return self.plugin().development().config

    @abstractmethod
    def valid(self, number: int) -> bytes:
        """Return a transaction that is applied once, in any order among the others, whatever was before."""

    @abstractmethod
    def rejected(self, number: int) -> bytes:
        """Return a well-formed transaction that the ledger's rules refuse.

        Best one that is refused late, after much of it was executed: then it shows what is left behind.
        """

    @abstractmethod
    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two transactions of which either may be applied, but not both."""

    @abstractmethod
    def malformed(self) -> Sequence[bytes]:
        """Return a few payloads that are no transactions at all."""

    @abstractmethod
    def observe(self, view: ReadView) -> Any:
        """Return what the ledger's users see in its state: what every applied transaction changes.

        Equal (``==``) for equal sets of applied transactions, in whatever order, batches and at whatever
        times they were applied: balances, not block hashes.
        """

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return genesis configurations that must be refused, each under the name of the faulty field."""
        return {}

    def configured(self) -> Configured | None:
        """Return what shows that configuration is obeyed; needed if the manifest names any fields."""
        return None

    def asks(self) -> Asking | None:
        """Return what asks a system outside; needed if the manifest says that the ledger does."""
        return None

    def questions(self) -> Sequence[HTTPRequest]:
        """Return requests to the front end that read what ``valid`` transactions do.

        Each is answered in another way once ``valid(0)`` to ``valid(5)`` are committed.
        """
        return ()

    def read(self, status: int, body: bytes) -> Any:
        """Return what an answer to a question says, without what is of one node (its address, say)."""
        return status, body

    def submission(self, payload: bytes) -> HTTPRequest | None:
        """Return the request by which a client submits ``payload`` to the front end."""
        del payload
        return None

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Return variables that node processes need to find the adapter, using ``folder`` for files."""
        del folder
        return {}


def get(target: str) -> HTTPRequest:
    """Return a request to read ``target``."""
    return HTTPRequest(method="GET", target=target, headers={"host": "node.invalid"}, body=b"")


def post(target: str, body: bytes, content_type: str = "application/json") -> HTTPRequest:
    """Return a request to post ``body`` to ``target``."""
    headers = {"host": "node.invalid", "content-type": content_type}
    return HTTPRequest(method="POST", target=target, headers=headers, body=body)
