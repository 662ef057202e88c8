"""What a node makes of a snapshot a peer sent: it uses it, waits for another, or knows that none will do."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio

from coco_core.ledger import LedgerSecrets, MissingSecretsError
from coco_core.node.disk import LedgerFiles
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.node.snapshotting import SnapshotKeeper
from coco_core.replica import LedgerKeys
from coco_core.replica.effects import LoadSnapshot, StoreSnapshotPart
from coco_core.replica.events import Event, SnapshotLoaded
from coco_core.testing import Cluster, Consortium
from coco_core.testing.lagging import fill
from coco_core.testing.operating import Operating


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """A service in its second epoch, whose nodes have a proven snapshot of it."""
    draw = random.Random(7).randint
    operating = Operating(Cluster.found(3, draw=draw, chunk_entries=8, consortium=Consortium.of(8)))
    operating.cluster.settle()
    operating.replace([3])
    operating.until(lambda: len(operating.cluster.secrets.epochs) == 2)
    fill(operating.cluster, 20)
    return operating.cluster


async def sent(cluster: Cluster, folder: Path, secrets: LedgerSecrets, *, changed: bool = False) -> Event:
    """Send the newest snapshot to a node that was welcomed with ``secrets``; return what it is told of it."""
    (seqno, (evidence, data)) = max(cluster.primary.shelf.proven.items())
    assert seqno > cluster.secrets.current.first_seqno
    ledger, snapshots = LedgerFiles(folder / "ledger"), SnapshotFiles(folder / "snapshots")
    keys = LedgerKeys(secrets, cluster.consortium.identities[6])
    keeper = SnapshotKeeper(
        snapshots, ledger, keys, cluster.consortium.service.certificate, kept=1, archive=None
    )
    told, arrived = trio.open_memory_channel[Event](1)

    async def unused(_: object) -> bool:
        raise AssertionError("nothing is written here")

    keeper.connect(told.send_nowait, unused, unused)
    keeper.put(StoreSnapshotPart(seqno, 0, data[:-1] + b" " if changed else data))
    keeper.put(LoadSnapshot(seqno, evidence))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keeper.run)
            event = await arrived.receive()
            nursery.cancel_scope.cancel()
    finally:
        snapshots.close()
        ledger.close()
    return event


async def test_a_sound_one_is_used(cluster: Cluster, tmp_path: Path) -> None:
    event = await sent(cluster, tmp_path, cluster.secrets)
    assert isinstance(event, SnapshotLoaded)
    assert event.snapshot is not None
    assert event.snapshot.place.txid.seqno == event.seqno


@pytest.mark.parametrize("welcomed_with", [1, 2], ids=["a secret too few", "all secrets"])
async def test_a_changed_one_says_nothing_of_others(
    welcomed_with: int, cluster: Cluster, tmp_path: Path
) -> None:
    secrets = LedgerSecrets(cluster.secrets.epochs[:welcomed_with])
    event = await sent(cluster, tmp_path, secrets, changed=True)
    assert isinstance(event, SnapshotLoaded)
    assert event.snapshot is None


async def test_a_node_without_a_secret_for_it_ends_and_says_so(cluster: Cluster, tmp_path: Path) -> None:
    """It would be sent that one again and again, or later ones, and the change of members would wait."""
    name = cluster.consortium.identities[6].node_id
    reason = rf"snapshot_\d+_\d+\.committed offset \d+: epoch 2, .*no copy of its secret is for node {name}"
    with pytest.RaisesGroup(pytest.RaisesExc(MissingSecretsError, match=reason)):
        await sent(cluster, tmp_path, LedgerSecrets(cluster.secrets.epochs[:1]))
