"""``coco attest``: what a person is told of evidence, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coco_core.cli.main import cli
from coco_core.errors import IntegrityError, OperatorError
from coco_enclave import TeeEvidence, encode
from coco_enclave.testing import Enclave, SimulatedIntel, make_snp_chip, make_snp_vendor

NOW_S = 1_790_000_000
NOW = "2026-09-21T14:13:20Z"
DATA = bytes(range(64))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    intel = SimulatedIntel(NOW_S)
    (tmp_path / "quote").write_bytes(intel.sgx_quote(DATA))
    (tmp_path / "debug").write_bytes(intel.sgx_quote(DATA, Enclave().debug))
    (tmp_path / "collateral").write_bytes(intel.collateral())
    whole = encode(TeeEvidence(kind="sgx", quote=intel.sgx_quote(DATA)), intel.collateral())
    (tmp_path / "envelope").write_bytes(whole)
    (tmp_path / "nonsense").write_bytes(b"nonsense")
    accepted = {"measurements": "any", "simulator_anchors": [intel.anchor]}
    (tmp_path / "policy").write_text(json.dumps({"platforms": {"sgx": accepted}}))
    return tmp_path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(cli, ["attest", *map(str, arguments)])


def verify(files: Path, name: str, *more: Any) -> Result:
    given = ["--collateral", files / "collateral", "--now", NOW, "--policy", files / "policy"]
    return run("verify", *given, files / name, *more)


def test_show_says_that_nothing_was_checked(files: Path) -> None:
    told = run("show", files / "debug")
    assert told.exit_code == 0
    assert "read, not checked" in told.output
    assert f"measurement: {'11' * 32}" in told.output
    assert "debug: True" in told.output
    assert "it does not prove" in told.output


def test_a_policy_that_cannot_be_judged_by_is_its_writers_fault(files: Path) -> None:
    (files / "policy").write_text('{"platforms": {"sgx": {"denied_products": ["Milan"]}}}')
    told = verify(files, "quote")
    assert isinstance(told.exception, OperatorError)
    assert "policy: 'denied_products': 'Milan' is not an FMSPC" in str(told.exception)


@pytest.mark.shared
def test_a_policy_that_names_no_roots_means_the_vendors(samples: Path, tmp_path: Path) -> None:
    bundle = str(samples / "bundles" / "phala-tdx-v4")
    policy = tmp_path / "policy"
    given = ["--collateral", f"{bundle}.collateral.json", "--now", "2025-07-01", "--policy", policy]
    for named, told in (({}, "evidence of tdx: accepted\n"), ({"anchors": []}, "by the rule 'root'")):
        policy.write_text(json.dumps({"platforms": {"tdx": {"measurements": "any", **named}}}))
        assert told in run("verify", *given, f"{bundle}.quote.bin").output


def test_verify_accepts(files: Path) -> None:
    told = verify(files, "quote", "--report-data", DATA.hex())
    assert told.exit_code == 0, told.output
    assert "evidence of sgx: accepted, with a warning" in told.output
    assert "simulator" in told.output


def test_envelope_brings_its_collateral(files: Path) -> None:
    assert run("verify", "--now", NOW, "--policy", files / "policy", files / "envelope").exit_code == 0


def test_verify_says_why_it_refuses(files: Path) -> None:
    told = verify(files, "debug")
    assert isinstance(told.exception, IntegrityError)
    assert "refused by the rule 'debug'" in told.output


def test_other_report_data_is_refused(files: Path) -> None:
    told = verify(files, "quote", "--report-data", "00" * 64)
    assert "refused by the rule 'report_data'" in told.output


def test_vendors_roots_are_the_default(files: Path) -> None:
    told = run("verify", "--collateral", files / "collateral", "--now", NOW, files / "quote")
    assert "refused by the rule 'root'" in told.output


def test_json_is_for_programs(files: Path) -> None:
    told = json.loads(verify(files, "quote", "--json").output)
    assert (told["format"], told["status"], told["claims"]["svn"]) == ("sgx", "warning", 3)


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "nonsense"],
        ["show", "absent"],
        ["verify", "quote", "--now", "yesterday"],
        ["verify", "quote", "--report-data", "00"],
        ["verify", "quote", "--policy", "nonsense"],
    ],
)
def test_what_cannot_be_read_is_the_operators_business(arguments: list[str], files: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files)
        assert isinstance(run(*arguments).exception, OperatorError)


def test_files_as_vendors_publish_them(tmp_path: Path) -> None:
    chip = make_snp_chip(make_snp_vendor(NOW_S), now_s=NOW_S)
    vendor = chip.vendor
    (tmp_path / "report.hex").write_text(chip.report(DATA, b"C" * 48).hex())
    (tmp_path / "vcek.der").write_bytes(chip.leaf.der)
    (tmp_path / "cert_chain").write_bytes(vendor.ask.pem + vendor.ark.pem)
    accepted = {"measurements": "any", "simulator_anchors": [vendor.anchor]}
    (tmp_path / "policy").write_text(json.dumps({"platforms": {"snp": accepted}}))
    given = ["--now", NOW, "--policy", tmp_path / "policy"]
    both = ["--collateral", tmp_path / "vcek.der", "--collateral", tmp_path / "cert_chain"]
    told = run("verify", *given, *both, tmp_path / "report.hex")
    assert told.exit_code == 0, told.output
    assert "evidence of snp: accepted, with a warning" in told.output
    told = run("verify", *given, *both[2:], tmp_path / "report.hex")
    assert isinstance(told.exception, IntegrityError)
    assert "refused by the rule 'chain'" in told.output
    told = run("verify", *given, *both[2:], *both[2:], tmp_path / "report.hex")
    assert isinstance(told.exception, OperatorError)
    assert "certificates of 0 keys that could sign" in str(told.exception)
