"""A node runs on what its settings name; who joins or founds there has to say whom it believes."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from coco_core.attestation import Evidence, VirtualPlatform
from coco_core.errors import OperatorError
from coco_core.node import Founding, Joining, plugins
from coco_core.node.bare_node import BareNode
from coco_core.node.forming import _founding_policy, join
from coco_core.node.platform_settings import PlatformSettings

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


@attrs.frozen
class Somewhere:
    """A node on a platform that proves something, as far as these rules look."""

    platform: object


@pytest.mark.usefixtures("toy")
async def test_whom_to_believe_has_to_be_said() -> None:
    node: BareNode = Somewhere(plugins.load_platform(PlatformSettings(name="toy")))  # type: ignore[assignment]
    with pytest.raises(OperatorError, match=r"founded on toy needs 'found\.policy'"):
        _founding_policy(node, Founding(nodes=1, ledgers={}))
    with pytest.raises(OperatorError, match=r"on toy needs 'join\.policy'"):
        await join(node, Joining(targets=(), service_certificate=""), lambda: None)
