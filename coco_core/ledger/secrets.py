"""Ledger secrets by epoch: which key seals which entries, and what is derived from it.

An epoch begins at a seqno and lasts until the next one does. Its 32-byte secret seals the private
part of entries; commit evidence comes from a key derived from it by HKDF (RFC 5869), so that showing
evidence tells nothing of the secret. This room neither makes secrets (entropy is an argument) nor
stores them; nothing here prints them.
"""

from __future__ import annotations

import hmac
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

import attrs
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coco_core.base import TxID, invariant
from coco_core.base.limits import LEDGER_EPOCHS_MAX
from coco_core.errors import IntegrityError

SECRET_SIZE_BYTES = 32
_COMMIT_INFO = b"coco ledger commit evidence v1"
_RECORD = struct.Struct("<Q32s")
_VERSION = b"\x01"


class MissingSecretsError(IntegrityError):
    """A sound snapshot is of an epoch whose secret this node cannot get: it can read none from there on."""


@attrs.frozen(slots=True, eq=False)
class Epoch:
    """One secret with its ready-made cipher; ``first_seqno`` is the first entry it seals."""

    first_seqno: int
    secret: bytes = attrs.field(repr=False)
    aead: AESGCM = attrs.field(repr=False)
    commit_secret: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, first_seqno: int, secret: bytes) -> Epoch:
        """Derive cipher and commit secret from the epoch's secret."""
        invariant(len(secret) == SECRET_SIZE_BYTES, "a ledger secret has 32 bytes")
        hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_COMMIT_INFO)
        return cls(first_seqno, secret, AESGCM(secret), hkdf.derive(secret))


class LedgerSecrets:
    """All secrets of a ledger, oldest first; everything of one node shares one.

    Other threads read while it changes: every change puts a whole new tuple in place, and what they ask for
    is of agreed entries, whose epochs stay.
    """

    __slots__ = ("_epochs",)

    def __init__(self, epochs: Iterable[tuple[int, bytes]]) -> None:
        """Take ``(first_seqno, secret)`` pairs in ascending order; the first begins at 1 or later."""
        self._epochs: tuple[Epoch, ...] = ()
        self.replace(epochs)

    @property
    def epochs(self) -> list[tuple[int, bytes]]:
        """``(first_seqno, secret)`` of every epoch, oldest first."""
        return [(epoch.first_seqno, epoch.secret) for epoch in self._epochs]

    @property
    def current(self) -> Epoch:
        """The epoch that seals new entries."""
        return self._epochs[-1]

    def at(self, seqno: int) -> Epoch:
        """Return the epoch that seals entry ``seqno``.

        Raises IntegrityError when the entry is older than the oldest secret this node was given.
        """
        epochs = self._epochs
        last = epochs[-1]
        if seqno >= last.first_seqno:
            return last
        place = bisect_right(epochs, seqno, key=_first_seqno)
        if place == 0:
            raise IntegrityError(
                f"no ledger secret for seqno {seqno}: the oldest begins at {epochs[0].first_seqno}"
            )
        return epochs[place - 1]

    def rekey(self, first_seqno: int, secret: bytes) -> None:
        """Begin a new epoch; its first entry comes after that of the current one."""
        self._put([*self._epochs, Epoch.of(first_seqno, secret)])

    def replace(self, epochs: Iterable[tuple[int, bytes]]) -> None:
        """Put ``(first_seqno, secret)`` pairs, in ascending order, in place of all there were."""
        known = {epoch.first_seqno: epoch for epoch in self._epochs}
        made: list[Epoch] = []
        for first_seqno, secret in epochs:
            same = known.get(first_seqno)
            made.append(same if same and same.secret == secret else Epoch.of(first_seqno, secret))
        self._put(made)

    def truncate(self, seqno: int) -> None:
        """Forget epochs that entries after ``seqno`` began: each begins right behind the entry that tells."""
        self._epochs = self._begun_by(seqno)

    def begun_by(self, seqno: int) -> LedgerSecrets:
        """Return a copy that knows only the epochs which entries up to ``seqno`` began."""
        copy = LedgerSecrets.__new__(LedgerSecrets)
        copy._epochs = self._begun_by(seqno)  # noqa: SLF001 - it is one of these
        return copy

    def _begun_by(self, seqno: int) -> tuple[Epoch, ...]:
        epochs = self._epochs
        return epochs[: max(1, bisect_right(epochs, seqno + 1, key=_first_seqno))]

    def _put(self, epochs: Sequence[Epoch]) -> None:
        firsts = [epoch.first_seqno for epoch in epochs]
        invariant(firsts, "a ledger has at least one secret")
        invariant(firsts[0] >= 1, "seqnos start at 1")
        invariant(all(a < b for a, b in pairwise(firsts)), "epochs begin in ascending order")
        invariant(len(firsts) <= LEDGER_EPOCHS_MAX, "too many rekeys for one ledger")
        self._epochs = tuple(epochs)

    def to_bytes(self) -> bytes:
        """Return all secrets in the clear, for sealing to a joiner or for recovery shares."""
        return _VERSION + b"".join(_RECORD.pack(epoch.first_seqno, epoch.secret) for epoch in self._epochs)

    @classmethod
    def from_bytes(cls, data: bytes) -> LedgerSecrets:
        """Read what to_bytes wrote; raises IntegrityError for anything else."""
        size = len(data) - 1
        if (
            data[:1] != _VERSION
            or size == 0
            or size % _RECORD.size
            or size > LEDGER_EPOCHS_MAX * _RECORD.size
        ):
            raise IntegrityError(f"not a set of ledger secrets: {len(data)} bytes")
        epochs = list(_RECORD.iter_unpack(data[1:]))
        firsts = [first for first, _ in epochs]
        if firsts[0] < 1 or any(b <= a for a, b in pairwise(firsts)):
            raise IntegrityError("ledger secrets are not in ascending order")
        return cls(epochs)

    def __repr__(self) -> str:
        return f"<LedgerSecrets from seqnos {[epoch.first_seqno for epoch in self._epochs]}>"


def _first_seqno(epoch: Epoch) -> int:
    return epoch.first_seqno


def commit_evidence(secrets: LedgerSecrets, txid: TxID) -> str:
    """Return the text ``ce:view.seqno:nonce`` that a receipt reveals once ``txid`` is committed.

    Only its digest is in the ledger; the nonce is HMAC-SHA256 of the transaction ID under the
    epoch's commit secret, so nobody outside can show it for an entry that was merely appended.
    """
    return evidence_in(secrets.at(txid.seqno), f"{txid.view}.{txid.seqno}")


def evidence_in(epoch: Epoch, txid: str) -> str:
    """Return the commit evidence for the transaction ID given as text, in a known epoch."""
    return f"ce:{txid}:{hmac.digest(epoch.commit_secret, txid.encode(), 'sha256').hex()}"
