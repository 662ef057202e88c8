"""The ledger secrets of this node, moving with its chain.

The laws:

* An entry that begins an epoch is sealed under the secret before; everything behind it under the new one, on
  every node, whoever sequenced it. When it is dropped with the log, so is the epoch.
* What this node was welcomed with is agreed, and never dropped: its log may have to catch up with it.
* A secret is believed for the commitment in the entry that tells of it, wherever it came from.

Everything of a node that seals or opens shares ``secrets``. Knows tables and the node's own keys; must not
know who leads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coco_core.errors import IntegrityError
from coco_core.governance import begun_epoch, check_commitment, open_copy, secrets_at
from coco_core.kv import Store, View, maps
from coco_core.ledger import LedgerSecrets
from coco_core.replica.identities import Identity


class LedgerKeys:
    """The secrets of one node."""

    def __init__(self, secrets: LedgerSecrets, identity: Identity) -> None:
        """Begin with the ``secrets`` that the node was welcomed with, or founded its service with."""
        self.secrets = secrets
        """Changed in place."""
        self._identity = identity
        self._told = secrets.current.first_seqno

    def took(
        self, seqno: int, writes: Mapping[str, Mapping[bytes, bytes | None]], newest: Callable[[], View]
    ) -> None:
        """Follow the entry at ``seqno``; ``newest`` returns the state behind it.

        Raises IntegrityError when it begins an epoch whose secret this node neither was welcomed with nor
        finds a copy of, or that secret is not the one it commits to.
        """
        record = begun_epoch(writes, seqno)
        if record is None:
            return
        known = self.secrets.at(record.first_seqno)
        if known.first_seqno == record.first_seqno:
            check_commitment(record, known.secret)
        elif record.first_seqno < self.secrets.current.first_seqno:
            raise IntegrityError(
                f"epoch {record.number}, from seqno {record.first_seqno} on: this node was welcomed with"
                " later secrets, but not with this one"
            )
        else:
            secret = open_copy(record, newest(), self._identity.node_id, self._identity.encryption_key)
            self.secrets.rekey(record.first_seqno, secret)

    def truncate(self, seqno: int) -> None:
        """Forget what entries after ``seqno`` began."""
        self.secrets.truncate(max(seqno, self._told - 1))

    def restart(self, state: View, seqno: int) -> None:
        """Begin anew with a snapshot at ``seqno``; raises IntegrityError like ``as_of``."""
        told = [epoch for epoch in self.secrets.epochs if seqno + 1 < epoch[0] <= self._told]
        self.secrets.replace([*self._epochs_of(state), *told])

    def as_of(self, snapshot: Mapping[str, Mapping[bytes, bytes]]) -> LedgerSecrets:
        """Return the secrets of every epoch that the tables of a snapshot tell of.

        Raises IntegrityError when this node neither knows one nor finds a copy of it. For any thread.
        """
        tables = Store()
        tables.restore(1, {name: dict(snapshot.get(name, {})) for name in (maps.EPOCHS, maps.LEDGER_SECRETS)})
        return LedgerSecrets(self._epochs_of(tables.view()))

    def _epochs_of(self, tables: View) -> list[tuple[int, bytes]]:
        identity = self._identity
        return secrets_at(tables, self.secrets.epochs, identity.node_id, identity.encryption_key)
