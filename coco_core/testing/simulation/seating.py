"""How nodes enter a simulated world: as founders, or welcomed, with an empty disk or an earlier node's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from coco_core.adapter import ScopedView
from coco_core.base import NodeID
from coco_core.governance import TRUSTED, NodeRecord, read_change, read_nodes
from coco_core.kv import Writes, maps
from coco_core.ledger import LedgerSecrets
from coco_core.replica import Agreed, LedgerKeys, Parts, Timing, found_service, join_service
from coco_core.replica.effects import Effect
from coco_core.testing.shelf import SnapshotShelf
from coco_core.testing.simulation.clock import EPOCH_MS, HostClock
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.restoring import restore
from coco_core.testing.tally import Tally

if TYPE_CHECKING:
    from coco_core.testing.simulation.world import World


class Seats:
    """Who sits where."""

    def __init__(self, world: World) -> None:
        """Seat nodes in ``world``."""
        self._world = world

    def found(self) -> list[tuple[Host, list[Effect]]]:
        """Seat the founders; the first one founds the service."""
        world = self._world
        nodes = world.consortium.first(world.plan.nodes)
        seated: list[tuple[Host, list[Effect]]] = []
        for number in range(world.plan.nodes):
            secrets = LedgerSecrets(world.consortium.secrets.epochs)
            parts, host = self._make(number, number, nodes, secrets, founds=True)
            if number:
                host.replica, effects = join_service(parts)
            else:
                genesis = [*host.adapter.genesis({"counters": {}}, bytes(32)), *self._policy()]
                host.replica, effects = found_service(parts, genesis, [world.consortium.operator])
                host.leads_since = host.replica.status().view
            seated.append((host, effects))
        return seated

    def _policy(self) -> list[Writes]:
        epoch_ms = self._world.plan.epoch_ms
        value = orjson.dumps({"epoch_ms": epoch_ms})
        return [{maps.KEY_POLICY: {maps.SINGLETON_KEY: value}}] if epoch_ms else []

    def welcome(
        self, asked: Host, name: NodeID
    ) -> tuple[Mapping[NodeID, NodeRecord], LedgerSecrets, Agreed] | None:
        """Return what ``asked`` answers a node that asks for its welcome, None while it must wait for it."""
        chain = asked.replica.chain
        view = chain.store.view()
        records, change = read_nodes(view), read_change(view)
        learns = change is not None and name in change.add
        if name not in records or not (learns or records[name].status == TRUSTED):
            return None
        nodes = {one: node for one, node in records.items() if node.status == TRUSTED or one == name}
        committed = chain.committed
        secrets = chain.keys.secrets.begun_by(committed.seqno)
        agreed = Agreed(
            committed=committed,
            views=chain.views.runs(committed.seqno),
            view=asked.replica.status().view,
        )
        return nodes, secrets, agreed

    def seat(
        self,
        number: int,
        machine: int,
        nodes: Mapping[NodeID, NodeRecord],
        secrets: LedgerSecrets,
        agreed: Agreed,
        old: Host | None,
    ) -> tuple[Host, list[Effect]]:
        """Seat a node that was welcomed; ``old`` is the one that ran on the machine before, if any did."""
        parts, host = self._make(number, machine, nodes, secrets, founds=False)
        keys = LedgerKeys(parts.secrets, parts.identity)
        restored = restore(self._world, host, old, agreed, keys) if old is not None else None
        host.replica, effects = join_service(parts, restored)
        if restored is not None and host.replica.chain.head:
            self._world.judge.begin(host, host.replica.chain.committed.seqno)
            self.tell_restored(host)
        return host, effects

    def tell_restored(self, host: Host) -> None:
        """Tell a node's adapter that the state now begins where it is."""
        owned = frozenset(host.adapter.manifest.maps)
        host.adapter.restored(ScopedView(host.replica.chain.store.view(), owned))

    def _make(
        self,
        number: int,
        machine: int,
        nodes: Mapping[NodeID, NodeRecord],
        secrets: LedgerSecrets,
        *,
        founds: bool,
    ) -> tuple[Parts, Host]:
        world, plan = self._world, self._world.plan
        consortium = world.consortium
        adapter, disk = Tally(batch_max=plan.batch_max), SimulatedDisk(world.judge.agreed)
        keys = LedgerKeys(secrets, consortium.identities[number])
        shelf = SnapshotShelf(keys, consortium.service.certificate)
        bounds: dict[str, Any] = {
            "chunk_size_bytes": plan.chunk_size_bytes,
            "chunk_entries": plan.chunk_entries,
            "append_size_max_bytes": plan.append_size_max_bytes,
            "log_cache_max_bytes": plan.log_cache_max_bytes,
            "snapshot_lag_entries": plan.snapshot_lag_entries,
        }
        parts = consortium.parts(
            number,
            nodes,
            manifests=[adapter.manifest],
            draw=world.rng.randint,
            reader=disk,
            snapshots=shelf,
            timing=Timing(
                election_timeout_ticks_min=plan.election_timeout_ticks_min,
                election_timeout_ticks_max=plan.election_timeout_ticks_max,
                heartbeat_ticks=plan.heartbeat_ticks,
            ),
            time_ms=EPOCH_MS,
            secrets=secrets,
            **bounds,
        )
        host = Host(
            label=f"n{number}",
            machine=machine,
            name=parts.identity.node_id,
            founds=founds,
            archives=world.rng.random() < plan.archives_share,
            adapter=adapter,
            disk=disk,
            shelf=shelf,
            clock=HostClock(plan.tick_us),
            told=world.members.up_to(0),
            welcomed=frozenset(nodes),
        )
        return parts, host
