"""How an epoch begins, who gets its secret, and what is made of tables that tell of it wrongly."""

from __future__ import annotations

import base64
import itertools
import json
import random
from typing import Any

import attrs
import pytest

from coco_core.adapter import ANONYMOUS, Applied, Batch, Deferred, Request
from coco_core.base import NodeID, limits
from coco_core.crypto import hpke_seal
from coco_core.errors import IntegrityError, MemberError
from coco_core.governance import (
    ACTIVE,
    PENDING,
    RETIRED,
    TRUSTED,
    Administration,
    Charter,
    MembershipChange,
    NodeRecord,
    ServiceConfig,
    StarlarkRuntime,
    begin_epoch,
    begun_epoch,
    change_writes,
    charter_writes,
    commitment_of,
    epochs,
    first_epoch,
    founding_writes,
    governance_payload,
    newest_epoch,
    node_writes,
    open_copy,
    overdue_epoch,
    read_epochs,
    secrets_at,
    taking_part,
    want_epoch,
    wanted_epoch,
)
from coco_core.kv import Store, View, Writes, maps, merge
from coco_core.testing import Consortium
from coco_core.testing.at_once import run_at_once
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import NOW_MS, Signatory

CONSORTIUM = Consortium.of(6)
FIRST, SECOND, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))


def name(number: int) -> NodeID:
    return CONSORTIUM.identities[number].node_id


def names(*numbers: int) -> set[NodeID]:
    return set(map(name, numbers))


def record(number: int, status: str, *, ended: bool = False) -> NodeRecord:
    return attrs.evolve(CONSORTIUM.joiner(number), status=status, retired_committed=ended)


def tables(*records: NodeRecord, add: tuple[int, ...] = (), remove: tuple[int, ...] = ()) -> View:
    """Return tables with the first epoch; without ``records`` three nodes take part."""
    view = Store().head()
    view = view.over(node_writes(records or [record(number, TRUSTED) for number in range(3)]))
    if add or remove:
        change = MembershipChange(tuple(map(name, add)), tuple(map(name, remove)), "ab")
        view = view.over(change_writes(change))
    return view.over(first_epoch(view, FIRST, time_ms=1000))


def begun(view: View, secret: bytes = SECOND, *, seqno: int = 9, **changes: Any) -> View:
    return view.over(begin(view, secret, seqno=seqno, **changes))


def begin(view: View, secret: bytes = SECOND, *, seqno: int = 9, time_ms: int = 2000) -> Writes:
    return begin_epoch(view, lambda size: secret[:size], seqno=seqno, time_ms=time_ms, reason="test")


def opened(view: View, number: int, place: int = -1) -> bytes:
    """Return what node ``number`` finds in its copy of an epoch, the newest one."""
    identity = CONSORTIUM.identities[number]
    return open_copy(read_epochs(view)[place], view, identity.node_id, identity.encryption_key)


# ── how one begins ───────────────────────────────────────────────────────────────────────────────


def test_everybody_who_takes_part_gets_the_new_secret_and_nobody_else() -> None:
    nodes = [
        record(0, TRUSTED),
        record(1, TRUSTED),
        record(2, PENDING),
        record(3, PENDING),
        record(4, RETIRED),
        record(5, RETIRED, ended=True),
    ]
    view = tables(*nodes, add=(2,))
    assert taking_part(view) == names(0, 1, 2, 4)
    after = begun(view)
    assert [opened(after, number) for number in (0, 1, 2, 4)] == [SECOND] * 4
    for number in (3, 5):
        with pytest.raises(IntegrityError, match=f"no copy of its secret is for node {name(number)}"):
            opened(after, number)
    first, second = read_epochs(after)
    assert (first.first_seqno, first.commitment, first.created_ms) == (1, commitment_of(FIRST), 1000)
    assert (second.number, second.first_seqno, second.created_ms, second.reason) == (2, 10, 2000, "test")
    assert (second.commitment, second.escrow) == (commitment_of(SECOND), None)


def test_each_epoch_has_copies_of_its_own() -> None:
    """So who was away, and begins at a snapshot, finds every secret it missed."""
    view = begun(begun(tables()), THIRD, seqno=20)
    assert [opened(view, 1, place) for place in (1, 2)] == [SECOND, THIRD]
    identity = CONSORTIUM.identities[1]
    key = identity.encryption_key
    expected = [(1, FIRST), (10, SECOND), (21, THIRD)]
    assert secrets_at(view, [(1, FIRST)], name(1), key) == expected
    assert secrets_at(view, [(1, FIRST), (10, THIRD), (50, FIRST)], name(1), key) == expected
    with pytest.raises(IntegrityError, match="epoch 1, from seqno 1 on: no copy"):
        secrets_at(view, [(10, SECOND)], name(1), key)
    with pytest.raises(IntegrityError, match="a ledger has at least one epoch"):
        secrets_at(Store().head(), [(1, FIRST)], name(1), key)


def test_an_epoch_is_bound_to_its_place_and_its_node() -> None:
    view = begun(tables())
    (row,) = [value for key, value in view.items(maps.LEDGER_SECRETS)]
    copies = json.loads(row)
    copies[name(0)], copies[name(1)] = copies[name(1)], copies[name(0)]
    key = (2).to_bytes(8, "big")
    swapped = view.over({maps.LEDGER_SECRETS: {key: json.dumps(copies).encode()}})
    for number in (0, 1):
        with pytest.raises(IntegrityError, match=r"epoch 2: the copy for node .* is not for this key"):
            opened(swapped, number)
    assert opened(swapped, 2) == SECOND
    third = begun(view, THIRD, seqno=20)
    later = third.over({maps.LEDGER_SECRETS: {(3).to_bytes(8, "big"): row}})
    with pytest.raises(IntegrityError, match="epoch 3: the copy"):
        opened(later, 2)


def test_a_ledger_has_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEDGER_EPOCHS_MAX", 2)
    view = begun(tables())
    with pytest.raises(MemberError, match="the ledger has had 2 epochs"):
        begin(view, THIRD, seqno=20)


def test_the_newest_is_found_without_reading_all() -> None:
    assert newest_epoch(Store().head()) is None
    view = tables()
    for number in itertools.count(1):
        newest = newest_epoch(view)
        assert newest is not None
        assert newest == read_epochs(view)[-1]
        assert newest.number == number
        if number == 9:
            break
        view = begun(view, bytes([number]) * 32, seqno=10 * number)


# ── when one is wanted ───────────────────────────────────────────────────────────────────────────


def test_a_wish_is_met_once_nobody_leaves() -> None:
    view = tables().over(want_epoch("because"))
    assert wanted_epoch(view) == "because"
    assert wanted_epoch(begun(view)) is None
    leaves = tables(record(0, TRUSTED), record(1, RETIRED)).over(want_epoch("because"))
    assert wanted_epoch(begun(leaves)) == "because"
    gone = tables(record(0, TRUSTED), record(1, RETIRED, ended=True)).over(want_epoch("because"))
    assert wanted_epoch(begun(gone)) is None
    assert maps.REKEY_WANTED not in begin(tables())


def policy(epoch_ms: object) -> Writes:
    value = json.dumps({"epoch_ms": epoch_ms}).encode()
    return {maps.KEY_POLICY: {maps.SINGLETON_KEY: value}}


def test_an_epoch_lasts_as_long_as_the_policy_says() -> None:
    assert not overdue_epoch(tables(), 10**12)
    assert not overdue_epoch(tables().over(policy(0)), 10**12)
    view = begun(tables().over(policy(500)), time_ms=2000)
    assert [overdue_epoch(view, time_ms) for time_ms in (2000, 2499, 2500, 9000)] == [
        False,
        False,
        True,
        True,
    ]
    assert not overdue_epoch(Store().head().over(policy(500)), 10**12)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"epoch_ms": -1}', b'{"epoch_ms": "1"}', b"{}"])
def test_malformed_policy(value: bytes) -> None:
    with pytest.raises(IntegrityError, match="key_policy"):
        overdue_epoch(tables().over({maps.KEY_POLICY: {maps.SINGLETON_KEY: value}}), 0)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"reason": 1}', b"{}"])
def test_malformed_wish(value: bytes) -> None:
    with pytest.raises(IntegrityError, match="rekey_wanted"):
        wanted_epoch(tables().over({maps.REKEY_WANTED: {maps.SINGLETON_KEY: value}}))


# ── who reads it ─────────────────────────────────────────────────────────────────────────────────


def test_the_entry_tells_of_its_epoch() -> None:
    writes = begin(tables())
    found = begun_epoch(writes, 9)
    assert found == read_epochs(begun(tables()))[-1]
    assert begun_epoch({"x": {b"k": b"v"}}, 9) is None
    assert begun_epoch({maps.EPOCHS: writes[maps.EPOCHS]}, 9) is None


def test_an_entry_that_begins_one_wrongly() -> None:
    writes = begin(tables())
    key, row = next(iter(writes[maps.LEDGER_SECRETS].items()))
    other = (7).to_bytes(8, "big")
    for seqno, wrong in [
        (8, writes),
        (10, writes),
        (9, {maps.LEDGER_SECRETS: {key: row}}),
        (9, {**writes, maps.LEDGER_SECRETS: {}}),
        (9, {**writes, maps.LEDGER_SECRETS: {key: None}}),
        (9, {**writes, maps.LEDGER_SECRETS: {other: row}}),
        (9, {**writes, maps.LEDGER_SECRETS: {key: row, other: row}}),
        (9, {**writes, maps.EPOCHS: {key: None}}),
    ]:
        with pytest.raises(IntegrityError, match=f"entry {seqno} hands out a secret and begins no epoch"):
            begun_epoch(wrong, seqno)
    short = {maps.LEDGER_SECRETS: {b"\2": row}, maps.EPOCHS: {b"\2": writes[maps.EPOCHS][key]}}
    with pytest.raises(IntegrityError, match="begins no epoch"):
        begun_epoch(short, 9)


@pytest.mark.parametrize(
    "row", [b"", b"{", b"[]", b'"x"', json.dumps({name(0): 1}).encode(), json.dumps({name(0): "?"}).encode()]
)
def test_malformed_copies(row: bytes) -> None:
    view = begun(tables()).over({maps.LEDGER_SECRETS: {(2).to_bytes(8, "big"): row}})
    with pytest.raises(IntegrityError, match="ledger_secrets"):
        opened(view, 0)


def test_changed_copies() -> None:
    view = begun(tables())
    key = (2).to_bytes(8, "big")
    copies = json.loads(view.get(maps.LEDGER_SECRETS, key) or b"")
    sealed = base64.b64decode(copies[name(0)])
    rng = random.Random(2)
    for _ in range(40):
        changed = bytearray(sealed)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        row = json.dumps({**copies, name(0): base64.b64encode(changed).decode()}).encode()
        with pytest.raises(IntegrityError, match="epoch 2: the copy"):
            opened(view.over({maps.LEDGER_SECRETS: {key: row}}), 0)


def test_a_secret_that_is_not_the_one_committed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is bound to the commitment; so whoever lies hands out another secret as this one."""
    monkeypatch.setattr(epochs, "hpke_seal", lambda key, info, _secret: hpke_seal(key, info, THIRD))
    view = begun(tables())
    with pytest.raises(IntegrityError, match="epoch 2: the secret is not the one committed to"):
        opened(view, 0)


_AT_ONCE = """
def validate(proposal):
    return None

def resolve(proposal, proposer, votes, members):
    return "Accepted"

def apply(proposal):
    return proposal["actions"]
"""


# ── in a batch ───────────────────────────────────────────────────────────────────────────────────


def test_what_comes_behind_a_new_epoch_waits_for_the_next_batch() -> None:
    """It may have to escrow the secret, which nobody holds before its entry has a place."""
    alone = Signatory.make("alone")
    first = founding_writes(CONSORTIUM.first(3).values(), CONSORTIUM.service.certificate)
    merge(first, first_epoch(Store().head(), FIRST, time_ms=0))
    charter = Charter(
        members=(alone.member(status=ACTIVE),),
        constitution=_AT_ONCE,
        config=ServiceConfig(recovery_threshold=1),
    )
    merge(first, charter_writes(charter))
    administration = Administration(
        ADMISSION,
        CONSORTIUM.service.key,
        runtime=StarlarkRuntime(),
        secrets=CONSORTIUM.secrets,
        entropy=random.Random(1).randbytes,
    )
    store = Store()
    store.append(1, first)
    requests = []
    for second in range(3):
        actions = [{"name": "trigger_ledger_rekey", "args": {}}] if second else []
        actions = actions or [{"name": "set_key_policy", "args": {"epoch_s": limits.EPOCH_MIN_S}}]
        message = alone.sign("proposal", {"actions": actions}, created_at_s=NOW_MS // 1000 + second)
        requests.append(Request(governance_payload("/gov/members/proposals:create", message), ANONYMOUS))
    now_ms = NOW_MS + 5000
    batch = Batch(requests=tuple(requests), view=2, first_seqno=40, time_ms=now_ms, randomness=bytes(32))
    policy_set, rekeyed, deferred = run_at_once(administration.execute(batch, store.head())).outcomes
    assert isinstance(policy_set, Applied)
    assert isinstance(deferred, Deferred)
    assert isinstance(rekeyed, Applied)
    record = begun_epoch(rekeyed.writes, 41)
    assert record is not None
    assert (record.number, record.created_ms) == (2, now_ms)
