"""The plugin: found by its hook, and what development needs is told."""

from __future__ import annotations

import pluggy
import pytest

from coco_core import adapter
from coco_core.adapter import API, WorkloadOptions
from coco_core.errors import OperatorError
from coco_sawtooth import plugin
from coco_sawtooth.plugin import SawtoothPlugin
from coco_sawtooth.settings_family import AUTHORIZED_KEYS
from coco_sawtooth.signing import Signer


def test_the_hook_registers_one_plugin():
    manager = pluggy.PluginManager(adapter.PROJECT)
    manager.add_hookspecs(adapter.hooks)
    manager.register(plugin)
    found = []
    manager.hook.coco_register_adapters(register=found.append)
    [sawtooth] = found
    assert (sawtooth.name, sawtooth.api) == ("sawtooth", API)
    manifest = sawtooth.create("", {}).manifest
    assert sawtooth.version == manifest.version
    assert not manifest.deterministic
    assert list(sawtooth.engines()) == []


def test_an_engine_or_an_unknown_setting_is_the_operators_fault():
    with pytest.raises(OperatorError, match="abacus"):
        SawtoothPlugin().create("abacus", {})
    with pytest.raises(OperatorError, match="colour"):
        SawtoothPlugin().create("", {"colour": "red"})
    for wrong in ({"processors": 1}, {"processors": "4004"}, {"processors_anywhere": "yes"}):
        with pytest.raises(OperatorError, match="processors"):
            SawtoothPlugin().create("", wrong)
    with pytest.raises(OperatorError, match="processors_anywhere"):
        SawtoothPlugin().create("", {"processors": "tcp://0.0.0.0:4004"})
    SawtoothPlugin().create("", {"processors": "tcp://0.0.0.0:4004", "processors_anywhere": True})
    for wrong in (0, 301, 2.5, True, "10"):
        with pytest.raises(OperatorError, match="processor_seconds"):
            SawtoothPlugin().create("", {"processor_seconds": wrong})
    SawtoothPlugin().create("", {"processor_seconds": 300})
    with pytest.raises(OperatorError, match="no workload"):
        SawtoothPlugin().workload(WorkloadOptions(kind="xo"))


def test_development_keys_are_told_and_the_first_may_change_settings(world):
    development = SawtoothPlugin().development()
    keys = development.details["keys"]
    for key in keys:
        assert Signer(bytes.fromhex(key["privateKey"])).public_key == key["publicKey"]
        assert any(key["publicKey"] in note and key["privateKey"] in note for note in development.notes)
    assert any("INSECURE" in note for note in development.notes)
    assert world.setting(AUTHORIZED_KEYS) == keys[0]["publicKey"]
    endpoints = [development.node_settings(index)["processors"] for index in range(3)]
    assert len(set(endpoints)) == 3
    for index in range(3):
        SawtoothPlugin().create("", development.node_settings(index))
