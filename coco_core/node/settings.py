"""A node's settings: one JSON file to frozen values, all faults reported at once.

::

    {
      "folder": "node-0",                      where the ledger goes; one that an earlier node left is reused
      "admin": "127.0.0.1:9545",               operators' interface (HTTPS); port 0 = any free one
      "peer": "127.0.0.1:9645",                node-to-node interface
      "published": "node-0.example.org",       the host others reach this node by; that of "peer" unless given
      "rpc": {"ethereum": "127.0.0.1:8545"},   one front end per ledger, and "bundles"
      "adapters": {"sawtooth": {"processors": "tcp://127.0.0.1:4004"}},   for one ledger's adapter, on this
                                           node alone; what it may hold the ledger's pages say
      "found": {"nodes": 3, "ledgers": {"ethereum": {"engine": "revm", "genesis": "genesis.json"}},
                "operators": ["operator.pem"],   certificates of those who may change the nodes later
                                           (or who governs, see ``charter_settings``)
                "policy": "policy.json"},        which evidence may join, see ``policy_file``; what the first
                                           nodes run on the virtual platform unless given
      "join": {"target": ["127.0.0.1:9545"],     operators' interfaces of one or more nodes, asked in turn
               "service_certificate": "service.pem",
               "policy": "policy.json",            whom this node believes; on the virtual platform alone
                                           it may be left out
               "replaces": "…"},                   the node whose place it takes (see ``supervision``)
      "alternate": {…},                          see ``coco node keep``, which alone reads it
      "recover": {},                           go on with the ledger in the folder, its nodes being lost
      "snapshot_interval": 50000,                entries after which the primary ends a chunk
      "snapshots_kept": 2,
      "archive": "archive",                      chunks older than the newest snapshot are moved here
      "platform": "snp",                         what it runs on, see ``platform_settings``; without it the
                                           virtual platform, which is insecure
      "virtual": {"measurement": "…"},           64 hex digits: what a node on that says it runs, instead of
                                           a digest of its code
      "tick_ms": 20, "election_timeout_ms": [700, 1200], "heartbeat_ms": 100
    }

A node founds a service, joins one, or recovers one. Relative paths are relative to the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from coco_core.attestation import Policy
from coco_core.base import NodeID, check_host, limits
from coco_core.crypto import read_certificate
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import Charter
from coco_core.node.address import Address
from coco_core.node.charter_settings import read_charter
from coco_core.node.json_file import read_json_object
from coco_core.node.platform_settings import PlatformSettings, read_platform
from coco_core.node.policy_file import load_policy

BUNDLES_FRONT_END: Final = "bundles"
"""What ``rpc`` calls the front end for bundles; no ledger may have that name."""
_DIGEST: Final = re.compile("[0-9a-f]{64}")


@attrs.frozen(kw_only=True)
class LedgerSettings:
    """One ledger a new service runs."""

    engine: str
    config: Mapping[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Founding:
    """This node founds a service of ``nodes`` nodes."""

    nodes: int
    ledgers: Mapping[str, LedgerSettings]
    operators: tuple[str, ...] = ()
    """Certificates (PEM) of those who may change the nodes later, while nobody governs the service."""
    charter: Charter | None = None
    """Who governs the service, if anybody is to."""
    policy: Policy | None = None
    """Which evidence may join; None for what the first nodes run, on the virtual platform."""


@attrs.frozen(kw_only=True)
class Joining:
    """This node joins a service by one of its nodes, whose operators' interfaces are ``targets``."""

    targets: tuple[Address, ...]
    service_certificate: str
    replaces: NodeID | None = None
    """The node whose lease it renews by taking its place."""
    policy: Policy | None = None
    """Which evidence it believes; None, on the virtual platform, for any that the service accepts."""


@attrs.frozen(kw_only=True)
class Recovering:
    """This node recovers a service, all of whose nodes are lost, from the ledger in its folder."""


@attrs.frozen(kw_only=True)
class NodeSettings:
    """Everything an operator decides for one node; see the module's head."""

    folder: Path
    admin: Address
    peer: Address
    rpc: Mapping[str, Address]
    role: Founding | Joining | Recovering
    adapters: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    """For the adapters of ledgers, on this node alone."""
    published: str = ""
    """The host others reach this node by; empty for that of ``peer``."""
    tick_ms: int = 20
    election_timeout_ms: tuple[int, int] = (700, 1200)
    heartbeat_ms: int = 100
    snapshot_interval: int = limits.CHUNK_TARGET_ENTRIES
    """Entries after which this node, when it is the primary, ends a chunk: there a snapshot may be made."""
    snapshots_kept: int = 2
    archive: Path | None = None
    """Where chunks go that the newest snapshot makes superfluous; None leaves them."""

    platform: PlatformSettings = attrs.field(factory=PlatformSettings)
    """What it runs on."""

    @property
    def published_host(self) -> str:
        """The host other nodes dial."""
        return self.published or self.peer.host

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that clients and peers may know this node by, for its certificate."""
        listening = {
            address.host for address in (self.admin, self.peer, *self.rpc.values()) if not address.is_every
        }
        return tuple(sorted(listening | {self.published_host}))


def load_settings(path: Path) -> NodeSettings:
    """Read and check a settings file; raises OperatorError listing every fault with its field."""
    raw = read_json_object(path, "settings")
    reader = _Reader(raw, path.parent)
    settings = reader.settings()
    if reader.faults or settings is None:
        raise OperatorError(f"{path}: " + "; ".join(reader.faults))
    return settings


class _Reader:
    """Reads one settings object, collecting faults instead of stopping at the first."""

    _KNOWN = frozenset(
        {
            "folder",
            "admin",
            "peer",
            "published",
            "rpc",
            "adapters",
            "found",
            "join",
            "recover",
            "alternate",
            "tick_ms",
            "election_timeout_ms",
            "heartbeat_ms",
            "snapshot_interval",
            "snapshots_kept",
            "archive",
            "platform",
            "virtual",
        }
    )

    def __init__(self, raw: Mapping[str, Any], base: Path) -> None:
        self.faults: list[str] = []
        self._raw = raw
        self._base = base

    def settings(self) -> NodeSettings | None:
        self.faults += [f"unknown field {name!r}" for name in sorted(self._raw.keys() - self._KNOWN)]
        folder = self._raw.get("folder")
        if not isinstance(folder, str) or not folder:
            self.faults.append("'folder' must be a path")
        admin, peer = self._address("admin"), self._address("peer")
        rpc = self._rpc()
        adapters = self._adapters()
        role = self._role()
        published = self._published(peer)
        if isinstance(role, Founding):
            self.faults += [
                f"'rpc.{name}': 'found.ledgers' has no such ledger"
                for name in rpc.keys() - role.ledgers.keys() - {BUNDLES_FRONT_END}
            ]
            self.faults += [
                f"'adapters.{name}': 'found.ledgers' has no such ledger"
                for name in adapters.keys() - role.ledgers.keys()
            ]
        tick, heartbeat, election = self._timing()
        interval = self._count("snapshot_interval", limits.CHUNK_TARGET_ENTRIES, 1_000_000_000)
        kept = self._count("snapshots_kept", 2, 1_000)
        archive = self._archive()
        platform = read_platform(self._raw, self._base, self.faults)
        if self.faults or role is None or admin is None or peer is None:
            return None
        return NodeSettings(
            folder=self._base / str(folder),
            admin=admin,
            peer=peer,
            rpc=rpc,
            adapters=adapters,
            role=role,
            published=published,
            tick_ms=tick,
            election_timeout_ms=election,
            heartbeat_ms=heartbeat,
            snapshot_interval=interval,
            snapshots_kept=kept,
            archive=archive,
            platform=platform,
        )

    def _address(self, field: str, raw: Mapping[str, Any] | None = None) -> Address | None:
        value = (self._raw if raw is None else raw).get(field)
        try:
            if isinstance(value, str):
                return Address.parse(value)
        except ValueError:
            pass
        self.faults.append(f"{field!r} must be host:port")
        return None

    def _published(self, peer: Address | None) -> str:
        value = self._raw.get("published", "")
        host = value or (peer.host if peer is not None else "localhost")
        try:
            if not isinstance(host, str):
                raise TypeError
            check_host(host)
        except (TypeError, ValueError):
            self.faults.append("'published' must be a host name or IP address that other nodes can dial")
            return ""
        if Address(host, 0).is_every:
            self.faults.append("'published' must say by which host other nodes reach this one")
        return str(value)

    def _rpc(self) -> dict[str, Address]:
        value = self._raw.get("rpc", {})
        if not isinstance(value, dict):
            self.faults.append("'rpc' must map ledger names to host:port")
            return {}
        found = {name: self._address(name, value) for name in value}
        return {name: address for name, address in found.items() if address is not None}

    def _adapters(self) -> dict[str, Mapping[str, Any]]:
        value = self._raw.get("adapters", {})
        if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
            self.faults.append("'adapters' must map ledger names to objects")
            return {}
        return value

    def _role(self) -> Founding | Joining | Recovering | None:
        found, join, recover = (self._raw.get(name) for name in ("found", "join", "recover"))
        if sum(one is not None for one in (found, join, recover)) != 1:
            self.faults.append("exactly one of 'found', 'join' and 'recover' must be given")
            return None
        if recover is not None:
            if recover != {}:
                self.faults.append("'recover' must be {}: the ledger says all there is to say")
            return Recovering()
        return self._founding(found) if found is not None else self._joining(join)

    def _founding(self, value: Any) -> Founding | None:
        if not isinstance(value, dict):
            self.faults.append("'found' must be an object")
            return None
        nodes = value.get("nodes", 1)
        if type(nodes) is not int or not 1 <= nodes <= limits.FOUNDING_NODES_MAX:
            self.faults.append(f"'found.nodes' must be 1 to {limits.FOUNDING_NODES_MAX}")
            nodes = 1
        ledgers = value.get("ledgers")
        if not isinstance(ledgers, dict) or not ledgers:
            self.faults.append("'found.ledgers' must name at least one ledger")
            return None
        if BUNDLES_FRONT_END in ledgers:
            self.faults.append(f"'found.ledgers': no ledger may be called {BUNDLES_FRONT_END!r}")
        read = {name: self._ledger(name, ledger) for name, ledger in ledgers.items()}
        return Founding(
            nodes=nodes,
            ledgers=read,
            operators=self._operators(value.get("operators", [])),
            charter=read_charter(value, self._base, self.faults),
            policy=self._policy("found.policy", value.get("policy")),
        )

    def _operators(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > limits.OPERATORS_MAX:
            self.faults.append(f"'found.operators' must be at most {limits.OPERATORS_MAX} PEM files")
            return ()
        found = [self._pem("found.operators", name) for name in value]
        return tuple(pem for pem in found if pem)

    def _pem(self, field: str, name: Any) -> str:
        """Return the one certificate in a file, empty when there is none."""
        try:
            pem = read_certificate((self._base / str(name)).read_text()).pem
        except (OSError, UnicodeDecodeError, AttestationError) as error:
            self.faults.append(f"{field!r} {name}: {error}")
            return ""
        return pem

    def _ledger(self, name: str, value: Any) -> LedgerSettings:
        engine = value.get("engine", "") if isinstance(value, dict) else None
        genesis = value.get("genesis") if isinstance(value, dict) else None
        if not isinstance(engine, str) or not isinstance(genesis, str):
            self.faults.append(f"'found.ledgers.{name}' needs 'genesis' (a file) and may name an 'engine'")
            return LedgerSettings(engine="", config={})
        try:
            return LedgerSettings(engine=engine, config=read_json_object(self._base / genesis, "genesis"))
        except OperatorError as error:
            self.faults.append(str(error))
            return LedgerSettings(engine="", config={})

    def _joining(self, value: Any) -> Joining | None:
        if not isinstance(value, dict):
            self.faults.append("'join' must be an object")
            return None
        named = value.get("target")
        names = named if isinstance(named, list) and named else [named]
        targets = [self._address("target", {"target": name}) for name in names]
        if not isinstance(value.get("service_certificate"), str):
            self.faults.append("'join.service_certificate' must be a PEM file")
            return None
        pem = self._pem("join.service_certificate", value["service_certificate"])
        replaces = value.get("replaces")
        if replaces is not None and not (isinstance(replaces, str) and _DIGEST.fullmatch(replaces)):
            self.faults.append("'join.replaces' must be a node ID: 64 hex digits in lower case")
        return Joining(
            targets=tuple(target for target in targets if target is not None),
            service_certificate=pem,
            replaces=replaces,
            policy=self._policy("join.policy", value.get("policy")),
        )

    def _policy(self, field: str, value: Any) -> Policy | None:
        if value is None:
            return None
        try:
            return load_policy(self._base / str(value))
        except OperatorError as error:
            self.faults.append(f"{field!r}: {error}")
            return None

    def _archive(self) -> Path | None:
        value = self._raw.get("archive")
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.faults.append("'archive' must be a path")
            return None
        return self._base / value

    def _count(self, field: str, default: int, most: int) -> int:
        value = self._raw.get(field, default)
        if type(value) is int and 1 <= value <= most:
            return value
        self.faults.append(f"{field!r} must be 1 to {most}")
        return default

    def _timing(self) -> tuple[int, int, tuple[int, int]]:
        tick = self._milliseconds("tick_ms", 20)
        heartbeat = self._milliseconds("heartbeat_ms", 100)
        election = self._raw.get("election_timeout_ms", [700, 1200])
        match election:
            case [int(least), int(most)] if heartbeat < least <= most:
                return tick, heartbeat, (least, most)
        self.faults.append("'election_timeout_ms' must be [least, most] with heartbeat_ms < least <= most")
        return tick, heartbeat, (700, 1200)

    def _milliseconds(self, field: str, default: int) -> int:
        value = self._raw.get(field, default)
        if type(value) is int and 1 <= value <= 60_000:
            return value
        self.faults.append(f"{field!r} must be 1 to 60000 milliseconds")
        return default
