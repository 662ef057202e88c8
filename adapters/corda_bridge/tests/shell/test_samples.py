"""Files of samples: made when none has enough, used by whoever wants fewer, not kept for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coco_corda.shell.samples import read_samples
from coco_corda.testing import Samples


def kept(folder: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in folder.iterdir())


def test_a_file_serves_whoever_wants_as_many_or_fewer(samples: Samples, tmp_path: Path) -> None:
    outdated = tmp_path / "samples-9-moves-0123456789abcdef.bin"
    outdated.write_bytes(b"made by other code")
    other = tmp_path / "samples-notes.txt"
    other.touch()
    three = read_samples(3, "moves", tmp_path)
    assert kept(tmp_path) == ["samples", "samples-3-moves"]
    assert isinstance(three, dict)
    assert {"jar", "left-2", "state-2"} <= three.keys()
    assert "state-3" not in three
    assert read_samples(3, "moves", tmp_path) == three

    two = read_samples(2, "moves", tmp_path)
    assert kept(tmp_path) == ["samples", "samples-3-moves"], "what has more serves as well"
    assert two == {name: data for name, data in three.items() if not name.endswith("-2")}

    four = read_samples(4, "moves", tmp_path)
    assert kept(tmp_path) == ["samples", "samples-4-moves"], "what has fewer serves nobody any more"
    assert isinstance(four, dict)
    assert three.items() <= four.items()
    assert "issued-0" not in four

    cash = read_samples(1, "cash", tmp_path)
    assert kept(tmp_path) == ["samples", "samples-1-cash", "samples-4-moves"]
    assert isinstance(cash, dict)
    assert cash["issued-0"]


def test_a_node_loads_nothing_that_makes_samples() -> None:
    code = (
        "import sys, coco_corda.plugin;"
        "sys.exit(' '.join(each for each in sys.modules if 'samples' in each or 'workloads' in each))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
