"""Genuine SGX and TDX quotes, published by others: each gets exactly the answer worked out for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from coco_enclave import EvidenceError, PlatformPolicy, Status, TeeEvidence, TeePolicy, Verdict, verify
from coco_enclave.anchors import INTEL_ANCHORS

LOOKING = PlatformPolicy(measurements=None, anchors=INTEL_ANCHORS)
"""Any code: what is looked at is the platform."""
REFUSALS = {
    "Debug mode is enabled": "debug",
    "Invalid MR service TD": "td_attributes",
    "No matching TCB level found": "tcb_none",
    "SEPT_VE_DISABLE is not enabled": "td_attributes",
    "Unsupported DCAP PCK cert format": "unsupported",
}
"""What the data says of a refusal -> our code."""


@attrs.frozen
class Sample:
    kind: str
    quote: bytes
    collateral: bytes
    expected: dict[str, Any]

    def judge(self, by: PlatformPolicy = LOOKING, **changes: Any) -> Verdict:
        given = {
            "evidence": TeeEvidence(kind=self.kind, quote=self.quote),
            "collateral": self.collateral,
            "policy": TeePolicy(platforms={self.kind: by}),
            "expected_report_data": bytes.fromhex(self.expected["report_data"]),
            "now_s": self.expected["now"],
        }
        return verify(**{**given, **changes})


@pytest.fixture(scope="module")
def bundles(samples: Path) -> dict[str, Sample]:
    listed = json.loads((samples / "bundles" / "EXPECTED.json").read_text(encoding="utf-8"))
    return {
        one["name"]: Sample(
            one["tee"].lower(),
            (samples / one["quote"]).read_bytes(),
            (samples / one["collateral"]).read_bytes(),
            one,
        )
        for one in listed
    }


def test_every_bundle_gets_its_answer(bundles: dict[str, Sample]) -> None:
    answers, expected = {}, {}
    for name, sample in bundles.items():
        told = sample.expected["dcap_qvl_0_7_0"]
        if told["outcome"] == "verified":
            wanted = (told["status"], tuple(told["advisories"]), sample.expected["measurement"])
            every = attrs.evolve(
                LOOKING,
                tcb_statuses=frozenset({told["status"]}),
                allowed_advisories=frozenset(told["advisories"]),
            )
            verdict = sample.judge(every)
            assert verdict.claims is not None
            answers[name] = (
                verdict.claims.tcb_status,
                verdict.claims.advisories,
                verdict.claims.measurement,
            )
            affirmed = verdict.status is Status.AFFIRMING
            assert affirmed == (told["status"] == "UpToDate")
            assert (verdict.valid_from_s, verdict.valid_until_s) == (
                sample.expected["valid_from"],
                sample.expected["valid_until"],
            )
            expected[name] = wanted
        else:
            with pytest.raises(EvidenceError) as caught:
                sample.judge()
            answers[name] = caught.value.code
            (expected[name],) = (code for part, code in REFUSALS.items() if part in told["error"])
    assert answers == expected
    assert len(answers) >= 15


def refused(sample: Sample, by: PlatformPolicy = LOOKING, **changes: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        sample.judge(by, **changes)
    return caught.value.code


def test_what_the_vendor_says_decides_by_default(bundles: dict[str, Sample]) -> None:
    for name in ("phala-sgx-v3", "sgx-automata-v3", "sgx-oasis-v3"):
        assert refused(bundles[name]) == "tcb_status"


def test_allowed_status_still_asks_for_its_advisories(bundles: dict[str, Sample]) -> None:
    hardening = attrs.evolve(LOOKING, tcb_statuses=frozenset({"SWHardeningNeeded"}))
    sample = bundles["sgx-automata-v3"]
    assert refused(sample, hardening) == "advisory"
    allowed = attrs.evolve(hardening, allowed_advisories=frozenset({"INTEL-SA-00615"}))
    verdict = sample.judge(allowed)
    assert (verdict.status, verdict.notes) == (Status.WARNING, ("tcb_status", "advisory"))
    denied = attrs.evolve(allowed, denied_advisories=frozenset({"INTEL-SA-00615"}))
    assert refused(sample, denied) == "advisory"


@pytest.mark.parametrize("name", ["phala-tdx-v4", "tdx-cos113", "sgx-automata-v3"])
def test_collateral_is_valid_within_its_window(name: str, bundles: dict[str, Sample]) -> None:
    sample = bundles[name]
    for now_s in (sample.expected["valid_from"] - 1, sample.expected["valid_until"] + 1):
        assert refused(sample, now_s=now_s) == "collateral_time"


def test_frozen_collateral_is_refused(bundles: dict[str, Sample]) -> None:
    assert bundles["phala-tdx-v4"].judge(attrs.evolve(LOOKING, minimum_tcb="17"))
    assert refused(bundles["phala-tdx-v4"], attrs.evolve(LOOKING, minimum_tcb="18")) == "eval_number"


def test_collateral_of_another_platform_or_tee_is_refused(bundles: dict[str, Sample]) -> None:
    sgx, tdx = bundles["sgx-automata-v3"], bundles["tdx-cos113"]
    # Both are of one CA: what differs is whom they are for.
    assert refused(sgx, collateral=tdx.collateral, now_s=tdx.expected["now"]) == "tee"
    old = bundles["tdx-trustee5-v5"]
    assert refused(tdx, collateral=old.collateral, now_s=old.expected["now"]) == "fmspc"


def test_label_must_be_of_the_content(bundles: dict[str, Sample]) -> None:
    sample = bundles["tdx-cos113"]
    evidence = TeeEvidence(kind="sgx", quote=sample.quote)
    policy = TeePolicy(platforms={"sgx": LOOKING})
    assert refused(sample, evidence=evidence, policy=policy) == "kind"


def test_all_64_bytes_are_compared(bundles: dict[str, Sample]) -> None:
    sample = bundles["phala-tdx-v4"]
    told = bytes.fromhex(sample.expected["report_data"])
    for expected in (told[:32] + bytes(32), told[:32], bytes(64), told + b"\0", b""):
        assert refused(sample, expected_report_data=expected) == "report_data"


def test_what_firmware_started_is_asked_for(bundles: dict[str, Sample]) -> None:
    sample = bundles["tdx-cos113"]
    code = frozenset({sample.expected["measurement"]})
    claims = sample.judge().claims
    assert claims is not None
    registers = {name: [claims.more[name]] for name in ("rtmr0", "rtmr1", "rtmr2", "mr_config_id")}
    firmware = attrs.evolve(LOOKING, measurements=code)
    assert refused(sample, firmware) == "measurement"
    assert sample.judge(attrs.evolve(firmware, rules={"registers": registers})).status is Status.AFFIRMING
    for name in registers:
        other = {**registers, name: ["00" * 47 + "01"]}
        assert refused(sample, attrs.evolve(firmware, rules={"registers": other})) == "measurement"
    free = dict.fromkeys(registers, "any")
    assert sample.judge(attrs.evolve(firmware, rules={"registers": free}))
    assert refused(sample, attrs.evolve(LOOKING, measurements=frozenset({"00"}))) == "measurement"


def test_padding_may_follow_a_quote_and_nothing_else(bundles: dict[str, Sample]) -> None:
    sample = bundles["phala-tdx-v4"]
    quote = sample.quote.rstrip(b"\0")
    assert sample.judge(evidence=TeeEvidence(kind="tdx", quote=quote + bytes(100)))
    follows = TeeEvidence(kind="tdx", quote=quote + bytes(100) + b"\1")
    assert refused(sample, evidence=follows) == "malformed"


def test_platform_may_be_denied(bundles: dict[str, Sample]) -> None:
    sample = bundles["tdx-cos113"]
    claims = sample.judge().claims
    assert claims is not None
    assert refused(sample, attrs.evolve(LOOKING, denied_products=frozenset({claims.product}))) == "product"


def test_root_must_be_named(bundles: dict[str, Sample]) -> None:
    sample = bundles["tdx-cos113"]
    assert refused(sample, attrs.evolve(LOOKING, anchors=frozenset())) == "root"
