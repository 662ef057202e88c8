"""Every fault of a settings file is told at once, with its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coco_core.errors import OperatorError
from coco_core.node import Address, Founding, Joining, Recovering, load_settings
from coco_core.node.platform_settings import PlatformSettings
from coco_core.testing import Consortium

PEM = Consortium.of(1).service.certificate
GOOD: dict[str, Any] = {
    "folder": "node-0",
    "admin": "127.0.0.1:9545",
    "peer": "[::1]:9645",
    "rpc": {"tally": "localhost:0"},
    "found": {"nodes": 3, "ledgers": {"tally": {"genesis": "genesis.json"}}},
}


def written(base: Path, **fields: Any) -> Path:
    (base / "genesis.json").write_text('{"counters": {}}')
    (base / "service.pem").write_text(PEM)
    (base / "bad.json").write_text("{")
    (base / "list.json").write_text("[]")
    path = base / "settings.json"
    value = {name: one for name, one in (GOOD | fields).items() if one is not None}
    path.write_text(json.dumps(value))
    return path


def test_founder(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, tick_ms=10, election_timeout_ms=[200, 300], heartbeat_ms=50))
    assert settings.folder == tmp_path / "node-0"
    assert settings.peer == Address("::1", 9645)
    assert str(settings.peer) == "[::1]:9645"
    assert str(settings.admin) == "127.0.0.1:9545"
    assert isinstance(settings.role, Founding)
    assert settings.role.nodes == 3
    assert settings.role.ledgers["tally"].config == {"counters": {}}
    assert (settings.tick_ms, settings.election_timeout_ms, settings.heartbeat_ms) == (10, (200, 300), 50)


def test_joiner(tmp_path: Path) -> None:
    join = {"target": "127.0.0.1:9545", "service_certificate": "service.pem"}
    settings = load_settings(written(tmp_path, found=None, join=join))
    assert settings.role == Joining(targets=(Address("127.0.0.1", 9545),), service_certificate=PEM)
    old = {**join, "replaces": "ab" * 32}
    settings = load_settings(written(tmp_path, found=None, join=old, alternate={"admin": "127.0.0.1:1"}))
    assert isinstance(settings.role, Joining)
    assert settings.role.replaces == "ab" * 32
    several = {**join, "target": ["127.0.0.1:1", "[::1]:2"]}
    settings = load_settings(written(tmp_path, found=None, join=several))
    assert isinstance(settings.role, Joining)
    assert settings.role.targets == (Address("127.0.0.1", 1), Address("::1", 2))


def test_who_recovers_takes_everything_from_the_ledger(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, found=None, recover={}))
    assert settings.role == Recovering()


def test_operators_snapshots_and_archive(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path))
    assert (settings.snapshot_interval, settings.snapshots_kept, settings.archive) == (50_000, 2, None)
    given = {"snapshot_interval": 7, "snapshots_kept": 1, "archive": "old"}
    found = {"ledgers": {"tally": {"genesis": "genesis.json"}}, "operators": ["service.pem"]}
    settings = load_settings(written(tmp_path, found=found, **given))
    assert (settings.snapshot_interval, settings.snapshots_kept) == (7, 1)
    assert settings.archive == tmp_path / "old"
    assert isinstance(settings.role, Founding)
    assert settings.role.operators == (PEM,)


def test_policies(tmp_path: Path) -> None:
    code = {"Insecure_Virtual": {"measurements": ["ab" * 32]}}
    (tmp_path / "policy.json").write_text(json.dumps({"development": True, "platforms": code}))
    found = {**GOOD["found"], "policy": "policy.json"}
    settings = load_settings(written(tmp_path, found=found))
    assert isinstance(settings.role, Founding)
    assert settings.role.policy is not None
    assert settings.role.policy.measurements == {("Insecure_Virtual", "ab" * 32)}
    join = {"target": "127.0.0.1:1", "service_certificate": "service.pem", "policy": "policy.json"}
    joining = load_settings(written(tmp_path, found=None, join=join)).role
    assert isinstance(joining, Joining)
    assert joining.policy == settings.role.policy
    with pytest.raises(OperatorError, match=r"'found.policy': policy .*list.json: expected"):
        load_settings(written(tmp_path, found={**found, "policy": "list.json"}))


def test_platform(tmp_path: Path) -> None:
    (tmp_path / "chip.pem").write_text("PEM")
    settings = load_settings(written(tmp_path, platform={"name": "snp", "collateral": "chip.pem"}))
    given = settings.platform.hand_out()
    assert (settings.platform.name, given.values) == ("snp", {"collateral": "chip.pem"})
    read = given.file("collateral")
    (tmp_path / "chip.pem").write_text("newer")
    assert read() == b"newer"
    for option in ("other", "collateral"):
        (tmp_path / "chip.pem").unlink(missing_ok=True)
        with pytest.raises(OperatorError, match=r"'platform.other' must be text|No such file"):
            given.file(option)
    assert load_settings(written(tmp_path, platform="sgx")).platform.options == {}


def test_what_the_virtual_platform_says(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path)).platform == PlatformSettings()
    settings = load_settings(written(tmp_path, virtual={"measurement": "ab" * 32}))
    assert settings.platform.options == {"measurement": "ab" * 32}


def test_hosts_others_know_a_node_by(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path))
    assert (settings.published_host, settings.hosts) == ("::1", ("127.0.0.1", "::1", "localhost"))
    everywhere = {"peer": "0.0.0.0:1", "admin": "[::]:2", "rpc": {"tally": "10.0.0.1:3"}}
    settings = load_settings(written(tmp_path, published="node-0.example.org", **everywhere))
    assert settings.published_host == "node-0.example.org"
    assert settings.hosts == ("10.0.0.1", "node-0.example.org")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("127.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("example.com", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert Address(host, 1).is_loopback is loopback


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown": ({"colour": 1, "shape": 2}, ("unknown field 'colour'", "unknown field 'shape'")),
    "addresses": (
        {"admin": "nowhere", "peer": 5, "rpc": {"tally": "x:99999", "other": ":1"}},
        ("'admin' must be", "'peer' must be", "'tally' must be", "'other' must be"),
    ),
    "platform a number": ({"platform": 1}, ("'platform' must be",)),
    "platform without a name": ({"platform": {"collateral": "x"}}, ("'platform' must be",)),
    "platform of another spelling": ({"platform": "SGX"}, ("'platform' must be",)),
    "platform with another's options": (
        {"platform": "sgx", "virtual": {"measurement": "ab" * 32}},
        ("'virtual' is for the virtual platform",),
    ),
    "virtual told elsewhere": (
        {"platform": {"name": "virtual", "measurement": "ab" * 32}},
        ("what the virtual platform is told is in 'virtual'",),
    ),
    "virtual": ({"virtual": {}}, ("'virtual' must be",)),
    "virtual text": ({"virtual": "ab"}, ("'virtual' must be",)),
    "virtual short": ({"virtual": {"measurement": "ab"}}, ("'virtual' must be",)),
    "virtual upper case": ({"virtual": {"measurement": "AB" * 32}}, ("'virtual' must be",)),
    "virtual more": ({"virtual": {"measurement": "ab" * 32, "x": 1}}, ("'virtual' must be",)),
    "published": ({"published": "a..b"}, ("'published' must be a host",)),
    "published number": ({"published": 5}, ("'published' must be a host",)),
    "published nowhere": ({"peer": "0.0.0.0:1"}, ("'published' must say",)),
    "published everywhere": ({"published": "::"}, ("'published' must say",)),
    "rpc of no ledger": ({"rpc": {"tall": "localhost:0"}}, ("'rpc.tall': 'found.ledgers' has no",)),
    "odd digits": ({"admin": "host:²"}, ("'admin' must be",)),
    "settings of no adapter": ({"adapters": {"tall": {}}}, ("'adapters.tall': 'found.ledgers' has no",)),
    "settings of adapters": ({"adapters": {"tally": 1}}, ("'adapters' must map ledger names to objects",)),
    "rpc": ({"rpc": []}, ("'rpc' must map",)),
    "folder": ({"folder": ""}, ("'folder' must be a path",)),
    "no role": ({"found": None}, ("exactly one of",)),
    "recovering what": ({"found": None, "recover": {"nodes": 3}}, ("'recover' must be {}",)),
    "both roles": ({"join": {}}, ("exactly one of",)),
    "found": ({"found": []}, ("'found' must be an object",)),
    "nodes": ({"found": {"nodes": 0, "ledgers": []}}, ("'found.nodes'", "'found.ledgers'")),
    "nodes is yes": ({"found": {"nodes": True, "ledgers": {}}}, ("'found.nodes'", "'found.ledgers'")),
    "ledger": ({"found": {"ledgers": {"tally": {"engine": 1}}}}, ("'found.ledgers.tally' needs",)),
    "ledger text": ({"found": {"ledgers": {"tally": "x"}}}, ("'found.ledgers.tally' needs",)),
    "no genesis": (
        {"found": {"ledgers": {"tally": {"genesis": "no.json"}}}},
        ("genesis file", "No such file"),
    ),
    "bad genesis": (
        {"found": {"ledgers": {"a": {"genesis": "bad.json"}, "b": {"genesis": "list.json"}}}},
        ("is not JSON", "does not hold a JSON object"),
    ),
    "join": ({"found": None, "join": 1}, ("'join' must be an object",)),
    "join empty": ({"found": None, "join": {}}, ("'target' must be", "'join.service_certificate'")),
    "join certificate": (
        {"found": None, "join": {"target": "h:1", "service_certificate": "none.pem"}},
        ("'join.service_certificate' none.pem",),
    ),
    "join in the place of": (
        {
            "found": None,
            "join": {"target": "h:1", "service_certificate": "service.pem", "replaces": "AB" * 32},
        },
        ("'join.replaces' must be a node ID",),
    ),
    "join in the place of a number": (
        {"found": None, "join": {"target": "h:1", "service_certificate": "service.pem", "replaces": 7}},
        ("'join.replaces' must be a node ID",),
    ),
    "times": ({"tick_ms": 0, "heartbeat_ms": "x"}, ("'tick_ms' must be", "'heartbeat_ms' must be")),
    "tick is yes": ({"tick_ms": True}, ("'tick_ms' must be",)),
    "election": ({"election_timeout_ms": [100, 1000]}, ("'election_timeout_ms' must be",)),
    "election text": ({"election_timeout_ms": "x"}, ("'election_timeout_ms' must be",)),
    "all at once": (
        {"folder": 1, "admin": 1, "peer": 1, "found": None, "tick_ms": -1},
        ("'folder'", "'admin'", "'peer'", "exactly one", "'tick_ms'"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault: str, tmp_path: Path) -> None:
    fields, messages = FAULTS[fault]
    path = written(tmp_path, **fields)
    with pytest.raises(OperatorError) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)
    for message in messages:
        assert message in str(caught.value)


def test_file_itself(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        load_settings(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("nonsense")
    with pytest.raises(OperatorError, match="is not JSON"):
        load_settings(tmp_path / "bad.json")
