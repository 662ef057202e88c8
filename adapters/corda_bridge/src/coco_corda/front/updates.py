"""Telling participants what happens to their states: one long poll, or a conversation by WebSocket."""

from __future__ import annotations

from functools import partial

import orjson

from coco_corda.front.answers import JSON, RefusedError, answer
from coco_corda.front.calls import Call
from coco_corda.front.outside import Outside
from coco_corda.front.reading import Reading
from coco_corda.front.vaults import Changes, Vaults
from coco_corda.limits import LISTENERS_MAX, PAGE_SIZE_MAX_BYTES, UPDATES_WAIT_MAX_S
from coco_corda.refs import StateRef
from coco_core.adapter import HTTPResponse, PendingResponse, WebSocket, WebSocketAnswer

_FOR_EVER = float("inf")


class Updates:
    """Whoever asks for changes."""

    def __init__(self, reading: Reading, vaults: Vaults, outside: Outside) -> None:
        """Tell what ``vaults`` hears; show states as ``reading`` does."""
        self._reading = reading
        self._vaults = vaults
        self._outside = outside
        self._listeners = 0

    def accept(self, call: Call, participant: bytes) -> HTTPResponse | PendingResponse | WebSocketAnswer:
        """Begin one request or conversation; raises RefusedError."""
        after = call.number("after", self._vaults.seqno, 2**62)
        wait_s = call.number("wait", 0, UPDATES_WAIT_MAX_S)
        if not wait_s and not call.request.websocket:
            return answer(self._told(self._vaults.since(participant, after)))
        if self._listeners >= LISTENERS_MAX:
            raise RefusedError(503, "too many listen at this node: ask without waiting", retry=True)
        if call.request.websocket:
            return WebSocketAnswer(converse=partial(self._converse, participant, after))
        return partial(self._poll, participant, after, wait_s)

    async def _poll(self, participant: bytes, after: int, wait_s: int) -> HTTPResponse:
        self._listeners += 1
        try:
            left = float(wait_s)
            while True:
                found = self._vaults.since(participant, after)
                began_ms = self._outside.now_ms()
                if found.changes or not found.is_known or left <= 0:
                    return answer(self._told(found))
                await self._outside.wait(left)
                left -= max(1, self._outside.now_ms() - began_ms) / 1000
        finally:
            self._listeners -= 1

    async def _converse(self, participant: bytes, after: int, websocket: WebSocket) -> None:
        """Tell everything until the client leaves, and let what it says go by: that it left comes behind."""

        async def listen() -> None:
            while True:
                await websocket.receive()

        self._listeners += 1
        try:
            await self._outside.beside(partial(self._tell, participant, after, websocket), listen)
        finally:
            self._listeners -= 1

    async def _tell(self, participant: bytes, after: int, websocket: WebSocket) -> None:
        """Tell all changes; who reads slowly is told more at a time."""
        while True:
            found = self._vaults.since(participant, after)
            if found.changes or not found.is_known:
                await websocket.send(orjson.dumps(self._told(found)).decode())
            after = found.seqno
            if after >= self._vaults.seqno:
                await self._outside.wait(_FOR_EVER)

    def _told(self, found: Changes) -> JSON:
        if not found.is_known:
            return {"restart": True, "seqno": found.seqno, "changes": []}
        changes: list[JSON] = []
        size = 0
        for change in found.changes:
            ref = StateRef.of_key(change.key)
            told: JSON = {"ref": str(ref), "change": "unconsumed" if change.is_new else "consumed"}
            # Whoever is told without bytes may ask for the state by its name.
            state = self._reading.made(ref) if change.is_new and size <= PAGE_SIZE_MAX_BYTES else None
            size += len(state or "")
            changes.append(told if state is None else {**told, "state": state})
        return {"seqno": found.seqno, "changes": changes}
