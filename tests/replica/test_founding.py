"""What a new service begins with, and that all its nodes have the same of it."""

import json
import random

import attrs
import pytest

from coco_core.adapter import API
from coco_core.base import TxID
from coco_core.errors import AdapterError
from coco_core.governance import read_nodes
from coco_core.kv import maps
from coco_core.ledger import audit, read_public
from coco_core.testing import Cluster, Tally


def service_status(cluster: Cluster, seqno: int) -> str:
    node = cluster.primary
    writes = read_public(node.disk.entries[seqno - 1].data).public
    return json.loads(writes[maps.SERVICE_INFO][maps.SINGLETON_KEY])["status"]


def test_first_entries(cluster: Cluster) -> None:
    disk = cluster.primary.disk
    places = [(entry.term, entry.index, entry.committable) for entry in disk.entries]
    assert places == [(2, 1, False), (2, 2, False), (2, 3, False), (2, 4, True)]
    assert service_status(cluster, 1) == "Opening"
    assert service_status(cluster, 3) == "Open"
    assert cluster.primary.replica.chain.committed == TxID(2, 4)


def test_tables(cluster: Cluster) -> None:
    state = cluster.backups[0].state()
    assert state[maps.NODES_INFO].keys() == {node.encode() for node in cluster.nodes}
    ledgers = {key: json.loads(value) for key, value in state[maps.ADAPTERS].items()}
    assert ledgers == {
        b"tally": {
            "version": "1",
            "api": API,
            "engine": "",
            "maps": list(Tally().manifest.maps),
            "deterministic": True,
            "configuration": [attrs.asdict(field) for field in Tally().manifest.configuration],
            "fetches": True,
        }
    }
    view = cluster.backups[0].replica.chain.store.view()
    assert read_nodes(view) == cluster.consortium.nodes


def test_every_node_holds_the_same(cluster: Cluster) -> None:
    cluster.check_equal()
    assert {tuple(node.disk.entries) for node in cluster.alive} == {tuple(cluster.primary.disk.entries)}


def test_auditor_agrees(cluster: Cluster) -> None:
    certificate = cluster.consortium.service.certificate
    for node in cluster.alive:
        report = audit([node.disk.file()], service_cert_pem=certificate, secrets=cluster.secrets)
        assert (report.entries, report.signatures, report.unsigned_tail) == (4, 1, 0)


def test_one_node_is_a_service(single: Cluster) -> None:
    assert single.primary.replica.status().committed_seqno == 4
    assert single.primary.replica.status().role == "primary"


def test_backup_tells_who_leads(cluster: Cluster) -> None:
    backup = cluster.backups[0].replica
    assert backup.leader == cluster.primary.name
    assert not backup.is_primary
    assert backup.status().role == "follower"
    assert backup.status().leader_known


def test_nothing_is_committed_before_a_majority_has_it() -> None:
    cluster = Cluster.found(3, draw=random.Random(1).randint)
    founder = cluster.alive[0]
    cluster.persist(founder)
    assert founder.replica.chain.committed == TxID(0, 0)
    assert founder.replica.statistics()["uncommitted_batches"] == 1


@pytest.mark.parametrize(
    "foreign", ["other.map", "public:other.map", "tally", "public:ccf.gov.nodes.info", "public:coco.gov.x"]
)
def test_adapter_may_not_own_maps_of_others(foreign: str) -> None:
    class Greedy(Tally):
        def __init__(self) -> None:
            super().__init__()
            self.manifest = attrs.evolve(self.manifest, maps=(*self.manifest.maps, foreign))

    with pytest.raises(AdapterError, match="must begin with 'tally'"):
        Cluster.found(1, draw=random.Random(1).randint, make=Greedy)
