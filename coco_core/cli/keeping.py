"""A node kept in its service as long as members let it: before its lease ends, a fresh one takes its place.

Each *generation* is a process with a key, a folder and ports of its own. It starts when the lease of the one
before is half over, asks that for a voucher, and is judged like every joiner: whatever came over a node since
it started ends with it. See ``node.supervision`` for what is said, ``governance.renewals`` for the rules.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
import trio

from coco_core.cli.local_node import LocalNode
from coco_core.cli.network import SERVICE_FILE
from coco_core.errors import IntegrityError, OperatorError
from coco_core.governance import RENEWABLE_SHARE, RENEWAL_SHARE, RETIRED, VOUCHED, Lease
from coco_core.ledger import ChunkName
from coco_core.node import LEDGER_FOLDER, Address, Founding, Recovering, load_settings, unix_ms

Announce = Callable[[Mapping[str, Any]], None]

ALTERNATE_FIELDS: Final = frozenset({"admin", "peer", "rpc", "adapters"})
"""Of settings: what may be another for every second generation."""
SPREAD_SHARE: Final = 1 / 8
"""Of a lease over which nodes whose leases began together spread their renewals, each by its ID."""
RETRY_SHARE: Final = 1 / 16
"""Of a lease until a renewal that failed is tried again."""
MARGIN_S: Final = 2.0
"""What news may take."""
STOP_TIMEOUT_S: Final = 10.0

_GENERATION: Final = re.compile("generation-([1-9][0-9]{0,8})")
_OWN: Final = frozenset({"folder", "found", "join", "recover", "archive"})
"""Fields of settings that say nothing of later generations."""


# ── what to run ──────────────────────────────────────────────────────────────────────────────────


@attrs.frozen(kw_only=True)
class Plan:
    """Settings of a node, and of those that come after it."""

    path: Path
    folder: Path
    """Where every generation has a folder."""
    first: int
    """The number of the generation to begin with."""
    common: Mapping[str, Any] = attrs.field(repr=False)
    alternate: Mapping[str, Any] = attrs.field(repr=False)
    archive: Path | None = None

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a settings file with ``alternate``, if ports are named; raises OperatorError."""
        settings = load_settings(path)
        raw = orjson.loads(path.read_bytes())
        alternate = raw.pop("alternate", {})
        named = [settings.admin, settings.peer, *settings.rpc.values()]
        if not isinstance(alternate, dict) or not alternate.keys() <= ALTERNATE_FIELDS:
            raise OperatorError(f"{path}: 'alternate' may have {', '.join(sorted(ALTERNATE_FIELDS))}")
        if not alternate and any(address.port for address in named):
            raise OperatorError(f"{path}: 'alternate' must name other ports for the next node, or all be 0")
        newest = max(_generations(settings.folder), default=0)
        if newest and isinstance(settings.role, Founding):
            raise OperatorError(
                f"{path}: {settings.folder} has been a node's, and 'found' would begin another service: "
                "say 'join'"
            )
        again = isinstance(settings.role, Recovering) and newest
        return cls(
            path=path,
            folder=settings.folder,
            first=newest if again else newest + 1,
            common={name: value for name, value in raw.items() if name not in _OWN},
            alternate=alternate,
            archive=settings.archive,
        )

    def place(self, number: int) -> Path:
        """Return the folder of a generation."""
        return self.folder / f"generation-{number}"

    def successor(self, number: int, old: KeptNode) -> Mapping[str, Any]:
        """Return the settings of generation ``number``, which takes the place of ``old``."""
        join = {"target": _dialled(old.info["admin"]), "service_certificate": SERVICE_FILE}
        settings = {**self.common, **(self.alternate if (number - self.first) % 2 else {})}
        settings |= {"folder": ".", "join": {**join, "replaces": old.node_id}}
        if self.archive is not None:
            settings["archive"] = str(self.archive.resolve() / f"generation-{number}")
        return settings


def _generations(folder: Path) -> list[int]:
    """Return the numbers of the generations that have a folder, in order."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for name in names if (match := _GENERATION.fullmatch(name)))


def _dialled(address: str) -> str:
    """Return where this machine reaches one of its own listeners."""
    found = Address.parse(address)
    if found.is_every:
        found = Address("::1" if ":" in found.host else "127.0.0.1", found.port)
    return str(found)


def _begins(folder: Path) -> int | None:
    """Return the first entry of the ledger below a generation's folder; None when there is none."""
    firsts: list[int] = []
    ledger = folder / LEDGER_FOLDER
    for path in ledger.iterdir() if ledger.is_dir() else ():
        with contextlib.suppress(IntegrityError):
            firsts.append(ChunkName.parse(path.name).first)
    return min(firsts, default=None)


# ── one generation ───────────────────────────────────────────────────────────────────────────────


class KeptNode(LocalNode):
    """A node that takes orders."""

    def __init__(self, number: int, folder: Path, announce: Announce) -> None:
        """Pass its events on to ``announce``, with its number."""
        super().__init__(number, folder)
        self._announce = announce
        self.node_id = ""
        self.lease: Lease | None = None
        self.renewal = ""
        """How its lease is renewed."""
        self.gone = False
        """Whether it takes part no more: whoever came for it does instead."""
        self.leased = trio.Event()
        self.told = trio.Event()
        """Set, and another one, whenever something is heard of its lease."""
        self.wants_voucher = trio.Event()
        self.vouches_for = ""
        """Whom it was asked to vouch for last: its word for another is of no use any more."""
        self.vouched = trio.Event()
        self.signature = ""

    def note(self, event: Mapping[str, Any]) -> None:
        """Take note of an event, and pass it on."""
        super().note(event)
        match event.get("event"):
            case "listening":
                self.node_id = str(event["node_id"])
            case "lease":
                self._note_lease(event)
            case "voucher_wanted":
                self.node_id = str(event["node_id"])
                self.wants_voucher.set()
            case "voucher" if event["node_id"] == self.vouches_for:
                self.signature = str(event["signature"])
                self.vouched.set()
            case "retired":
                self.gone = not event["lease_ran_out"]
        if event:
            self._announce({"generation": self.index, **event})

    def _note_lease(self, event: Mapping[str, Any]) -> None:
        self.lease = None
        if event["until_ms"] is not None:
            self.lease = Lease(granted_ms=int(event["granted_ms"]), until_ms=int(event["until_ms"]))
            self.leased.set()
        self.renewal = str(event["renewal"])
        self.gone = event["status"] == RETIRED
        self.told.set()
        self.told = trio.Event()

    async def order(self, line: str) -> None:
        """Tell it something; one that has ended hears nothing."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.process.stdin.send_all(line.encode() + b"\n")

    async def stop(self) -> None:
        """End it, kindly first: its input closes, which every platform can do."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(STOP_TIMEOUT_S):
                if self.process is not None and self.process.stdin is not None:
                    await self.process.stdin.aclose()
                    await self.process.wait()
            if self.process is not None and self.process.returncode is None:
                self.process.kill()
                await self.process.wait()


# ── the keeper ───────────────────────────────────────────────────────────────────────────────────


class Keeper:
    """Runs a node, and has the next one take its place in time."""

    def __init__(self, plan: Plan, announce: Announce, *, options: tuple[str, ...] = ()) -> None:
        """Follow ``plan``; ``options`` are for every node's command line."""
        self._plan = plan
        self._announce = announce
        self._options = ("--supervised", *options)
        self._running: list[KeptNode] = []
        self._not_before_ms = 0

    async def keep(self) -> int:
        """Return the exit status of the node that ended and had no successor; cancelled, stop the node."""
        async with trio.open_nursery() as nursery:
            try:
                status = await self._keep(nursery)
            finally:
                for node in reversed(self._running):
                    await node.stop()
            nursery.cancel_scope.cancel()
        return status

    async def _keep(self, nursery: trio.Nursery) -> int:
        node = KeptNode(self._plan.first, self._plan.place(self._plan.first), self._announce)
        self._running.append(node)
        options = (*self._options, "--folder", str(node.folder))
        await node.start(nursery, self._plan.path, options=options)
        while await self._due(node):
            fresh = await self._renewed(node, nursery)
            if fresh is not None:
                nursery.start_soon(self._see_off, node, fresh)
                node = fresh
        status = node.process.returncode if node.process is not None else None
        self._announce(
            {"event": "ended", "generation": node.index, "status": status, "reason": node.last_words()}
        )
        return status or 0

    async def _due(self, node: KeptNode) -> bool:
        """Wait until the lease of ``node`` is to be renewed; return False if it ends instead."""
        while not node.ended.is_set():
            wait_s = max(self._wait_s(node), 0)
            if not wait_s:
                return True
            with trio.move_on_after(wait_s):
                await first(node.told.wait, node.ended.wait)
        return False

    def _wait_s(self, node: KeptNode) -> float:
        """Return after how many seconds a renewal is to begin; infinite when none is."""
        now_ms = unix_ms()
        if node.lease is None or node.renewal != VOUCHED or now_ms >= node.lease.until_ms:
            return float("inf")
        share = RENEWABLE_SHARE + SPREAD_SHARE * int(node.node_id[:8], 16) / 2**32
        return (max(node.lease.after_ms(share), self._not_before_ms) - now_ms) / 1000

    async def _renewed(self, old: KeptNode, nursery: trio.Nursery) -> KeptNode | None:
        """Have a fresh node take the place of ``old``; say why, and return None, if it cannot."""
        number = old.index + 1
        fresh = KeptNode(number, self._plan.place(number), self._announce)
        self._announce({"event": "renewing", "generation": number, "node_id": old.node_id})
        reason = await self._renew(old, fresh, nursery)
        if not reason:
            self._announce({"event": "renewed", "generation": number, "node_id": fresh.node_id})
            return fresh
        await fresh.stop()
        self._running.remove(fresh)
        self._announce({"event": "not_renewed", "generation": number, "reason": reason})
        if old.lease is not None:
            pause_ms = old.lease.after_ms(RETRY_SHARE) - old.lease.granted_ms
            self._not_before_ms = unix_ms() + max(pause_ms, 1000)
        return None

    async def _renew(self, old: KeptNode, fresh: KeptNode, nursery: trio.Nursery) -> str:
        """Do it; return why it failed, or nothing."""
        self._running.append(fresh)
        if old.lease is None:
            return "there is no lease any more"
        share_s = (old.lease.after_ms(RENEWAL_SHARE) - old.lease.granted_ms) / 1000
        try:
            fresh.folder.mkdir(parents=True, exist_ok=True)
            (fresh.folder / SERVICE_FILE).write_text(str(old.info["service_certificate"]))
            settings = self._plan.successor(fresh.index, old)
            await fresh.start(nursery, settings, options=self._options)
        except OSError as error:
            return f"{error.filename or fresh.folder}: {error.strerror or error}"
        with trio.move_on_after(share_s):
            await first(lambda: _introduced(old, fresh), fresh.ended.wait, lambda: _lost(old))
        # The ledger takes a renewal back after this share. Who gives up earlier may give up who came in.
        with trio.move_on_after(share_s * 3 / 2 + MARGIN_S):
            await first(fresh.leased.wait, fresh.ended.wait, lambda: _lost(old))
        if old.gone:
            await first(fresh.leased.wait, fresh.ended.wait)
        if fresh.ended.is_set():
            return fresh.last_words()
        return "" if fresh.leased.is_set() else "the fresh node did not take part in time"

    async def _see_off(self, old: KeptNode, fresh: KeptNode) -> None:
        """Wait for ``old`` to end; then remove what generations before it left, if it has all of that."""
        await old.ended.wait()
        self._running.remove(old)
        begins = _begins(old.folder)
        for number in _generations(self._plan.folder):
            folder = self._plan.place(number)
            if number < old.index < fresh.index and begins is not None and begins <= (_begins(folder) or 0):
                await trio.to_thread.run_sync(lambda gone: shutil.rmtree(gone, ignore_errors=True), folder)


async def _introduced(old: KeptNode, fresh: KeptNode) -> None:
    """Have ``old`` vouch for ``fresh``."""
    await fresh.wants_voucher.wait()
    old.vouched, old.vouches_for = trio.Event(), fresh.node_id
    await old.order(f"vouch {fresh.node_id}")
    await old.vouched.wait()
    await fresh.order(f"voucher {old.signature}")


async def _lost(old: KeptNode) -> None:
    """Return when ``old`` has ended, but for being replaced."""
    await old.ended.wait()
    if old.gone:
        await trio.sleep_forever()


async def first(*events: Callable[[], Awaitable[object]]) -> None:
    """Return when one of ``events`` has come about; the others are cancelled."""
    async with trio.open_nursery() as nursery:

        async def wait(event: Callable[[], Awaitable[object]]) -> None:
            await event()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)
