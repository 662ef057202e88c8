"""The measurement of an image is printed as it will be proved."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from coco_core.errors import OperatorError
from coco_enclave.providers import measure
from coco_enclave.testing import sim_snp

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


def test_evidence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chip = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
    file = tmp_path / "report"
    file.write_bytes(chip.report(bytes(64), b"m" * 48))
    assert printed(capsys, "evidence", str(file))["measurement"] == (b"m" * 48).hex()


def test_a_guest_is_measured_by_the_vendors_tool(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> str:
        asked.append(command)
        return "ab" * 48 + "\n"

    assert measure.main(["snp", "--vcpus", "2", "--ovmf", "OVMF.fd"], run) == 0
    assert capsys.readouterr().out == f"measurement {'ab' * 48}\n"
    assert asked == [
        ["sev-snp-measure", "--mode", "snp", "--output-format", "hex", "--vcpus", "2", "--ovmf", "OVMF.fd"]
    ]
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
    with pytest.raises(OperatorError, match="sev-snp-measure"):
        measure.run_tool(["/nonexistent/sev-snp-measure"])
