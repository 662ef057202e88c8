"""Commands that need no network: what is right exits 0, what is not right 1, what cannot be read 2."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coco_core.testing import Consortium

Coco = Callable[..., Any]


def test_audit(coco: Coco, ledger: Path) -> None:
    ran = coco("ledger", "audit", ledger / "ledger", "--service-cert", ledger / "service.pem")
    assert (ran.status, ran.err) == (0, "")
    assert "entries: 10" in ran.out
    assert "signatures: 3" in ran.out
    assert "NOT PINNED" not in ran.out
    unpinned = coco("ledger", "audit", ledger / "ledger")
    assert unpinned.status == 0
    assert "NOT PINNED" in unpinned.out
    fields = json.loads(coco("ledger", "audit", ledger / "ledger", "--json").out)
    assert fields["last_verified"] == "2.10"
    assert (fields["service_identity_pinned"], fields["private_verified"], fields["recoveries"]) == (
        False,
        False,
        0,
    )
    arguments = ("ledger", "audit", ledger / "ledger", "--json", "--service-cert", ledger / "service.pem")
    assert json.loads(coco(*arguments).out)["service_identity_pinned"] is True


def test_audit_of_a_changed_ledger(coco: Coco, ledger: Path) -> None:
    path = ledger / "ledger" / "ledger_1"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = coco("ledger", "audit", ledger / "ledger", "--service-cert", ledger / "service.pem")
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    for word in ("coco: ", "ledger_1", "offset"):
        assert word in ran.err


def test_audit_under_another_service(coco: Coco, ledger: Path) -> None:
    stranger = Path(__file__)
    ran = coco("ledger", "audit", ledger / "ledger", "--service-cert", stranger)
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1


def test_audit_and_receipts_under_another_real_service(coco: Coco, ledger: Path) -> None:
    stranger = ledger / "stranger.pem"
    stranger.write_text(Consortium.of(1, first_key=5000).service.certificate)
    for command in (
        ("ledger", "audit", ledger / "ledger"),
        ("receipt", "verify", ledger / "receipt.json"),
        ("receipt", "verify", ledger / "receipt.cose"),
    ):
        ran = coco(*command, "--service-cert", stranger)
        assert (ran.status, ran.out) == (1, "")
        assert len(ran.err.splitlines()) == 1


def test_receipt_under_what_is_no_certificate(coco: Coco, ledger: Path) -> None:
    for form in ("json", "cose"):
        ran = coco("receipt", "verify", ledger / f"receipt.{form}", "--service-cert", Path(__file__))
        assert ran.status == 2
        assert "test_offline.py" in ran.err


def test_show(coco: Coco, ledger: Path) -> None:
    ran = coco("ledger", "show", ledger / "ledger", "--from", 4, "--count", 3, "--values")
    assert ran.status == 0
    places = [line.split()[:2] for line in ran.out.splitlines() if not line.startswith(" ")]
    assert places == [["2.4", "signature,"], ["2.5", "entry,"], ["2.6", "entry,"]]
    assert "public:tally.seen: 1 keys" in ran.out
    assert "a = 5" in ran.out
    assert "tally.counters" not in ran.out


@pytest.mark.parametrize("command", ["audit", "show"])
def test_folder_without_a_ledger(coco: Coco, tmp_path: Path, command: str) -> None:
    for folder, message in ((tmp_path / "none", "No such file"), (tmp_path, "holds no ledger files")):
        ran = coco("ledger", command, folder)
        assert ran.status == 2
        assert message in ran.err
        assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("form", ["json", "cose"])
def test_receipt(coco: Coco, ledger: Path, form: str) -> None:
    path = ledger / f"receipt.{form}"
    ran = coco("receipt", "verify", path, "--service-cert", ledger / "service.pem")
    assert ran.status == 0
    assert "valid: transaction 2.7 is committed" in ran.out
    assert form in ran.out.lower()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ran = coco("receipt", "verify", path, "--service-cert", ledger / "service.pem")
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1


def test_receipt_that_is_not_there(coco: Coco, ledger: Path) -> None:
    ran = coco("receipt", "verify", ledger / "none", "--service-cert", ledger / "service.pem")
    assert ran.status == 2
    assert "none" in ran.err


def test_adapters(coco: Coco) -> None:
    listed = json.loads(coco("adapters", "list", "--json").out)
    ran = coco("adapters", "list")
    assert ran.status == 0
    for name, about in listed.items():
        assert name in ran.out
        assert {"error"} == about.keys() or {"version", "api", "engines"} == about.keys()


def test_version_and_help(coco: Coco) -> None:
    assert coco("--version").out.startswith("coco, version ")
    assert "bench" in coco("-h").out
    assert coco("nonsense").status == 2


def test_a_bundle_is_not_sent_when_its_receipt_could_not_be_kept(coco: Coco, ledger: Path) -> None:
    (ledger / "payload").write_bytes(b"x")
    (ledger / "kept.json").write_text("{}")
    unreached = ("--node", "127.0.0.1:1", "--admin", "127.0.0.1:1", "--service-cert", ledger / "service.pem")
    ran = coco("bundle", "submit", f"tally={ledger / 'payload'}", *unreached, "--out", ledger / "kept.json")
    assert (ran.status, ran.out) == (2, "")
    assert "kept.json: it is there already" in ran.err


def test_a_transaction_that_is_no_file(coco: Coco, ledger: Path) -> None:
    unreached = ("--node", "127.0.0.1:1", "--admin", "127.0.0.1:1", "--service-cert", ledger / "service.pem")
    ran = coco("bundle", "submit", f"tally={ledger / 'none'}", *unreached)
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.count("none") == 1
