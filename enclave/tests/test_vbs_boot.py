"""The boot a VBS enclave runs in: what the TPM and its log must say, and every lie they are refused for."""

from __future__ import annotations

import struct
from typing import Any

import attrs
import pytest

from coco_enclave import EvidenceError, boot_log
from coco_enclave.event_log import parse_log
from coco_enclave.policy import PlatformPolicy
from coco_enclave.testing import sim_tpm, sim_vbs
from coco_enclave.testing.authority import issue, rsa_key
from coco_enclave.testing.sim_tpm import Tpm, TpmVendor
from coco_enclave.testing.sim_vbs import STATE, UNIQUE, VbsHost
from coco_enclave.tpm import SHA1, SHA256, SHA512
from coco_enclave.vbs import VbsVerifier

NOW_S = 1_790_000_000
DATA = bytes(range(64))


@pytest.fixture(scope="module")
def vendor() -> TpmVendor:
    return sim_tpm.make_tpm_vendor(NOW_S)


@pytest.fixture(scope="module")
def host(vendor: TpmVendor) -> VbsHost:
    return sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))


@pytest.fixture(scope="module")
def other(vendor: TpmVendor) -> VbsHost:
    return sim_vbs.boot_windows(sim_tpm.make_tpm(vendor, now_s=NOW_S))


@pytest.fixture
def machine(vendor: TpmVendor, host: VbsHost) -> Tpm:
    """A TPM that measured nothing yet; making its key is the slow part, so it is the other's."""
    return Tpm(ak=host.tpm.ak, chain=host.tpm.chain)


def policy_of(anchor: str, **fields: Any) -> PlatformPolicy:
    accepted = {"measurements": frozenset({UNIQUE.hex()}), "simulator_anchors": frozenset({anchor})}
    return PlatformPolicy(**{**accepted, **fields})


def judge(vendor: TpmVendor, evidence: bytes, host: VbsHost, now_s: int = NOW_S, **fields: Any) -> Any:
    return VbsVerifier().verify(evidence, host.tpm.chain, policy_of(vendor.anchor, **fields), DATA, now_s)


def refusal(*args: Any, **fields: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        judge(*args, **fields)
    return caught.value.code


def test_a_stale_quote(vendor: TpmVendor, host: VbsHost) -> None:
    assert refusal(vendor, host.evidence(DATA, b"earlier nonce"), host) == "tpm_nonce"


def test_a_register_that_is_not_quoted(vendor: TpmVendor, host: VbsHost) -> None:
    for missing in sim_vbs.SELECTION:
        selection = [index for index in sim_vbs.SELECTION if index != missing]
        assert refusal(vendor, host.evidence(DATA, DATA, selection=selection), host) == "tpm_selection"
    assert refusal(vendor, host.evidence(DATA, DATA, selection=()), host) == "tpm_selection"


def test_a_log_of_another_boot(vendor: TpmVendor, host: VbsHost, other: VbsHost) -> None:
    assert refusal(vendor, host.evidence(DATA, DATA, log=other.tpm.log), host) == "log"


def test_an_event_after_the_log_or_one_dropped(vendor: TpmVendor, host: VbsHost) -> None:
    more = sim_tpm.log_event(14, 4, SHA256, b"d" * 32, b"WBCL")
    assert refusal(vendor, host.evidence(DATA, DATA, log=host.tpm.log + more), host) == "log"
    last = sim_tpm.log_event(14, 4, SHA256, parse_log(host.tpm.log)[-1].digests[SHA256], b"WBCL")
    assert host.tpm.log.endswith(last)
    assert refusal(vendor, host.evidence(DATA, DATA, log=host.tpm.log.removesuffix(last)), host) == "log"
    assert refusal(vendor, host.evidence(DATA, DATA, log=host.tpm.log + b"\0"), host) == "malformed"


def test_a_log_whose_text_was_edited(vendor: TpmVendor, host: VbsHost, machine: Tpm) -> None:
    insecure = sim_vbs.boot_windows(machine, state={**STATE, boot_log.TEST_SIGNING: b"\1"})
    assert refusal(vendor, insecure.evidence(DATA, DATA), insecure) == "boot_state"
    told = sim_vbs.tagged(boot_log.TEST_SIGNING, b"\0")
    edited = machine.log.replace(sim_vbs.tagged(boot_log.TEST_SIGNING, b"\1"), told)
    assert refusal(vendor, insecure.evidence(DATA, DATA, log=edited), insecure) == "log"


def test_a_secure_boot_variable_whose_text_was_edited(vendor: TpmVendor, machine: Tpm) -> None:
    insecure = sim_vbs.boot_windows(machine, secure_boot=b"\0")
    assert refusal(vendor, insecure.evidence(DATA, DATA), insecure) == "boot_state"
    off, on = sim_vbs.variable("SecureBoot", b"\0"), sim_vbs.variable("SecureBoot", b"\1")
    edited = machine.log.replace(off, on)
    assert refusal(vendor, insecure.evidence(DATA, DATA, log=edited), insecure) == "log"


STATES: list[tuple[str, dict[int, bytes]]] = [
    ("VBS off", {boot_log.VSM_LAUNCH: bytes(8)}),
    ("hypervisor off", {boot_log.HYPERVISOR_LAUNCH: bytes(8)}),
    ("kernel debugger", {boot_log.KERNEL_DEBUG: b"\1"}),
    ("code integrity off", {boot_log.CODE_INTEGRITY: b"\0"}),
    ("test signing", {boot_log.TEST_SIGNING: b"\1"}),
    ("boot debugger", {boot_log.BOOT_DEBUGGING: b"\1"}),
]


@pytest.mark.parametrize("change", [row[1] for row in STATES], ids=[row[0] for row in STATES])
def test_state_of_the_boot(vendor: TpmVendor, machine: Tpm, change: dict[int, bytes]) -> None:
    insecure = sim_vbs.boot_windows(machine, state={**STATE, **change})
    assert refusal(vendor, insecure.evidence(DATA, DATA), insecure) == "boot_state"


@pytest.mark.parametrize("kind", [kind for kind in STATE if kind != boot_log.TEST_SIGNING])
def test_state_that_is_not_told(vendor: TpmVendor, machine: Tpm, kind: int) -> None:
    silent = sim_vbs.boot_windows(machine, state={one: value for one, value in STATE.items() if one != kind})
    assert refusal(vendor, silent.evidence(DATA, DATA), silent) == "boot_state"


def test_state_that_is_told_twice_and_differently(vendor: TpmVendor, machine: Tpm) -> None:
    torn = sim_vbs.boot_windows(machine, more=[(boot_log.VSM_LAUNCH, bytes(8))])
    assert refusal(vendor, torn.evidence(DATA, DATA), torn) == "boot_state"


@pytest.mark.parametrize("keys", [0, 2])
def test_one_and_only_one_key_of_the_secure_kernel(vendor: TpmVendor, machine: Tpm, keys: int) -> None:
    torn = sim_vbs.boot_windows(machine, keys=keys)
    assert refusal(vendor, torn.evidence(DATA, DATA), torn) == "boot_state"


def test_the_secure_kernels_other_key_signs_nothing(vendor: TpmVendor, machine: Tpm) -> None:
    swapped = sim_vbs.boot_windows(machine, key_kind=sim_vbs.IDK)
    assert refusal(vendor, swapped.evidence(DATA, DATA), swapped) == "boot_state"


def test_a_key_that_was_measured_elsewhere_is_not_the_secure_kernels(vendor: TpmVendor, machine: Tpm) -> None:
    info = sim_vbs.key_info(rsa_key())
    machine.extend(13, sim_vbs.EV_EVENT_TAG, sim_vbs.tagged(boot_log.IDENTITY_KEY, info))
    host = sim_vbs.boot_windows(machine, keys=0)
    assert refusal(vendor, host.evidence(DATA, DATA), host) == "boot_state"


@pytest.mark.parametrize(
    ("info", "code"),
    [
        (struct.pack("<4I", 2, 2048, 3, 256) + bytes(259), "unsupported"),
        (struct.pack("<4I", 1, 1024, 3, 128) + bytes(131), "unsupported"),
        (struct.pack("<4I", 1, 1024, 3, 256) + b"\1\0\1" + b"\xff" * 256, "unsupported"),
        (struct.pack("<4I", 1, 2048, 3, 256) + bytes(259), "malformed"),
        (struct.pack("<4I", 1, 2048, 3, 256) + bytes(260), "malformed"),
        (struct.pack("<4I", 1, 2048, 3, 257) + b"\1\0\1\0" + b"\xff" * 256, "unsupported"),
        (struct.pack("<4I", 1, 2048, 5, 256) + b"\0\0\1\0\1" + b"\xff" * 256, "unsupported"),
        (struct.pack("<4I", 1, 2048, 3, 256) + b"\1\0\1" + b"\xff" * 256 + b"\0", "malformed"),
        (b"", "malformed"),
    ],
)
def test_keys_that_are_none(vendor: TpmVendor, machine: Tpm, info: bytes, code: str) -> None:
    host = sim_vbs.boot_windows(machine, keys=0, more=[(boot_log.IDENTITY_KEY, info)])
    assert refusal(vendor, host.evidence(DATA, DATA), host) == code


def test_values_that_are_nested_too_deep(vendor: TpmVendor, machine: Tpm) -> None:
    deep = b""
    for _ in range(6):
        deep = sim_vbs.tagged(0x40010001, deep)
    nested = sim_vbs.boot_windows(machine, more=[(0x40010001, deep)])
    assert refusal(vendor, nested.evidence(DATA, DATA), nested) == "malformed"


def test_what_is_no_variable_of_the_firmwares_own_is_passed_over(vendor: TpmVendor, machine: Tpm) -> None:
    machine.extend(7, 0x80000007, b"UEFI Debug Mode")
    machine.extend(7, sim_vbs.EV_VARIABLE, sim_vbs.variable("PK", b"key"))
    machine.extend(7, sim_vbs.EV_VARIABLE, b"o" * 16 + sim_vbs.variable("SecureBoot", b"\0")[16:])
    machine.extend(0, sim_vbs.EV_EVENT_TAG, b"firmware's own")
    host = sim_vbs.boot_windows(machine)
    assert judge(vendor, host.evidence(DATA, DATA), host).claims.measurement == UNIQUE.hex()


def _retyped(log: bytes, data: bytes, kind: int) -> bytes:
    """Return a log whose event of ``data`` says another type: nothing measures it."""
    at = log.index(data) - 4 - 32 - 2 - 4 - 4
    assert int.from_bytes(log[at : at + 4], "little") in (sim_vbs.EV_EVENT_TAG, sim_vbs.EV_VARIABLE)
    return log[:at] + kind.to_bytes(4, "little") + log[at + 4 :]


def test_what_is_extended_nowhere_may_name_no_register(vendor: TpmVendor, machine: Tpm) -> None:
    """Windows ends its log with a quote of its own, in an event for register 0xFFFFFFFF."""
    host = sim_vbs.boot_windows(machine)
    for register in (0xFFFFFFFF, 12):
        event = sim_tpm.log_event(register, 3, SHA256, bytes(32), sim_vbs.tagged(0xC0010004, b"quote"))
        evidence = host.evidence(DATA, DATA, log=machine.log + event)
        assert judge(vendor, evidence, host).claims.measurement == UNIQUE.hex()
    named = sim_tpm.log_event(0xFFFFFFFF, 6, SHA256, bytes(32), b"")
    assert refusal(vendor, host.evidence(DATA, DATA, log=machine.log + named), host) == "log"


def test_a_variable_ends_with_its_value(vendor: TpmVendor, machine: Tpm) -> None:
    machine.extend(7, sim_vbs.EV_VARIABLE, sim_vbs.variable("PK", b"key") + b"\0")
    host = sim_vbs.boot_windows(machine)
    assert refusal(vendor, host.evidence(DATA, DATA), host) == "malformed"


def test_a_running_system_puts_no_key_in_the_secure_kernels_place(vendor: TpmVendor, machine: Tpm) -> None:
    """It may extend registers, and type of an event hides it from who goes by types."""
    host = sim_vbs.boot_windows(machine)
    genuine = parse_log(machine.log)[2].data
    thief = attrs.evolve(host, idks=rsa_key())
    values = [*STATE.items(), (boot_log.IDENTITY_KEY, sim_vbs.key_info(thief.idks))]
    state = b"".join(sim_vbs.tagged(kind, value) for kind, value in values)
    machine.extend(12, sim_vbs.EV_EVENT_TAG, sim_vbs.tagged(0x40010001, state))
    for log in (machine.log, _retyped(machine.log, genuine, 0xD)):
        assert refusal(vendor, thief.evidence(DATA, DATA, log=log), host) == "signature"
        assert judge(vendor, host.evidence(DATA, DATA, log=log), host).claims.measurement == UNIQUE.hex()
    assert refusal(vendor, thief.evidence(DATA, DATA, log=_retyped(machine.log, genuine, 3)), host) == "log"


def test_a_running_system_turns_no_secure_boot_on(vendor: TpmVendor, machine: Tpm) -> None:
    host = sim_vbs.boot_windows(machine, secure_boot=b"\0")
    off, on = sim_vbs.variable("SecureBoot", b"\0"), sim_vbs.variable("SecureBoot", b"\1")
    machine.extend(7, sim_vbs.EV_VARIABLE, on)
    machine.extend(7, sim_vbs.EV_SEPARATOR, bytes(4))
    for log in (machine.log, _retyped(machine.log, off, 0xD)):
        assert refusal(vendor, host.evidence(DATA, DATA, log=log), host) == "boot_state"


@pytest.mark.parametrize("register", [12, 13, 14])
def test_a_boot_that_did_not_end(vendor: TpmVendor, machine: Tpm, register: int) -> None:
    """Until the boot loader ends, what it would still measure is missing."""
    host = sim_vbs.boot_windows(machine)
    events = [
        event for event in parse_log(machine.log) if (event.register, event.data) != (register, b"WBCL")
    ]
    with pytest.raises(EvidenceError) as caught:
        boot_log.read_values(events, SHA256)
    assert caught.value.code == "log"
    assert host.tpm is machine


def test_firmware_that_did_not_hand_over(vendor: TpmVendor, host: VbsHost) -> None:
    events = [event for event in parse_log(host.tpm.log) if event.data != bytes(4)]
    with pytest.raises(EvidenceError) as caught:
        boot_log.check_secure_boot(events, SHA256)
    assert caught.value.code == "boot_state"


def test_only_sha256_counts_unless_sha1_is_asked_for(vendor: TpmVendor, machine: Tpm) -> None:
    old = sim_vbs.boot_windows(Tpm(ak=machine.ak, chain=machine.chain, bank=SHA1))
    evidence = old.evidence(DATA, DATA)
    assert refusal(vendor, evidence, old) == "tpm_selection"
    assert judge(vendor, evidence, old, rules={"sha1": True}).notes == (
        "sha1",
        "boot_manager",
        "simulator",
    )


def test_asking_for_sha1_asks_for_no_other_bank(vendor: TpmVendor, machine: Tpm) -> None:
    odd = sim_vbs.boot_windows(Tpm(ak=machine.ak, chain=machine.chain, bank=SHA512))
    assert refusal(vendor, odd.evidence(DATA, DATA), odd, rules={"sha1": True}) == "tpm_selection"


def test_a_machine_that_nobody_vouches_for(vendor: TpmVendor, host: VbsHost) -> None:
    assert refusal(vendor, host.evidence(DATA, DATA), host, simulator_anchors=frozenset()) == "root"
    stranger = attrs.evolve(host.tpm, ak=issue("Simulated AK", rsa_key(), None, now_s=NOW_S))
    fake = attrs.evolve(host, tpm=stranger)
    assert refusal(vendor, fake.evidence(DATA, DATA), host) == "signature"


@pytest.mark.parametrize("evidence", [b"", b"\xa0", b"\xff", b"\xa4"])
def test_evidence_that_is_none(vendor: TpmVendor, host: VbsHost, evidence: bytes) -> None:
    assert refusal(vendor, evidence, host) == "malformed"
