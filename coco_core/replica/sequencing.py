"""On the primary: from executed batches to ledger entries, closed by a signature.

One applied outcome is one entry; a batch's closing writes are one more; then comes the signature
over the tree so far. What an adapter returns is checked here against what its manifest promised,
before anything of it is placed: a batch is placed whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from coco_core.adapter import NO_CLAIMS, Applied, BatchResult, Committed, Deferred, Rejected, Writes
from coco_core.base import TxID, limits
from coco_core.errors import AdapterError
from coco_core.kv import maps, size_bytes
from coco_core.ledger import CHUNK_AFTER, SIGNATURE_MAPS, EntrySealer, LedgerSigner, signed_at_s
from coco_core.replica.chain import Chain

_FRAMING_BYTES = 16
"""What an entry holds for each key beside it and its value: the length of both."""
_KEY_TYPES = frozenset({bytes})
_TYPES = frozenset({bytes, type(None)})


@attrs.frozen(slots=True)
class Placed:
    """Entries ready to propose, and the fate of each request (None: deferred)."""

    first_seqno: int
    entries: list[tuple[bytes, bool]]
    fates: list[Committed | Rejected | None]


class Sequencer:
    """Seals entries in the order of the ledger and adds them to this node's chain."""

    def __init__(
        self,
        chain: Chain,
        sealer: EntrySealer,
        signer: LedgerSigner,
        chunk_size_bytes: int = limits.CHUNK_SIZE_TARGET_BYTES,
    ) -> None:
        """Sign with ``signer``; end a ledger chunk once ``chunk_size_bytes`` are in it."""
        self._chain = chain
        self._sealer = sealer
        self._signer = signer
        self._chunk_size = chunk_size_bytes
        self._chunk_bytes = 0

    def place(self, result: BatchResult, term: int, time_ms: int) -> Placed:
        """Turn a checked result into entries; empty when nothing was applied."""
        entries: list[tuple[bytes, bool]] = []
        fates: list[Committed | Rejected | None] = []
        first = self._chain.head + 1
        for outcome in result.outcomes:
            if isinstance(outcome, Applied):
                txid = self._append(entries, term, outcome.writes, outcome.claims)
                fates.append(Committed(txid, outcome.receipt))
            else:
                fates.append(outcome if isinstance(outcome, Rejected) else None)
        if result.closing:
            self._append(entries, term, result.closing, NO_CLAIMS)
        if entries:
            self._sign(entries, term, time_ms)
        return Placed(first, entries, fates)

    def place_writes(self, writes: Sequence[Writes], term: int, time_ms: int) -> Placed:
        """Turn the core's own writes into entries and a signature; only a signature when empty."""
        entries: list[tuple[bytes, bool]] = []
        first = self._chain.head + 1
        for one in writes:
            self._append(entries, term, one, NO_CLAIMS)
        self._sign(entries, term, time_ms)
        return Placed(first, entries, [])

    def newest_time_ms(self) -> int:
        """Return a time that no batch in the ledger is later than; 0 for an empty ledger.

        The newest signature states its time in whole seconds, so this is the end of that second.
        """
        head = self._chain.store.head()
        values = {name: head.get(name, maps.SINGLETON_KEY) for name in SIGNATURE_MAPS}
        signed = {name: {maps.SINGLETON_KEY: value} for name, value in values.items() if value is not None}
        return signed_at_s(signed) * 1000 + 999 if signed else 0

    def _append(self, entries: list[tuple[bytes, bool]], term: int, writes: Writes, claims: bytes) -> TxID:
        txid = TxID(term, self._chain.head + 1)
        sealed = self._sealer.seal(txid, writes, claims=claims)
        self._chain.add(txid, sealed.leaf, writes, signature=False)
        self._chunk_bytes += len(sealed.raw)
        entries.append((sealed.raw, False))
        return txid

    def _sign(self, entries: list[tuple[bytes, bool]], term: int, time_ms: int) -> None:
        txid = TxID(term, self._chain.head + 1)
        tree = self._chain.tree
        writes = self._signer.writes(tree.root(), txid, tree.serialise(), time_ms // 1000)
        ends_chunk = self._chunk_bytes >= self._chunk_size
        sealed = self._sealer.seal(txid, writes, flags=CHUNK_AFTER if ends_chunk else 0)
        self._chunk_bytes = 0 if ends_chunk else self._chunk_bytes + len(sealed.raw)
        self._chain.add(txid, sealed.leaf, writes, signature=True)
        entries.append((sealed.raw, True))


def check_result(result: object, requests: int, owned: frozenset[str]) -> BatchResult:
    """Check what an adapter returned for a batch of ``requests``, whatever it is; return it.

    An adapter is somebody else's code: what is wrong with its result costs it the batch, not the node.
    Raises AdapterError for a wrong type or number of outcomes, a write outside ``owned`` or beyond the
    bounds, or a batch that defers before it applied anything (it would never make progress).
    """
    if not isinstance(result, BatchResult):
        raise AdapterError(f"adapter returned {type(result).__name__} instead of a BatchResult")
    if len(result.outcomes) != requests:
        raise AdapterError(f"adapter returned {len(result.outcomes)} outcomes for {requests} requests")
    applied = False
    for outcome in result.outcomes:
        if isinstance(outcome, Applied):
            applied = True
            _check_applied(outcome, owned)
        elif isinstance(outcome, Deferred):
            if not applied:
                raise AdapterError("adapter deferred a request before applying any")
        elif not isinstance(outcome, Rejected):
            raise AdapterError(f"{type(outcome).__name__} is no outcome")
    if result.closing:
        if not applied:
            raise AdapterError("adapter closed a batch in which it applied nothing")
        _check_writes(result.closing, owned)
    return result


def _check_applied(outcome: Applied, owned: frozenset[str]) -> None:
    if len(outcome.claims) != len(NO_CLAIMS):
        raise AdapterError(f"claims digest of {len(outcome.claims)} bytes")
    if not isinstance(outcome.receipt, bytes):
        raise AdapterError("a receipt is not bytes")
    _check_writes(outcome.writes, owned)


def _check_writes(writes: Writes, owned: frozenset[str]) -> None:
    _check_mapping(writes)
    for name, changes in writes.items():
        if name not in owned:
            raise AdapterError(f"adapter wrote a map that is not in its manifest: {name}")
        _check_mapping(changes)
        # By types as a whole: this runs for every key that any transaction writes.
        if not (_KEY_TYPES.issuperset(map(type, changes)) and _TYPES.issuperset(map(type, changes.values()))):
            raise AdapterError(f"adapter wrote what is not bytes to {name}")
    size = size_bytes(writes) + _FRAMING_BYTES * sum(map(len, writes.values()))
    if size > limits.WRITE_SET_SIZE_MAX_BYTES:
        raise AdapterError(
            f"write set of {size} bytes exceeds the bound of {limits.WRITE_SET_SIZE_MAX_BYTES} bytes"
        )


def _check_mapping(value: object) -> None:
    if not isinstance(value, dict):
        raise AdapterError(f"{type(value).__name__} is no write set")


def check_manifest_maps(name: str, owned: Sequence[str]) -> None:
    """Raise AdapterError unless every map is in the adapter's own name space."""
    for one in owned:
        plain = one.removeprefix(maps.PUBLIC_PREFIX)
        if maps.is_reserved(one) or not plain.startswith(f"{name}."):
            raise AdapterError(f"adapter {name!r} claims map {one!r}; its maps must begin with {name!r}.")
