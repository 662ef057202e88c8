"""An auditor reads the epoch that enough members opened, and is told what it cannot read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from coco_core.base import TxID
from coco_core.crypto import Curve, PrivateKey, endorse, self_signed
from coco_core.governance import deal_shares, read_epochs, with_secrets
from coco_core.kv import View, Writes, maps
from coco_core.ledger import (
    ChunkName,
    EntrySealer,
    LedgerSecrets,
    LedgerSigner,
    MerkleTree,
    encode_chunk,
)
from coco_core.testing.share_holders import ShareHolders

Coco = Callable[..., Any]

START, END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2090))
SECRETS = [(1, bytes([1] * 32)), (6, bytes([2] * 32))]


class Written:
    """A ledger of two epochs, written as a node does."""

    def __init__(self) -> None:
        service_key, node_key = PrivateKey.generate(Curve.P384), PrivateKey.generate(Curve.P256)
        self.service = self_signed(service_key, "Coco Service", not_before=START, not_after=END, ca=True)
        node, name = (
            endorse(node_key.public, "Node", service_key, self.service, not_before=START, not_after=END),
            node_key.public.node_id(),
        )
        self._signer = LedgerSigner(node_key, name, node, service_key)
        self._sealer = EntrySealer(LedgerSecrets(SECRETS))
        self._tree = MerkleTree()
        self._entries: list[bytes] = []
        info = json.dumps({"cert": self.service, "status": "Opening"}).encode()
        self.founding: Writes = {
            maps.SERVICE_INFO: {maps.SINGLETON_KEY: info},
            maps.NODES_INFO: {name.encode(): json.dumps({"status": "Trusted"}).encode()},
            maps.NODES_ENDORSED_CERTIFICATES: {name.encode(): node.encode()},
        }

    def write(self, writes: Writes) -> None:
        entry = self._sealer.seal(TxID(2, len(self._entries) + 1), writes)
        self._tree.append(entry.leaf)
        self._entries.append(entry.raw)

    def sign(self) -> None:
        place = TxID(2, len(self._entries) + 1)
        self.write(self._signer.writes(self._tree.root(), place, self._tree.serialise(), 1_700_000_000))

    def save(self, folder: Path) -> None:
        folder.mkdir()
        name = str(ChunkName(1, len(self._entries), committed=True))
        (folder / name).write_bytes(encode_chunk(self._entries))


@attrs.frozen
class Audit:
    """The ledger's folder, and what each member gave for each epoch."""

    folder: Path
    partials: dict[tuple[str, int], Path]

    def options(self) -> tuple[object, ...]:
        return ("--ledger", self.folder / "ledger", "--service-cert", self.folder / "service.pem")


def rows(view: View) -> Writes:
    return {name: dict(view.items(name)) for name in (maps.RECOVERY, maps.EPOCHS)}


@pytest.fixture(scope="module")
def holders() -> ShareHolders:
    return ShareHolders.of("a", "b", "c")


@pytest.fixture
def audit(tmp_path: Path, holders: ShareHolders) -> Audit:
    tables = holders.tables(2, SECRETS)
    ledger = Written()
    ledger.write({**ledger.founding, **rows(tables)})
    ledger.sign()
    ledger.write({"vault": {b"k": b"one"}})
    ledger.write({"public:board": {b"k": b"seen"}})
    ledger.sign()
    ledger.write({"vault": {b"k": b"two"}, "public:board": {b"k": None}})
    # Shares are dealt anew after the members gave theirs to the auditor.
    ledger.write(deal_shares(holders.public, 3, with_secrets(read_epochs(tables), SECRETS)))
    ledger.write({"vault": {b"k": None}})
    ledger.sign()
    ledger.save(tmp_path / "ledger")
    (tmp_path / "service.pem").write_text(ledger.service)
    partials: dict[tuple[str, int], Path] = {}
    for epoch in (1, 2):
        for name, data in holders.partials(tables, epoch).items():
            partials[name, epoch] = tmp_path / f"{name}{epoch}.partial"
            partials[name, epoch].write_bytes(data)
    return Audit(tmp_path, partials)


def test_epoch_and_only_that_epoch_is_read(coco: Coco, audit: Audit) -> None:
    given = [audit.partials[name, 1] for name in "ac"]
    ran = coco("auditor", "open", 1, *given, *audit.options())
    assert ran.status == 0, ran.err
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"transaction_id": "2.3", "epoch": 1, "writes": {"vault": {"6b": "6f6e65"}}}
    ]
    assert "epoch 1, seqnos 1 to 5: 5 transactions read, 1 of them with private data" in ran.err
    assert "epoch 2, seqnos 6 to 9: not readable with what was given" in ran.err


def test_lines_go_to_a_file_that_is_not_there_yet(coco: Coco, audit: Audit, tmp_path: Path) -> None:
    given = [audit.partials[name, 2] for name in "bc"]
    out = tmp_path / "lines"
    ran = coco("auditor", "open", 2, *given, *audit.options(), "--out", out)
    assert (ran.status, ran.out) == (0, ""), ran.err
    writes = [json.loads(line)["writes"] for line in out.read_text().splitlines()]
    assert writes == [{"vault": {"6b": b"two".hex()}}, {"vault": {"6b": None}}]
    assert "epoch 1, seqnos 1 to 5: not readable" in ran.err
    again = coco("auditor", "open", 2, *given, *audit.options(), "--out", out)
    assert again.status == 2
    assert len(again.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([("a", 1)], "1 of the 2 partial decryptions needed"),
        ([("a", 1), ("a", 1)], "a second partial decryption"),
        ([("a", 1), ("b", 2)], "of epoch 2, not of 1"),
    ],
)
def test_what_does_not_open_it(coco: Coco, audit: Audit, given: list[tuple[str, int]], reason: str) -> None:
    ran = coco("auditor", "open", 1, *[audit.partials[one] for one in given], *audit.options())
    assert (ran.status, ran.out) == (1, "")
    assert reason in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 3000, b"\xff", b'{"public_key": 5}'])
def test_files_that_are_no_partial_decryptions(coco: Coco, audit: Audit, data: bytes) -> None:
    audit.partials["a", 1].write_bytes(data)
    ran = coco("auditor", "open", 1, audit.partials["a", 1], audit.partials["b", 1], *audit.options())
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1


def test_ledger_of_another_service_is_not_read(coco: Coco, audit: Audit) -> None:
    other = Written()
    (audit.folder / "service.pem").write_text(other.service)
    given = [audit.partials[name, 1] for name in "ac"]
    ran = coco("auditor", "open", 1, *given, *audit.options())
    assert (ran.status, ran.out) == (1, "")


def test_epoch_that_is_not_there(coco: Coco, audit: Audit) -> None:
    given = [audit.partials[name, 1] for name in "ac"]
    ran = coco("auditor", "open", 3, *given, *audit.options())
    assert ran.status == 1
    assert "there is no epoch 3" in ran.err
