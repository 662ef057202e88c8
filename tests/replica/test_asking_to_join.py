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
from coco_core.crypto import Curve, PrivateKey, endorse, service_id
from coco_core.governance import (
    MEMBER,
    PENDING,
    RETIRED,
    TRUSTED,
    join_payload,
    read_admissions,
    read_nodes,
    read_policy,
    reaudit_admission,
    standing_report_data,
)
from coco_core.governance.joins import join_writes
from coco_core.governance.refusal import RefusedError
from coco_core.kv import maps
from coco_core.ledger import read_public
from coco_core.testing import MEASUREMENT, Consortium
from coco_core.testing.consortium import ADMISSION
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
    assert writes.keys() == {maps.NODES_INFO, maps.NODES_ENDORSED_CERTIFICATES, maps.ADMISSIONS}
    cluster.run(2)
    cluster.check_equal()


def test_a_backup_passes_it_on(operating: Operating) -> None:
    backup = operating.cluster.backups[0]
    assert isinstance(operating.ask(3, at=backup), Committed)
    assert code(operating.ask(3, at=backup)) == "duplicate"
    assert code(operating.ask(4, at=backup, status=TRUSTED)) == "malformed"


def test_node_that_asked_before(operating: Operating) -> None:
    operating.ask(3)
    assert operating.ask(3) == Rejected("duplicate", f"node {operating.name(3)} asked before")
    assert code(operating.ask(0)) == "duplicate"


@pytest.mark.parametrize("changes", [{"status": TRUSTED}, {"status": RETIRED}, {"retired_committed": True}])
def test_node_that_says_it_is_more_than_pending(changes: dict[str, Any], operating: Operating) -> None:
    fate = operating.ask(3, **changes)
    assert fate == Rejected("malformed", "a node that asks to join is pending")
    assert operating.record(3) is None


# ── who it is ────────────────────────────────────────────────────────────────────────────────────


def evidence(operating: Operating, number: int, measurement: str = MEASUREMENT) -> Evidence:
    """Return standing evidence of a node."""
    node = operating.cluster.consortium.identities[number]
    expected = standing_report_data(node.key.public, node.encryption_key.public)
    return VirtualPlatform(measurement).attest(expected)


def refused(operating: Operating, why: str, message: str, **changes: Any) -> None:
    before = operating.cluster.primary.replica.chain.head
    fate = operating.ask(3, **changes)
    assert code(fate) == why
    assert message in fate.message  # type: ignore[union-attr] # the line above says so
    assert operating.record(3) is None
    assert operating.cluster.primary.replica.chain.head == before


def test_the_ledger_tells_why_a_node_was_admitted(operating: Operating) -> None:
    operating.ask(3)
    cluster = operating.cluster
    view = cluster.primary.replica.chain.store.view()
    records = read_admissions(view)
    assert records.keys() == {operating.name(number) for number in range(4)}
    service = service_id(cluster.consortium.service.certificate)
    for name, record in records.items():
        reaudit_admission(name, record, service, ADMISSION.verifiers, read_policy(view))
    joined = records[operating.name(3)]
    assert joined.proof.transcript.verifier == cluster.primary.name
    assert joined.judged_at_ms <= cluster.now_ms


def test_standing_evidence_of_another_node(operating: Operating) -> None:
    refused(operating, "report_data", "another key or purpose", evidence=evidence(operating, 4))


def test_evidence_of_other_code(operating: Operating) -> None:
    other, consortium = "ab" * 32, operating.cluster.consortium
    proof = consortium.proof(3, measurement=other)
    refused(operating, "measurement", "is not in the code manifest", proof=proof)
    standing = evidence(operating, 3, other)
    refused(operating, "measurement", "is not in the code manifest", evidence=standing)
    refused(operating, "measurement", "measured as something else", measurement=other)


def test_code_is_judged_by_the_tables_not_by_who_judges(operating: Operating) -> None:
    other, cluster = "ab" * 32, operating.cluster
    listed = {f"Insecure_Virtual:{other}".encode(): b"{}"}
    for node in cluster.alive:
        store = node.replica.chain.store
        head = store.head()
        policy = read_policy(head.over({maps.CODE_MEASUREMENTS: listed}))
        assert policy.measurements == {("Insecure_Virtual", other), ("Insecure_Virtual", MEASUREMENT)}
    body = json.loads(
        join_payload(
            attrs.evolve(
                cluster.consortium.joiner(3), measurement=other, evidence=evidence(operating, 3, other)
            ),
            cluster.consortium.proof(3, measurement=other),
        )
    )["join"]
    view = cluster.primary.replica.chain.store.head()
    with pytest.raises(RefusedError) as caught:
        join_writes(body, view, cluster.now_ms, ADMISSION.verifiers)
    assert caught.value.code == "measurement"
    after = view.over({maps.CODE_MEASUREMENTS: listed})
    writes = join_writes(body, after, cluster.now_ms, ADMISSION.verifiers)
    assert read_nodes(after.over(writes))[operating.name(3)].measurement == other
    nothing = view.over({maps.PLATFORMS: {b"Insecure_Virtual": None}})
    with pytest.raises(RefusedError) as caught:
        join_writes(body, nothing, cluster.now_ms, ADMISSION.verifiers)
    assert caught.value.code == "platform"


def test_evidence_of_a_platform_nobody_knows(operating: Operating) -> None:
    unknown = attrs.evolve(evidence(operating, 3), format="Mystery")
    refused(operating, "format", "no verifier for evidence of format 'Mystery'", evidence=unknown)


def test_evidence_beyond_its_bound(operating: Operating) -> None:
    large = attrs.evolve(evidence(operating, 3), quote=bytes(limits.QUOTE_SIZE_MAX_BYTES + 1))
    refused(operating, "size", "the bound is", evidence=large)


def test_evidence_that_is_none(operating: Operating) -> None:
    none = attrs.evolve(evidence(operating, 3), quote=b"\x00")
    refused(operating, "malformed", "not JSON", evidence=none)


PROOFS: dict[str, tuple[str, dict[str, Any]]] = {
    "another service": ("report_data", {"service_id": "ab" * 32}),
    "another role": ("report_data", {"role": MEMBER}),
    "another joiner": ("report_data", {"joiner": "ab" * 32}),
    "another encryption key": ("report_data", {"encryption_key": "ab" * 32}),
    "another nonce": ("report_data", {"nonce": bytes(32)}),
    "another channel": ("report_data", {"channel_binding": "exporter"}),
    "an unknown verifier": ("verifier", {"verifier": "ab" * 32}),
}


@pytest.mark.parametrize("fault", PROOFS)
def test_proof_with_another_transcript(fault: str, operating: Operating) -> None:
    why, changes = PROOFS[fault]
    proof = operating.cluster.consortium.proof(3)
    told = attrs.evolve(proof, transcript=attrs.evolve(proof.transcript, **changes))
    refused(operating, why, "", proof=told)


def test_proof_to_a_node_that_takes_no_part_yet(operating: Operating) -> None:
    operating.ask(4)
    refused(operating, "verifier", "is not of this service", proof=operating.cluster.consortium.proof(3, 4))


def test_standing_evidence_does_not_join(operating: Operating) -> None:
    proof = attrs.evolve(operating.cluster.consortium.proof(3), evidence=evidence(operating, 3))
    refused(operating, "report_data", "another key or purpose", proof=proof)


def test_evidence_for_joining_does_not_stand(operating: Operating) -> None:
    proof = operating.cluster.consortium.proof(3)
    refused(operating, "report_data", "another key or purpose", evidence=proof.evidence)


def test_encryption_key_of_another_node(operating: Operating) -> None:
    other = operating.cluster.consortium.joiner(0).encryption_key
    refused(operating, "duplicate", "the same encryption key", encryption_key=other)


def test_certificate_of_another_service(operating: Operating) -> None:
    refused(operating, "refused", "is not endorsed by", certificate=FOREIGN.certificate)
    fate = operating.say(
        join_payload(attrs.evolve(FOREIGN, status=PENDING), STRANGERS.proof(0)), operator=False
    )
    assert code(fate) == "refused"


def test_certificate_for_another_key(operating: Operating) -> None:
    other = operating.cluster.consortium.identities[4].certificate
    refused(operating, "refused", "is for another node's key", certificate=other)


def test_certificate_that_is_none(operating: Operating) -> None:
    refused(operating, "refused", "not a certificate", certificate="nonsense")
    refused(operating, "refused", "exceeds", certificate="x" * (limits.CERTIFICATE_SIZE_MAX_BYTES + 1))


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
    refused(operating, "refused", "is valid from", certificate=pem)


def test_name_that_is_not_its_own(operating: Operating) -> None:
    refused(operating, "refused", "is for another node's key", node_id="ab" * 32)


# ── how it asks ──────────────────────────────────────────────────────────────────────────────────

BODY = json.loads(join_payload(attrs.evolve(FOREIGN, status=PENDING), STRANGERS.proof(0)))["join"]
RECORD, TRANSCRIPT = BODY["node"], BODY["transcript"]
EVIDENCE = RECORD["evidence"]


def without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value[key] for key in value if key != name}


RECORDS: dict[str, Any] = {
    "a number": 1,
    "text": "node",
    "nothing": None,
    "a list": [RECORD],
    "empty": {},
    **{f"without {name}": without(RECORD, name) for name in RECORD},
    **{f"{name} a number": {**RECORD, name: 1} for name in RECORD if name != "retired_committed"},
    "address nowhere": {**RECORD, "peer_address": "nowhere"},
    "address of a path": {**RECORD, "peer_address": "a/b:1"},
    "quote not base64": {**RECORD, "evidence": {**EVIDENCE, "quote": "!"}},
    "quote not ASCII": {**RECORD, "evidence": {**EVIDENCE, "quote": "ä"}},
    "quote a list": {**RECORD, "evidence": {**EVIDENCE, "quote": [1]}},
    "evidence text": {**RECORD, "evidence": "x"},
    "encryption key no key": {**RECORD, "encryption_key": "x"},
    "encryption key on another curve": {
        **RECORD,
        "encryption_key": PrivateKey.generate(Curve.P384).public.pem,
    },
}
TRANSCRIPTS: dict[str, Any] = {
    "transcript a number": 1,
    "transcript empty": {},
    **{f"transcript without {name}": without(TRANSCRIPT, name) for name in TRANSCRIPT},
    **{f"transcript: {name} a number": {**TRANSCRIPT, name: 1} for name in TRANSCRIPT},
    "another version": {**TRANSCRIPT, "version": "coco-join/9"},
    "short nonce": {**TRANSCRIPT, "nonce": "AAAA"},
    "nonce not base64": {**TRANSCRIPT, "nonce": "!"},
    "verifier no digest": {**TRANSCRIPT, "verifier": "node"},
    "joiner in upper case": {**TRANSCRIPT, "joiner": "AB" * 32},
    "key of 31 bytes": {**TRANSCRIPT, "encryption_key": "ab" * 31},
}
MALFORMED: dict[str, Any] = {
    "a number": 1,
    "nothing": None,
    "a list": [BODY],
    "empty": {},
    **{f"without {name}": without(BODY, name) for name in BODY},
    **{f"record: {fault}": {**BODY, "node": record} for fault, record in RECORDS.items()},
    **{fault: {**BODY, "transcript": transcript} for fault, transcript in TRANSCRIPTS.items()},
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
