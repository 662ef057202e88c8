"""The identity a service has and those it had: which nodes each of them may have endorsed.

A node knows the one in force from who started it, or welcomed it, and those before from their endorsements,
each by the next. The ledger tells the same story: it begins under the first, and goes on under the next one
from behind the last entry that the one before signed. A ledger that begins under any other identity, or
replaces it otherwise, is none of this service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from coco_core.base import NodeID, TxID
from coco_core.crypto import (
    PublicKey,
    check_issued,
    check_issued_before,
    read_certificate,
    read_predecessors,
)
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance import NodeRecord, read_nodes, read_service_info, signing_keys
from coco_core.kv import View, maps


class Lineage:
    """All identities of one service, oldest first."""

    def __init__(self, certificate: str, endorsements: Sequence[str] = ()) -> None:
        """Know the identity in force by ``certificate``, those before by ``endorsements`` (PEM).

        Raises AttestationError for endorsements that do not lead to it.
        """
        self._service = read_certificate(certificate)
        self._before = read_predecessors(endorsements, self._service)
        self._keys = [*(one.public_key for one in self._before), self._service.public_key]

    def founding_keys(self, view: View, txid: TxID) -> Mapping[NodeID, PublicKey]:
        """Return the keys of who may sign first, at ``txid``; raises IntegrityError for another service."""
        place = self._place_in(view, txid)
        nodes = read_nodes(view)
        # Of what is none of this service, it is told that the service did not endorse it.
        self._check_issued(nodes.values(), len(self._before) if place is None else place, txid)
        return signing_keys(nodes)

    def replaced(self, before: View, after: View, txid: TxID) -> bool:
        """Tell whether the service's identity is another one after ``txid``."""
        return self._place_in(before, txid) != self._place_in(after, txid)

    def takeover_keys(self, before: View, signed: int, after: View, txid: TxID) -> Mapping[NodeID, PublicKey]:
        """Return the keys of who may sign first under the identity that takes over, at ``txid``.

        ``before`` are the tables as of the signature before, at ``signed``; raises IntegrityError.
        """
        was, now = self._place_in(before, txid), self._place_in(after, txid)
        if was is None or now != was + 1 or self._before[was].until.seqno != signed:
            raise IntegrityError(f"entry {txid}: the service's identity is replaced where it was not")
        nodes = {name: node for name, node in read_nodes(after).items() if not node.retired_committed}
        self._check_issued(nodes.values(), now, txid)
        return signing_keys(nodes)

    def _place_in(self, view: View, txid: TxID) -> int | None:
        """Return which identity the tables hold, None when it is none of these."""
        if view.get(maps.SERVICE_INFO, maps.SINGLETON_KEY) is None:
            return None
        try:
            key = read_certificate(str(read_service_info(view)["cert"])).public_key
        except (AttestationError, KeyError) as error:
            raise IntegrityError(f"entry {txid}: the service's certificate: {error}") from error
        return self._keys.index(key) if key in self._keys else None

    def _check_issued(self, nodes: Iterable[NodeRecord], place: int, txid: TxID) -> None:
        for node in nodes:
            try:
                certificate = read_certificate(node.certificate)
                if place < len(self._before):
                    check_issued_before(certificate, self._before[place])
                else:
                    check_issued(certificate, self._service)
            except AttestationError as error:
                raise IntegrityError(f"entry {txid}: founding node {node.node_id}: {error}") from error
