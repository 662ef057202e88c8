"""Evidence from devices that behave as documented is over what was asked, or the operator is told why not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from coco_core.errors import OperatorError
from coco_enclave import SealPolicy, TeeEvidence, TeePolicy, verify
from coco_enclave.providers import GraminePlatform, KernelTree, TdxPlatform, ask_kernel
from coco_enclave.testing import Enclave, GramineTree, SimulatedIntel, TsmTree

NOW_S = 1_790_000_000
DATA = bytes(range(64))
KEYS = {"_sgx_mrenclave": b"\x01" * 16, "_sgx_mrsigner": b"\x02" * 16}


@pytest.fixture(scope="module")
def intel() -> SimulatedIntel:
    return SimulatedIntel(NOW_S)


def gramine(intel: SimulatedIntel, tree: GramineTree) -> GraminePlatform:
    return GraminePlatform(intel.collateral, tree)


def tdx(intel: SimulatedIntel, tree: TsmTree) -> TdxPlatform:
    return TdxPlatform(lambda: intel.collateral("tdx"), "coco-1", tree)


def tdx_tree(intel: SimulatedIntel) -> TsmTree:
    return TsmTree("tdx_guest", lambda data, _: intel.tdx_quote(data) + bytes(100))


def test_gramines_evidence_verifies(intel: SimulatedIntel) -> None:
    made = gramine(intel, GramineTree(intel.sgx_quote)).attest(DATA)
    evidence = TeeEvidence(kind=made.format, quote=made.quote)
    policy = TeePolicy(platforms={"sgx": intel.policy()})
    assert verify(evidence, made.endorsements, policy, DATA, NOW_S).claims


def test_kernels_evidence_verifies(intel: SimulatedIntel) -> None:
    tree = tdx_tree(intel)
    made = tdx(intel, tree).attest(DATA)
    evidence = TeeEvidence(kind=made.format, quote=made.quote)
    policy = TeePolicy(platforms={"tdx": intel.policy()})
    assert verify(evidence, made.endorsements, policy, DATA, NOW_S).claims
    assert tree.entries == [], "the folder is removed"


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_evidence_is_over_64_bytes(size: int, intel: SimulatedIntel) -> None:
    for platform in (gramine(intel, GramineTree(intel.sgx_quote)), tdx(intel, tdx_tree(intel))):
        with pytest.raises(OperatorError, match="over 64 bytes"):
            platform.attest(bytes(size))


def test_enclave_without_attestation_is_told_what_it_needs(intel: SimulatedIntel) -> None:
    with pytest.raises(OperatorError, match=r"sgx\.remote_attestation"):
        gramine(intel, GramineTree(intel.sgx_quote, kind="none")).attest(DATA)


def test_quote_over_other_bytes_is_noticed(intel: SimulatedIntel) -> None:
    tree = GramineTree(intel.sgx_quote)
    tree.deaf = True
    with pytest.raises(OperatorError, match="somebody else"):
        gramine(intel, tree).attest(DATA)


def test_quote_that_is_none_is_noticed(intel: SimulatedIntel) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        gramine(intel, GramineTree(lambda _: b"no quote")).attest(DATA)


def test_answer_to_somebody_elses_question_is_noticed(intel: SimulatedIntel) -> None:
    tree = tdx_tree(intel)
    tree.intruder = bytes(64)
    with pytest.raises(OperatorError, match="somebody else"):
        tdx(intel, tree).attest(DATA)
    assert tree.entries == []


def test_another_machine_is_not_taken_for_this_one(intel: SimulatedIntel) -> None:
    with pytest.raises(OperatorError, match="sev_guest"):
        tdx(intel, TsmTree("sev_guest", lambda data, _: data)).attest(DATA)


def test_two_do_not_share_a_folder(intel: SimulatedIntel) -> None:
    tree = tdx_tree(intel)
    tree.make("coco-1")
    with pytest.raises(OperatorError, match="exists"):
        tdx(intel, tree).attest(DATA)


def test_privilege_level_is_asked_for_within_what_the_kernel_allows() -> None:
    tree = TsmTree("sev_guest", lambda data, level: data + bytes([level]), b"certificates", floor=1)
    asked = ask_kernel(tree, "coco-1", DATA, provider="sev_guest", privilege=2)
    assert (asked.report, asked.auxiliary) == (DATA + b"\2", b"certificates")
    with pytest.raises(OperatorError, match="1 is the lowest"):
        ask_kernel(tree, "coco-1", DATA, provider="sev_guest", privilege=0)
    assert tree.entries == []


def test_sealing_keys_are_of_the_code_or_its_signer(intel: SimulatedIntel) -> None:
    platform = gramine(intel, GramineTree(intel.sgx_quote, KEYS))
    exact, author = platform.sealing_key(), platform.sealing_key(SealPolicy.AUTHOR)
    assert (exact.code, exact.secret, exact.svn) == (Enclave().measurement.hex(), b"\x01" * 16, Enclave().svn)
    assert (author.code, author.secret) == (Enclave().signer.hex(), b"\x02" * 16)


@pytest.mark.parametrize("key", [b"", bytes(16), b"\x01" * 15])
def test_sealing_key_that_is_none_is_noticed(key: bytes, intel: SimulatedIntel) -> None:
    with pytest.raises(OperatorError, match="sealing key"):
        gramine(intel, GramineTree(intel.sgx_quote, {"_sgx_mrenclave": key})).sealing_key()


def test_files_are_read_and_written_whole(tmp_path: Path) -> None:
    tree = KernelTree(tmp_path)
    tree.make("entry")
    with pytest.raises(OperatorError):
        tree.make("entry")
    with pytest.raises(OperatorError):
        tree.write("entry/inblob", DATA)
    (tmp_path / "entry" / "inblob").touch()
    tree.write("entry/inblob", DATA)
    assert tree.read("entry/inblob") == DATA
    with pytest.raises(OperatorError):
        tree.remove("entry")
    (tmp_path / "entry" / "inblob").unlink()
    tree.remove("entry")
    with pytest.raises(OperatorError):
        tree.read("entry/inblob")


def test_what_only_takes_bytes_is_not_opened_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel refuses to open what has no reading side for reading, even to its administrator."""
    (tmp_path / "inblob").write_bytes(b"older, and longer than what is written now")
    flags: list[int] = []
    opened = os.open

    def note(path: Any, how: int, *more: Any, **named: Any) -> int:
        flags.append(how)
        return opened(path, how, *more, **named)

    monkeypatch.setattr(os, "open", note)
    KernelTree(tmp_path).write("inblob", DATA[:8])
    (how,) = flags
    assert how & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) == os.O_WRONLY
    assert not how & (os.O_CREAT | os.O_TRUNC)


def test_answers_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "quote").write_bytes(bytes(65 * 1024))
    with pytest.raises(OperatorError, match="more than"):
        KernelTree(tmp_path).read("quote")


def test_machine_without_the_device_is_told(intel: SimulatedIntel) -> None:
    for platform in (GraminePlatform(intel.collateral), TdxPlatform(intel.collateral, "coco-1")):
        with pytest.raises(OperatorError, match="cannot"):
            platform.attest(DATA)
