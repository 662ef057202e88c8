"""Epochs of a running service: when they begin, who follows, and how they are dropped with their entries."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from coco_core.base import TxID, limits
from coco_core.consensus import Entry
from coco_core.errors import IntegrityError
from coco_core.governance import (
    begin_epoch,
    cancel_payload,
    commitment_of,
    read_epochs,
    taking_part,
    wanted_epoch,
)
from coco_core.kv import Writes, maps
from coco_core.ledger import EntryOpener, LedgerSecrets, audit, read_public, verify_receipt
from coco_core.replica import Chain, LedgerKeys, make_receipt, plan_receipt
from coco_core.replica.following import Follower
from coco_core.replica.lineage import Lineage
from coco_core.testing import Cluster, ClusterNode
from coco_core.testing.cluster import TICK_MS
from coco_core.testing.lagging import compact, fill
from coco_core.testing.operating import Operating
from coco_core.testing.tally import Tally

OPERATE = Callable[..., Operating]


def reasons(cluster: Cluster) -> list[str]:
    return [record.reason for record in read_epochs(cluster.primary.replica.chain.store.view())]


def secrets_of(node: ClusterNode) -> list[tuple[int, bytes]]:
    return node.replica.chain.keys.secrets.epochs


def check_secrets(cluster: Cluster) -> None:
    """Check that all nodes hold the same secrets, each a new one, and that each entry is under its own."""
    epochs = secrets_of(cluster.primary)
    assert all(secrets_of(node) == epochs for node in cluster.alive)
    assert len({secret for _, secret in epochs}) == len(epochs)
    records = read_epochs(cluster.primary.replica.chain.store.view())
    assert [(one.first_seqno, one.commitment) for one in records] == [
        (first, commitment_of(secret)) for first, secret in epochs
    ]
    for entry in cluster.primary.disk.entries:
        for first_seqno, secret in epochs:
            opener = EntryOpener(LedgerSecrets([(1, secret)]))
            if cluster.secrets.at(entry.index).first_seqno == first_seqno:
                opener.open(entry.data)
            else:
                with pytest.raises(IntegrityError):
                    opener.open(entry.data)


def rest(operating: Operating) -> None:
    """Let everything that is wanted come about."""
    cluster = operating.cluster

    def done() -> bool:
        return wanted_epoch(cluster.primary.replica.chain.store.view()) is None

    operating.until(done)
    cluster.run(3)


# ── when one begins ──────────────────────────────────────────────────────────────────────────────


def test_a_service_begins_with_one(operating: Operating) -> None:
    cluster = operating.cluster
    assert reasons(cluster) == ["the service begins"]
    assert secrets_of(cluster.primary) == [(1, bytes(range(32)))]
    cluster.run(100)
    assert len(secrets_of(cluster.primary)) == 1


def test_another_one_begins_after_nodes_came_and_after_nodes_went(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace([3])
    rest(operating)
    assert reasons(cluster)[1:] == ["the members changed"]
    operating.replace([], [1])
    rest(operating)
    assert reasons(cluster)[1:] == ["the members changed"] * 2
    operating.replace([4], [2])
    rest(operating)
    fill(cluster, 2)
    for number in (1, 2):
        cluster.crash(operating.node(number))
    check_secrets(cluster)
    cluster.check_equal()
    assert len(secrets_of(cluster.primary)) == 4


def test_who_was_removed_can_read_no_further(operating: Operating) -> None:
    cluster, gone = operating.cluster, operating.node(2)
    operating.replace([], [2])
    rest(operating)
    fill(cluster, 2)
    first = cluster.secrets.current.first_seqno
    assert secrets_of(gone) == secrets_of(cluster.primary)[:1]
    opener = EntryOpener(gone.replica.chain.keys.secrets)
    entries = cluster.primary.disk.entries
    for entry in entries[first - 1 :]:
        with pytest.raises(IntegrityError):
            opener.open(entry.data)
    with pytest.raises(IntegrityError, match="no copy of its secret is for node"):
        gone.replica._agreement._follower.add(entries[gone.replica.chain.head :])


def test_it_waits_for_who_may_be_needed(operating: Operating) -> None:
    """A removed node's vote counts until its removal is agreed: until then it must be able to read on."""
    cluster = operating.cluster
    for node in cluster.backups:
        cluster.cut(node)
    operating.begin(b'{"change": {"add": [], "remove": ["%s"]}}' % operating.name(2).encode())
    cluster.settle()
    cluster.run(3)
    primary = cluster.primary
    assert primary.replica.chain.head > primary.replica.chain.committed.seqno
    assert len(secrets_of(primary)) == 1
    cluster.heal()
    rest(operating)
    entries = [read_public(entry.data) for entry in cluster.primary.disk.entries]
    (begins,) = [entry.txid.seqno for entry in entries if maps.LEDGER_SECRETS in entry.public]
    (ended,) = [
        entry.txid.seqno
        for entry in entries
        if b'"retired_committed": true'
        in (entry.public.get(maps.NODES_INFO, {}).get(operating.name(2).encode()) or b"")
    ]
    assert begins > ended


def scheduled(epoch_ms: int) -> Callable[[], Tally]:
    """Return how adapters are made whose service has epochs that last so long."""

    class Timed(Tally):
        def genesis(self, config: Mapping[str, Any], randomness: bytes) -> list[Writes]:
            value = json.dumps({"epoch_ms": epoch_ms}).encode()
            return [*super().genesis(config, randomness), {maps.KEY_POLICY: {maps.SINGLETON_KEY: value}}]

    return Timed


def test_epochs_last_as_long_as_the_policy_says(operate: OPERATE) -> None:
    operating = operate(3, make=scheduled(40 * TICK_MS))
    cluster = operating.cluster
    cluster.run(100)
    assert set(reasons(cluster)[1:]) == {"the epoch lasted as long as it may"}
    times = [record.created_ms for record in read_epochs(cluster.primary.replica.chain.store.view())]
    assert len(times) > 3
    lasted = [(later - one) // TICK_MS for one, later in itertools.pairwise(times)]
    assert all(40 <= ticks <= 60 for ticks in lasted)
    check_secrets(cluster)
    cluster.check_equal()


def test_a_schedule_leaves_epochs_for_changes_of_members(
    operate: OPERATE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SCHEDULED_EPOCHS_MAX", 3)
    monkeypatch.setattr(limits, "NODES_EPOCHS_MAX", 4)
    operating = operate(3, make=scheduled(10 * TICK_MS))
    cluster = operating.cluster
    cluster.run(100)
    assert len(reasons(cluster)) == 3
    operating.replace([3])
    rest(operating)
    assert reasons(cluster)[-1] == "the members changed"
    operating.replace([4])
    cluster.run(20)
    assert len(reasons(cluster)) == 4
    fill(cluster, 2)
    cluster.check_equal()


# ── when leadership moves ────────────────────────────────────────────────────────────────────────


def test_the_next_primary_begins_what_the_last_one_did_not(operating: Operating) -> None:
    cluster = operating.cluster
    operating.welcome(3)
    primary = cluster.primary
    operating.until(lambda: operating.members == [0, 1, 2, 3])
    assert wanted_epoch(primary.replica.chain.store.view()) is not None or len(reasons(cluster)) == 2
    cluster.crash(primary)
    operating.until(operating.is_led)
    rest(operating)
    assert reasons(cluster)[1:] == ["the members changed"]
    check_secrets(cluster)


def test_an_epoch_is_dropped_with_its_entry(operate: OPERATE) -> None:
    """The primary, cut off, begins one that is never agreed; the others begin another at the same place."""
    operating = operate(3, make=scheduled(8 * TICK_MS))
    cluster = operating.cluster
    cluster.run(3)
    old = cluster.primary
    cluster.cut(old)
    before = len(secrets_of(old))
    while len(secrets_of(old)) == before:
        cluster.tick(old)
        cluster.settle()
    lost = secrets_of(old)[-1]
    assert len(secrets_of(old)) == before + 1
    operating.until(lambda: any(node.replica.is_primary for node in cluster.alive if node is not old))
    cluster.run(30)
    cluster.heal()
    operating.until(lambda: old.replica.leader not in (None, old.name))
    cluster.run(5)
    assert lost not in secrets_of(old)
    check_secrets(cluster)
    cluster.check_equal()


# ── who was away, and who comes ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("epochs", [1, 3])
def test_who_begins_at_a_snapshot_finds_every_secret_in_it(epochs: int, operate: OPERATE) -> None:
    operating = operate(3, chunk_entries=8, log_cache_max_bytes=1)
    cluster = operating.cluster
    away = cluster.backups[0]
    cluster.cut(away)
    for number in range(3, 3 + epochs):
        operating.replace([number])
        rest(operating)
    fill(cluster, 12)
    compact(cluster)
    cluster.heal()
    operating.until(lambda: away.replica.chain.committed == cluster.primary.replica.chain.committed)
    assert away.replica.chain.begins_after
    fill(cluster, 2, "after")
    check_secrets(cluster)
    cluster.check_equal()


def test_who_reads_its_own_old_ledger_back(operating: Operating) -> None:
    cluster = operating.cluster
    operating.replace([3])
    rest(operating)
    old = cluster.backups[0]
    fill(cluster, 2)
    operating.restart(old, 4)
    operating.until(lambda: operating.change_under_way is None)
    rest(operating)
    node = operating.node(4)
    assert node.replica.chain.begins_after == 0
    check_secrets(cluster)


def test_an_old_ledger_whose_tail_begins_an_epoch_that_nobody_knows(operate: OPERATE) -> None:
    operating = operate(3, make=scheduled(20 * TICK_MS))
    cluster = operating.cluster
    cluster.run(3)
    old = cluster.primary
    cluster.cut(old)
    before = len(secrets_of(old))
    for _ in range(30):
        cluster.tick(old)
        cluster.settle()
    assert len(secrets_of(old)) > before
    cluster.crash(old)
    cluster.heal()
    operating.until(operating.is_led)
    fill(cluster, 12)
    cluster.run(30)
    operating.restart(old, 3)
    operating.until(lambda: operating.change_under_way is None)
    rest(operating)
    check_secrets(cluster)
    cluster.check_equal()


def test_a_welcome_tells_of_what_is_agreed_only(operate: OPERATE) -> None:
    """Of an epoch that may be dropped yet, the joiner hears when its entry comes."""
    operating = operate(3)
    cluster = operating.cluster
    operating.ask(4)
    operating.change([4])
    primary = cluster.primary
    keys = primary.replica.chain.keys
    for node in cluster.backups:
        cluster.cut(node)
    chain, now_ms = primary.replica.chain, cluster.now_ms
    draw = random.Random(9).randbytes
    writes = begin_epoch(chain.store.head(), draw, seqno=chain.head + 1, time_ms=now_ms, reason="test")
    primary.replica._sequencer.place_writes([writes], 2, now_ms)
    assert len(keys.secrets.epochs) == 2
    assert len(keys.secrets.begun_by(chain.committed.seqno).epochs) == 1


def test_a_cancelled_addition_is_an_epochs_end(operating: Operating) -> None:
    cluster = operating.cluster
    operating.welcome(3)
    learner = operating.node(3)
    operating.until(lambda: learner.replica.chain.head > 0)
    cluster.cut(learner)
    operating.say(cancel_payload())
    cluster.heal()
    rest(operating)
    assert reasons(cluster)[1:] == ["an addition was cancelled"]
    assert operating.status(3) == ""
    assert len(secrets_of(learner)) == 1
    assert learner.name not in taking_part(cluster.primary.replica.chain.store.view())
    cluster.crash(learner)
    check_secrets(cluster)


# ── proofs ───────────────────────────────────────────────────────────────────────────────────────


def test_ledgers_and_receipts_across_epochs_verify(operating: Operating) -> None:
    cluster = operating.cluster
    for number in (3, 4):
        operating.replace([number])
        rest(operating)
        fill(cluster, 1, f"t{number}")
    certificate = cluster.consortium.service.certificate
    file = cluster.primary.disk.file()
    report = audit([file], service_cert_pem=certificate)
    opened = audit([file], service_cert_pem=certificate, secrets=cluster.secrets)
    assert report.last_verified == opened.last_verified == cluster.primary.replica.chain.committed
    node = cluster.primary
    chain = node.replica.chain
    for seqno in range(1, chain.committed.seqno):
        plan = plan_receipt(chain, TxID(chain.views.at(seqno), seqno))
        raw, signature = (node.disk.entries[n - 1].data for n in (plan.seqno, plan.signature_seqno))
        receipt = make_receipt(plan, raw, signature, chain.keys.secrets, cose=bool(seqno % 2))
        assert verify_receipt(receipt, certificate).txid.seqno == seqno


# ── what nobody may do ───────────────────────────────────────────────────────────────────────────


def follower(cluster: Cluster, secrets: LedgerSecrets) -> Follower:
    keys = LedgerKeys(secrets, cluster.consortium.identities[7])
    lineage = Lineage(cluster.consortium.service.certificate)
    return Follower(Chain(keys), EntryOpener(keys.secrets), lineage)


def entries_with_epochs(operating: Operating) -> tuple[Cluster, list[Entry]]:
    for number in (3, 4):
        operating.replace([number])
        rest(operating)
    fill(operating.cluster, 1)
    return operating.cluster, operating.cluster.primary.disk.entries


def test_who_was_welcomed_with_everything_needs_no_copy(operating: Operating) -> None:
    cluster, entries = entries_with_epochs(operating)
    told = follower(cluster, cluster.secrets.begun_by(10**6))
    told.add(entries)
    assert told._chain.keys.secrets.epochs == cluster.secrets.epochs
    told.truncate(3)
    assert told._chain.keys.secrets.epochs == cluster.secrets.epochs


def test_who_was_welcomed_with_less_than_all(operating: Operating) -> None:
    cluster, entries = entries_with_epochs(operating)
    first, second, third = cluster.secrets.epochs
    with pytest.raises(IntegrityError, match=r"epoch 2, from seqno .* took no part .*, nor was it"):
        follower(cluster, LedgerSecrets([first])).add(entries)
    with pytest.raises(IntegrityError, match=r"epoch 3, from seqno .* no copy"):
        follower(cluster, LedgerSecrets([first, second])).add(entries)
    with pytest.raises(IntegrityError, match="welcomed with later secrets, but not with this one"):
        follower(cluster, LedgerSecrets([first, third])).add(entries)
    with pytest.raises(IntegrityError, match="epoch 2: the secret is not the one committed to"):
        follower(cluster, LedgerSecrets([first, (second[0], third[1])])).add(entries)
