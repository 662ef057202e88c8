"""A whole ledger in one process for each test: the real adapter, a real store, integer keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import cbor2
import pytest
import trio
import trio.testing

from coco_core.adapter import Applied, Rejected
from coco_sawtooth import messages, records
from coco_sawtooth.adapter import SawtoothAdapter
from coco_sawtooth.development import development_key, development_ledger
from coco_sawtooth.execution import Processors
from coco_sawtooth.settings_family import (
    APPROVAL_THRESHOLD,
    AUTHORIZED_KEYS,
    FAMILY,
    PROPOSALS,
    read_setting,
    setting_address,
)
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import Client, Intkey, Ledger, intkey_address


class World(Ledger):
    """A ledger with an administrator and two clients."""

    def __init__(self, processors: Processors, config: dict[str, Any]) -> None:
        super().__init__(SawtoothAdapter(processors), config)
        self.admin = Client(Signer(development_key(0)))
        self.alice, self.bob = Client.named("alice"), Client.named("bob")

    async def applied(self, *batches: messages.Batch) -> list[Applied]:
        """Execute batches that must all be applied."""
        outcomes = await self.execute(*batches)
        assert all(isinstance(each, Applied) for each in outcomes), outcomes
        return [each for each in outcomes if isinstance(each, Applied)]

    async def refused(self, batch: messages.Batch | bytes) -> tuple[str, str]:
        """Execute a batch that must be refused and leave no trace; return code and message."""
        before = (self.head.id, self.state())
        [outcome] = await self.execute(batch)
        assert isinstance(outcome, Rejected), outcome
        assert (self.head.id, self.state()) == before
        return outcome.code, outcome.message

    def number(self, name: str) -> int | None:
        """Return an integer key's value."""
        stored = self.value(intkey_address(name))
        return None if stored is None else cbor2.loads(stored)[name]

    def propose(self, setting: str, value: str, client: Client | None = None) -> messages.Transaction:
        """Return a proposal to change a setting."""
        proposal = messages.SettingProposal(setting=setting, value=value, nonce="n")
        return self.settings_transaction(
            messages.SettingsPayload.PROPOSE, proposal.SerializeToString(), setting, client or self.admin
        )

    def settings_transaction(self, action: int, data: bytes, setting: str, client: Client):
        """Return a transaction of the settings family."""
        names = {AUTHORIZED_KEYS, APPROVAL_THRESHOLD, PROPOSALS, setting}
        places = sorted(setting_address(name) for name in names)
        payload = messages.SettingsPayload(action=action, data=data).SerializeToString()
        return client.transaction(family=FAMILY, payload=payload, inputs=places, outputs=places)

    async def set(self, setting: str, value: str) -> None:
        """Change a setting."""
        await self.applied(self.admin.batch(self.propose(setting, value)))

    def setting(self, name: str) -> str | None:
        """Return a setting's committed value."""
        return read_setting(lambda key: self.store.view().get(records.STATE, key) or b"", name)

    def receipt(self, transaction: messages.Transaction) -> messages.TransactionReceipt:
        """Return a committed transaction's receipt."""
        raw = records.raw_receipt(self.store.view(), transaction.header_signature)
        assert raw is not None
        return messages.TransactionReceipt.FromString(raw)


@contextlib.asynccontextmanager
async def _served(ledger: Ledger) -> AsyncIterator[None]:
    class Service:
        view = ledger.store.view

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.adapter.serve, Service())
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="session")
def served() -> Callable[[Ledger], contextlib.AbstractAsyncContextManager[None]]:
    """Return what serves a ledger's adapter meanwhile, as a node does."""
    return _served


@pytest.fixture
def make_world() -> Callable[..., World]:
    """Return a function from processors and configuration to a world."""

    def make(processors: Processors | None = None, config: dict[str, Any] | None = None) -> World:
        return World(
            Intkey() if processors is None else processors,
            dict(development_ledger().config) if config is None else config,
        )

    return make


@pytest.fixture
def world(make_world) -> World:
    return make_world()
