"""Evidence in a file says what kind it is; anything else than what we wrote is refused."""

from __future__ import annotations

import json

import cbor2
import pytest

from coco_enclave import (
    EvidenceError,
    PlatformPolicy,
    Status,
    TeeEvidence,
    TeePolicy,
    appraise,
    decode,
    decode_parts,
    encode,
    encode_parts,
    verify,
)
from coco_enclave.describe import own_report_data
from coco_enclave.testing import SimulatedIntel


def test_envelope_is_read_back() -> None:
    evidence = TeeEvidence(kind="sgx", quote=b"quote")
    assert decode(encode(evidence, b"collateral")) == (evidence, b"collateral")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps(["coco-evidence/2", "sgx", b"", b""]),
        cbor2.dumps(["coco-evidence/1", "sgx", b""]),
        cbor2.dumps(["coco-evidence/1", b"sgx", b"", b""]),
        cbor2.dumps(["coco-evidence/1", "sgx", "", b""]),
        cbor2.dumps(["coco-evidence/1", "sgx", b"", ""]),
        cbor2.dumps(1),
        cbor2.dumps("coco-evidence/1"),
        cbor2.dumps({1: b""}),
        encode(TeeEvidence(kind="sgx", quote=b"")) + b"\0",
        encode(TeeEvidence(kind="sgx", quote=b"")).replace(b"\x63sgx", b"\x78\x03sgx"),
        b"\x81" * 5000,
    ],
)
def test_malformed_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        decode(data)
    assert caught.value.code == "malformed"


def test_a_large_envelope_is_not_read() -> None:
    large = encode(TeeEvidence(kind="sgx", quote=bytes(400_000)), bytes(400_000))
    with pytest.raises(EvidenceError) as caught:
        decode(large)
    assert caught.value.code == "size"


def test_parts_are_read_back() -> None:
    data = encode_parts({"report": b"1", "log": b"2"})
    assert decode_parts(data, {"report"}, {"log"}, size_max_bytes=100) == {"report": b"1", "log": b"2"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff", "malformed"),
        (cbor2.dumps([1]), "malformed"),
        (cbor2.dumps(["report"]), "malformed"),
        (encode_parts({}), "malformed"),
        (encode_parts({"report": b"", "more": b""}), "malformed"),
        (cbor2.dumps({"report": 1}), "malformed"),
        (encode_parts({"report": b"\0" * 101}), "size"),
    ],
)
def test_malformed_parts_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        decode_parts(data, {"report"}, size_max_bytes=100)
    assert caught.value.code == code


def test_refusal_of_what_is_too_large_does_not_read_it() -> None:
    genuine = SimulatedIntel(1_790_000_000).sgx_quote(bytes(64))
    policy = TeePolicy(platforms={"sgx": PlatformPolicy()})
    for quote, code, read in ((genuine, "root", True), (genuine + bytes(10_000_000), "size", False)):
        verdict = appraise(TeeEvidence(kind="sgx", quote=quote), b"", policy, bytes(64), 0)
        assert (verdict.code, verdict.claims is not None) == (code, read)


def test_a_verdict_is_told_in_json() -> None:
    intel = SimulatedIntel(1_790_000_000)
    evidence = TeeEvidence(kind="sgx", quote=intel.sgx_quote(bytes(64)))
    policy = TeePolicy(platforms={"sgx": intel.policy()})
    for collateral, status in ((intel.collateral(), "warning"), (b"", "contraindicated")):
        told = appraise(evidence, collateral, policy, bytes(64), 1_790_000_000).to_json()
        assert json.loads(json.dumps(told)) == told
        assert (told["status"], told["claims"]["platform"]) == (status, "sgx")
    none = TeeEvidence(kind="sgx", quote=b"")
    assert appraise(none, b"", policy, bytes(64), 0).to_json()["claims"] is None
    assert own_report_data(none) == b""


def test_unknown_kind_is_refused() -> None:
    evidence = TeeEvidence(kind="abacus", quote=b"")
    with pytest.raises(EvidenceError) as caught:
        verify(evidence, b"", TeePolicy(platforms={}), bytes(64), 0)
    assert caught.value.code == "format"
    verdict = appraise(evidence, b"", TeePolicy(platforms={}), bytes(64), 0)
    assert (verdict.status, verdict.code, verdict.claims) == (Status.CONTRAINDICATED, "format", None)


def test_few_bytes_do_not_take_long() -> None:
    """Found by fuzzing: maps in keys took twice as long for each level, so that this would not end."""
    nested = b"\x00"
    for _ in range(64):
        nested = b"\xa1" + nested + b"\x00"
    for data in (nested, b"\x81" + nested):
        with pytest.raises(EvidenceError) as caught:
            decode(data)
        assert caught.value.code == "malformed"
        with pytest.raises(EvidenceError):
            decode_parts(data, {"report"}, size_max_bytes=1000)
    with pytest.raises(EvidenceError):
        decode_parts(b"\x81\x61a", {"report"}, size_max_bytes=1000)
