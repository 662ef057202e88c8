"""Platforms by the names that a node's settings give them, with what their operators say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coco_core.attestation import PlatformOptions, PlatformPlugin, known_verifiers
from coco_core.errors import OperatorError
from coco_core.node.platform_settings import PlatformSettings
from coco_core.node.plugins import load_platform
from coco_core.node.policy_file import policy_from_file
from coco_enclave.providers import plugin as real
from coco_enclave.testing import make_snp_chip, make_snp_vendor
from coco_enclave.testing import plugin as simulated
from coco_enclave.testing.machines import KINDS, Machine, make_machine

NOW_S = 1_790_000_000
DATA = bytes(range(64))
PLUGINS: dict[str, PlatformPlugin] = {}
for module in (real, simulated):
    module.coco_register_platforms(lambda one: PLUGINS.update({one.name: one}))


def options(folder: Path, **values: Any) -> PlatformOptions:
    return PlatformOptions(values=values, read=lambda name: (folder / name).read_bytes())


@pytest.fixture(scope="module")
def machines() -> dict[str, Machine]:
    return {kind: make_machine(kind, NOW_S) for kind in KINDS}


def test_every_real_platform_has_a_verifier_and_its_name() -> None:
    names = {name for name in PLUGINS if not name.startswith("simulated-")}
    assert names == {"sgx", "tdx", "snp", "azure-snp", "azure-aci"}
    assert names <= set(known_verifiers())
    assert {name.removeprefix("simulated-") for name in PLUGINS} - names == {"vbs"}


def test_real_platforms_are_made_of_what_is_said(tmp_path: Path) -> None:
    chip = make_snp_chip(make_snp_vendor(NOW_S), now_s=NOW_S)
    (tmp_path / "collateral").write_bytes(chip.leaf.der)
    given: dict[str, dict[str, Any]] = {
        "sgx": {"collateral": "collateral"},
        "tdx": {"collateral": "collateral"},
        "snp": {"collateral": "collateral", "interface": "kernel", "vmpl": 1},
        "azure-snp": {"collateral": "collateral", "registers": "11,4,7"},
        "azure-aci": {"context": str(tmp_path)},
    }
    for name, values in given.items():
        assert values.keys() <= PLUGINS[name].options
        platform = PLUGINS[name].create(options(tmp_path, **values))
        assert platform.format == name
        # No such hardware is here: its operator is told which file is not.
        with pytest.raises(OperatorError):
            platform.attest(DATA)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("sgx", {}, "'platform.collateral' must be text"),
        ("snp", {"collateral": "collateral", "interface": "telepathy"}, "must be 'kernel' or 'device'"),
        ("snp", {"collateral": "collateral", "vmpl": "0"}, "'platform.vmpl' must be a whole number"),
        ("azure-snp", {"collateral": "collateral", "registers": "99"}, "numbers of the TPM's registers"),
        ("azure-snp", {"collateral": "collateral", "registers": "x"}, "numbers of the TPM's registers"),
        ("snp", {"collateral": "collateral", "interface": "kernel"}, "'platform.collateral' cannot be used"),
        ("azure-aci", {"context": "/nowhere/at/all"}, "no security context"),
        ("simulated-snp", {"machine": "collateral"}, "is no simulated snp machine"),
        ("simulated-snp", {"machine": "collateral", "host_data": "4"}, "must be 32 bytes"),
    ],
)
def test_what_is_said_wrongly(tmp_path: Path, name: str, values: dict[str, Any], message: str) -> None:
    (tmp_path / "collateral").write_text("PEM")
    with pytest.raises(OperatorError, match=message):
        PLUGINS[name].create(options(tmp_path, **values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_in_a_file_is_the_same_machine(
    kind: str, machines: dict[str, Machine], tmp_path: Path
) -> None:
    made = machines[kind]
    (tmp_path / "machine").write_bytes(made.to_bytes())
    settings = PlatformSettings(
        name=f"simulated-{kind}", options={"machine": "machine", "code": "x"}, base=tmp_path
    )
    platform = load_platform(settings)
    assert platform.format == kind
    evidence = platform.attest(DATA)
    assert evidence.endorsements == made.collateral
    claims = known_verifiers()[kind].verify(evidence, _policy(made, "x"), DATA, NOW_S)
    assert claims.measurement == made.measurement("x") != made.measurement()
    assert not claims.secure
    other = next(one for one in KINDS if one != kind)
    with pytest.raises(OperatorError, match=f"is no simulated {other} machine"):
        PLUGINS[f"simulated-{other}"].create(options(tmp_path, machine="machine"))


def _policy(machine: Machine, code: str) -> Any:
    return policy_from_file({"development": True, "platforms": {machine.kind: machine.policy(code)}})
