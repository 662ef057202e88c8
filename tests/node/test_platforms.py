"""A node runs on the platform that its settings name, with the options that platform has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coco_core.attestation import Evidence, VirtualPlatform
from coco_core.errors import OperatorError
from coco_core.node import plugins
from coco_core.node.platform_settings import PlatformSettings, read_platform

MODULE = """
from coco_core.attestation import Evidence, PlatformPlugin, hookimpl

class Toy:
    format = "toy"
    def __init__(self, options):
        self.greeting = options.text("greeting", "hello") * options.number("times", 1)
    def attest(self, report_data):
        return Evidence(format="toy", quote=report_data)

@hookimpl
def coco_register_platforms(register):
    register(PlatformPlugin(name="toy", options=frozenset({"greeting", "times"}), create=Toy))
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that brings the platform ``toy``, and names one it does not bring."""
    metadata = tmp_path / "toys-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[coco.platforms]\ntoy = module_of_toys\nball = module_of_toys\n"
    )
    (tmp_path / "module_of_toys.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_virtual_unless_another_is_named() -> None:
    platform = plugins.load_platform(PlatformSettings())
    assert isinstance(platform, VirtualPlatform)
    assert platform.measurement == plugins.code_measurement()
    told = plugins.load_platform(PlatformSettings(options={"measurement": "ab" * 32}))
    assert isinstance(told, VirtualPlatform)
    assert told.measurement == "ab" * 32


@pytest.mark.usefixtures("toy")
def test_the_one_that_is_named() -> None:
    options = {"greeting": "hi", "times": 2}
    platform = plugins.load_platform(PlatformSettings(name="toy", options=options))
    assert vars(platform)["greeting"] == "hihi"
    assert platform.attest(b"x") == Evidence(format="toy", quote=b"x")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mystery", {}, "no platform 'mystery' is installed"),
        ("ball", {}, "registers no platform of that name"),
        ("toy", {"colour": "red"}, r"has no option 'colour' \(it has: greeting, times\)"),
        ("toy", {"greeting": 1}, "'platform.greeting' must be text"),
        ("toy", {"times": -1}, "'platform.times' must be a whole number"),
    ],
)
def test_platform_that_cannot_be_used(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        plugins.load_platform(PlatformSettings(name=name, options=options))


def test_what_a_platform_is_told_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "toy.json").write_text(json.dumps({"name": "toy", "greeting": "hi.txt"}))
    (machine / "hi.txt").write_text("hi")
    faults: list[str] = []
    found = read_platform({"platform": "machine/toy.json"}, tmp_path, faults)
    assert (faults, found.name, found.options) == ([], "toy", {"greeting": "hi.txt"})
    # Files it names are relative to it, as those of settings are to them.
    assert found.hand_out().file("greeting")() == b"hi"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "does not hold a JSON object"),
        ("{", "is not JSON"),
        ('{"greeting": "hi"}', "must be a platform's name"),
        ('{"name": "other.json"}', "must be a platform's name"),
    ],
)
def test_file_that_names_no_platform(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text(text)
    faults: list[str] = []
    read_platform({"platform": "toy.json"}, tmp_path, faults)
    (fault,) = faults
    assert message in fault


def test_file_that_is_missing(tmp_path: Path) -> None:
    faults: list[str] = []
    read_platform({"platform": "no.json"}, tmp_path, faults)
    (fault,) = faults
    assert "no.json: No such file" in fault
