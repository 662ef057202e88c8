"""What a node says to who keeps it, and what it does when it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing

from coco_core.errors import OperatorError
from coco_core.governance import (
    VOUCHED,
    LeasePolicy,
    founding_writes,
    lease_policy_writes,
    lease_writes,
    voucher_from_json,
)
from coco_core.kv import Store, View, Writes
from coco_core.node.supervision import Supervision, lease_teller
from coco_core.testing import Consortium

NETWORK = Consortium.of(3)
OLD, FRESH = NETWORK.identities[0], NETWORK.identities[1].node_id
SERVICE_ID = "ab" * 32


class Kept:
    """A node's side, the orders it gets and what it announces."""

    def __init__(self, *orders: str) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.send, receive = trio.open_memory_channel[str](16)
        for order in orders:
            self.send.send_nowait(order)
        self.supervision = Supervision(receive, self.events.append)


async def test_it_vouches_for_whom_it_is_told() -> None:
    kept = Kept("", "vouch", "vouch me", f"vouch {FRESH.upper()}", f"voucher {FRESH}", f"vouch {FRESH}\r")
    kept.send.close()
    await kept.supervision.vouch(OLD.key, SERVICE_ID)
    (event,) = kept.events
    assert (event["event"], event["node_id"]) == ("voucher", FRESH)
    word = voucher_from_json({"replaces": OLD.node_id, "signature": event["signature"]})
    word.check(OLD.key.public, SERVICE_ID, FRESH)


async def test_a_fresh_node_asks_for_a_voucher() -> None:
    kept = Kept("hello", "voucher QUJD")
    word = await kept.supervision.ask_for_voucher(FRESH, OLD.node_id)
    assert (word.replaces, word.signature) == (OLD.node_id, b"ABC")
    assert kept.events == [{"event": "voucher_wanted", "node_id": FRESH, "replaces": OLD.node_id}]


@pytest.mark.parametrize("order", ["voucher !", f"voucher {'A' * 4000}"])
async def test_a_voucher_that_is_none(order: str) -> None:
    with pytest.raises(OperatorError, match="no voucher"):
        await Kept(order).supervision.ask_for_voucher(FRESH, OLD.node_id)


async def test_nobody_answers(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(OperatorError, match="nobody brought"):
        await Kept().supervision.ask_for_voucher(FRESH, OLD.node_id)


async def test_a_node_that_nobody_keeps() -> None:
    alone = Supervision(None, lambda _: None)
    with pytest.raises(OperatorError, match="coco node keep"):
        await alone.ask_for_voucher(FRESH, OLD.node_id)
    await alone.vouch(OLD.key, SERVICE_ID)


def test_a_lease_is_told_when_it_changes() -> None:
    store, events = Store(), list[Mapping[str, Any]]()
    tell = lease_teller(OLD.node_id, store.view, events.append)

    def write(seqno: int, writes: Writes) -> View:
        store.append(seqno, writes)
        store.commit(seqno)
        tell()
        return store.view()

    tell()
    write(1, founding_writes(NETWORK.nodes.values(), NETWORK.service.certificate))
    assert events == []
    write(2, lease_writes([OLD.node_id], 60, 1_000))
    write(3, lease_writes([FRESH], 60, 2_000))
    write(4, lease_policy_writes(LeasePolicy(lease_s=60, renewal=VOUCHED)))
    write(5, lease_writes([OLD.node_id], None, 0))
    told = [(event["granted_ms"], event["until_ms"], event["renewal"]) for event in events]
    assert told == [(1_000, 61_000, "vote"), (1_000, 61_000, "vouched"), (None, None, "vouched")]
    assert {event["status"] for event in events} == {"Trusted"}
