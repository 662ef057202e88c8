"""A node asks to join a running service: what puts it among the pending ones, and what refuses it."""

from __future__ import annotations

import datetime
import json
from typing import Any

import attrs
import pytest

from coco_core.adapter import Committed, Rejected
from coco_core.attestation import Evidence, VirtualPlatform
from coco_core.base import limits
from coco_core.crypto import endorse
from coco_core.governance import PENDING, RETIRED, TRUSTED, join_payload, report_data
from coco_core.kv import maps
from coco_core.ledger import read_public
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.operating import Operating

STRANGERS = Consortium.of(1, first_key=5000)
FOREIGN = next(iter(STRANGERS.nodes.values()))


def code(fate: object) -> str:
    assert isinstance(fate, Rejected), fate
    return fate.code


def test_node_that_asks_is_pending_and_takes_no_part(operating: Operating) -> None:
    cluster = operating.cluster
    fate = operating.ask(3)
    assert isinstance(fate, Committed)
    assert operating.record(3) == cluster.consortium.joiner(3)
    assert operating.members == [0, 1, 2]
    assert all(operating.name(3) not in node.peers for node in cluster.alive)
    writes = read_public(cluster.primary.disk.entries[fate.txid.seqno - 1].data).public
    assert writes.keys() == {maps.NODES_INFO, maps.NODES_ENDORSED_CERTIFICATES}
    cluster.run(2)
    cluster.check_equal()


def test_a_backup_passes_it_on(operating: Operating) -> None:
    backup = operating.cluster.backups[0]
    assert isinstance(operating.ask(3, at=backup), Committed)
    assert code(operating.ask(3, at=backup)) == "known-node"
    assert code(operating.ask(4, at=backup, status=TRUSTED)) == "malformed"


def test_node_that_asked_before(operating: Operating) -> None:
    operating.ask(3)
    assert operating.ask(3) == Rejected("known-node", f"node {operating.name(3)} asked before")
    assert code(operating.ask(0)) == "known-node"


@pytest.mark.parametrize("changes", [{"status": TRUSTED}, {"status": RETIRED}, {"retired_committed": True}])
def test_node_that_says_it_is_more_than_pending(changes: dict[str, Any], operating: Operating) -> None:
    fate = operating.ask(3, **changes)
    assert fate == Rejected("malformed", "a node that asks to join is pending")
    assert operating.record(3) is None


# ── who it is ────────────────────────────────────────────────────────────────────────────────────


def evidence(operating: Operating, number: int, measurement: str = MEASUREMENT) -> Evidence:
    key = operating.cluster.consortium.identities[number].key
    return VirtualPlatform(measurement).attest(report_data(key.public))


def refused(operating: Operating, message: str, **changes: Any) -> None:
    before = operating.cluster.primary.replica.chain.head
    fate = operating.ask(3, **changes)
    assert code(fate) == "not-admitted"
    assert message in fate.message  # type: ignore[union-attr] # the line above says so
    assert operating.record(3) is None
    assert operating.cluster.primary.replica.chain.head == before


def test_evidence_bound_to_another_key(operating: Operating) -> None:
    refused(operating, "bound to another key", evidence=evidence(operating, 4))


def test_evidence_of_other_code(operating: Operating) -> None:
    other = "ab" * 32
    refused(operating, "is not in the code manifest", evidence=evidence(operating, 3, other))
    refused(operating, "measured as something else", measurement=other)


def test_evidence_of_a_platform_nobody_knows(operating: Operating) -> None:
    unknown = attrs.evolve(evidence(operating, 3), format="Mystery")
    refused(operating, "no verifier for evidence of format 'Mystery'", evidence=unknown)


def test_evidence_beyond_its_bound(operating: Operating) -> None:
    large = attrs.evolve(evidence(operating, 3), quote=bytes(limits.QUOTE_SIZE_MAX_BYTES + 1))
    refused(operating, "exceeds the bound", evidence=large)


def test_evidence_that_is_none(operating: Operating) -> None:
    none = attrs.evolve(evidence(operating, 3), quote=b"\x00")
    assert code(operating.ask(3, evidence=none)) == "not-admitted"


def test_certificate_of_another_service(operating: Operating) -> None:
    refused(operating, "is not endorsed by", certificate=FOREIGN.certificate)
    fate = operating.say(join_payload(attrs.evolve(FOREIGN, status=PENDING)), operator=False)
    assert code(fate) == "not-admitted"


def test_certificate_for_another_key(operating: Operating) -> None:
    other = operating.cluster.consortium.identities[4].certificate
    refused(operating, "is for another node's key", certificate=other)


def test_certificate_that_is_none(operating: Operating) -> None:
    refused(operating, "not a certificate", certificate="nonsense")
    refused(operating, "exceeds", certificate="x" * (limits.CERTIFICATE_SIZE_MAX_BYTES + 1))


def test_certificate_that_ended_by_the_time_of_the_ledger(operating: Operating) -> None:
    consortium, now_ms = operating.cluster.consortium, operating.cluster.now_ms
    now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    pem = endorse(
        consortium.identities[3].key.public,
        "Coco Node",
        consortium.service.key,
        consortium.service.certificate,
        not_before=now - datetime.timedelta(days=2),
        not_after=now - datetime.timedelta(days=1),
    )
    refused(operating, "is valid from", certificate=pem)


def test_name_that_is_not_its_own(operating: Operating) -> None:
    refused(operating, "is for another node's key", node_id="ab" * 32)


# ── how it asks ──────────────────────────────────────────────────────────────────────────────────

RECORD = json.loads(join_payload(attrs.evolve(FOREIGN, status=PENDING)))["join"]
EVIDENCE = RECORD["evidence"]
MALFORMED: dict[str, Any] = {
    "a number": 1,
    "text": "node",
    "nothing": None,
    "a list": [RECORD],
    "empty": {},
    **{f"without {name}": {key: RECORD[key] for key in RECORD if key != name} for name in RECORD},
    **{f"{name} a number": {**RECORD, name: 1} for name in RECORD if name != "retired_committed"},
    "address nowhere": {**RECORD, "peer_address": "nowhere"},
    "address of a path": {**RECORD, "peer_address": "a/b:1"},
    "quote not base64": {**RECORD, "evidence": {**EVIDENCE, "quote": "!"}},
    "quote not ASCII": {**RECORD, "evidence": {**EVIDENCE, "quote": "ä"}},
    "quote a list": {**RECORD, "evidence": {**EVIDENCE, "quote": [1]}},
    "evidence text": {**RECORD, "evidence": "x"},
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_record(fault: str, operating: Operating) -> None:
    before = operating.cluster.primary.replica.chain.head
    fate = operating.say(json.dumps({"join": MALFORMED[fault]}).encode(), operator=False)
    assert code(fate) == "malformed"
    assert fate.message.startswith("join: ")  # type: ignore[union-attr] # the line above says so
    assert operating.cluster.primary.replica.chain.head == before


# ── how many ─────────────────────────────────────────────────────────────────────────────────────


def test_pending_nodes_are_bounded(operating: Operating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PENDING_NODES_MAX", 2)
    operating.ask(3)
    operating.ask(4)
    refusal = Rejected("too-many-pending", "2 nodes wait for an operator already")
    assert operating.ask(5) == refusal
    assert isinstance(operating.change(remove=[3]), Committed)
    assert isinstance(operating.ask(5), Committed)
    assert [operating.status(number) for number in (3, 4, 5)] == ["", PENDING, PENDING]


def test_nodes_that_learn_do_not_count_as_waiting(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PENDING_NODES_MAX", 1)
    operating.ask(3)
    assert code(operating.ask(4)) == "too-many-pending"
    operating.change([3])
    assert isinstance(operating.ask(4), Committed)
    assert code(operating.ask(5)) == "too-many-pending"


def test_who_asks_again_with_a_new_key_takes_the_place_of_its_predecessor(
    operating: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PENDING_NODES_MAX", 1)
    address = operating.cluster.consortium.joiner(3).peer_address
    operating.ask(3)
    assert isinstance(operating.ask(4, peer_address=address), Committed)
    assert [operating.status(number) for number in (3, 4)] == ["", PENDING]


def test_address_of_a_learner_or_member_is_not_taken_from_it(operating: Operating) -> None:
    consortium = operating.cluster.consortium
    operating.ask(3)
    operating.change([3])
    assert isinstance(operating.ask(4, peer_address=consortium.joiner(3).peer_address), Committed)
    assert isinstance(operating.ask(5, peer_address=consortium.joiner(0).peer_address), Committed)
    assert [operating.status(number) for number in (0, 3, 4, 5)] == [TRUSTED, PENDING, PENDING, PENDING]
