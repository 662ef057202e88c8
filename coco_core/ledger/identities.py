"""The identities a service had before the one in force, as the ledger's table holds them.

Each is told by its endorsement (see ``coco_core.crypto.predecessors``), under the seqno of the last entry it
signed for. Knows the table; who is to be believed its callers decide.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from coco_core.base import TxID
from coco_core.errors import IntegrityError
from coco_core.kv.maps import PREVIOUS_IDENTITIES
from coco_core.kv.write_set import Writes

_SEQNO: Final = struct.Struct(">Q")


def predecessor_writes(endorsement: str, until: TxID) -> Writes:
    """Return the write that tells of the identity which signed up to ``until``."""
    return {PREVIOUS_IDENTITIES: {_SEQNO.pack(until.seqno): endorsement.encode()}}


def endorsements_in(table: Mapping[bytes, bytes | None], *, after: int = 0) -> list[str]:
    """Return the endorsements of all identities before the one in force, oldest first, as PEM.

    Those that signed for nothing after seqno ``after`` are left out. Raises IntegrityError for a malformed
    table.
    """
    found: list[tuple[int, str]] = []
    for key, value in table.items():
        if len(key) != _SEQNO.size or value is None:
            raise IntegrityError(f"{PREVIOUS_IDENTITIES}: malformed record")
        (until,) = _SEQNO.unpack(key)
        try:
            found.append((until, value.decode("ascii")))
        except UnicodeDecodeError as fault:
            raise IntegrityError(f"{PREVIOUS_IDENTITIES}: {fault}") from fault
    return [pem for until, pem in sorted(found) if until > after]
