"""Hostile evidence and collateral of every kind: refused within bounds of time and memory.

Lengths that are lies, nesting, repetition, and as many bytes as are read at all. Time is counted in lines of
Python that run, which is the same on every machine; memory as Python allocates it.
"""

from __future__ import annotations

import json
import struct
import sys
import tracemalloc
from collections.abc import Iterator
from types import FrameType
from typing import Any

import cbor2
import orjson
import pytest

from coco_enclave import EvidenceError, TeeEvidence, limits
from coco_enclave.evidence import decode, encode_parts
from coco_enclave.policy import PlatformPolicy, TeePolicy
from coco_enclave.testing import SimulatedIntel, sim_azure, sim_snp, sim_tpm, sim_vbs
from coco_enclave.verify import VERIFIERS, verify

NOW_S = 1_790_000_000
DATA = bytes(range(64))
LINES_MAX = 400_000
"""The most any of them may run; a genuine boot log takes 20 000."""
MEMORY_MAX_BYTES = 24 * 1024 * 1024
LARGEST = limits.EVIDENCE_SIZE_MAX_BYTES

INTEL = SimulatedIntel(NOW_S)
CHIP = sim_snp.make_snp_chip(sim_snp.make_snp_vendor(NOW_S), now_s=NOW_S)
VENDOR = sim_tpm.make_tpm_vendor(NOW_S)
HOST = sim_vbs.boot_windows(sim_tpm.make_tpm(VENDOR, now_s=NOW_S))
GUEST = sim_azure.AzureGuest(chip=CHIP, tpm=HOST.tpm)
ISSUER = sim_azure.make_uvm_issuer(NOW_S)
ANCHORS = frozenset({INTEL.anchor, CHIP.vendor.anchor, VENDOR.anchor})


class Counter:
    """Counts lines of Python that run below it."""

    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Counter:
        self.lines += event == "line"
        assert self.lines < LINES_MAX, "this takes too long"
        return self


def _bounded(kind: str, quote: bytes, collateral: bytes) -> None:
    """Check that evidence is refused, and what that takes."""
    policy = PlatformPolicy(measurements=None, simulator_anchors=ANCHORS, rules={})
    counter, before = Counter(), sys.gettrace()
    tracemalloc.start()
    sys.settrace(counter)
    try:
        with pytest.raises(EvidenceError):
            verify(
                TeeEvidence(kind=kind, quote=quote),
                collateral,
                TeePolicy(platforms={kind: policy}),
                DATA,
                NOW_S,
            )
    finally:
        sys.settrace(before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY_MAX_BYTES


def _rubbish() -> Iterator[tuple[str, bytes]]:
    """Yield bytes that promise more than they are, or much of one thing."""
    yield "nothing", b""
    for name, byte in (("zeros", b"\0"), ("ones", b"\xff"), ("CBOR lists", b"\x81"), ("JSON lists", b"[")):
        yield name, byte * LARGEST
    yield "CBOR maps", b"\xa1\x61a" * (LARGEST // 3)
    yield "CBOR tags", b"\xc1" * LARGEST
    for head in (b"\x5b", b"\x7b", b"\x9b", b"\xbb"):
        yield f"CBOR of 2^63 elements {head.hex()}", head + b"\x7f" + b"\xff" * 7 + bytes(64)
    yield "CBOR without end", b"\x9f" * 1000 + b"\xbf" * 1000
    yield "CBOR of a number with many digits", b"\xc2\x5a\x00\x03\xff\x00" + b"\xff" * 0x3FF00
    yield "JSON of a number with many digits", b"9" * LARGEST
    yield "JSON objects", b'{"a":' * (LARGEST // 5)
    yield "PEM, begun again and again", b"-----BEGIN CERTIFICATE-----\n" * (LARGEST // 28)
    yield "PEM of one certificate, repeated", CHIP.vendor.ark.pem * (LARGEST // len(CHIP.vendor.ark.pem))
    yield "PEM of nothing, large", b"-----BEGIN CERTIFICATE-----\n" + b"A" * (LARGEST - 100) + b"\n-----END"
    yield "more than is read", bytes(10_000_000)


RUBBISH = dict(_rubbish())


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_of_every_kind(name: str) -> None:
    for kind in VERIFIERS:
        _bounded(kind, RUBBISH[name], RUBBISH[name])
    with pytest.raises(EvidenceError):
        decode(RUBBISH[name])


GENUINE: dict[str, tuple[bytes, bytes]] = {
    "sgx": (INTEL.sgx_quote(DATA), INTEL.collateral()),
    "tdx": (INTEL.tdx_quote(DATA, version=5), INTEL.collateral("tdx")),
    "snp": (CHIP.report(DATA, b"m" * 48), CHIP.collateral()),
    "azure-snp": (GUEST.evidence(DATA), CHIP.collateral()),
    "azure-aci": (
        encode_parts({"report": CHIP.report(DATA, b"u" * 48), "uvm": ISSUER.endorsement(b"u" * 48)}),
        CHIP.collateral(),
    ),
    "vbs": (HOST.evidence(DATA, DATA), HOST.tpm.chain),
}


@pytest.mark.parametrize("name", RUBBISH)
@pytest.mark.parametrize("kind", GENUINE)
def test_rubbish_beside_what_is_genuine(kind: str, name: str) -> None:
    """What comes first is in order: what comes after it is read, or refused before it is."""
    quote, collateral = GENUINE[kind]
    _bounded(kind, quote, RUBBISH[name])
    if quote[:1] in (b"\xa2", b"\xa4"):
        parts = cbor2.loads(quote)
        for part in parts:
            _bounded(kind, encode_parts({**parts, part: RUBBISH[name][: LARGEST - 4096]}), collateral)


@pytest.mark.parametrize("kind", ["sgx", "tdx"])
def test_lengths_in_quotes_are_lies(kind: str) -> None:
    quote, collateral = GENUINE[kind]
    for at in range(0, len(quote) - 4, 16):
        _bounded(kind, quote[:at] + b"\xff\xff\xff\xff" + quote[at + 4 :], collateral)


@pytest.mark.parametrize(
    "name", ["root_ca_crl", "pck_crl", "tcb_info", "qe_identity", "tcb_info_issuer_chain"]
)
def test_collateral_of_hostile_fields(name: str) -> None:
    value = orjson.loads(INTEL.collateral())
    for hostile in ("[" * 100_000, "{" * 100_000, "0" * 200_000, "ff" * 100_000, '{"a":' * 40_000):
        _bounded("sgx", GENUINE["sgx"][0], orjson.dumps({**value, name: hostile}))


def test_collateral_with_many_levels() -> None:
    levels = {"tcb": {"sgxtcbcomponents": [{"svn": 9}] * 16, "pcesvn": 1}, "tcbStatus": "UpToDate"}
    info = {**json.loads(json.dumps(INTEL.tcb_info())), "tcbLevels": [levels] * 600}
    _bounded("sgx", GENUINE["sgx"][0], INTEL.collateral(tcb_info=info)[: limits.COLLATERAL_SIZE_MAX_BYTES])


HEADER = struct.pack("<II20s", 0, 3, b"")
SPEC = b"Spec ID Event03\0" + bytes(8) + struct.pack("<IHH", 1, 0xB, 32) + b"\0"
LOG = HEADER + struct.pack("<I", len(SPEC)) + SPEC


@pytest.mark.parametrize(
    "log",
    [
        LOG + struct.pack("<III", 12, 6, 0xFFFFFFFF),
        LOG + struct.pack("<IIIH", 12, 6, 1, 0xB) + bytes(32) + struct.pack("<I", 0xFFFFFFFF),
        LOG + (struct.pack("<IIIH", 12, 6, 1, 0xB) + bytes(32) + bytes(4)) * 4000,
        struct.pack("<II20sI", 12, 6, b"", 0) * 4000,
        struct.pack("<II20sI", 12, 6, b"", 0xFFFFFFF0),
    ],
)
def test_boot_logs(log: bytes) -> None:
    parts = cbor2.loads(GENUINE["vbs"][0])
    _bounded("vbs", encode_parts({**parts, "log": log}), HOST.tpm.chain)


@pytest.mark.parametrize("depth", [6, 1000])
def test_values_nested_in_a_boot_log(depth: int) -> None:
    machine = sim_tpm.Tpm(ak=HOST.tpm.ak, chain=HOST.tpm.chain)
    deep = b""
    for _ in range(depth):
        deep = sim_vbs.tagged(0x40010001, deep)
    nested = sim_vbs.boot_windows(machine, more=[(0x40010001, deep)])
    _bounded("vbs", nested.evidence(DATA, DATA), HOST.tpm.chain)
