"""Evidence of firmware, TPMs and enclaves that behave as documented verifies, or the operator is told why."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from coco_core.attestation import Evidence
from coco_core.errors import OperatorError
from coco_enclave import SealContext, SealingError, SealPolicy, TeeEvidence, TeePolicy, seal, unseal, verify
from coco_enclave.policy import PlatformPolicy
from coco_enclave.providers import (
    AzureContainerPlatform,
    AzureGuestPlatform,
    EnclaveLibrary,
    KernelSevGuest,
    KernelTree,
    SnpPlatform,
    Tpm2Tools,
    VbsPlatform,
)
from coco_enclave.providers import sev_guest as provider
from coco_enclave.providers import vbs as windows
from coco_enclave.snp_report import tcb_to_bytes
from coco_enclave.testing import (
    SimulatedSevGuest,
    SimulatedVirtualTpm,
    TsmTree,
    sim_azure,
    sim_snp,
    sim_tpm,
    sim_vbs,
)
from coco_enclave.testing.sim_snp import TCB, SnpChip
from coco_enclave.testing.sim_tpm import TpmVendor
from coco_enclave.testing.sim_vbs import VbsHost

NOW_S = 1_790_000_000
DATA = bytes(range(64))
MEASUREMENT = b"m" * 48


@pytest.fixture(scope="module")
def chip() -> SnpChip:
    return sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)


@pytest.fixture(scope="module")
def vendor() -> TpmVendor:
    return sim_tpm.make_tpm_vendor(NOW_S)


@pytest.fixture(scope="module")
def host(vendor: TpmVendor) -> VbsHost:
    return sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))


def accepted(made: Evidence, anchor: str, **rules: Any) -> Any:
    """Return the claims of evidence that is accepted."""
    policy = PlatformPolicy(measurements=None, simulator_anchors=frozenset({anchor}), rules=rules)
    evidence = TeeEvidence(kind=made.format, quote=made.quote)
    return verify(evidence, made.endorsements, TeePolicy(platforms={made.format: policy}), DATA, NOW_S).claims


# ── SEV-SNP ──────────────────────────────────────────────────────────────────────────────────────


def test_structures_and_numbers_are_those_of_the_header() -> None:
    # _IOWR('S', n, 32 bytes): direction 3, size, type, number (asm-generic/ioctl.h).
    for number, command in ((0, provider.GET_REPORT), (1, provider.GET_DERIVED_KEY)):
        assert command == 3 << 30 | 32 << 16 | ord("S") << 8 | number
    assert ctypes.sizeof(provider.GuestRequest) == 32
    assert provider.GuestRequest.req_data.offset == 8
    assert provider.GuestRequest.exitinfo2.offset == 24


@pytest.mark.parametrize("vmpl", [0, 1])
def test_evidence_of_the_device_verifies(chip: SnpChip, vmpl: int) -> None:
    device = SimulatedSevGuest(chip, MEASUREMENT)
    made = SnpPlatform(chip.collateral, device=device, vmpl=vmpl).attest(DATA)
    assert accepted(made, chip.vendor.anchor, vmpl_max=1).more["vmpl"] == vmpl


def test_evidence_of_the_kernels_folder_verifies(chip: SnpChip) -> None:
    tree = TsmTree("sev_guest", lambda data, level: chip.report(data, MEASUREMENT, vmpl=level))
    made = SnpPlatform(chip.collateral, tree=tree, name="coco").attest(DATA)
    assert accepted(made, chip.vendor.anchor).measurement == MEASUREMENT.hex()
    assert tree.entries == []


def test_what_the_host_hands_out_is_collateral(chip: SnpChip) -> None:
    def platform(handed_out: bytes) -> SnpPlatform:
        tree = TsmTree("sev_guest", lambda data, _: chip.report(data, MEASUREMENT), auxiliary=handed_out)
        return SnpPlatform(None, tree=tree, name="coco")

    table = sim_snp.certificate_table(
        {"vcek": chip.leaf.der, "ask": chip.vendor.ask.der, "ark": chip.vendor.ark.der}
    )
    assert accepted(platform(table).attest(DATA), chip.vendor.anchor).measurement == MEASUREMENT.hex()
    for nothing in (b"", bytes(4096)):
        with pytest.raises(OperatorError, match="hands out no certificates"):
            platform(nothing).attest(DATA)


def test_what_the_firmware_does_not_make_is_told(chip: SnpChip) -> None:
    device = SimulatedSevGuest(chip, MEASUREMENT)
    platform = SnpPlatform(chip.collateral, device=device)
    with pytest.raises(OperatorError, match="64 bytes"):
        platform.attest(DATA[:32])
    device.status = 0x16
    with pytest.raises(OperatorError, match="0x16"):
        platform.attest(DATA)
    with pytest.raises(OperatorError, match="no key"):
        provider.ask_key(device, fields=0, vmpl=0, guest_svn=0, tcb=bytes(8))
    with pytest.raises(OperatorError, match="sev-guest"):
        KernelSevGuest(Path("/nonexistent/sev-guest")).ask(provider.GET_REPORT, bytes(96), 4000)
    for report in (chip.report(bytes(64), MEASUREMENT), b"no report"):
        tree = TsmTree("sev_guest", lambda *_, answer=report: answer)
        with pytest.raises(OperatorError, match="report"):
            SnpPlatform(chip.collateral, tree=tree, name="coco").attest(DATA)


def test_keys_are_of_chip_code_and_firmware(chip: SnpChip) -> None:
    def key(of: SnpChip, measurement: bytes = MEASUREMENT, tcb: bytes | None = None) -> Any:
        return SnpPlatform(of.collateral, device=SimulatedSevGuest(of, measurement)).sealing_key(tcb=tcb)

    mine = key(chip)
    assert (mine.code, mine.tcb, key(chip)) == (MEASUREMENT.hex(), str(TCB), mine)
    other = sim_snp.make_snp_chip(chip.vendor, now_s=NOW_S, seed=b"other")
    old = tcb_to_bytes(attrs.evolve(TCB, snp=23), "Milan")
    for another in (key(other), key(chip, b"n" * 48), key(chip, tcb=old)):
        assert another.secret != mine.secret
    context = SealContext(service_id="s", node_id="n", purpose="recovery")
    blob = seal(b"secret", mine, context, 7, bytes(range(44)))
    assert unseal(blob, key(chip), context, committed_seqno=7).secret == b"secret"
    for code, another in (("machine", key(other)), ("code", key(chip, b"n" * 48))):
        with pytest.raises(SealingError) as caught:
            unseal(blob, another, context, committed_seqno=7)
        assert caught.value.code == code
    with pytest.raises(OperatorError, match="exact"):
        SnpPlatform(chip.collateral, device=SimulatedSevGuest(chip, MEASUREMENT)).sealing_key(
            SealPolicy.AUTHOR
        )


# ── Azure ────────────────────────────────────────────────────────────────────────────────────────


def test_evidence_of_a_confidential_vm_verifies(chip: SnpChip, host: VbsHost) -> None:
    guest = sim_azure.AzureGuest(chip=chip, tpm=host.tpm)
    tpm = SimulatedVirtualTpm(guest)
    made = AzureGuestPlatform(chip.collateral, tpm, (4, 7)).attest(DATA)
    assert set(accepted(made, chip.vendor.anchor).more["registers"]) == {"4", "7"}
    tpm.registers = tpm.registers[:-1]
    with pytest.raises(OperatorError, match="24"):
        AzureGuestPlatform(chip.collateral, tpm, (4, 7)).attest(DATA)


def test_the_tools_are_asked_as_they_are_documented() -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> bytes:
        asked.append(command)
        for option, data in (("-m", b"message"), ("-s", b"signature"), ("-o", bytes(64))):
            if option in command:
                Path(command[command.index(option) + 1]).write_bytes(data)
        return b"memory"

    tools = Tpm2Tools(run)
    assert tools.read_memory(0x01400001) == b"memory"
    assert tools.quote(b"\x01\x02", (7, 4)) == (b"message", b"signature")
    assert tools.read_registers() == [bytes(32), bytes(32)]
    assert asked[0] == ["tpm2_nvread", "-C", "o", "0x01400001"]
    assert asked[1][:7] == ["tpm2_quote", "-c", "0x81000003", "-l", "sha256:4,7", "-q", "0102"]
    silent = Tpm2Tools(lambda _: b"")
    with pytest.raises(OperatorError, match="no quote"):
        silent.quote(b"", (4,))
    with pytest.raises(OperatorError, match="no registers"):
        silent.read_registers()


def test_tools_that_are_not_there_are_named() -> None:
    with pytest.raises(OperatorError, match="tpm2_"):
        Tpm2Tools().read_memory(1)


def _context(folder: Path, chip: SnpChip, endorsement: bytes) -> KernelTree:
    certificates = {
        "vcekCert": chip.leaf.pem.decode(),
        "certificateChain": (chip.vendor.ask.pem + chip.vendor.ark.pem).decode(),
    }
    for name, data in (
        ("reference-info-base64", endorsement),
        ("security-policy-base64", b"policy"),
        ("host-amd-cert-base64", json.dumps(certificates).encode()),
    ):
        (folder / name).write_bytes(base64.b64encode(data))
    return KernelTree(folder)


def test_evidence_of_a_container_group_verifies(chip: SnpChip, tmp_path: Path) -> None:
    issuer = sim_azure.make_uvm_issuer(NOW_S)
    context = _context(tmp_path, chip, issuer.endorsement(MEASUREMENT))
    digest = hashlib.sha256(b"policy").digest()
    platform = AzureContainerPlatform(context, lambda data: chip.report(data, MEASUREMENT, host_data=digest))
    claims = accepted(platform.attest(DATA), chip.vendor.anchor, dids=[issuer.did])
    assert claims.measurement == digest.hex()
    for name, data, reason in (
        ("host-amd-cert-base64", base64.b64encode(b"{}"), "documented"),
        ("security-policy-base64", b"*", "base64"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(OperatorError, match=reason):
            platform.attest(DATA)


# ── Windows ──────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class HostTpm:
    """The TPM of a simulated host, asked as Windows is."""

    host: VbsHost

    def quote(self, nonce: bytes) -> tuple[bytes, bytes]:
        return self.host.tpm.quote(nonce, sim_vbs.SELECTION)

    def boot_log(self) -> bytes:
        return self.host.tpm.log


def test_evidence_of_an_enclave_verifies(vendor: TpmVendor, host: VbsHost) -> None:
    platform = VbsPlatform(lambda: host.tpm.chain, host.report, HostTpm(host))
    assert accepted(platform.attest(DATA), vendor.anchor).signer == sim_vbs.AUTHOR.hex()
    with pytest.raises(OperatorError, match="64 bytes"):
        platform.attest(b"")
    answers: list[Callable[[bytes], bytes]] = [lambda _: host.report(bytes(64)), lambda _: b"none"]
    for report in answers:
        with pytest.raises(OperatorError, match="report"):
            VbsPlatform(lambda: host.tpm.chain, report, HostTpm(host)).attest(DATA)


class Kernel32:
    """What the documentation says of ``kernel32``, for one enclave; ``fails`` names a call that does."""

    def __init__(self, host: VbsHost, fails: str = "") -> None:
        self._host = host
        self._fails = fails

    def IsEnclaveTypeSupported(self, kind: int) -> bool:  # noqa: N802 - Windows names it
        return kind == 0x10 and self._fails != "IsEnclaveTypeSupported"

    def GetCurrentProcess(self) -> int:  # noqa: N802
        return -1

    def CreateEnclave(self, *arguments: Any) -> int | None:  # noqa: N802
        assert (arguments[4], arguments[6]) == (0x10, 36)
        return None if self._fails == "CreateEnclave" else 0x10000

    def LoadEnclaveImageW(self, base: int, path: str) -> bool:  # noqa: N802
        return base == 0x10000 and path == "keys.dll" and self._fails != "LoadEnclaveImageW"

    def InitializeEnclave(self, *_: Any) -> bool:  # noqa: N802
        return self._fails != "InitializeEnclave"

    def GetProcAddress(self, _: int, name: bytes) -> int | None:  # noqa: N802
        return 1 if name == b"CocoAttest" and self._fails != "GetProcAddress" else None

    def CallEnclave(self, _: int, argument: Any, wait: int, answer: Any) -> bool:  # noqa: N802
        call = ctypes.cast(argument, ctypes.POINTER(windows.AttestCall)).contents
        report = self._host.report(bytes(call.enclave_data))
        ctypes.memmove(call.report, report, len(report))
        call.size = len(report)
        return wait == 1 and self._fails != "CallEnclave" and answer is not None


def test_a_library_is_loaded_and_called_as_documented(host: VbsHost) -> None:
    library = EnclaveLibrary(Path("keys.dll"), Kernel32(host))
    made = VbsPlatform(lambda: host.tpm.chain, library.report, HostTpm(host)).attest(DATA)
    assert made.format == "vbs"


@pytest.mark.parametrize(
    "fails",
    [
        "IsEnclaveTypeSupported",
        "CreateEnclave",
        "LoadEnclaveImageW",
        "InitializeEnclave",
        "GetProcAddress",
        "CallEnclave",
    ],
)
def test_what_windows_refuses_is_told(host: VbsHost, fails: str) -> None:
    with pytest.raises(OperatorError):
        EnclaveLibrary(Path("keys.dll"), Kernel32(host, fails)).report(DATA)


@pytest.mark.skipif(hasattr(ctypes, "WinDLL"), reason="there is such a library on Windows")
def test_elsewhere_there_are_no_such_enclaves() -> None:
    with pytest.raises(OperatorError, match="Windows"):
        EnclaveLibrary(Path("keys.dll"))
