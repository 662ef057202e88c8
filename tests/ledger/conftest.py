"""A small ledger writer for these tests, with fixed keys: what the node does, step by step."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coco_core.base import TxID
from coco_core.crypto import (
    Curve,
    PrivateKey,
    endorse,
    endorse_predecessor,
    read_certificate,
    self_signed,
)
from coco_core.kv import Store
from coco_core.kv.maps import (
    NODES_ENDORSED_CERTIFICATES,
    NODES_INFO,
    SERVICE_INFO,
    SINGLETON_KEY,
)
from coco_core.kv.write_set import Writes
from coco_core.ledger import (
    IN_PROGRESS_HEADER,
    NO_CLAIMS,
    ChunkName,
    EntrySealer,
    LeafComponents,
    LedgerAuditError,
    LedgerSecrets,
    LedgerSignature,
    LedgerSigner,
    MerkleTree,
    SealedEntry,
    Snapshot,
    SnapshotName,
    SnapshotPlace,
    audit,
    encode_chunk,
    json_receipt,
    predecessor_writes,
    read_signature,
    snapshot_evidence,
    write_snapshot,
)

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)


def _key(number: int, curve: Curve) -> PrivateKey:
    kind = ec.SECP256R1() if curve is Curve.P256 else ec.SECP384R1()
    pem = ec.derive_private_key(number, kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return PrivateKey.from_pem(pem)


class Identities:
    """Keys and certificates of one service with one node, and of strangers."""

    def __init__(self, seed: int, service_curve: Curve = Curve.P384) -> None:
        self.service_not_before, self.service_not_after = START, END
        self.service_key = _key(seed, service_curve)
        self.node_key = _key(seed + 1, Curve.P256)
        self.service = self_signed(self.service_key, "Coco Service", not_before=START, not_after=END, ca=True)
        self.node = self.endorse(self.node_key)
        self.node_id = self.node_key.public.node_id()

    def endorse(self, key: PrivateKey) -> str:
        return endorse(
            key.public, "Coco Node", self.service_key, self.service, not_before=START, not_after=END
        )


def service_info(cert: str, status: str) -> Writes:
    return {SERVICE_INFO: {SINGLETON_KEY: json.dumps({"cert": cert, "status": status}).encode()}}


def node_info(node: str, status: str, **more: object) -> Writes:
    # quote_info and code_digest are what the independent tool that lists code versions reads.
    info = {"status": status, "quote_info": {"format": "Insecure_Virtual"}, "code_digest": "00" * 32} | more
    return {NODES_INFO: {node.encode(): json.dumps(info).encode()}}


def endorsing(writer: LedgerWriter, successor: Identities, until: TxID | None = None) -> Writes:
    """Return what the recovery entry says next, that ``successor`` takes over from the writer's service."""
    until = until if until is not None else TxID(writer.last_view, writer.seqno)
    before = read_certificate(writer.ids.service)
    return predecessor_writes(
        endorse_predecessor(before, successor.service_key, successor.service, until), until
    )


def endorsed(node: str, cert: str) -> Writes:
    return {NODES_ENDORSED_CERTIFICATES: {node.encode(): cert.encode()}}


class LedgerWriter:
    """Writes entries, signatures and files; every step can be told to lie."""

    def __init__(self, identities: Identities, view: int = 2) -> None:
        self.ids = identities
        self.view = view
        self.secrets = LedgerSecrets([(1, bytes(range(32)))])
        self.sealer = EntrySealer(self.secrets)
        self.tree = MerkleTree()
        self.store = Store()
        self.views: dict[int, int] = {}
        self.seqno = 0
        self.sealed: dict[int, tuple[SealedEntry, bytes]] = {}
        self.signature: LedgerSignature | None = None
        self.signer = LedgerSigner(
            identities.node_key, identities.node_id, identities.node, identities.service_key
        )
        self.files: list[tuple[str, bytes]] = []
        self._entries: list[bytes] = []
        self._first = 1

    def tx(self, writes: Writes, *, claims: bytes = NO_CLAIMS, flags: int = 0, skip: int = 0) -> int:
        self.seqno += 1 + skip
        entry = self.sealer.seal(TxID(self.view, self.seqno), writes, claims=claims, flags=flags)
        self.tree.append(entry.leaf)
        self.sealed[self.seqno] = (entry, claims)
        self._entries.append(entry.raw)
        self.views.setdefault(self.view, self.seqno)
        self.store.append(self.seqno, writes)
        self.store.commit(self.seqno)
        return self.seqno

    def found(self, status: str = "Trusted") -> None:
        self.tx(
            service_info(self.ids.service, "Opening")
            | node_info(self.ids.node_id, status)
            | endorsed(self.ids.node_id, self.ids.node)
        )
        self.sign()

    @property
    def last_view(self) -> int:
        return max(view for view, first in self.views.items() if first <= self.seqno)

    def genesis(self, status: str = "Trusted") -> None:
        self.found(status)
        self.tx(service_info(self.ids.service, "Open"))

    def signature_writes(
        self, *, signer: LedgerSigner | None = None, txid: TxID | None = None, root: bytes | None = None
    ) -> Writes:
        signer = signer if signer is not None else self.signer
        txid = txid if txid is not None else TxID(self.view, self.seqno + 1)
        root = root if root is not None else self.tree.root()
        return signer.writes(root, txid, self.tree.serialise(), 1_700_000_000)

    def sign(self, writes: Writes | None = None, flags: int = 0) -> int:
        writes = writes if writes is not None else self.signature_writes()
        self.signature = read_signature(writes) if len(writes) == 3 else None
        return self.tx(writes, flags=flags)

    def close(self, *, committed: bool = True, name: str | None = None) -> None:
        named = str(ChunkName(self._first, self.seqno, committed)) if name is None else name
        self.files.append((named, encode_chunk(self._entries)))
        self._entries, self._first = [], self.seqno + 1

    def leave_open(self, tail: bytes = b"") -> None:
        data = IN_PROGRESS_HEADER + b"".join(self._entries) + tail
        self.files.append((f"ledger_{self._first}", data))
        self._entries = []

    def refused(
        self, rule: str, pinned: str | None = None, start: Snapshot | None = None
    ) -> LedgerAuditError:
        """Audit what was written, and expect that rule to be named."""
        if self._entries:
            self.leave_open()
        expected = self.ids.service if pinned is None else pinned
        with pytest.raises(LedgerAuditError) as caught:
            audit(self.files, service_cert_pem=expected, start=start)
        assert caught.value.rule == rule, caught.value
        assert f"[{rule}]" in str(caught.value)
        return caught.value

    def components(self, seqno: int) -> LeafComponents:
        entry, claims = self.sealed[seqno]
        return LeafComponents(entry.write_set_digest, entry.commit_evidence, claims)

    def snapshot(self, *, leaf: bytes | None = None, told: bool = True) -> tuple[str, bytes]:
        """End the chunk with a signature, write the snapshot there, and its evidence behind it.

        With another ``leaf`` it lies about its place; unless ``told``, a transaction claims its digest
        that says nothing of a snapshot.
        """
        self.sign(flags=1)
        self.close()
        place = TxID(self.view, self.seqno)
        leaf = leaf if leaf is not None else self.sealed[place.seqno][0].leaf
        stated = SnapshotPlace(place, leaf, tuple(self.views.items()))
        file = io.BytesIO()
        digest = write_snapshot(file, stated, self.store.pin(place.seqno), self.secrets)
        evidence = snapshot_evidence(digest, place.seqno) if told else {"public:records": {b"k": b"v"}}
        proof = self.tx(evidence, claims=digest)
        return str(SnapshotName(place.seqno, proof)), file.getvalue() + self.receipt(proof)

    def receipt(self, seqno: int) -> bytes:
        """Sign, and return the JSON receipt of an entry before that."""
        size = self.tree.size
        self.sign()
        return json_receipt(self.components(seqno), self.tree.path(seqno, size), self.signature)

    def sample(self) -> None:
        """Write two complete chunks and one in progress: public, private, removed, claimed."""
        self.genesis()
        self.tx({"public:records": {b"k1": b"hello"}}, claims=bytes(range(32)))
        self.tx({"records": {b"secret": b"value"}})
        self.tx({"public:records": {b"k1": None}, "records": {b"secret": None, b"more": b""}}, flags=1)
        self.sign(flags=1)
        self.close()
        self.tx({"public:records": {b"k2": b"world"}}, claims=bytes(range(32, 64)))
        self.sign()
        self.close()
        self.view += 1
        self.tx({"public:records": {b"k3": b"tail"}})
        self.sign()
        self.leave_open()


@pytest.fixture(scope="session")
def ids() -> Identities:
    return Identities(1000)


@pytest.fixture(scope="session")
def strangers() -> Identities:
    return Identities(2000)


@pytest.fixture(scope="session")
def quick_ids() -> Identities:
    """A service on P-256, whose signatures verify ten times faster, for exhaustive tests."""
    return Identities(3000, Curve.P256)


@pytest.fixture
def new_writer() -> Callable[[Identities], LedgerWriter]:
    return LedgerWriter


@pytest.fixture
def writer(ids: Identities) -> LedgerWriter:
    return LedgerWriter(ids)


@pytest.fixture
def tables() -> dict[str, Callable[..., Writes]]:
    """Makers of the built-in tables' contents, by name."""
    return {
        "service_info": service_info,
        "node_info": node_info,
        "endorsed": endorsed,
        "endorsing": endorsing,
    }
