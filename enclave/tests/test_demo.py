"""``make demo-tee``: every published piece of evidence gets the answer it must get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.py"


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO)],
        env={**os.environ, "COCO_TEE_EVIDENCE": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )


@pytest.mark.shared
def test_all_samples_are_as_expected(samples: Path) -> None:
    done = run(samples)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("✓")]
    assert len(lines) >= 41
    for kind in ("sgx", "tdx", "snp", "azure-snp", "azure-aci", "vbs", "vbs-hgs"):
        assert any(line.startswith(f"✓ {kind} ") for line in lines), kind
        assert f"{kind} " in done.stdout.partition("as expected")[2], "its throughput is told"


def test_without_samples_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "no published evidence" in done.stderr
