"""Where the nodes of a run live: each in a network namespace of its own, or all on loopback.

**Namespaces.** The whole tool runs again inside a fresh network and mount namespace (``unshare``), so
that it cannot reach, and cannot be reached from, anything outside. There it makes a bridge, and for every
node a namespace joined to it by a veth pair::

      namespace of the tool (clients, proxies, bridge)            namespace of node i
    198.18.0.254/16, 198.18.1.j for every node j ──── veth ──── 198.18.0.i

Node *j* publishes 198.18.1.*j*, where the tool's proxy listens, and the source address of a connection
tells which node dialled. A namespace ends with the last process in it: nodes end when their input does, what
holds a namespace open ends with the tool (``PR_SET_PDEATHSIG``). So nothing is left, however the tool ends.

**Loopback.** Node *j* publishes 127.0.1.*j* and listens on 127.0.0.1 at the same port; who dialled is
asked of the operating system, which knows whose socket it is. No cable can be pulled there, no disk filled.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import psutil
import trio

from coco_core.cli.network import NodePlace
from coco_core.errors import OperatorError
from coco_core.node import LEDGER_FOLDER
from coco_core.testing.nemesis.injected import environment
from coco_core.testing.nemesis.links import LISTEN_BACKLOG

OUTSIDE_VARIABLE: Final = "COCO_NEMESIS_OUTSIDE"
"""Set inside: which network namespace the tool was started in."""
PEER_PORT: Final = 9645
DISK_MARGINS_BYTES: Final = (64 * 1024, 256 * 1024, 1024 * 1024)
DISK_BYTES: Final = 512 * 1024 * 1024
_BRIDGE: Final = "coco-nemesis"
_BRIDGE_ADDRESS: Final = "02:c0:c0:00:00:01"
_SUBNET: Final = "198.18"  # Set aside for tests of networks (RFC 2544, RFC 6890).
_PROBE: Final = "ip link set lo up && ip link add v0 type veth peer name v1 && ip link add b0 type bridge"


class Site(Protocol):
    """Where nodes live, and what can be done to their surroundings."""

    name: str
    has_cables: bool
    """Whether a node can be taken off the network altogether, clients included."""
    has_disks: bool
    """Whether each node has a disk of its own that can be filled."""

    async def place(self, index: int, folder: Path, modules: Path) -> NodePlace:
        """Make the place of a node that keeps its files in ``folder``."""
        ...

    def listeners(self, index: int) -> tuple[Sequence[trio.SocketListener], tuple[str, int]]:
        """Return what the proxy in front of a node listens on, and where the node itself listens."""
        ...

    def who_dialled(self, stream: trio.SocketStream, processes: Mapping[int, int]) -> int | None:
        """Return which node is at the other end, given the process of each node by its number."""
        ...

    async def pull_cable(self, index: int) -> None:
        """Take a node off the network: what is sent to it or by it is lost in silence."""
        ...

    async def plug_in(self, index: int) -> None:
        """Undo pull_cable."""
        ...

    async def fill_disk(self, folder: Path) -> None:
        """Leave no room on the disk under a node's folder."""
        ...

    async def free_disk(self, folder: Path) -> None:
        """Undo fill_disk."""
        ...

    async def close(self) -> None:
        """Remove what was made, leaving the nodes' files where they are."""
        ...


# ── namespaces ───────────────────────────────────────────────────────────────────────────────────


def run_inside(arguments: Sequence[str]) -> str:
    """Run the tool again, with ``arguments``, in namespaces of its own; return why that cannot be.

    Does not return when it succeeds: this process becomes that one. Inside already, it returns "".
    """
    if inside_namespaces():
        return ""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    missing = [
        name for name in ("unshare", "nsenter", "setpriv", "ip", "mount") if shutil.which(name) is None
    ]
    if missing:
        return f"not installed: {', '.join(missing)}"
    unshare, shell = str(shutil.which("unshare")), str(shutil.which("sh"))
    ways = (["--net", "--mount"], ["--user", "--map-root-user", "--net", "--mount"])
    for flags in ways if os.geteuid() == 0 else ways[1:]:
        command = [unshare, *flags, "--", shell, "-c", _PROBE]
        probe = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - nothing from outside
        if probe.returncode == 0:
            os.environ[OUTSIDE_VARIABLE] = _own_namespace()
            again = [unshare, *flags, "--", sys.executable, "-m", str(__package__), *arguments]
            os.execv(unshare, again)  # noqa: S606 - no shell is wanted: this very tool runs again
    return probe.stderr.decode(errors="replace").strip() or "namespaces are not permitted"


def inside_namespaces() -> bool:
    """Whether this process runs in a network namespace that the tool made."""
    outside = os.environ.get(OUTSIDE_VARIABLE)
    return outside is not None and outside != _own_namespace()


def _own_namespace() -> str:
    return os.readlink("/proc/self/ns/net")


class NamespaceSite:
    """A namespace for each node, a bridge between them, and a small disk for each ledger."""

    name = "network namespaces"
    has_cables = True
    has_disks = True

    def __init__(self) -> None:
        """Begin without nodes; raises OperatorError outside of the tool's own namespaces."""
        if not inside_namespaces():
            raise OperatorError("this would change the machine's own network")
        self._holders: dict[int, subprocess.Popen[bytes]] = {}
        self._mounts: list[Path] = []

    async def place(self, index: int, folder: Path, modules: Path) -> NodePlace:
        """Make namespace, cable and disk of a node."""
        if not self._holders:
            await _ip("link", "set", "lo", "up")
            # Its own address: else it takes one of its ports', and changes it when that is taken off.
            await _ip("link", "add", _BRIDGE, "address", _BRIDGE_ADDRESS, "type", "bridge")
            await _ip("address", "add", f"{_SUBNET}.0.254/16", "dev", _BRIDGE)
            await _ip("link", "set", _BRIDGE, "up")
        holder = self._holders[index] = _hold_namespace()
        cable = _cable(index)
        await _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        await _ip("link", "set", cable, "master", _BRIDGE, "up")
        await _ip("address", "add", f"{_SUBNET}.1.{index + 1}/16", "dev", _BRIDGE)
        within = ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--")
        await _run(*within, "ip", "address", "add", f"{_SUBNET}.0.{index + 1}/16", "dev", "eth0")
        await _run(*within, "ip", "link", "set", "eth0", "up")
        await _run(*within, "ip", "link", "set", "lo", "up")
        disk = folder / LEDGER_FOLDER
        disk.mkdir(parents=True)
        await _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "coco-nemesis", str(disk))
        self._mounts.append(disk)
        return NodePlace(
            host=f"{_SUBNET}.0.{index + 1}",
            published=f"{_SUBNET}.1.{index + 1}",
            peer_port=PEER_PORT,
            command=within,
            environment=environment(modules, folder),
        )

    def listeners(self, index: int) -> tuple[Sequence[trio.SocketListener], tuple[str, int]]:
        """Listen where the node says that it is."""
        target = (f"{_SUBNET}.0.{index + 1}", PEER_PORT)
        return [_listen(f"{_SUBNET}.1.{index + 1}", PEER_PORT)], target

    def who_dialled(self, stream: trio.SocketStream, processes: Mapping[int, int]) -> int | None:
        """Return the node whose address the connection comes from."""
        del processes
        host = stream.socket.getpeername()[0]
        known = {f"{_SUBNET}.0.{index + 1}": index for index in self._holders}
        return known.get(host)

    async def pull_cable(self, index: int) -> None:
        """Take the node's cable off the bridge; its end of it stays up, so nobody is told."""
        await _ip("link", "set", _cable(index), "nomaster")

    async def plug_in(self, index: int) -> None:
        """Put it back."""
        await _ip("link", "set", _cable(index), "master", _BRIDGE)

    async def fill_disk(self, folder: Path) -> None:
        """Shrink the disk to what is on it, and a little more, for the node goes on writing meanwhile."""
        disk = folder / LEDGER_FOLDER
        for margin_bytes in DISK_MARGINS_BYTES:
            size = shutil.disk_usage(disk).used + margin_bytes
            with contextlib.suppress(OperatorError):
                await _run("mount", "-o", f"remount,size={size}", str(disk))
                return
        raise OperatorError(f"{disk} cannot be filled: it grows too fast")

    async def free_disk(self, folder: Path) -> None:
        """Give the disk its size again."""
        await _run("mount", "-o", f"remount,size={DISK_BYTES}", str(folder / LEDGER_FOLDER))

    async def close(self) -> None:
        """Move the ledgers from their disks to where they were mounted, and end the namespaces."""
        with trio.CancelScope(shield=True):
            for disk in self._mounts:
                kept = disk.with_name(f"{disk.name}.kept")
                await trio.to_thread.run_sync(shutil.copytree, disk, kept)
                await _run("umount", str(disk))
                disk.rmdir()
                kept.rename(disk)
            for holder in self._holders.values():
                holder.kill()
                holder.wait()
            if self._holders:
                await _ip("link", "delete", _BRIDGE)
        self._mounts.clear()
        self._holders.clear()


def _cable(index: int) -> str:
    return f"coco-node-{index}"


def _hold_namespace() -> subprocess.Popen[bytes]:
    """Start a process that does nothing in a new network namespace, which lives as long as it."""
    command = ["unshare", "--net", "--", "setpriv", "--pdeathsig", "KILL", "--"]
    command += ["sh", "-c", "echo; exec sleep infinity"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603
    if holder.stdout is not None and holder.stdout.readline() != b"\n":
        raise OperatorError("no network namespace for a node: unshare failed")
    return holder


async def _ip(*arguments: str) -> None:
    await _run("ip", *arguments)


async def _run(*command: str) -> None:
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    if done.returncode:
        raise OperatorError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")


# ── loopback ─────────────────────────────────────────────────────────────────────────────────────


class LoopbackSite:
    """All nodes on loopback, with proxies between them."""

    name = "loopback"
    has_cables = False
    has_disks = False

    def __init__(self) -> None:
        """Begin without nodes; raises OperatorError where loopback is one address only."""
        if not sys.platform.startswith("linux"):
            raise OperatorError("nodes need addresses beside 127.0.0.1, which only Linux has ready")
        self._fronts: dict[int, trio.SocketListener] = {}

    async def place(self, index: int, folder: Path, modules: Path) -> NodePlace:
        """Find a port that is free on both of the node's addresses."""
        front = self._fronts[index] = _listen(_front(index), 0)
        port = front.socket.getsockname()[1]
        with socket.create_server(("127.0.0.1", port)):
            pass  # Free there too, or this raises.
        return NodePlace(published=_front(index), peer_port=port, environment=environment(modules, folder))

    def listeners(self, index: int) -> tuple[Sequence[trio.SocketListener], tuple[str, int]]:
        """Listen where the node says that it is."""
        front = self._fronts[index]
        return [front], ("127.0.0.1", front.socket.getsockname()[1])

    def who_dialled(self, stream: trio.SocketStream, processes: Mapping[int, int]) -> int | None:
        """Return the node whose process holds the other end of the connection."""
        remote = tuple(stream.socket.getpeername())
        for index, process in processes.items():
            try:
                held = psutil.Process(process).net_connections("tcp4")
            except psutil.Error:
                continue
            if any(one.laddr == remote for one in held):
                return index
        return None

    async def pull_cable(self, index: int) -> None:
        """Not here. Raises OperatorError."""
        raise OperatorError(f"node {index} has no cable: all nodes are on loopback")

    plug_in = pull_cable

    async def fill_disk(self, folder: Path) -> None:
        """Not here. Raises OperatorError."""
        raise OperatorError(f"{folder} is on a disk that others use too")

    free_disk = fill_disk

    async def close(self) -> None:
        """Stop listening."""
        for front in self._fronts.values():
            await front.aclose()


def _front(index: int) -> str:
    return f"127.0.1.{index + 1}"


def _listen(host: str, port: int) -> trio.SocketListener:
    listening = trio.socket.from_stdlib_socket(socket.create_server((host, port), backlog=LISTEN_BACKLOG))
    return trio.SocketListener(listening)


SITES: Final[Mapping[str, type[NamespaceSite] | type[LoopbackSite]]] = {
    "namespaces": NamespaceSite,
    "loopback": LoopbackSite,
}
