"""One node from start to stop: bind, attest, found or join, then serve until cancelled."""

from __future__ import annotations

import errno
import ssl
from collections.abc import AsyncIterable, Mapping
from typing import Any

import attrs
import trio

from coco_core.adapter import HTTPHandler
from coco_core.attestation import Policy, known_verifiers
from coco_core.base import limits
from coco_core.consensus import Leadership, Role
from coco_core.crypto import Curve, PrivateKey, service_id
from coco_core.errors import OperatorError
from coco_core.governance import (
    OPEN,
    PENDING,
    TRUSTED,
    JoinRequest,
    quarantined,
    read_admissions,
    read_change,
    read_config,
    read_nodes,
    read_operators,
    read_policy,
    read_service_info,
    standing_report_data,
    trust_anchors,
)
from coco_core.kv import maps
from coco_core.node import plugins
from coco_core.node.address import Address
from coco_core.node.admission import RunningAdmissions
from coco_core.node.admitting import Gate
from coco_core.node.bare_node import BareNode, certify
from coco_core.node.bundle_routes import BundleRoutes
from coco_core.node.capacity import UnfinishedBytes, connections_each
from coco_core.node.constitution_process import ConstitutionProcess
from coco_core.node.disk import LedgerFiles
from coco_core.node.doorkeeping import Doorkeeper
from coco_core.node.driver import Driver
from coco_core.node.forming import Founder, Membership, join
from coco_core.node.front_door import FrontDoor
from coco_core.node.http import HTTPServer
from coco_core.node.operator_routes import OperatorRoutes
from coco_core.node.peers import PeerNetwork
from coco_core.node.recovering import Recovery, RecoveryRoutes
from coco_core.node.refusals import Refusals
from coco_core.node.service import NodeLedgerService, Tickets
from coco_core.node.settings import BUNDLES_FRONT_END, Founding, NodeSettings, Recovering
from coco_core.node.shown import ShownCertificates
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.node.snapshotting import SnapshotKeeper
from coco_core.node.stopping import hand_over, outliving
from coco_core.node.supervision import Announce, Supervision, lease_teller
from coco_core.node.tls import ClientAnchors
from coco_core.replica import Agreed, Welcome

LEDGER_FOLDER = "ledger"
SNAPSHOTS_FOLDER = "snapshots"


@attrs.frozen(kw_only=True)
class _Listeners:
    """Every socket of the node, bound before anything else happens."""

    admin: list[trio.SocketListener]
    peer: list[trio.SocketListener]
    rpc: Mapping[str, list[trio.SocketListener]]


@attrs.frozen
class _FrontEnds:
    """What all front ends of the node share."""

    connections_max: int
    unfinished: UnfinishedBytes = attrs.field(factory=UnfinishedBytes)

    def server(self, handler: HTTPHandler, tls: ssl.SSLContext, *, plain_allowed: bool = False) -> HTTPServer:
        """Return a server within the node's bounds."""
        return HTTPServer(
            handler=handler,
            tls=tls,
            plain_allowed=plain_allowed,
            connections_max=self.connections_max,
            unfinished=self.unfinished,
        )


async def run_node(
    settings: NodeSettings, announce: Announce, orders: AsyncIterable[str] | None = None
) -> None:
    """Run a node until cancelled; cancelled as the primary, it hands over first, for a bounded time.

    Returns when it was removed from its service and nobody needs it any more. ``announce`` gets one mapping
    per event of interest to whoever started it: ``waiting`` (for an operator to let it in), ``listening``,
    ``role``, ``open``, ``lease``, ``retired``. ``orders`` are what that has to say to it (see
    ``supervision``). Raises OperatorError for a port in use, an unusable engine or genesis,
    and AttestationError when the node is not admitted; IntegrityError stops a running node.
    """
    connections = connections_each(1 + len(settings.rpc))
    listeners = await _bind(settings)
    key = PrivateKey.generate(Curve.P256)
    encryption_key = PrivateKey.generate(Curve.P256)
    platform = plugins.load_platform(settings.platform)
    constitution = ConstitutionProcess()
    node = BareNode(
        settings=settings,
        key=key,
        encryption_key=encryption_key,
        platform=platform,
        standing=platform.attest(standing_report_data(key.public, encryption_key.public)),
        peer_address=str(Address(settings.published_host, _bound(settings.peer, listeners.peer).port)),
        disk=LedgerFiles(settings.folder / LEDGER_FOLDER),
        snapshots=SnapshotFiles(settings.folder / SNAPSHOTS_FOLDER),
        runtime=constitution,
    )
    try:
        await _live(node, listeners, _FrontEnds(connections), announce, Supervision(orders, announce))
    finally:
        node.disk.close()
        node.snapshots.close()
        with trio.CancelScope(shield=True):
            await constitution.aclose()


async def _live(
    node: BareNode,
    listeners: _Listeners,
    fronts: _FrontEnds,
    announce: Announce,
    supervision: Supervision,
) -> None:
    """Found, join or recover a service, then take part in it."""
    key, role = node.key, node.settings.role
    refusals = Refusals()
    async with trio.open_nursery() as nursery:
        if isinstance(role, Founding):
            founder = Founder(node, role, refusals)
            await founder.try_constitution()
            routes = OperatorRoutes(node.node_id, founder.admissions, refusals)
            shown = founder.shown
            tls = shown.operators(role.operators)
            nursery.start_soon(fronts.server(routes, tls).serve, listeners.admin)
            announce(_listening(node, listeners, founder.service.certificate))
            membership = await founder.found()
        elif isinstance(role, Recovering):
            recovery = await Recovery.begin(node)
            routes = OperatorRoutes(node.node_id, None, refusals)
            meanwhile = RecoveryRoutes(recovery, routes)
            shown = ShownCertificates(node.node_id, key, recovery.certificate, recovery.service.certificate)
            tls = shown.operators(recovery.operators)
            nursery.start_soon(fronts.server(meanwhile, tls).serve, listeners.admin)
            listening = _listening(node, listeners, recovery.service.certificate)
            announce({**listening, "event": "recovering"})
            membership = await recovery.complete()
            meanwhile.complete = True
            announce(listening)
        else:
            waiting = {"event": "waiting", "node_id": node.node_id, "peer": node.peer_address}
            voucher = None
            if role.replaces is not None:
                voucher = await supervision.ask_for_voucher(node.node_id, role.replaces)
            membership = await join(node, role, lambda: announce(waiting), voucher)
            welcome = membership.welcome
            routes = OperatorRoutes(node.node_id, None, refusals)
            shown = ShownCertificates(node.node_id, key, welcome.certificate, welcome.service.certificate)
            tls = shown.operators(welcome.operators)
            nursery.start_soon(fronts.server(routes, tls).serve, listeners.admin)
            announce(_listening(node, listeners, membership.welcome.service.certificate))
        nursery.start_soon(supervision.vouch, node.key, service_id(membership.welcome.service.certificate))
        await _take_part(node, listeners, membership, shown, routes, fronts, announce)
        nursery.cancel_scope.cancel()


async def _bind(settings: NodeSettings) -> _Listeners:
    return _Listeners(
        admin=await _listen("admin", settings.admin),
        peer=await _listen("peer", settings.peer),
        rpc={name: await _listen(f"rpc.{name}", address) for name, address in settings.rpc.items()},
    )


async def _listen(what: str, address: Address) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        reason = "is in use by another process" if error.errno == errno.EADDRINUSE else str(error)
        raise OperatorError(f"{what}: {address} {reason}") from error


def _bound(address: Address, listeners: list[trio.SocketListener]) -> Address:
    return Address(address.host, listeners[0].socket.getsockname()[1])


def _listening(node: BareNode, listeners: _Listeners, service_certificate: str) -> Mapping[str, Any]:
    settings = node.settings
    return {
        "event": "listening",
        "node_id": node.node_id,
        "admin": str(_bound(settings.admin, listeners.admin)),
        "peer": node.peer_address,
        "rpc": {name: str(_bound(address, listeners.rpc[name])) for name, address in settings.rpc.items()},
        "service_certificate": service_certificate,
    }


async def _take_part(
    node: BareNode,
    listeners: _Listeners,
    membership: Membership,
    shown: ShownCertificates,
    routes: OperatorRoutes,
    fronts: _FrontEnds,
    announce: Announce,
) -> None:
    """Serve the network and the ledgers until cancelled, or removed; a primary hands over first."""
    for name in listeners.rpc.keys() - membership.adapters.keys() - {BUNDLES_FRONT_END}:
        raise OperatorError(f"rpc.{name}: this network runs no ledger {name!r}")
    welcome = membership.welcome
    as_server, as_client = shown.peers()
    network = PeerNetwork(server=as_server, client=as_client)

    def on_role(leadership: Leadership) -> None:
        announce({"event": "role", "role": leadership.role.value, "view": leadership.term})

    tickets = Tickets()
    driver = Driver(
        membership.replica,
        node.disk,
        membership.adapters,
        send=network.send,
        on_answer=tickets.settle,
        on_role=on_role,
        on_peers=network.talk_to,
        snapshots=_snapshot_keeper(node, membership),
        tick_ms=node.settings.tick_ms,
    )
    admissions = _running_admissions(node, membership, shown, driver, tickets, routes.refusals)
    routes.open(driver, node.disk, welcome.secrets, network.statistics, shown, admissions, tickets)
    tls = shown.frontend()
    anchors = ClientAnchors(tls)
    driver.watch(
        frozenset({maps.MEMBERS_CERTS, maps.USERS_CERTS}),
        lambda: anchors.believe(trust_anchors(driver.replica.chain.store.view())),
    )
    driver.watch(
        frozenset({maps.NODES_ENDORSED_CERTIFICATES, maps.SERVICE_INFO}),
        lambda: shown.follow(driver.replica.chain.store.view()),
    )
    driver.watch(
        frozenset({maps.LEASES, maps.LEASE_POLICY}),
        lease_teller(node.node_id, driver.replica.chain.store.view, announce),
    )
    async with outliving(lambda: hand_over(driver, network)) as nursery:
        nursery.start_soon(network.run, listeners.peer, driver.receive, driver.peer_lost)
        nursery.start_soon(driver.run)
        driver.carry_out(membership.first_effects)
        if driver.replica.is_primary:
            # Who founds or recovers a service leads it before anybody could be told.
            on_role(Leadership(Role.LEADER, driver.replica.status().view, node.node_id))
        if driver.replica.chain.committed.seqno:
            driver.restored()
        doors = _open_doors(nursery, node.settings, listeners, fronts, tls)
        await _service_is_open(driver, announce, membership.begins_after)
        _serve_clients(nursery, membership, driver, tickets, doors)
        await _front_ends_open(doors)
        announce({"event": "open", "node_id": node.node_id})
        await driver.retired.wait()
        late = quarantined(driver.replica.chain.store.view(), node.node_id)
        announce({"event": "retired", "node_id": node.node_id, "lease_ran_out": late})
        nursery.cancel_scope.cancel()


def _open_doors(
    nursery: trio.Nursery,
    settings: NodeSettings,
    listeners: _Listeners,
    fronts: _FrontEnds,
    tls: ssl.SSLContext,
) -> Mapping[str, FrontDoor]:
    """Take connections at every front end's port, and return where its requests go."""
    doors = {name: FrontDoor() for name in listeners.rpc}
    for name, door in doors.items():
        front = fronts.server(door, tls, plain_allowed=settings.rpc[name].is_loopback)
        nursery.start_soon(front.serve, listeners.rpc[name])
    return doors


def _serve_clients(
    nursery: trio.Nursery,
    membership: Membership,
    driver: Driver,
    tickets: Tickets,
    doors: Mapping[str, FrontDoor],
) -> None:
    """Start every ledger's front end, also where it has no port, and that for bundles."""
    gate = Gate(driver)
    for name, adapter in membership.adapters.items():
        owned = frozenset(adapter.manifest.maps)
        front = doors.get(name, FrontDoor())
        service = NodeLedgerService(name, owned, driver, tickets, gate=gate, front=front)
        nursery.start_soon(adapter.serve, service)
    if BUNDLES_FRONT_END in doors:
        doors[BUNDLES_FRONT_END].open(BundleRoutes(driver, tickets, gate))


async def _front_ends_open(doors: Mapping[str, FrontDoor]) -> None:
    """Return once every front end serves at its port, which whoever is told of an open node asks at once.

    A ledger that serves none, or takes long, is not waited for beyond FRONT_ENDS_OPEN_MAX_MS.
    """
    with trio.move_on_after(limits.FRONT_ENDS_OPEN_MAX_MS / 1000):
        for door in doors.values():
            await door.opened.wait()


def _snapshot_keeper(node: BareNode, membership: Membership) -> SnapshotKeeper:
    service = membership.welcome.service
    return SnapshotKeeper(
        node.snapshots,
        node.disk,
        membership.replica.chain.keys,
        service.certificate,
        endorsements=service.endorsements,
        kept=node.settings.snapshots_kept,
        archive=node.settings.archive,
    )


def _running_admissions(
    node: BareNode,
    membership: Membership,
    shown: ShownCertificates,
    driver: Driver,
    tickets: Tickets,
    refusals: Refusals,
) -> RunningAdmissions:
    """Return how this node answers those who ask to join the running service."""
    own = membership.welcome

    def welcome(certificate: str) -> Welcome:
        chain = driver.replica.chain
        view = chain.store.view()
        change = read_change(view)
        learners = change.add if change is not None else ()
        return attrs.evolve(
            own,
            certificate=certificate,
            service=attrs.evolve(own.service, certificate=shown.service_certificate),
            secrets=own.secrets.begun_by(chain.committed.seqno),
            nodes=[
                one
                for one in read_nodes(view).values()
                if one.status == TRUSTED or (one.status == PENDING and one.node_id in learners)
            ],
            policy=read_policy(view),
            judged_at_ms={name: one.judged_at_ms for name, one in read_admissions(view).items()},
            operators=list(read_operators(view).values()),
            agreed=Agreed(
                committed=chain.committed,
                views=chain.views.runs(chain.committed.seqno),
                view=driver.replica.status().view,
            ),
        )

    def endorse(request: JoinRequest) -> str:
        config = read_config(driver.replica.chain.store.view())
        return certify(request, own.service, config.maximum_node_certificate_validity_days)

    def policy() -> Policy:
        return read_policy(driver.replica.chain.store.view())

    door = Doorkeeper(shown, node.platform, known_verifiers(), policy, refusals)
    return RunningAdmissions(driver, tickets, door, endorse, welcome)


async def _service_is_open(driver: Driver, announce: Announce, after: int) -> None:
    """Return once clients may come: when the first entries are committed, and members opened the service."""
    committed = await driver.wait_committed_after(after)
    told = False
    while (status := read_service_info(driver.replica.chain.store.view())["status"]) != OPEN:
        if not told:
            told = True
            announce({"event": "opening", "status": status})
        committed = await driver.wait_committed_after(committed.seqno)
