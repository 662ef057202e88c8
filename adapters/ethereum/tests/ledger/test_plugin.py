"""The plugin: found by its hook, lists engines without failing, gives what development needs."""

from __future__ import annotations

import pluggy
import pytest

from coco_core import adapter
from coco_core.adapter import API, WorkloadOptions
from coco_core.errors import OperatorError
from coco_ethereum import engines, plugin
from coco_ethereum.development import ACCOUNTS, BALANCE, development_key
from coco_ethereum.engines.choice import EngineInfo
from coco_ethereum.plugin import EthereumPlugin
from coco_ethereum.signatures import address_of


def test_the_hook_registers_one_plugin():
    manager = pluggy.PluginManager(adapter.PROJECT)
    manager.add_hookspecs(adapter.hooks)
    manager.register(plugin)
    found = []
    manager.hook.coco_register_adapters(register=found.append)
    [ethereum] = found
    assert (ethereum.name, ethereum.api) == ("ethereum", API)
    assert ethereum.version == ethereum.create("", {}).manifest.version


def test_every_known_engine_is_listed_usable_ones_first():
    listed = EthereumPlugin().engines()
    assert {info.name for info in listed} == {info.name for info in engines.ENGINES}
    assert not listed[0].unavailable
    assert listed[0].version
    assert listed == sorted(listed, key=lambda info: bool(info.unavailable))


def test_a_missing_engine_says_how_to_get_it(monkeypatch):
    missing = EngineInfo(
        name="lost",
        requires="no_such_module",
        install="some-distribution",
        module="no_such_module",
        factory="X",
    )
    monkeypatch.setattr(engines, "ENGINES", (missing,))
    [info] = EthereumPlugin().engines()
    assert info.unavailable == "not installed: pip install 'some-distribution'"
    monkeypatch.setattr(engines, "available", list)
    with pytest.raises(OperatorError, match="no EVM engine is installed"):
        EthereumPlugin().create("", {})


@pytest.mark.parametrize("name", [info.name for info in engines.available()])
def test_an_engine_is_created_by_name(name):
    assert EthereumPlugin().create(name, {}).manifest.engine.partition(" ")[0] == name


def test_an_unknown_engine_is_the_operators_fault():
    with pytest.raises(OperatorError, match="evmone"):
        EthereumPlugin().create("evmone", {})


async def test_development_accounts_are_funded_and_their_keys_are_told(ledger):
    development = EthereumPlugin().development()
    accounts = development.details["accounts"]
    assert len(accounts) == ACCOUNTS
    for index, account in enumerate(accounts):
        key = bytes.fromhex(account["privateKey"][2:])
        assert key == development_key(index)
        assert account["address"] == "0x" + address_of(key).hex()
        assert int(await ledger.ok("eth_getBalance", account["address"]), 16) == BALANCE
        assert any(account["address"] in note and account["privateKey"] in note for note in development.notes)
    assert any("INSECURE" in note for note in development.notes)


def test_a_workload_comes_from_options():
    workload = EthereumPlugin().workload(WorkloadOptions(kind="erc20", transactions=3))
    assert (workload.transactions, workload.name.startswith("erc20")) == (3, True)
