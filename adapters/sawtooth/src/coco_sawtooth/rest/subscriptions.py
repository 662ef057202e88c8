"""``/subscriptions``: what blocks change in state, by WebSocket. Knows no sockets.

A client says which prefixes of addresses interest it and gets the newest block at once, then every block. One
that reads slowly falls behind, and reads on from where it is.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from coco_core.adapter import LedgerService, WebSocket
from coco_sawtooth import events, records
from coco_sawtooth.addresses import ADDRESS_SIZE_BYTES
from coco_sawtooth.feed import BEFORE_FIRST, Feed
from coco_sawtooth.messages import Event, StateChangeList
from coco_sawtooth.outside import Outside
from coco_sawtooth.rest.rendering import JSON, plain

_ECHO_MAX_CHARS: Final = 1_000
_PREFIXES_MAX: Final = 1_000


class Subscriptions:
    """Conversations about the changes of state."""

    def __init__(self, service: LedgerService, feed: Feed, outside: Outside) -> None:
        """Tell of the chain of ``service``."""
        self._service = service
        self._feed = feed
        self._outside = outside

    async def __call__(self, websocket: WebSocket) -> None:
        """Converse with one client until it leaves."""
        conversation = _Conversation(websocket, self._service, self._feed, self._outside)
        await self._outside.beside(conversation.listen, conversation.tell)


class _Conversation:
    def __init__(self, websocket: WebSocket, service: LedgerService, feed: Feed, outside: Outside) -> None:
        self._websocket = websocket
        self._service = service
        self._feed = feed
        self._outside = outside
        self._prefixes: tuple[str, ...] | None = None
        """What it is subscribed to, None when it is not; empty stands for everything."""
        self._place = 0
        self._changed = b"subscription %d" % id(self)

    async def listen(self) -> None:
        """Do what the client asks for, until it leaves."""
        while True:
            # Nothing of a message is kept while another is waited for.
            await self._hear(await self._websocket.receive())

    async def _hear(self, text: str | bytes) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        if isinstance(asked, dict):
            await self._do(asked)
            return
        shown = text if isinstance(text, str) else text.decode(errors="replace")
        await self._send({"error": f'Invalid input: "{shown[:_ECHO_MAX_CHARS]}"'})

    async def _do(self, asked: dict[str, Any]) -> None:
        action = asked.get("action", "")
        prefixes = _prefixes(asked.get("address_prefixes", []))
        if action in ("subscribe", "get_block_deltas") and prefixes is None:
            await self._send({"error": "Address prefixes are a list of strings"})
        elif action == "subscribe":
            await self._subscribe(prefixes or ())
        elif action == "unsubscribe":
            self._prefixes = None
        elif action == "get_block_deltas":
            await self._send_block(asked.get("block_id"), prefixes or ())
        else:
            await self._send({"error": f'Unknown action "{str(action)[:_ECHO_MAX_CHARS]}"'})

    async def _subscribe(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes, place = None, self._feed.head()
        newest = None if place == BEFORE_FIRST else await self._feed.next(place - 1)
        if newest is not None:
            await self._show(newest[1], prefixes)
        self._prefixes, self._place = prefixes, place
        self._outside.pulse.beat([self._changed])

    async def _send_block(self, block_id: object, prefixes: tuple[str, ...]) -> None:
        if not isinstance(block_id, str):
            await self._send({"error": "Must specify a block id"})
            return
        number = records.number_of_block(self._service.view(), block_id)
        if number is None:
            await self._send({"error": f'Unknown block "{block_id[:_ECHO_MAX_CHARS]}"'})
            return
        _, told = await self._feed.told(number)
        await self._show(told, prefixes)

    async def tell(self) -> None:
        """Tell of block after block while the client is subscribed."""
        while True:
            if self._prefixes is None:
                await self._outside.pulse.wait([self._changed], float("inf"))
                continue
            place = self._place
            found = await self._feed.next(place)
            if found is not None:
                await self._tell_of(place, found[1])

    async def _tell_of(self, place: int, told: list[Event]) -> None:
        """Tell of the block behind a place, unless the client said something else meanwhile."""
        if self._prefixes is not None and self._place == place:
            self._place += 1
            await self._show(told, self._prefixes)

    async def _show(self, told: list[Event], prefixes: tuple[str, ...]) -> None:
        await self._websocket.send(
            await self._feed.away(lambda: orjson.dumps(_shown(told, prefixes)).decode())
        )

    async def _send(self, content: JSON) -> None:
        await self._websocket.send(orjson.dumps(content).decode())


def _prefixes(told: object) -> tuple[str, ...] | None:
    if not isinstance(told, list) or len(told) > _PREFIXES_MAX:
        return None
    if not all(isinstance(each, str) for each in told):
        return None
    # A longer one is the prefix of no address, and is kept for as long as the subscription.
    return tuple(each[: 2 * ADDRESS_SIZE_BYTES + 1] for each in told)


def _shown(told: list[Event], prefixes: tuple[str, ...]) -> dict[str, JSON]:
    """Return a block and what it changed under prefixes, as JSON."""
    commit = next(event for event in told if event.event_type == events.BLOCK_COMMIT)
    delta = next(event for event in reversed(told) if event.event_type == events.STATE_DELTA)
    attributes = {each.key: each.value for each in commit.attributes}
    changes = StateChangeList.FromString(delta.data).state_changes
    return {
        "block_id": attributes["block_id"],
        "block_num": attributes["block_num"],
        "previous_block_id": attributes["previous_block_id"],
        "state_changes": [
            plain(each) for each in changes if not prefixes or each.address.startswith(prefixes)
        ],
    }
