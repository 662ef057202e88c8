"""Snapshots: the state at one place of the ledger as a file that proves itself.

``snapshot_<seqno>_<evidence>.committed`` is an entry in CCF's snapshot form (see ``snapshot_layout``)
and behind it the JSON receipt of a later transaction, the *evidence*, whose claims are the digest of
those bytes. So whoever trusts the service identity can check all of it offline; ``snapshot_<seqno>`` is
one that has no proof yet. Pure: bytes in, values out; whose state it is its callers know.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import pairwise
from typing import Final, Never

import attrs
import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from coco_core.base import TxID
from coco_core.base.limits import (
    RECEIPT_SIZE_MAX_BYTES,
    SNAPSHOT_BUFFER_SIZE_BYTES,
    SNAPSHOT_SIZE_MAX_BYTES,
    SNAPSHOT_VIEWS_MAX,
)
from coco_core.crypto import check_issued, check_issued_before, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.kv.maps import LEDGER_SECRETS, SERVICE_INFO, SINGLETON_KEY, SNAPSHOT_EVIDENCE, TREE, is_public
from coco_core.kv.write_set import Writes
from coco_core.ledger import cose
from coco_core.ledger import snapshot_layout as layout
from coco_core.ledger.merkle import MerkleFrontier, MerkleTree
from coco_core.ledger.receipts import ReceiptKind, identities_since, verify_receipt
from coco_core.ledger.secrets import LedgerSecrets, MissingSecretsError
from coco_core.ledger.signatures import SIGNATURE_MAPS, check_signature, read_signature
from coco_core.ledger.snapshot_layout import SnapshotPlace

Maps = dict[str, dict[bytes, bytes]]
SecretsOf = Callable[[Maps], LedgerSecrets]
"""Returns the secrets as of a snapshot, of whose public maps it is told; may raise IntegrityError."""

_NAME: Final = re.compile(r"snapshot_([1-9][0-9]{0,18})(?:_([1-9][0-9]{0,18})\.committed)?", re.ASCII)
_IV_AT: Final = 24
_PUBLIC_SIZE_AT: Final = 36
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@attrs.frozen(slots=True)
class SnapshotName:
    """A parsed file name."""

    seqno: int
    evidence: int | None = None
    """Seqno of the transaction that proves it; None while there is none."""

    @classmethod
    def parse(cls, name: str) -> SnapshotName:
        """Read a file name (no folder); raises IntegrityError for any other name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise IntegrityError(f"{name[:80]!r} is not a snapshot file name")
        seqno, evidence = int(match[1]), int(match[2]) if match[2] else None
        if evidence is not None and evidence <= seqno:
            raise IntegrityError(f"{name}: proved before it was made")
        return cls(seqno, evidence)

    def __str__(self) -> str:
        """Return the file name."""
        proof = f"_{self.evidence}.committed" if self.evidence is not None else ""
        return f"snapshot_{self.seqno}{proof}"


@attrs.frozen(slots=True)
class Snapshot:
    """What a snapshot says, all of it verified."""

    place: SnapshotPlace
    maps: Maps = attrs.field(repr=lambda maps: f"<{len(maps)} maps>")
    """Every map that holds a key; the public ones only, when it was read without secrets."""
    evidence: TxID
    """The transaction that proves it."""
    digest: bytes
    """SHA-256 of the snapshot without its receipt."""
    size_bytes: int
    """Of the whole file."""

    def tree(self) -> MerkleTree:
        """Return the tree up to the snapshot, its entry included, to append what follows."""
        tree = MerkleTree.from_serialised(self.maps[TREE][SINGLETON_KEY])
        tree.append(self.place.leaf)
        return tree

    def frontier(self) -> MerkleFrontier:
        """Return the same tree for who only reads forward."""
        frontier = MerkleFrontier.from_serialised(self.maps[TREE][SINGLETON_KEY])
        frontier.append(self.place.leaf)
        return frontier


def read_snapshot(
    name: str,
    data: bytes | memoryview,
    secrets: LedgerSecrets | SecretsOf,
    service_cert_pem: str | bytes,
    endorsements: Sequence[str] = (),
) -> Snapshot:
    """Check a proven snapshot file against the service's certificate and return what it says.

    ``secrets`` are the ledger's, or what finds them in the snapshot: it may be of a later epoch than any this
    node knows. ``endorsements`` (PEM) are of the identities before: it may have been made under one of those.
    Raises IntegrityError, with file and offset, unless its name, receipt, digest, seal and every single
    byte are what they must be; MissingSecretsError when they are as far as they can be read without secrets,
    and ``secrets`` finds none.
    """
    return _Reader(name, data, endorsements).read(service_cert_pem, secrets)


def read_public_snapshot(
    name: str, data: bytes | memoryview, service_cert_pem: str | bytes | None
) -> Snapshot:
    """Check what can be checked without secrets, and return the public maps only.

    With None for the certificate, the one in the snapshot itself is taken: the caller must compare it.
    Mind that without secrets the receipt alone proves that *some* transaction claims the digest; that
    it is a snapshot's evidence, its entry in the ledger shows.
    """
    return _Reader(name, data).read(service_cert_pem, None)


def snapshot_evidence(digest: bytes, seqno: int) -> Writes:
    """Return what the transaction writes that proves the snapshot at ``seqno``; it also claims ``digest``."""
    return {SNAPSHOT_EVIDENCE: {SINGLETON_KEY: orjson.dumps({"hash": digest.hex(), "version": seqno})}}


def read_snapshot_evidence(writes: Writes) -> tuple[int, bytes] | None:
    """Return seqno and digest of the snapshot that ``writes`` prove, or None if they prove none.

    Raises IntegrityError when they do, but not in the form of ``snapshot_evidence``.
    """
    if SNAPSHOT_EVIDENCE not in writes:
        return None
    try:
        value: object = orjson.loads(writes[SNAPSHOT_EVIDENCE].get(SINGLETON_KEY) or b"")
    except orjson.JSONDecodeError as fault:
        raise IntegrityError(f"snapshot evidence is not JSON: {fault}") from fault
    match value:
        case {"hash": str(text), "version": int(seqno)} if seqno > 0 and _HASH.fullmatch(text):
            digest = bytes.fromhex(text)
            if snapshot_evidence(digest, int(seqno))[SNAPSHOT_EVIDENCE] == writes[SNAPSHOT_EVIDENCE]:
                return seqno, digest
    raise IntegrityError("snapshot evidence is not in our canonical form")


class _Reader:
    """One pass over one file."""

    def __init__(self, name: str, data: bytes | memoryview, endorsements: Sequence[str] = ()) -> None:
        self._name = name
        self._endorsements = endorsements
        self._data = memoryview(data)
        self._maps_at: dict[str, int] = {}

    def read(
        self, service_cert_pem: str | bytes | None, secrets: LedgerSecrets | SecretsOf | None
    ) -> Snapshot:
        """Read the file, by whatever service it is when that is None."""
        named = SnapshotName.parse(self._name)
        if named.evidence is None:
            raise IntegrityError(f"{self._name}: without proof")
        tag, txid, public_end, end = self._read_head()
        if txid.seqno != named.seqno:
            self._fail(_IV_AT, f"is at {txid}, not where its name says")
        clear = bytes(self._data[layout.PUBLIC_AT : public_end])
        place, maps_at = self._read_place(clear, txid)
        maps = self._read_maps(clear, maps_at, layout.PUBLIC_AT, txid.seqno, public=True)
        service = service_cert_pem if service_cert_pem is not None else self._own_service(maps)
        digest = sha256(self._data[:end]).digest()
        evidence = self._check_receipt(end, digest, service)
        if evidence.seqno != named.evidence or evidence.view < txid.view:
            self._fail(end, f"is proved by {evidence}, not by what its name says")
        self._check_signature(maps, txid, service)
        if secrets is not None:
            known = secrets if isinstance(secrets, LedgerSecrets) else self._find_secrets(secrets, maps)
            opened = self._open(tag, txid, clear, end, known)
            maps |= self._read_maps(opened, 0, public_end, txid.seqno, public=False)
        return Snapshot(place, maps, evidence, digest, len(self._data))

    def _read_head(self) -> tuple[bytes, TxID, int, int]:
        """Return tag, place, end of the public part, and end of the entry; the receipt is behind that."""
        total, smallest = len(self._data), layout.PUBLIC_AT + layout.PUBLIC_HEAD.size
        if not smallest < total <= SNAPSHOT_SIZE_MAX_BYTES + RECEIPT_SIZE_MAX_BYTES:
            self._fail(total, f"{total} bytes is not the size of a snapshot")
        version, flags, low, high, tag, seqno, view, public_size = layout.HEAD.unpack_from(self._data)
        if version != layout.FORMAT_VERSION or flags:
            self._fail(0, f"format version {version} or flags {flags:#04x} are not a snapshot's")
        end = layout.TAG_AT + (high << 32) + low
        if not smallest <= end < total:
            self._fail(2, f"entry ends at {end}, the file with its receipt at {total}")
        if not smallest <= layout.PUBLIC_AT + public_size <= end:
            self._fail(_PUBLIC_SIZE_AT, f"public part of {public_size} bytes does not fit")
        if not view > layout.VIEW_FLAG or not 0 < seqno < 1 << 63:
            self._fail(_IV_AT, f"nonce {seqno}, {view:#x} is not that of a snapshot")
        return tag, TxID(view - layout.VIEW_FLAG, seqno), layout.PUBLIC_AT + public_size, end

    def _read_place(self, clear: bytes, txid: TxID) -> tuple[SnapshotPlace, int]:
        """Return the place and where in the public part the maps begin."""
        kind, seqno, unused, leaf_size, leaf, views_size = layout.PUBLIC_HEAD.unpack_from(clear)
        if (kind, seqno, unused, leaf_size) != (layout.ENTRY_TYPE, txid.seqno, 0, len(leaf)):
            self._fail(layout.PUBLIC_AT, f"public part does not begin as that of a snapshot at {txid.seqno}")
        views_at = layout.PUBLIC_HEAD.size
        maps_at = views_at + views_size
        if maps_at > len(clear) or views_size != 8 * txid.view or txid.view > SNAPSHOT_VIEWS_MAX:
            self._fail(layout.PUBLIC_AT + views_at - 8, f"{views_size} bytes of views do not fit {txid}")
        firsts = struct.unpack_from(f"<{txid.view}Q", clear, views_at)
        if (
            firsts[0] != 1
            or firsts[-1] > txid.seqno
            or any(later < first for first, later in pairwise(firsts))
        ):
            self._fail(layout.PUBLIC_AT + views_at, f"views do not lead from 1 to {txid.seqno}")
        # Of views that begin at one seqno the last is the one that has entries.
        views = {first: view for view, first in enumerate(firsts, 1)}
        return SnapshotPlace(txid, leaf, tuple((view, first) for first, view in views.items())), maps_at

    def _read_maps(self, data: bytes, at: int, base: int, seqno: int, *, public: bool) -> Maps:
        """Read the maps of one part, which begins at ``base`` of the file."""
        maps: Maps = {}
        previous = ""
        while at < len(data):
            begin = at
            try:
                (size,) = layout.U64.unpack_from(data, at)
                if size > len(data) - at - 8:
                    self._fail(base + begin, f"name of {size} bytes runs past the end")
                name = data[at + 8 : at + 8 + size].decode()
                version, size = layout.MAP_HEAD.unpack_from(data, at + 8 + size)
                at += 8 + len(name.encode()) + layout.MAP_HEAD.size
                if size == 0 or size > len(data) - at:
                    self._fail(base + begin, f"map {name[:80]!r} has {size} bytes of records")
                if version != seqno or name <= previous or is_public(name) is not public:
                    self._fail(base + begin, f"map {name[:80]!r} is out of place")
                self._maps_at[name] = base + begin
                maps[name] = self._read_records(data, at, at + size, base, seqno)
            except struct.error:
                self._fail(base + begin, "map is cut off")
            except UnicodeDecodeError as fault:
                self._fail(base + begin, f"name of a map is not text: {fault}")
            previous, at = name, at + size
        return maps

    def _read_records(self, data: bytes, at: int, end: int, base: int, seqno: int) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}
        length, head, padding = layout.U64.unpack_from, layout.VALUE_HEAD.unpack_from, layout.PADDING
        previous: bytes | None = None
        while at < end:
            (size,) = length(data, at)
            key_end = at + 8 + size
            value_at = key_end + (-size & 7)
            if value_at > end:
                self._fail(base + at, f"key of {size} bytes runs past its map")
            key = data[at + 8 : key_end]
            size, version = head(data, value_at)
            value_end = value_at + 8 + size
            behind = value_end + (-size & 7)
            if behind > end or size < layout.VERSION_SIZE_BYTES or version != seqno:
                self._fail(base + value_at, f"value of {size} bytes at version {version} does not fit")
            if previous is not None and key <= previous:
                self._fail(base + at, "key out of order")
            value = data[value_at + layout.VALUE_HEAD.size : value_end]
            if data[key_end:value_at] != padding[len(key) & 7] or data[value_end:behind] != padding[size & 7]:
                self._fail(base + at, "padding is not zero")
            records[key] = value
            previous, at = key, behind
        return records

    def _own_service(self, maps: Maps) -> str:
        with self._naming(self._maps_at.get(SERVICE_INFO, layout.PUBLIC_AT)):
            try:
                value: object = orjson.loads(maps.get(SERVICE_INFO, {}).get(SINGLETON_KEY, b""))
            except orjson.JSONDecodeError as fault:
                raise IntegrityError(f"no service information: {fault}") from fault
            match value:
                case {"cert": str(pem)}:
                    return pem
            raise IntegrityError("no certificate in the service information")

    def _check_receipt(self, end: int, digest: bytes, service_cert_pem: str | bytes) -> TxID:
        """Return the transaction that the receipt proves to have claimed ``digest``."""
        with self._naming(end):
            receipt = bytes(self._data[end:])
            proved = verify_receipt(receipt, service_cert_pem, self._endorsements)
            if proved.kind is not ReceiptKind.JSON or orjson.dumps(orjson.loads(receipt)) != receipt:
                raise IntegrityError("a snapshot's receipt is in our canonical JSON")
            if proved.claims != digest:
                raise IntegrityError(f"receipt is for {proved.claims.hex()}, the digest is {digest.hex()}")
            return proved.txid

    def _find_secrets(self, secrets: SecretsOf, maps: Maps) -> LedgerSecrets:
        try:
            return secrets(maps)
        except IntegrityError as fault:
            at = self._maps_at.get(LEDGER_SECRETS, layout.PUBLIC_AT)
            raise MissingSecretsError(f"{self._name} offset {at}: {fault}") from fault

    def _open(self, tag: bytes, txid: TxID, clear: bytes, end: int, secrets: LedgerSecrets) -> bytes:
        with self._naming(_IV_AT):
            epoch = secrets.at(txid.seqno)
        decryptor = Cipher(AES(epoch.secret), GCM(layout.iv(txid), tag)).decryptor()
        for at in range(0, len(clear), SNAPSHOT_BUFFER_SIZE_BYTES):
            decryptor.authenticate_additional_data(clear[at : at + SNAPSHOT_BUFFER_SIZE_BYTES])
        sealed = self._data[layout.PUBLIC_AT + len(clear) : end]
        # In pieces, each of which lets other threads go on.
        opened = [
            decryptor.update(sealed[at : at + SNAPSHOT_BUFFER_SIZE_BYTES])
            for at in range(0, len(sealed), SNAPSHOT_BUFFER_SIZE_BYTES)
        ]
        try:
            decryptor.finalize()
        except InvalidTag:
            self._fail(layout.TAG_AT, "changed, or sealed under another secret")
        return b"".join(opened)

    def _check_signature(self, maps: Maps, txid: TxID, service_cert_pem: str | bytes) -> None:
        """Check that tree and signatures in the tables are those of the entry the snapshot stands behind."""
        tables: Writes = {name: {**maps[name]} for name in SIGNATURE_MAPS if name in maps}
        with self._naming(self._maps_at.get(TREE, layout.PUBLIC_AT)):
            signature = read_signature(tables)
            if signature is None:
                raise IntegrityError("holds no signature")
            tree = MerkleFrontier.from_serialised(signature.tree)
            if tree.size != txid.seqno:
                raise IntegrityError(f"tree of {tree.size} leaves, expected {txid.seqno}")
            service = read_certificate(service_cert_pem)
            node = read_certificate(signature.node_cert_pem)
            before = identities_since(self._endorsements, service, cose.read(signature.cose).kid)
            if before:
                check_issued_before(node, before[0])
            else:
                check_issued(node, service)
            signer = before[0].public_key if before else service.public_key
            check_signature(signature, tree.root(), txid, node.public_key, signer)

    # ── how failures are told ────────────────────────────────────────────────────────────────────

    def _fail(self, offset: int, reason: str) -> Never:
        raise IntegrityError(f"{self._name} offset {offset}: {reason}")

    @contextmanager
    def _naming(self, offset: int) -> Iterator[None]:
        """Tell faults of parsers and verifiers with file and offset."""
        try:
            yield
        except (IntegrityError, AttestationError) as fault:
            raise IntegrityError(f"{self._name} offset {offset}: {fault}") from fault
