"""Which secret seals what, read from agreed entries anew: every epoch, who got a copy, and that it is new.

Whoever judges holds every node's key, so it opens every copy. What it finds is what the model opens the
ledger with: an entry sealed under another secret than that of its place is found there. Violations are
reported under "epochs". Must not read a replica but to compare.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from coco_core.base import NodeID
from coco_core.consensus import Entry
from coco_core.crypto import PrivateKey, hpke_open
from coco_core.governance import RETIRED, commitment_of
from coco_core.kv import maps
from coco_core.ledger import LedgerSecrets, read_public
from coco_core.testing.consortium import Consortium
from coco_core.testing.simulation.host import Host
from coco_core.testing.simulation.members import Told
from coco_core.testing.violation import ViolationError

_MARK: Final = maps.LEDGER_SECRETS.encode()


def begins_epoch(entry: Entry) -> bool:
    """Tell whether an entry begins an epoch."""
    return _MARK in entry.data and maps.LEDGER_SECRETS in read_public(entry.data).public


class EpochJudge:
    """What is agreed of the epochs of one world."""

    def __init__(self, consortium: Consortium, counts: Counter[str]) -> None:
        """Begin with the first epoch; what happens is counted in ``counts``."""
        self.secrets = LedgerSecrets(consortium.secrets.epochs)
        """Those of everything that is agreed."""
        self._keys: Mapping[NodeID, PrivateKey] = {
            identity.node_id: identity.encryption_key for identity in consortium.identities
        }
        self._counts = counts

    def agree(self, entry: Entry, told: Told) -> None:
        """Take the next agreed entry, behind which the log tells ``told`` of the members."""
        if not begins_epoch(entry):
            return
        writes = read_public(entry.data).public
        ((key, row),) = writes[maps.LEDGER_SECRETS].items()
        number = int.from_bytes(key, "big")
        if number != len(self.secrets.epochs) + 1:
            self._fail(entry, f"begins epoch {number}, not {len(self.secrets.epochs) + 1}")
        record = orjson.loads(writes[maps.EPOCHS][key] or b"")
        if record["first_seqno"] != entry.index + 1:
            self._fail(entry, f"says that its epoch begins at {record['first_seqno']}")
        copies: dict[str, str] = orjson.loads(row or b"")
        leaving = {name for name, status in told.status.items() if status == RETIRED} - told.ended
        wanted = told.voters | set(told.add) | leaving
        if copies.keys() != wanted:
            differing = sorted(name[:8] for name in copies.keys() ^ wanted)
            self._fail(entry, f"has copies for others than those who take part: {differing}")
        opened = {self._open(number, record["commitment"], NodeID(name), copies[name]) for name in copies}
        secret = opened.pop()
        if opened or commitment_of(secret) != record["commitment"]:
            self._fail(entry, "hands out different secrets, or another than it commits to")
        if secret in dict(self.secrets.epochs).values():
            self._fail(entry, "hands out a secret of an earlier epoch")
        self.secrets.rekey(entry.index + 1, secret)
        self._counts["epochs begun"] += 1
        self._counts["epochs begun on schedule"] += "lasted" in record["reason"]

    def secrets_of(self, entries: Iterable[Entry]) -> LedgerSecrets:
        """Return the secrets of a ledger that begins as every other does, whether it is agreed or not."""
        secrets = LedgerSecrets(self.secrets.epochs[:1])
        for entry in filter(begins_epoch, entries):
            writes = read_public(entry.data).public
            ((key, row),) = writes[maps.LEDGER_SECRETS].items()
            commitment = orjson.loads(writes[maps.EPOCHS][key] or b"")["commitment"]
            name, copy = next(iter(orjson.loads(row or b"").items()))
            secrets.rekey(entry.index + 1, self._open(int.from_bytes(key, "big"), commitment, name, copy))
        return secrets

    def _open(self, number: int, commitment: str, name: NodeID, copy: str) -> bytes:
        purpose = (
            b"coco epoch copy v1" + number.to_bytes(8, "big") + bytes.fromhex(commitment) + name.encode()
        )
        return hpke_open(self._keys[name], purpose, base64.b64decode(copy))

    def at_rest(self, host: Host) -> None:
        """Compare the secrets of a node at rest with what is agreed."""
        if host.replica.chain.keys.secrets.epochs != self.secrets.epochs:
            raise ViolationError("epochs", f"{host.label} holds other secrets than are agreed")

    def _fail(self, entry: Entry, reason: str) -> None:
        raise ViolationError("epochs", f"{entry.term}.{entry.index} {reason}")
