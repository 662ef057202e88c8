"""What a keeper runs: settings of every generation, which ports, and what of the past it lets go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from coco_core.cli.keeping import Keeper, KeptNode, Plan
from coco_core.errors import OperatorError
from coco_core.testing import Consortium

NODE_ID = "ab" * 32
JOIN = {"target": "127.0.0.1:1", "service_certificate": "service.pem"}
SETTINGS: dict[str, Any] = {
    "folder": "node",
    "admin": "0.0.0.0:9545",
    "peer": "127.0.0.1:9645",
    "rpc": {"ethereum": "127.0.0.1:8545"},
    "published": "node.example.org",
    "join": JOIN,
    "tick_ms": 10,
}
ALTERNATE: dict[str, Any] = {
    "admin": "0.0.0.0:9546",
    "peer": "127.0.0.1:9646",
    "rpc": {"ethereum": "127.0.0.1:8546"},
}


def written(base: Path, **fields: Any) -> Path:
    (base / "service.pem").write_text(Consortium.of(1).service.certificate)
    (base / "genesis.json").write_text("{}")
    path = base / "settings.json"
    settings = {name: one for name, one in (SETTINGS | fields).items() if one is not None}
    path.write_text(json.dumps(settings))
    return path


def node(plan: Plan, number: int) -> KeptNode:
    kept = KeptNode(number, plan.place(number), lambda _: None)
    kept.note({"event": "listening", "node_id": NODE_ID, "admin": "0.0.0.0:9545"})
    return kept


def test_every_second_generation_has_other_ports(tmp_path: Path) -> None:
    plan = Plan.load(written(tmp_path, alternate=ALTERNATE, archive="old"))
    assert (plan.first, plan.place(1)) == (1, tmp_path / "node" / "generation-1")
    second, third = (plan.successor(number, node(plan, number - 1)) for number in (2, 3))
    assert {name: second[name] for name in ALTERNATE} == ALTERNATE
    assert {name: third[name] for name in ALTERNATE} == {name: SETTINGS[name] for name in ALTERNATE}
    assert second["join"] == {
        "target": "127.0.0.1:9545",
        "service_certificate": "service_cert.pem",
        "replaces": NODE_ID,
    }
    assert (second["folder"], second["published"], second["tick_ms"]) == (".", "node.example.org", 10)
    assert second["archive"] == str(tmp_path / "old" / "generation-2")
    assert "alternate" not in second


def test_a_voucher_that_comes_late_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    old = node(Plan.load(written(tmp_path, alternate=ALTERNATE)), 1)
    old.vouches_for = "cd" * 32
    old.note({"event": "voucher", "node_id": "ef" * 32, "signature": "late"})
    assert (old.vouched.is_set(), old.signature) == (False, "")
    old.note({"event": "voucher", "node_id": "cd" * 32, "signature": "good"})
    assert (old.vouched.is_set(), old.signature) == (True, "good")


def test_any_free_ports_need_no_other_ones(tmp_path: Path) -> None:
    free = {"admin": "127.0.0.1:0", "peer": "127.0.0.1:0", "rpc": {}}
    plan = Plan.load(written(tmp_path, **free))
    assert plan.successor(2, node(plan, 1))["admin"] == "127.0.0.1:0"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "'alternate' must name other ports"),
        ({"alternate": 1}, "'alternate' may have"),
        ({"alternate": {"folder": "x"}}, "'alternate' may have"),
        ({"alternate": ALTERNATE, "peer": None}, "'peer' must be"),
    ],
)
def test_faults(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=message):
        Plan.load(written(tmp_path, **fields))


def test_a_keeper_that_starts_again_begins_a_generation(tmp_path: Path) -> None:
    path = written(tmp_path, alternate=ALTERNATE)
    for name in ("generation-2", "generation-10", "generation-x", "other"):
        (tmp_path / "node" / name).mkdir(parents=True)
    assert Plan.load(path).first == 11
    found = {"nodes": 1, "ledgers": {"ethereum": {"genesis": "genesis.json"}}}
    path = written(tmp_path, alternate=ALTERNATE, join=None, found=found)
    with pytest.raises(OperatorError, match="another service"):
        Plan.load(path)
    assert Plan.load(written(tmp_path, alternate=ALTERNATE, join=None, recover={})).first == 10


def ledger(plan: Plan, number: int, *chunks: str) -> None:
    folder = plan.place(number) / "ledger"
    folder.mkdir(parents=True)
    for name in chunks:
        (folder / name).write_bytes(b"")


async def seen_off(plan: Plan, number: int) -> set[int]:
    """Return which generations are left once ``number`` was replaced."""
    keeper = Keeper(plan, lambda _: None)
    old, fresh = node(plan, number), node(plan, number + 1)
    keeper._running = [old, fresh]
    old.ended.set()
    await keeper._see_off(old, fresh)
    assert keeper._running == [fresh]
    return {int(path.name.partition("-")[2]) for path in plan.folder.iterdir()}


async def test_what_a_later_generation_has_is_removed(tmp_path: Path) -> None:
    plan = Plan.load(written(tmp_path, alternate=ALTERNATE))
    ledger(plan, 1, "ledger_1-9.committed", "ledger_10")
    ledger(plan, 2, "ledger_1-20.committed", "ledger_21", "noise")
    ledger(plan, 3, "ledger_1-20.committed")
    assert await seen_off(plan, 2) == {2, 3}


async def test_what_no_later_generation_has_stays(tmp_path: Path) -> None:
    plan = Plan.load(written(tmp_path, alternate=ALTERNATE))
    ledger(plan, 1, "ledger_1-9.committed", "ledger_10")
    ledger(plan, 2, "ledger_5-20.committed")
    ledger(plan, 3)
    assert await seen_off(plan, 2) == {1, 2, 3}


async def test_what_is_empty_takes_the_place_of_nothing(tmp_path: Path) -> None:
    plan = Plan.load(written(tmp_path, alternate=ALTERNATE))
    ledger(plan, 1, "ledger_1")
    ledger(plan, 2)
    ledger(plan, 3)
    assert await seen_off(plan, 2) == {1, 2, 3}


def lease(until_ms: int | None, renewal: str = "vouched", status: str = "Trusted") -> Mapping[str, Any]:
    granted_ms = None if until_ms is None else 0
    return {
        "event": "lease",
        "granted_ms": granted_ms,
        "until_ms": until_ms,
        "renewal": renewal,
        "status": status,
    }


async def test_nothing_is_renewed_that_is_over_or_voted_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    plan = Plan.load(written(tmp_path, alternate=ALTERNATE))
    keeper, kept = Keeper(plan, lambda _: None), node(plan, 1)
    far_ms = 2**60
    for event in (lease(None), lease(1), lease(far_ms, renewal="vote")):
        kept.note(event)
        assert keeper._wait_s(kept) == float("inf")
    kept.note(lease(far_ms))
    assert 0 < keeper._wait_s(kept) < far_ms / 1000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper._due, kept)
        await trio.testing.wait_all_tasks_blocked()
        kept.note(lease(None, status="Retired"))
        assert kept.gone
        kept.ended.set()
