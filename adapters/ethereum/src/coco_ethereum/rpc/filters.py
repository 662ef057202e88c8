"""What polling clients asked this node to remember: which blocks they have already been told of.

A filter is a position in the chain, so nothing is collected between polls and a slow client costs
nothing. Bounded by number and by bytes: beyond FILTERS_MAX or FILTERS_SIZE_MAX_BYTES the one polled
longest ago is forgotten, and its client reads "filter not found" and makes a new one, as after geth's
timeout. So whoever polls keeps its filter unless others poll that many in between. There is no clock
here.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import attrs

from coco_ethereum.limits import FILTERS_MAX, FILTERS_SIZE_MAX_BYTES


@attrs.define
class Filter:
    """One subscription: ``kind`` is ``logs``, ``blocks`` or ``pending``."""

    kind: str
    criteria: object
    """The ``logs.Criteria`` of a log filter, else None."""
    told: int
    """Number of the newest block its client has been told of."""
    size: int = 256
    """Bytes it takes, about."""

    def tell(self, number: int) -> None:
        """Note that its client has been told of everything up to block ``number``."""
        self.told = max(self.told, number)


class Filters:
    """The filters of one node."""

    def __init__(self, node_id: str) -> None:
        """Begin without any; ``node_id`` makes identifiers of another node, or life, unknown here."""
        self._node_id = node_id
        self._filters: OrderedDict[str, Filter] = OrderedDict()
        self._size = 0
        self._made = 0

    def add(self, new: Filter) -> str:
        """Remember a filter and return its identifier."""
        self._made += 1
        digest = hashlib.sha256(f"{self._node_id}:{self._made}".encode()).hexdigest()
        # A quantity has no leading zeros, and some clients read the identifier as one.
        name = "0x1" + digest[:31]
        self._filters[name] = new
        self._size += new.size
        while len(self._filters) > FILTERS_MAX or self._size > FILTERS_SIZE_MAX_BYTES:
            self._size -= self._filters.popitem(last=False)[1].size
        return name

    def get(self, name: str) -> Filter | None:
        """Return a filter and note that it was asked for."""
        found = self._filters.get(name)
        if found is not None:
            self._filters.move_to_end(name)
        return found

    def remove(self, name: str) -> bool:
        """Forget a filter; tell whether there was one."""
        found = self._filters.pop(name, None)
        if found is not None:
            self._size -= found.size
        return found is not None
