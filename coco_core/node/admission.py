"""Who asked to join: the founder admits the founding set, any node of a running service passes later ones on.

A node that asks while the service runs is recorded as pending, and asks again until an operator decided.
Transport only; the rules are governance's and the replica's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from coco_core.adapter import ANONYMOUS, HTTPResponse, NotCommitted, PendingResponse, Rejected
from coco_core.base import NodeID, limits
from coco_core.errors import BusyError, OperatorError
from coco_core.governance import (
    ADMINISTRATION,
    PENDING,
    TRUSTED,
    JoinRequest,
    NodeRecord,
    RefusedError,
    join_payload,
    read_change,
    read_nodes,
    refuse_departed,
)
from coco_core.node.doorkeeping import Doorkeeper, Judged
from coco_core.node.driver import Driver
from coco_core.node.service import Tickets
from coco_core.replica import Welcome, encode_welcome

CHALLENGE_TARGET, JOIN_TARGET = "/node/join/challenge", "/node/join"
WAITING = "the node is known, and waits for an operator to let it in"


Welcoming = Callable[[Judged], bytes]
"""Makes the welcome for who asked so."""


class FoundingAdmissions:
    """The founder's side: collects joiners until the founding set is complete."""

    def __init__(self, wanted: int, door: Doorkeeper) -> None:
        """Admit ``wanted`` nodes that ``door`` lets pass."""
        self._wanted = wanted
        self._door = door
        self._admitted: dict[NodeID, Judged] = {}
        self._complete = trio.Event()
        self._welcome: Welcoming | None = None
        self._welcomed = trio.Event()
        if not wanted:
            self._complete.set()

    def challenge(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Answer who asks for a challenge."""
        return self._door.challenge(body)

    def accept(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Judge one join request; an admitted node's answer comes when the set is complete."""
        judged = self._door.judge(body)
        if isinstance(judged, HTTPResponse):
            return judged
        request = judged.request
        if request.node_id not in self._admitted:
            self._forget_predecessor(request.peer_address)
            if any(one.request.encryption_key == request.encryption_key for one in self._admitted.values()):
                return self._door.refuse("duplicate", "another node has the same encryption key", request)
            if len(self._admitted) >= self._wanted:
                return _text(503, "the founding set is complete, and the service not open yet: ask again")
            self._admitted[request.node_id] = judged
            if len(self._admitted) == self._wanted:
                self._complete.set()

        async def answer() -> HTTPResponse:
            await self._welcomed.wait()
            if self._welcome is None or request.node_id not in self._admitted:
                return _text(409, f"another node joined at {request.peer_address} since")
            return HTTPResponse(body=self._welcome(judged))

        return answer

    def _forget_predecessor(self, peer_address: str) -> None:
        """While the set is not complete, free the place of a node whose address a new one asks with.

        A joiner that restarts has a new key; its place must not stay with the one that is gone.
        """
        if not self._complete.is_set():
            for node_id, judged in list(self._admitted.items()):
                if judged.request.peer_address == peer_address:
                    del self._admitted[node_id]

    async def complete(self) -> Sequence[Judged]:
        """Return the admitted nodes once all came; raises OperatorError when they do not in time."""
        with trio.move_on_after(limits.JOIN_TIMEOUT_MS / 1000):
            await self._complete.wait()
            return list(self._admitted.values())
        raise OperatorError(
            f"only {len(self._admitted)} of {self._wanted} joining nodes came "
            f"within {limits.JOIN_TIMEOUT_MS} ms"
        )

    def welcome(self, welcome: Welcoming) -> None:
        """Let every admitted node have its welcome, each sealed for the request it answers."""
        self._welcome = welcome
        self._welcomed.set()


class RunningAdmissions:
    """A running node's side: records who asks, and welcomes whom an operator let in."""

    def __init__(
        self,
        driver: Driver,
        tickets: Tickets,
        door: Doorkeeper,
        endorse: Callable[[JoinRequest], str],
        welcome: Callable[[str], Welcome],
    ) -> None:
        """Take whom ``door`` lets pass; ``endorse`` makes certificates, ``welcome`` what goes with one."""
        self._driver = driver
        self._tickets = tickets
        self._door = door
        self._endorse = endorse
        self._welcome = welcome

    def challenge(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Answer who asks for a challenge."""
        return self._turned_away() or self._door.challenge(body)

    def accept(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Answer one join request: 200 with the welcome, 202 while the node must wait, or a refusal."""
        turned_away = self._turned_away()
        if turned_away is not None:
            return turned_away
        judged = self._door.judge(body)
        if isinstance(judged, HTTPResponse):
            return judged
        request = judged.request
        view = self._driver.replica.chain.store.view()
        known = read_nodes(view).get(request.node_id)
        if known is None:
            return self._record(judged)
        change = read_change(view)
        try:
            refuse_departed(view, known, judged.record.judged_at_ms)
        except RefusedError as error:
            return self._door.refuse(error.code, str(error), request)
        if known.encryption_key != request.encryption_key.pem:
            return self._door.refuse("duplicate", "this node asked with another encryption key", request)
        if known.status == TRUSTED or (change is not None and known.node_id in change.add):
            welcome = self._welcome(known.certificate)
            transcript = judged.record.proof.transcript
            return HTTPResponse(body=encode_welcome(welcome, request.encryption_key, transcript))
        return _text(202, WAITING)

    def _turned_away(self) -> HTTPResponse | None:
        """Return where else to ask, while this node has not caught up with the tables it would judge by.

        Without them there is no policy, and nothing would be accepted: a refusal, which ends who asked.
        """
        this = read_nodes(self._driver.replica.chain.store.view()).get(self._door.node_id)
        if this is None or this.status == PENDING:
            return _text(503, "this node takes no part yet: ask another")
        return None

    def _record(self, judged: Judged) -> HTTPResponse | PendingResponse:
        request = judged.request
        record = NodeRecord(
            node_id=request.node_id,
            certificate=self._endorse(request),
            peer_address=request.peer_address,
            encryption_key=request.encryption_key.pem,
            measurement=judged.record.measurement,
            evidence=request.standing,
            status=PENDING,
        )
        payload = join_payload(record, judged.record.proof, request.voucher)
        try:
            submission = self._tickets.submit(self._driver, ADMINISTRATION, [payload], ANONYMOUS)
        except BusyError as error:
            return _text(503, str(error))

        async def answer() -> HTTPResponse:
            (fate,) = await submission.wait()
            match fate:
                case Rejected() if fate.code != "duplicate":
                    return self._door.refuse(fate.code, fate.message, request)
                case NotCommitted():
                    return _text(503, fate.reason)
            return _text(202, WAITING)

        return answer


def _text(status: int, message: str) -> HTTPResponse:
    return HTTPResponse(status=status, body=f"{message}\n".encode(), content_type="text/plain")
