"""Every platform behind the core's contract: the ledger's policy decides; what it leaves out is refused."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest

from coco_core.attestation import Evidence, Policy, known_verifiers
from coco_core.errors import AttestationError
from coco_enclave.describe import TeeExaminer
from coco_enclave.event_log import parse_log, replay
from coco_enclave.evidence import decode_parts
from coco_enclave.plugin import VERIFIERS
from coco_enclave.testing import Enclave, SimulatedIntel, make_machine
from coco_enclave.tpm import SHA256
from coco_enclave.verifiers import TeeVerifier

NOW_S = 1_790_000_000
DATA = bytes(range(64))
CODE = Enclave().measurement.hex()


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


def evidence(intel: SimulatedIntel) -> Evidence:
    return Evidence(format="sgx", quote=intel.sgx_quote(DATA), endorsements=intel.collateral())


def accepting(intel: SimulatedIntel, **changes: Any) -> Policy:
    given: dict[str, Any] = {
        "formats": frozenset({"sgx"}),
        "measurements": frozenset({("sgx", CODE)}),
        "rules": {"sgx": orjson.dumps({"simulator_anchors": [intel.anchor]}).decode()},
    }
    return Policy(**{**given, **changes})


def refused(intel: SimulatedIntel, policy: Policy) -> str:
    with pytest.raises(AttestationError) as caught:
        TeeVerifier("sgx").verify(evidence(intel), policy, DATA, NOW_S)
    return caught.value.code


def test_what_the_ledger_accepts_is_accepted(intel: SimulatedIntel) -> None:
    verdict = TeeVerifier("sgx").verify(evidence(intel), accepting(intel), DATA, NOW_S)
    assert (verdict.format, verdict.measurement) == ("sgx", CODE)
    assert not verdict.secure, "a simulator protects nothing"
    assert verdict.claims["root"] == intel.anchor


def test_same_arguments_same_verdict(intel: SimulatedIntel) -> None:
    given = (evidence(intel), accepting(intel), DATA, NOW_S)
    assert TeeVerifier("sgx").verify(*given) == TeeVerifier("sgx").verify(*given)


def test_without_rules_simulators_are_refused(intel: SimulatedIntel) -> None:
    assert refused(intel, accepting(intel, rules={})) == "root"


def test_measurement_counts_for_its_platform_alone(intel: SimulatedIntel) -> None:
    elsewhere = accepting(intel, measurements=frozenset({("Insecure_Virtual", CODE)}))
    assert refused(intel, elsewhere) == "measurement"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"formats": frozenset({"tdx"})}, "platform"),
        ({"measurements": frozenset()}, "measurement"),
        ({"minimum_tcb": {"sgx": "18"}}, "eval_number"),
        ({"minimum_tcb": {"sgx": "new"}}, "policy"),
        ({"rules": {"sgx": "{"}}, "policy"),
        ({"rules": {"sgx": "[]"}}, "policy"),
        ({"rules": {"sgx": '{"measurements": "any"}'}}, "policy"),
        ({"rules": {"sgx": '{"debugg": true}'}}, "policy"),
    ],
)
def test_what_the_ledger_does_not_accept_is_refused(
    changes: dict[str, Any], code: str, intel: SimulatedIntel
) -> None:
    assert refused(intel, accepting(intel, **changes)) == code


MISSPELT: dict[str, tuple[str, dict[str, Any], str]] = {
    "kind's own field": ("snp", {"rules": {"host_dat": ["44" * 32]}}, ""),
    "azure's": ("azure-snp", {"rules": {"paravisor": []}}, ""),
    "container's": ("azure-aci", {"rules": {"did": []}}, ""),
    "a register": ("tdx", {"rules": {"registers": {"rtmr9": "any"}}}, ""),
    "a register behind a paravisor": ("azure-tdx", {"rules": {"registers": {"rtmr9": "any"}}}, ""),
    "a module": ("vbs", {"rules": {"module": "any"}}, ""),
    "a guardian's": ("vbs-hgs", {"rules": {"module": "any"}}, ""),
    "a floor of AMD": ("snp", {}, "Milan new"),
    "a floor of Intel": ("sgx", {}, "new"),
    "a floor of AMD twice": ("snp", {}, "Milan bl=4,tee=0,snp=9,ucode=9; Milan bl=0,tee=0,snp=0,ucode=0"),
    "a component of a floor twice": ("snp", {}, "Milan bl=4,tee=0,snp=9,ucode=9,bl=0"),
    "a common field": ("sgx", {"debugg": True}, ""),
    "a state of firmware": ("sgx", {"tcb_statuses": ["UptoDate"]}, ""),
    "a state nobody can accept": ("tdx", {"tcb_statuses": ["Revoked"]}, ""),
    "a denied platform of Intel's": ("sgx", {"denied_products": ["00906ED50000"]}, ""),
    "a denied platform behind a paravisor": ("azure-tdx", {"denied_products": ["Milan"]}, ""),
    "a denied advisory": ("sgx", {"denied_advisories": ["SA-00615"]}, ""),
    **{
        f"a denied product of AMD's: {kind}": (kind, {"denied_products": ["milan"]}, "")
        for kind in ("snp", "azure-snp", "azure-aci")
    },
    **{
        f"what only Intel says: {kind}, {name}": (kind, {name: ["INTEL-SA-00615"]}, "")
        for kind in ("snp", "azure-snp", "azure-aci", "vbs", "vbs-hgs")
        for name in ("tcb_statuses", "denied_advisories")
    },
    **{f"a floor of nobody: {kind}": (kind, {}, "17") for kind in ("vbs", "vbs-hgs")},
    "a product of nobody": ("vbs", {"denied_products": ["Milan"]}, ""),
}


@pytest.mark.parametrize("fault", MISSPELT)
def test_misspelt_policy_is_found_before_anybody_is_judged(fault: str) -> None:
    kind, rules, floor = MISSPELT[fault]
    policy = Policy(
        formats=frozenset({kind}),
        measurements=frozenset(),
        minimum_tcb={kind: floor},
        rules={kind: orjson.dumps(rules).decode()},
    )
    with pytest.raises(AttestationError) as caught:
        TeeVerifier(kind).check_policy(policy)
    assert caught.value.code == "policy"
    TeeVerifier(kind).check_policy(attrs.evolve(policy, minimum_tcb={}, rules={}))


@pytest.mark.parametrize("kind", ["sgx", "snp", "vbs"])
def test_advisories_are_intels(kind: str) -> None:
    policy = Policy(
        formats=frozenset({kind}),
        measurements=frozenset(),
        allowed_advisories={kind: frozenset({"INTEL-SA-00615"})},
        rules={"sgx": orjson.dumps({"denied_products": ["00906ed50000"]}).decode()},
    )
    if kind == "sgx":
        TeeVerifier(kind).check_policy(policy)
        policy = attrs.evolve(policy, allowed_advisories={kind: frozenset({"INTEL-SA-615"})})
    with pytest.raises(AttestationError, match=r"like 'INTEL-SA-00615'|says nothing of") as caught:
        TeeVerifier(kind).check_policy(policy)
    assert caught.value.code == "policy"


@pytest.mark.parametrize("kind", VERIFIERS)
@pytest.mark.parametrize("rules", [{"simulator_anchors": ["ab" * 32]}, {"debug": True}])
def test_for_production_neither_simulators_nor_debug_builds(kind: str, rules: dict[str, Any]) -> None:
    policy = Policy(
        formats=frozenset({kind}),
        measurements=frozenset(),
        rules={kind: orjson.dumps(rules).decode()},
    )
    TeeVerifier(kind).check_policy(policy)
    with pytest.raises(AttestationError, match="for development alone"):
        TeeVerifier(kind).check_policy(attrs.evolve(policy, production=True))


VBS_WEAK: dict[str, tuple[str, dict[str, Any]]] = {
    "any boot manager": ("vbs", {}),
    "the TPM's SHA-1": ("vbs", {"sha1": True, "registers": {"7": "ab" * 32}}),
    "the TPM's SHA-1, by a guardian": ("vbs-hgs", {"sha1": True}),
}


@pytest.mark.parametrize("weakness", VBS_WEAK)
def test_for_production_nothing_by_which_another_system_may_have_booted(weakness: str) -> None:
    kind, rules = VBS_WEAK[weakness]
    policy = Policy(
        formats=frozenset({kind}),
        measurements=frozenset(),
        rules={kind: orjson.dumps({"rules": rules}).decode()},
    )
    TeeVerifier(kind).check_policy(policy)
    production = attrs.evolve(policy, production=True)
    with pytest.raises(AttestationError, match=f"{kind}: .* for development alone"):
        TeeVerifier(kind).check_policy(production)
    pinned = {"rules": {"registers": {"4": "ab" * 32}}}
    TeeVerifier(kind).check_policy(attrs.evolve(production, rules={kind: orjson.dumps(pinned).decode()}))


def test_windows_that_anybody_may_have_started_protects_nothing() -> None:
    machine = make_machine("vbs", NOW_S)
    evidence = Evidence(format="vbs", quote=machine.quote(DATA), endorsements=machine.collateral)
    accepted = {key: one for key, one in machine.policy().items() if key != "measurements"}
    # As if its root were no simulator's: an operator's own root is accepted without a word.
    accepted["anchors"] = accepted.pop("simulator_anchors")
    values = split_quoted(evidence.quote)

    def secure(**rules: Any) -> bool:
        own = {**accepted, "rules": {**accepted.get("rules", {}), **rules}}
        policy = Policy(
            formats=frozenset({"vbs"}),
            measurements=frozenset({("vbs", code) for code in machine.policy()["measurements"]}),
            rules={"vbs": orjson.dumps(own).decode()},
        )
        return TeeVerifier("vbs").verify(evidence, policy, DATA, NOW_S).secure

    assert not secure()
    assert secure(registers={"7": values[7].hex()})
    # Machines with other firmware measure the same system as something else.
    assert secure(registers={"7": ["ab" * 32, values[7].hex()]})


def split_quoted(quote: bytes) -> dict[int, bytes]:
    """Return the registers that a log in VBS evidence adds up to."""
    parts = decode_parts(quote, {"report", "quote", "signature", "log"}, size_max_bytes=2**18)
    return replay(parse_log(parts["log"]), SHA256)


@pytest.mark.parametrize("kind", ["sgx", "snp", "vbs"])
def test_without_collateral_that_is_what_is_told(kind: str) -> None:
    machine = make_machine(kind, NOW_S)
    evidence = Evidence(format=kind, quote=machine.quote(DATA), endorsements=b"")
    policy = Policy(
        formats=frozenset({kind}),
        measurements=frozenset({(kind, code) for code in machine.policy()["measurements"]}),
        rules={kind: orjson.dumps({"simulator_anchors": [machine.anchor]}).decode()},
    )
    with pytest.raises(AttestationError, match="collateral is missing") as caught:
        TeeVerifier(kind).verify(evidence, policy, DATA, NOW_S)
    assert caught.value.code == "collateral"
    other = attrs.evolve(evidence, endorsements=b"collateral")
    with pytest.raises(AttestationError, match=r"collateral|attestation key"):
        TeeVerifier(kind).verify(other, policy, DATA, NOW_S)


def test_evidence_of_another_format_is_refused(intel: SimulatedIntel) -> None:
    with pytest.raises(AttestationError) as caught:
        TeeVerifier("tdx").verify(evidence(intel), accepting(intel), DATA, NOW_S)
    assert caught.value.code == "format"


def test_installed_platforms_are_known_to_the_core() -> None:
    assert set(VERIFIERS) <= set(known_verifiers())
    assert TeeExaminer().formats == set(VERIFIERS)
