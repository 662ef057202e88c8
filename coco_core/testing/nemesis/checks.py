"""Judging a round: what the living nodes say, and then what their ledgers say when all have stopped."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import attrs
import trio

from coco_core.base import TxID
from coco_core.cli.local_node import LocalNode
from coco_core.client import AnswerError, Connection, NodeClient, pinned_context, verify_receipt
from coco_core.errors import CocoError, IntegrityError
from coco_core.testing.linearizability import check_linearizable
from coco_core.testing.nemesis import ethereum_load
from coco_core.testing.nemesis.clients import Call
from coco_core.testing.nemesis.ethereum_load import EthereumLedger, Transfer
from coco_core.testing.nemesis.ledgers import (
    LedgerReading,
    check_alike,
    check_complete,
    check_ended,
    shortened,
    try_read,
)
from coco_core.testing.nemesis.outcome import Outcome
from coco_core.testing.nemesis.standing import Happened
from coco_core.testing.nemesis.tally_load import Addition, histories
from coco_core.testing.violation import ViolationError

SETTLE_TIMEOUT_S = 60.0
HEALTH_FILE = "health.json"
HEALTH_TIMEOUT_S = 5.0
RECEIPTS_AT_A_TIME = 2
COLLECT_EVERY_S = 0.05
RECENT = 30
"""Of how many of the newest acknowledged transactions one is chosen to fetch its receipt at once."""
_ELSEWHERE = "ask another"
"""Said by a node that began behind a snapshot, or archived that part of its ledger."""
AROUND_S = 1.0
"""Receipts of what was acknowledged so close to the beginning or the end of a fault are all verified."""


@attrs.define(kw_only=True)
class Sent:
    """Everything clients sent in a round."""

    additions: Sequence[Addition]
    transfers: Sequence[Transfer]

    @property
    def all(self) -> Sequence[Call]:
        """Both kinds."""
        return [*self.additions, *self.transfers]

    @property
    def places(self) -> list[TxID]:
        """Where what was acknowledged is said to stand."""
        return [one.place for one in self.all if one.place is not None]


class LiveChecks:
    """What the nodes still running must say, once the faults are over and clients certain."""

    def __init__(self, service_certificate: str, outcome: Outcome) -> None:
        """Believe nodes of this service only, and note in ``outcome``."""
        self._certificate = service_certificate
        self._tls: ssl.SSLContext = pinned_context(service_certificate)
        self._outcome = outcome
        self.receipts: dict[TxID, bytes] = {}
        """The write set digest every verified receipt proves."""

    async def settle(self, nodes: Sequence[LocalNode], places: Sequence[TxID]) -> None:
        """Wait until every node has committed what was acknowledged."""
        last = max((place.seqno for place in places), default=0)
        for node in nodes:
            committed = 0
            with trio.move_on_after(SETTLE_TIMEOUT_S):
                async with await Connection.open(node.info["admin"], self._tls) as connection:
                    client = NodeClient(connection)
                    while committed < last:
                        _, committed = await client.committed_after(last - 1)
            if committed < last:
                self._outcome.violations.append(
                    f"node {node.index} committed {committed} of {last} in {SETTLE_TIMEOUT_S:.0f} s of calm"
                )

    async def keep_health(self, nodes: Sequence[LocalNode]) -> None:
        """Write down what every node says of itself, for whoever looks for the reason of a violation."""
        for node in nodes:
            with trio.move_on_after(HEALTH_TIMEOUT_S):
                async with await Connection.open(node.info["admin"], self._tls) as connection:
                    health = (await connection.request("GET", "/node/health")).body
                (node.folder / HEALTH_FILE).write_bytes(health)

    async def ask_tally(self, nodes: Sequence[LocalNode], additions: Sequence[Addition]) -> None:
        """Compare every counter on every node with the sum of what was acknowledged."""
        totals: Counter[str] = Counter()
        for one in additions:
            totals[one.counter] += one.amount
        wrong: list[str] = []
        for node in nodes:
            async with await Connection.open(node.info["rpc"]["tally"], self._tls) as connection:
                for counter, total in totals.items():
                    answer = (await connection.request("GET", f"/{counter}")).body
                    if answer != b"%d" % total:
                        wrong.append(f"node {node.index}: counter {counter} is {answer!r}, expected {total}")
        self._outcome.violations += shortened(wrong)

    async def ask_ethereum(
        self, nodes: Sequence[LocalNode], ledger: EthereumLedger, transfers: Sequence[Transfer]
    ) -> None:
        """Compare every account, receipt and block on every node with the transfers sent."""
        for node in nodes:
            async with await Connection.open(node.info["rpc"][ethereum_load.NAME], self._tls) as connection:

                async def ask(body: bytes, connection: Connection = connection) -> bytes:
                    return (await connection.request("POST", "/", body)).body

                found = await ethereum_load.differences(ask, ledger, transfers)
                self._outcome.violations += shortened([f"node {node.index}: {one}" for one in found])

    async def collect(
        self, nodes: Callable[[], Sequence[LocalNode]], placed: Sequence[TxID], chance: Random
    ) -> None:
        """Verify receipts of what was just acknowledged, a few a second, until cancelled.

        ``placed`` grows meanwhile. Nodes in trouble may not answer; what they answer must be right.
        """
        while True:
            await trio.sleep(COLLECT_EVERY_S)
            recent = [place for place in placed[-RECENT:] if place not in self.receipts]
            if not recent or not nodes():
                continue
            place, node = chance.choice(recent), chance.choice(nodes())
            with trio.move_on_after(HEALTH_TIMEOUT_S):
                try:
                    async with await Connection.open(node.info["admin"], self._tls) as connection:
                        await self._verify([connection], place)
                except IntegrityError as error:
                    self._outcome.violations.append(f"receipt of {place}, node {node.index}: {error}")
                except CocoError:
                    pass

    async def verify_receipts(self, nodes: Sequence[LocalNode], places: Sequence[TxID]) -> None:
        """Fetch a receipt of each of ``places``, from the nodes in turn, and verify it offline."""
        waiting = [(number, place) for number, place in enumerate(places) if place not in self.receipts]
        wrong: list[str] = []

        async def fetch() -> None:
            async with AsyncExitStack() as stack:
                opened = [
                    await stack.enter_async_context(await Connection.open(node.info["admin"], self._tls))
                    for node in nodes
                ]
                while waiting:
                    number, place = waiting.pop()
                    turn = number % len(opened)
                    try:
                        if not await self._verify([*opened[turn:], *opened[:turn]], place):
                            self._outcome.archived += 1
                    except CocoError as error:
                        wrong.append(f"receipt of {place}: {error}")

        async with trio.open_nursery() as nursery:
            for _ in range(RECEIPTS_AT_A_TIME):
                nursery.start_soon(fetch)
        self._outcome.receipts += len(self.receipts)
        self._outcome.violations += shortened(wrong)

    async def _verify(self, connections: Sequence[Connection], place: TxID) -> bool:
        """Verify a receipt of ``place`` from the first node that can give one; return whether any can.

        Raises CocoError.
        """
        for connection in connections:
            try:
                receipt = await NodeClient(connection).receipt(str(place), cose=bool(place.seqno % 2))
            except AnswerError as error:
                if _ELSEWHERE not in str(error):
                    raise
                continue
            verified = verify_receipt(receipt, self._certificate)
            if verified.txid != place:
                raise IntegrityError(f"it proves {verified.txid}")
            self.receipts[place] = verified.write_set_digest
            return True
        return False


def receipts_wanted(sent: Sent, faults: Sequence[Happened], most: int, chance: Random) -> list[TxID]:
    """Return what to fetch receipts of: everything, or beyond ``most`` all around faults and a sample."""
    placed = [one for one in sent.all if one.place is not None and one.returned is not None]
    if len(placed) > most:
        edges = [edge for one in faults for edge in (one.began, one.ended)]
        close = [
            one for one in placed if any(abs((one.returned or 0.0) - edge) <= AROUND_S for edge in edges)
        ]
        chance.shuffle(placed)
        placed = list({id(one): one for one in (*close, *placed)}.values())[: max(most, len(close))]
    return [one.place for one in placed if one.place is not None]


def check_histories(sent: Sent, places: Mapping[str, int], outcome: Outcome) -> None:
    """Check that each counter's history has an order that explains it; ``places`` helps to find it."""
    for counter, operations in histories(sent.additions, places).items():
        try:
            check_linearizable(operations, 0, counter)
        except ViolationError as error:
            outcome.violations.append(str(error))
        else:
            outcome.counters += 1


@attrs.frozen
class JudgedLedger:
    """One ledger to judge."""

    name: str
    folder: Path
    whole: bool
    """Whether its node ran to the end."""


def check_ledgers(
    ledgers: Sequence[JudgedLedger],
    certificate: str,
    sent: Sent,
    receipts: Mapping[TxID, bytes],
    outcome: Outcome,
) -> None:
    """Audit every ledger and compare them with each other and with what was acknowledged; takes a while."""
    whole: list[LedgerReading] = []
    parts: list[LedgerReading] = []
    for ledger in ledgers:
        reading = try_read(ledger.name, ledger.folder, certificate)
        if isinstance(reading, str):
            outcome.violations.append(reading)
            continue
        outcome.entries += reading.report.entries
        (whole if ledger.whole else parts).append(reading)
    if not whole:
        outcome.violations.append("no ledger of a node that ran to the end holds")
        return
    longest = min(whole, key=lambda ledger: ledger.first)
    outcome.violations += check_alike(whole)
    for part in parts:
        outcome.violations += check_ended(part, longest, sent.places)
    places: dict[str, int] = {}
    for reading in (*parts, *whole):
        places.update(reading.places)
    found = [check_complete(reading, sent.additions, sent.transfers, places) for reading in whole]
    outcome.lost += max(len(each.lost) for each in found)
    outcome.duplicated += max(len(each.twice) for each in found)
    for each in found:
        outcome.violations += each.violations
    check_histories(sent, places, outcome)
    outcome.violations += shortened(
        [
            f"the receipt of {place} proves another entry than {longest.name} holds"
            for place, digest in receipts.items()
            if longest.digest(place.seqno) not in (None, digest)
        ]
    )
