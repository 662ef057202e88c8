"""What a founder makes of the ledgers it is to run: the operator learns of unfit ones early."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from coco_core.adapter import Writes
from coco_core.base import bound_recursion, limits
from coco_core.errors import OperatorError
from coco_core.node import forming, plugins
from coco_core.node.forming import _founding_adapters, joined_adapters
from coco_core.node.settings import Founding, LedgerSettings
from coco_core.testing import Tally
from coco_core.testing.tally import COUNTERS

FOUNDING = Founding(nodes=1, ledgers={"tally": LedgerSettings(engine="", config={"counters": {"x": 1}})})


@attrs.frozen
class Plugin:
    """A plugin whose adapter is Tally but for what is given."""

    genesis: Any = None
    manifest: Mapping[str, Any] = attrs.field(factory=dict)

    def create(self, engine: str, settings: Mapping[str, Any]) -> Tally:
        plugin = self

        class Changed(Tally):
            def __init__(self) -> None:
                super().__init__()
                self.manifest = attrs.evolve(self.manifest, **plugin.manifest)

            def genesis(self, config: Mapping[str, Any], randomness: bytes) -> Sequence[Writes]:
                return super().genesis(config, randomness) if plugin.genesis is None else plugin.genesis

        return Changed()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    assert forming.plugins is plugins
    return lambda plugin: monkeypatch.setattr(plugins, "load", lambda name: plugin)


def test_a_ledger_that_is_fit(install: Any) -> None:
    install(Plugin())
    adapters, genesis = _founding_adapters(FOUNDING, {})
    assert adapters.keys() == {"tally"}
    assert genesis[0][COUNTERS] == {b"x": b"1"}
    assert joined_adapters([adapters["tally"].manifest], {}).keys() == {"tally"}


LARGE = bytes(limits.WRITE_SET_SIZE_MAX_BYTES - limits.KIB)
GENESIS: dict[str, tuple[Any, str]] = {
    "the core's tables": ([{"public:ccf.gov.nodes.info": {b"x": b"1"}}], "not in its manifest"),
    "others' tables": ([{"other.map": {b"x": b"1"}}], "not in its manifest"),
    "an entry too large": ([{COUNTERS: {b"x": bytes(limits.WRITE_SET_SIZE_MAX_BYTES)}}], "exceeds the bound"),
    "too large in all": ([{COUNTERS: {b"x": LARGE}}] * 65, "genesis of"),
    "a table for entries": ({}, "neither list nor tuple"),
    "an entry of another kind": ([None], "NoneType is no write set"),
    "text": ([{COUNTERS: {b"x": "1"}}], "not bytes"),
}


@pytest.mark.parametrize("fault", GENESIS)
def test_genesis_that_may_not_be(install: Any, fault: str) -> None:
    genesis, message = GENESIS[fault]
    install(Plugin(genesis=genesis))
    with pytest.raises(OperatorError, match=f"'tally' cannot begin so: .*{message}"):
        _founding_adapters(FOUNDING, {})


MANIFESTS: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"name": "other"}, "says that its name is 'other'"),
    "another contract": ({"api": 99}, "made for contract version 99"),
    "an engine of three words": ({"engine": "abacus 1 beta"}, "is not 'name version'"),
    "an engine without a version": ({"engine": "abacus"}, "is not 'name version'"),
    "a foreign map": ({"maps": ("other.map",)}, "must begin with 'tally'"),
    "a map twice": ({"maps": ("tally.a", "tally.a")}, "a map twice"),
    "many maps": ({"maps": tuple(f"tally.{n}" for n in range(limits.MANIFEST_MAPS_MAX + 1))}, "or more than"),
    "a long name": ({"maps": ("tally." + "a" * limits.MAP_NAME_SIZE_MAX_BYTES,)}, "exceeds"),
    "a number for a map": ({"maps": (5,)}, "claims map 5"),
}


@pytest.mark.parametrize("fault", MANIFESTS)
def test_manifest_that_may_not_be(install: Any, fault: str) -> None:
    manifest, message = MANIFESTS[fault]
    install(Plugin(manifest=manifest))
    with pytest.raises(OperatorError, match=message):
        _founding_adapters(FOUNDING, {})


def test_an_adapter_gets_its_own_settings_on_this_node(install: Any) -> None:
    given: list[Mapping[str, Any]] = []

    class Listening(Plugin):
        def create(self, engine: str, settings: Mapping[str, Any]) -> Tally:
            given.append(settings)
            return super().create(engine, settings)

    install(Listening())
    _founding_adapters(FOUNDING, {"tally": {"listen": "x"}, "other": {"y": 1}})
    joined_adapters([Tally().manifest], {})
    assert given == [{"listen": "x"}, {}]


def test_another_version_than_the_network_runs(install: Any) -> None:
    install(Plugin())
    with pytest.raises(OperatorError, match="the network runs tally 2"):
        joined_adapters([attrs.evolve(Tally().manifest, version="2")], {})


def test_an_adapter_s_libraries_let_recursion_go_no_further_than_the_stack() -> None:
    """A library of py-evm's asks for 100 000 calls: nested JSON would end the process."""
    try:
        sys.setrecursionlimit(100_000)  # As importing that library does, which happens once in a process.
        manifest = plugins.load("ethereum").create("py-evm", {}).manifest
        joined_adapters([manifest], {})
        assert sys.getrecursionlimit() == limits.RECURSION_MAX
        with pytest.raises(RecursionError):
            json.loads("[" * 1_000_000)
    finally:
        # Not what it was before: py-evm stays, and needs more than that.
        bound_recursion()
