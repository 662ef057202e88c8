"""The entry that says which entries before it were committed together, and what its receipt proves.

A record may name only entries of the batch its own entry is in, with the claims digests they have, each of
the ledger it is said to be of, and none that another record names. So whoever holds the receipt and the
record knows of all of them, and an auditor that no record lies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import MutableMapping, Sequence
from typing import Final

import attrs

from coco_core.errors import IntegrityError
from coco_core.kv.maps import BUNDLE, PUBLIC_PREFIX, SINGLETON_KEY, is_ledger_name, is_reserved
from coco_core.ledger.entry import PublicEntry
from coco_core.wire.values import typed

_DOMAIN: Final = b"coco.bundle.v1"


@attrs.frozen(kw_only=True)
class BundledTransaction:
    """Where in the ledger one transaction of a bundle is, and what it claims."""

    ledger: str
    seqno: int
    claims: bytes


def encode_bundle_record(transactions: Sequence[BundledTransaction]) -> bytes:
    """Return what a bundle's entry holds: JSON, for anybody who reads the ledger."""
    rows = [{"ledger": one.ledger, "seqno": one.seqno, "claims": one.claims.hex()} for one in transactions]
    return json.dumps({"transactions": rows}).encode()


def read_bundle_record(record: bytes) -> tuple[BundledTransaction, ...]:
    """Read what encode_bundle_record returned; raises IntegrityError for anything else."""
    try:
        return tuple(
            BundledTransaction(
                ledger=typed(row["ledger"], str),
                seqno=typed(row["seqno"], int),
                claims=bytes.fromhex(row["claims"]),
            )
            for row in json.loads(record)["transactions"]
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(f"malformed record of a bundle: {error!r}") from error


def bundle_claims(record: bytes) -> bytes:
    """Return the claims digest of a bundle's entry: SHA-256 over a prefix and its record.

    Whoever holds the receipt of that entry and the record knows, without asking any node, that the consortium
    committed all of its transactions, each with these claims.
    """
    return hashlib.sha256(_DOMAIN + record).digest()


@attrs.frozen
class BatchEntry:
    """What is known of an entry that a record may name."""

    claims: bytes
    maps: frozenset[str]
    """The names of those it writes: the public ones, and the others too for who can open it."""

    def check_ledger(self, ledger: str) -> None:
        """Raise IntegrityError unless the maps begin with that ledger's name, as all it may write do."""
        if not is_ledger_name(ledger):
            raise IntegrityError(f"a bundle names {ledger[:64]!r}, which is no ledger's name")
        for name in sorted(self.maps):
            if is_reserved(name) or not name.removeprefix(PUBLIC_PREFIX).startswith(f"{ledger}."):
                raise IntegrityError(f"a bundle says that ledger {ledger} wrote {name[:64]!r}")


def check_bundle(entry: PublicEntry, batch: MutableMapping[int, BatchEntry]) -> None:
    """Check the record in an entry, if it has one, by the entries of its batch, by seqno.

    Those it names are taken out of ``batch``. Raises IntegrityError when it names another entry, one twice,
    out of order or that another record named, other claims, or a ledger that did not write it.
    """
    changes = entry.public.get(BUNDLE)
    if changes is None:
        return
    record = changes.get(SINGLETON_KEY)
    if record is None or len(changes) != 1 or len(entry.public) != 1:
        raise IntegrityError("the record of a bundle is not alone in its entry")
    if entry.claims != bundle_claims(record):
        raise IntegrityError("the entry of a bundle claims another record")
    before = 0
    for one in read_bundle_record(record):
        found = batch.pop(one.seqno, None)
        if one.seqno <= before or found is None or found.claims != one.claims:
            raise IntegrityError(f"entry {one.seqno} was not committed with this bundle as it says")
        found.check_ledger(one.ledger)
        before = one.seqno
