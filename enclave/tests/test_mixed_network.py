"""A service of three kinds of machines: each judges each, and who is not in the manifest stays outside.

By the functions nodes and auditors call; machines are simulated, and the policy says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import orjson
import pytest

from coco_core.attestation import Evidence, Policy, known_verifiers
from coco_core.base import NodeID
from coco_core.crypto import service_id, sha256
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance import (
    JOINER,
    AdmissionRecord,
    Challenge,
    ChallengeRequest,
    JoinProof,
    MembershipChange,
    Transcript,
    admission_writes,
    change_writes,
    check_challenge,
    judge_joiner,
    node_writes,
    policy_writes,
    read_admissions,
    reaudit_admission,
    standing_report_data,
    unfit_writes,
)
from coco_core.kv import Store
from coco_core.testing import Consortium
from coco_enclave.testing import SimulatedIntel, sim_snp, sim_tpm, sim_vbs
from coco_enclave.verify import verifier_of

NOW_MS = 1_790_000_000_000
NOW_S = NOW_MS // 1000
NETWORK = Consortium.of(4)
SERVICE = service_id(NETWORK.service.certificate)
Machine = Callable[[bytes], Evidence]


@pytest.fixture(scope="module")
def machines() -> dict[str, Machine]:
    intel = SimulatedIntel(NOW_S)
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    host = sim_vbs.boot_windows(sim_tpm.make_tpm(sim_tpm.make_tpm_vendor(NOW_S), now_s=NOW_S))

    def sgx(data: bytes) -> Evidence:
        return Evidence(format="sgx", quote=intel.sgx_quote(data), endorsements=intel.collateral())

    def snp(data: bytes) -> Evidence:
        return Evidence(format="snp", quote=chip.report(data, b"m" * 48), endorsements=chip.collateral())

    def vbs(data: bytes) -> Evidence:
        return Evidence(format="vbs", quote=host.evidence(data, data), endorsements=host.tpm.chain)

    return {"sgx": sgx, "snp": snp, "vbs": vbs}


@pytest.fixture(scope="module")
def policy(machines: Mapping[str, Machine]) -> Policy:
    """The manifest: the code of each of them, on machines of these roots."""
    verdicts = {}
    for kind, machine in machines.items():
        made = machine(bytes(64))
        verdicts[kind] = (verifier_of(kind).read(made.quote).measurement, _root_of(made))
    return Policy(
        formats=frozenset(verdicts),
        measurements=frozenset((kind, code) for kind, (code, _) in verdicts.items()),
        rules={
            kind: orjson.dumps({"simulator_anchors": [root]}).decode() for kind, (_, root) in verdicts.items()
        },
    )


def _root_of(evidence: Evidence) -> str:
    """Return the root evidence is under, as its refusal names it."""
    bare = Policy(formats=frozenset({evidence.format}), measurements=frozenset())
    with pytest.raises(AttestationError, match="root certificate") as caught:
        known_verifiers()[evidence.format].verify(evidence, bare, bytes(64), NOW_S)
    (root,) = [word for word in str(caught.value).split() if len(word) == 64]
    return root


def transcript(number: int, nonce: bytes) -> Transcript:
    identity = NETWORK.identities[number]
    return Transcript(
        service_id=SERVICE,
        role=JOINER,
        nonce=nonce,
        joiner=identity.node_id,
        encryption_key=identity.encryption_key.public.fingerprint,
        verifier=NETWORK.identities[0].node_id,
    )


def join(number: int, machine: Machine, policy: Policy, proof: Machine | None = None) -> AdmissionRecord:
    """Let node ``number`` ask to join from a machine; ``proof`` is another machine it shows its proof of."""
    identity, asked = NETWORK.identities[number], transcript(number, sha256(b"%d" % number))
    standing = standing_report_data(identity.key.public, identity.encryption_key.public)
    return judge_joiner(
        identity.key.public,
        identity.encryption_key.public,
        JoinProof(evidence=(proof or machine)(asked.report_data), transcript=asked),
        machine(standing),
        known_verifiers(),
        policy,
        NOW_MS,
    )


@pytest.fixture(scope="module")
def admitted(machines: Mapping[str, Machine], policy: Policy) -> dict[NodeID, AdmissionRecord]:
    return {
        NETWORK.identities[number].node_id: join(number, machine, policy)
        for number, machine in enumerate(machines.values())
    }


def refused(number: int, machine: Machine, policy: Policy, proof: Machine | None = None) -> str:
    with pytest.raises(AttestationError) as caught:
        join(number, machine, policy, proof)
    return caught.value.code


def test_three_kinds_of_machines_are_admitted(admitted: Mapping[NodeID, AdmissionRecord]) -> None:
    assert [record.platform for record in admitted.values()] == ["sgx", "snp", "vbs"]
    assert not any(record.secure for record in admitted.values()), "they are simulated"


def test_an_auditor_reaches_the_same_verdicts(
    admitted: Mapping[NodeID, AdmissionRecord], policy: Policy
) -> None:
    store = Store()
    store.append(1, admission_writes(admitted))
    for name, record in read_admissions(store.head()).items():
        reaudit_admission(name, record, SERVICE, known_verifiers(), policy)
        other = attrs.evolve(record, measurement="00" * 32)
        with pytest.raises(IntegrityError, match="the verdict is another"):
            reaudit_admission(name, other, SERVICE, known_verifiers(), policy)
        later = attrs.evolve(record, judged_at_ms=NOW_MS + 100 * 365 * 86_400_000)
        with pytest.raises(IntegrityError, match="admission of node"):
            reaudit_admission(name, later, SERVICE, known_verifiers(), policy)


def test_who_was_accepted_and_is_not_any_more_does_not_come_in(
    admitted: Mapping[NodeID, AdmissionRecord], policy: Policy
) -> None:
    """A floor that is raised between asking and coming in counts, not only code that is struck."""
    name, record = next(iter(admitted.items()))
    asked = attrs.evolve(NETWORK.joiner(0), measurement=record.measurement, evidence=record.proof.evidence)
    others = NETWORK.first(4).values()
    view = Store().head().over(node_writes([*(one for one in others if one.node_id != name), asked]))
    view = view.over(admission_writes(admitted))
    view = view.over(change_writes(MembershipChange((name,), (), "somebody")))
    rules = {**policy.rules, "snp": "{}"}
    for by, fit in (
        (policy, True),
        (attrs.evolve(policy, rules=rules), True),
        (attrs.evolve(policy, minimum_tcb={"sgx": "17"}), True),
        (attrs.evolve(policy, minimum_tcb={"sgx": "18"}), False),
        (attrs.evolve(policy, rules={}), False),
        (attrs.evolve(policy, production=True), False),
    ):
        writes = unfit_writes(view.over(policy_writes(by)))
        assert (writes is None) == fit, by


def test_platform_outside_the_manifest_stays_outside(machines: Mapping[str, Machine], policy: Policy) -> None:
    without = attrs.evolve(policy, formats=policy.formats - {"snp"})
    assert refused(3, machines["snp"], without) == "platform"
    assert refused(3, machines["sgx"], policy_of_code(policy, "sgx", "00" * 32)) == "measurement"


def policy_of_code(policy: Policy, kind: str, code: str) -> Policy:
    others = {pair for pair in policy.measurements if pair[0] != kind}
    return attrs.evolve(policy, measurements=frozenset(others | {(kind, code)}))


def test_a_machine_of_another_vendor_stays_outside(policy: Policy) -> None:
    stranger = SimulatedIntel(NOW_S)

    def machine(data: bytes) -> Evidence:
        return Evidence(format="sgx", quote=stranger.sgx_quote(data), endorsements=stranger.collateral())

    assert refused(3, machine, policy) == "root"


def test_virtual_machines_stay_outside(policy: Policy) -> None:
    def machine(data: bytes) -> Evidence:
        quote = orjson.dumps({"measurement": "c0" * 32, "report_data": data.hex()})
        return Evidence(format="Insecure_Virtual", quote=quote)

    assert refused(3, machine, policy) == "platform"


@pytest.mark.parametrize("kind", ["sgx", "snp", "vbs"])
def test_one_label_is_not_anothers_content(
    kind: str, machines: Mapping[str, Machine], policy: Policy
) -> None:
    for other in set(machines) - {kind}:

        def machine(data: bytes, made: str = other) -> Evidence:
            return attrs.evolve(machines[made](data), format=kind)

        assert refused(3, machine, policy) in ("malformed", "kind", "unsupported", "size")


@pytest.mark.parametrize("kind", ["sgx", "snp", "vbs"])
def test_evidence_for_another_purpose_does_not_join(
    kind: str, machines: Mapping[str, Machine], policy: Policy
) -> None:
    identity = NETWORK.identities[3]
    standing = standing_report_data(identity.key.public, identity.encryption_key.public)
    asked = transcript(3, sha256(b"another question"))
    for data in (standing, asked.report_data):

        def replayed(_: bytes, kept: bytes = data) -> Evidence:
            return machines[kind](kept)

        assert refused(3, machines[kind], policy, replayed) == "report_data"


def test_standing_evidence_is_of_the_same_machine(machines: Mapping[str, Machine], policy: Policy) -> None:
    assert refused(3, machines["snp"], policy, machines["sgx"]) == "measurement"


@pytest.mark.parametrize("kind", ["sgx", "snp", "vbs"])
def test_joiner_judges_whom_it_asks(kind: str, machines: Mapping[str, Machine], policy: Policy) -> None:
    """The node that is asked proves itself too, to this joiner and for this question."""
    joiner, asked = NETWORK.identities[3], NETWORK.identities[0]
    request = ChallengeRequest(
        public_key=joiner.key.public, encryption_key=joiner.encryption_key.public, nonce=sha256(b"mine")
    )
    theirs = request.transcript(SERVICE, asked.node_id)

    def ask(
        evidence: Evidence, service: str = NETWORK.service.certificate, own: Policy = policy
    ) -> Transcript:
        challenge = Challenge(
            nonce=sha256(b"theirs"),
            evidence=evidence,
            certificate=asked.certificate,
            service_certificate=service,
            policy=policy,
        )
        given = (request, asked.key.public, NETWORK.service.certificate, known_verifiers(), own, NOW_S)
        return check_challenge(challenge, *given)

    assert ask(machines[kind](theirs.report_data)).role == JOINER
    relayed = attrs.evolve(request, nonce=sha256(b"another's")).transcript(SERVICE, asked.node_id)
    other = Consortium.of(1, first_key=5000)
    for code, evidence, service in (
        ("report_data", machines[kind](relayed.report_data), NETWORK.service.certificate),
        ("peer_service", machines[kind](theirs.report_data), other.service.certificate),
    ):
        with pytest.raises(AttestationError) as caught:
            ask(evidence, service)
        assert caught.value.code == code
    # Whatever policy the node that was asked sends along.
    for code, own in (
        ("measurement", policy_of_code(policy, kind, "00" * 32)),
        ("root", attrs.evolve(policy, rules={})),
        ("platform", attrs.evolve(policy, formats=frozenset())),
        ("insecure", attrs.evolve(policy, production=True)),
    ):
        with pytest.raises(AttestationError, match="the node that was asked") as caught:
            ask(machines[kind](theirs.report_data), own=own)
        assert caught.value.code == code
