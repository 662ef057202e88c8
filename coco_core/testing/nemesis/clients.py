"""What every client has in common: it sends a transaction until it is certain of it, and keeps the times.

Not certain is whoever got no answer in time, or one that leaves it open. Then the same transaction,
with the same name, goes to another node; ledgers refuse duplicates, so a second success is impossible and
a refusal as known is certainty too. Nothing is ever given up in silence: what is not certain when a
round has ended is a violation.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from random import Random

import attrs
import trio

from coco_core.base import TxID
from coco_core.client import Connection, ConnectionLostError
from coco_core.wire.http import Message

CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 1.5
PAUSE_S = 0.03
"""Before a transaction is sent again."""
AVOIDED_S = 1.0
"""How long a client does not ask a node that did not answer, or told it to wait."""
NOT_HERE_NOW = 503
"""What a node answers that has not caught up, or has no primary: nothing is known of what was sent."""


@attrs.define(kw_only=True, eq=False)
class Call:
    """One transaction, from the moment it was first sent until its client was certain of it."""

    name: str
    """What it is called in its ledger: sent twice, it takes effect once."""
    called: float = 0.0
    returned: float | None = None
    place: TxID | None = None
    """Where its ledger says it stands; None when it was only refused as known."""
    attempts: int = 0
    unsure: str = ""
    """Why it had to be sent again, the last time."""


@attrs.define(kw_only=True)
class Record:
    """What all clients of a round saw."""

    acknowledged: list[float] = attrs.field(factory=list)
    """When some client was certain of some transaction, ascending."""
    placed: list[TxID] = attrs.field(factory=list)
    """Where what they are certain of stands, in the order they knew."""
    attempts: int = 0
    violations: list[str] = attrs.field(factory=list)
    sending: bool = True
    """Whether clients begin new transactions."""

    def certain(self, call: Call, place: TxID | None) -> None:
        """Note that a client is certain of ``call`` now."""
        call.returned, call.place = trio.current_time(), place
        self.acknowledged.append(call.returned)
        if place is not None:
            self.placed.append(place)


class Doors:
    """One client's connections to one ledger's front ends, opened when needed, one request at a time."""

    def __init__(self, addresses: Sequence[str], tls: ssl.SSLContext | None, chance: Random) -> None:
        """Know the front end of each node; without ``tls`` speak in the clear."""
        self._addresses = addresses
        self._tls = tls
        self._chance = chance
        self._open: dict[int, Connection] = {}
        self._avoided: dict[int, float] = {}

    def choose(self) -> int:
        """Return a node to ask: any, but for those that just did not answer."""
        now = trio.current_time()
        nodes = range(len(self._addresses))
        return self._chance.choice([one for one in nodes if self._avoided.get(one, 0.0) <= now] or nodes)

    def avoid(self, node: int) -> None:
        """Do not choose ``node`` for a while, as long as there are others."""
        self._avoided[node] = trio.current_time() + AVOIDED_S

    async def post(self, node: int, body: bytes) -> Message:
        """Send ``body`` and return the answer; raises ConnectionLostError when none comes in time."""
        try:
            connection = self._open.get(node) or await self._connect(node)
            with trio.move_on_after(ANSWER_TIMEOUT_S):
                await connection.send("POST", "/", body)
                answer = await connection.receive()
                if not answer.keep_alive:
                    # Asked there again, the node would seem to have ended.
                    await self._open.pop(node).close()
                return answer
            raise ConnectionLostError(f"node {node} did not answer")
        except BaseException as error:
            # Also when cancelled: an answer that comes late must not be taken for the next one's.
            if isinstance(error, ConnectionLostError):
                self.avoid(node)
            if stale := self._open.pop(node, None):
                await stale.close()
            raise

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._open.values():
            await connection.close()
        self._open.clear()

    async def _connect(self, node: int) -> Connection:
        with trio.move_on_after(CONNECT_TIMEOUT_S):
            connection = self._open[node] = await Connection.open(self._addresses[node], self._tls)
            return connection
        raise ConnectionLostError(f"node {node} does not shake hands")


async def until_certain(
    doors: Doors,
    record: Record,
    calls: Sequence[Call],
    body: Callable[[], bytes],
    read: Callable[[Message], None],
) -> None:
    """Send ``body()`` until ``read`` has noted every one of ``calls`` as certain."""
    now = trio.current_time()
    for call in calls:
        call.called = now
    while waiting := [call for call in calls if call.returned is None]:
        record.attempts += 1
        for call in waiting:
            call.attempts += 1
        try:
            node = doors.choose()
            answer = await doors.post(node, body())
        except ConnectionLostError as error:
            for call in waiting:
                call.unsure = str(error)
        else:
            if answer.status == NOT_HERE_NOW:
                doors.avoid(node)
                for call in waiting:
                    call.unsure = answer.body.decode(errors="replace")[:200]
            else:
                read(answer)
            if all(call.returned is not None for call in waiting):
                return
        await trio.sleep(PAUSE_S)
