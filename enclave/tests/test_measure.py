"""The measurement of an image is printed as it will be proved."""

from __future__ import annotations

import base64
import hashlib
import struct
import sys
import uuid
from pathlib import Path

import pytest

from coco_core.errors import OperatorError
from coco_enclave.providers import measure
from coco_enclave.testing import SimulatedIntel, make_machine, sim_snp

NOW_S = 1_790_000_000


def sigstruct(attributes: int = 4) -> bytes:
    """Return a SIGSTRUCT as the SDM has it: fields by their offsets."""
    data = bytearray(1808)
    data[128:512] = b"k" * 384
    struct.pack_into("<Q", data, 928, attributes)
    data[960:992] = b"m" * 32
    struct.pack_into("<HH", data, 1024, 7, 3)
    return bytes(data)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    assert measure.main(arguments) == 0
    return dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(("attributes", "debug"), [(4, "no"), (6, "yes")])
def test_an_enclave(capsys: pytest.CaptureFixture[str], tmp_path: Path, attributes: int, debug: str) -> None:
    file = tmp_path / "coco.sig"
    file.write_bytes(sigstruct(attributes))
    assert printed(capsys, "sgx", str(file)) == {
        "measurement": (b"m" * 32).hex(),
        "signer": hashlib.sha256(b"k" * 384).hexdigest(),
        "product_id": "7",
        "svn": "3",
        "debug": debug,
    }


def test_a_container_group(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "policy.rego"
    file.write_bytes(b"package policy\n")
    assert printed(capsys, "aci", str(file)) == {
        "measurement": hashlib.sha256(b"package policy\n").hexdigest()
    }


def test_a_container_policy_as_deployments_have_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    policy = b"package policy\n\ncontainers := []\n" * 3
    (tmp_path / "policy.rego").write_bytes(policy)
    (tmp_path / "ccePolicy").write_bytes(base64.encodebytes(policy))
    found = [printed(capsys, "aci", str(tmp_path / name)) for name in ("policy.rego", "ccePolicy")]
    assert found == [{"measurement": hashlib.sha256(policy).hexdigest()}] * 2


def test_evidence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    file = tmp_path / "report"
    file.write_bytes(chip.report(bytes(64), b"m" * 48))
    report = {"platform": "snp", "measurement": (b"m" * 48).hex()}
    assert printed(capsys, "evidence", str(file)) == report
    file.write_text(file.read_bytes().hex())
    assert printed(capsys, "evidence", str(file)) == report


def test_evidence_of_which_policies_name_more(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "quote"
    file.write_bytes(SimulatedIntel(NOW_S).tdx_quote(bytes(64)))
    assert set(printed(capsys, "evidence", str(file))) == {
        "platform",
        "measurement",
        "rtmr0",
        "rtmr1",
        "rtmr2",
    }
    file.write_bytes(make_machine("vbs", NOW_S).quote(bytes(64)))
    assert {"signer", "7", "12"} <= set(printed(capsys, "evidence", str(file)))


FOOTER, METADATA, RESET, HASHES = (
    "96b582de-1fb2-45f7-baea-a366c55a082d",
    "dc886566-984a-4798-a75e-5585a7bf67cc",
    "00f771de-1a7e-4fcb-890e-68c77e2fb44e",
    "7255371f-3a3b-4b04-927b-1da6efa8d454",
)


def firmware() -> bytes:
    """Return an image of two pages with the tables that OVMF has at its end, and nothing to run."""

    def entry(guid: str, data: bytes) -> bytes:
        return data + struct.pack("<H", len(data) + 18) + uuid.UUID(guid).bytes_le

    # One page each for secrets, CPUID and the hashes of what the firmware is to start.
    sections = [(0x80D000, 2), (0x80E000, 3), (0x810000, 0x10)]
    described = b"".join(struct.pack("<III", gpa, 4096, kind) for gpa, kind in sections)
    metadata = b"ASEV" + struct.pack("<III", 16 + len(described), 1, len(sections)) + described
    table = entry(RESET, struct.pack("<I", 0x80B004)) + entry(HASHES, struct.pack("<II", 0x810C00, 0x400))
    table += entry(METADATA, struct.pack("<I", 4096))
    tail = table + struct.pack("<H", len(table) + 18) + uuid.UUID(FOOTER).bytes_le + bytes(32)
    return bytes(4096) + metadata + bytes(4096 - len(metadata) - len(tail)) + tail


def test_a_guest_is_measured_by_the_vendors_tool(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("sevsnpmeasure")
    (tmp_path / "OVMF.fd").write_bytes(firmware())
    (tmp_path / "vmlinuz").write_bytes(b"kernel")

    def measured(vcpus: int, command_line: str) -> str:
        guest = ("--vcpus", str(vcpus), "--vcpu-type", "EPYC-v4", "--ovmf", str(tmp_path / "OVMF.fd"))
        started = ("--kernel", str(tmp_path / "vmlinuz"), "--append", command_line)
        return printed(capsys, "snp", *guest, *started)["measurement"]

    found = measured(1, "root=a")
    assert len(found) == 96
    assert found == measured(1, "root=a")
    assert len({found, measured(2, "root=a"), measured(1, "root=b")}) == 3


def test_what_the_vendors_tool_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main(["snp"]) == 1
    assert "sev-snp-measure failed" in capsys.readouterr().err
    assert measure.main(["snp"], lambda _: "usage") == 1


@pytest.mark.parametrize("kind", ["sgx", "evidence"])
@pytest.mark.parametrize("data", [b"", b"none", bytes(300_000)])
def test_files_that_are_none(tmp_path: Path, kind: str, data: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(data)
    assert measure.main([kind, str(file)]) == 1
    assert measure.main([kind, str(tmp_path / "missing")]) == 1


def test_what_is_not_understood_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        measure.main(["aci", str(tmp_path), "--more"])


def test_a_tool_that_is_not_there() -> None:
    with pytest.raises(OperatorError, match="sev-snp-measure failed"):
        measure.run_tool(["/nonexistent/sev-snp-measure"])
    with pytest.raises(OperatorError, match="No module named"):
        measure.run_tool([sys.executable, "-m", "nonexistent_tool"])
