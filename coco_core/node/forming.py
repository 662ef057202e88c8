"""From a bare node to everything it needs to take part: founding a service, or joining one.

The founder makes the service identity and the first ledger secret, admits its joiners and hands
both to them; a joiner attests, asks, checks that it runs what the network runs, and reads back what an
earlier node left in its folder.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from coco_core.adapter import LedgerAdapter, Manifest, Writes
from coco_core.attestation import Evidence, Policy, VirtualVerifier
from coco_core.base import NodeID, limits
from coco_core.crypto import Curve, PrivateKey, PublicKey, endorse, self_signed
from coco_core.errors import AdapterError, OperatorError
from coco_core.governance import Admission, JoinRequest, NodeRecord, Runtime
from coco_core.ledger import LedgerSecrets
from coco_core.node import plugins
from coco_core.node.admission import FoundingAdmissions, ask_to_join
from coco_core.node.clock import unix_ms, utc_now
from coco_core.node.disk import LedgerFiles
from coco_core.node.entropy import draw, random_bytes
from coco_core.node.restoring import OldLedger
from coco_core.node.settings import Founding, Joining, NodeSettings
from coco_core.node.snapshot_files import SnapshotFiles
from coco_core.replica import (
    Identity,
    Parts,
    Replica,
    Restoration,
    ServiceIdentity,
    Timing,
    Welcome,
    check_genesis,
    check_manifest,
    check_welcome,
    encode_welcome,
    found_service,
    join_service,
    read_welcome,
)
from coco_core.replica.effects import Effect

CERTIFICATE_VALIDITY_DAYS = 365


@attrs.frozen(kw_only=True)
class BareNode:
    """What a node is before it takes part."""

    settings: NodeSettings
    key: PrivateKey = attrs.field(repr=False)
    encryption_key: PrivateKey = attrs.field(repr=False)
    evidence: Evidence
    measurement: str
    peer_address: str
    disk: LedgerFiles
    snapshots: SnapshotFiles
    runtime: Runtime
    """Evaluates what members write."""

    @property
    def node_id(self) -> NodeID:
        """The node's name, derived from its key."""
        return self.key.public.node_id()


@attrs.frozen(kw_only=True)
class Membership:
    """What founding or joining gives: everything to take part with."""

    replica: Replica
    first_effects: Sequence[Effect]
    adapters: Mapping[str, LedgerAdapter]
    welcome: Welcome
    begins_after: int = 0
    """The tables as of this seqno and before say nothing of whether clients may come."""


class Founder:
    """Founds a service; ``certificate`` and ``service`` exist before any joiner comes."""

    def __init__(self, node: BareNode, founding: Founding) -> None:
        """Make the service identity. Raises OperatorError for an unusable folder, ledger or genesis."""
        if node.disk.has_ledger or node.snapshots.newest() is not None:
            raise OperatorError(
                f"{node.settings.folder} holds a ledger already: who founds a service needs an empty folder"
            )
        self._node = node
        self._adapters, self._genesis = _founding_adapters(founding)
        self.service = new_service()
        self.certificate = endorse_node(node.key.public, node.settings.hosts, self.service)
        self._operators = founding.operators
        self._charter = founding.charter
        self.admissions = FoundingAdmissions(founding.nodes - 1, admission_rules(node))

    async def found(self) -> Membership:
        """Wait for the joiners, place the first entries, and welcome everybody."""
        node = self._node
        joiners = await self.admissions.complete()
        records = [own_record(node, self.certificate)]
        for request, verdict in joiners:
            certificate = endorse_node(request.public_key, request.hosts, self.service)
            records.append(_record(request, verdict.measurement, certificate))
        welcome = Welcome(
            certificate=records[0].certificate,
            service=self.service,
            secrets=LedgerSecrets([(1, random_bytes(32))]),
            nodes=records,
            manifests=[adapter.manifest for adapter in self._adapters.values()],
            operators=self._operators,
        )
        replica, effects = found_service(
            parts_of(node, welcome), self._genesis, self._operators, self._charter
        )
        certificates = {record.node_id: record.certificate for record in records}
        self.admissions.welcome(
            {
                request.node_id: encode_welcome(
                    attrs.evolve(welcome, certificate=certificates[request.node_id]),
                    request.encryption_key,
                )
                for request, _ in joiners
            }
        )
        return Membership(replica=replica, first_effects=effects, adapters=self._adapters, welcome=welcome)


async def join(node: BareNode, joining: Joining, waiting: Callable[[], None]) -> Membership:
    """Ask in; ``waiting`` is called once when the node must wait for an operator's word.

    Raises AttestationError when refused or led elsewhere, OperatorError otherwise, and IntegrityError when
    what an earlier node left in the folder is not what it should be.
    """
    request = _request(node)
    welcome = read_welcome(await ask_to_join(joining, request, node.key, waiting), node.encryption_key)
    rules = admission_rules(node)
    check_welcome(
        welcome, node.key.public, joining.service_certificate, rules.verifiers, rules.policy, utc_now()
    )
    adapters = joined_adapters(welcome.manifests)
    restored = await _restored(node, welcome)
    replica, effects = join_service(parts_of(node, welcome), restored)
    return Membership(replica=replica, first_effects=effects, adapters=adapters, welcome=welcome)


async def _restored(node: BareNode, welcome: Welcome) -> Restoration | None:
    old = OldLedger(
        node.disk,
        node.snapshots,
        welcome.secrets,
        welcome.service.certificate,
        welcome.service.endorsements,
    )
    if not old.exists:
        return None
    if welcome.agreed is None:
        raise OperatorError(f"{node.settings.folder} holds a ledger: a founding node needs an empty folder")
    return await trio.to_thread.run_sync(old.restore, welcome.agreed)


def _request(node: BareNode) -> JoinRequest:
    return JoinRequest(
        public_key=node.key.public,
        encryption_key=node.encryption_key.public,
        evidence=node.evidence,
        peer_address=node.peer_address,
        hosts=node.settings.hosts,
    )


def _record(request: JoinRequest, measurement: str, certificate: str) -> NodeRecord:
    return NodeRecord(
        node_id=request.node_id,
        certificate=certificate,
        peer_address=request.peer_address,
        encryption_key=request.encryption_key.pem,
        measurement=measurement,
        evidence=request.evidence,
    )


def admission_rules(node: BareNode) -> Admission:
    """Return how nodes judge each other: same platform, same code, in both directions."""
    verifier = VirtualVerifier()
    policy = Policy(formats=frozenset({node.evidence.format}), measurements=frozenset({node.measurement}))
    return Admission(verifiers={verifier.format: verifier}, policy=policy)


def _founding_adapters(founding: Founding) -> tuple[dict[str, LedgerAdapter], list[Writes]]:
    """Load every ledger and collect its first entries, checked as what it writes later is."""
    adapters: dict[str, LedgerAdapter] = {}
    genesis: list[Writes] = []
    room_bytes = limits.GENESIS_SIZE_MAX_BYTES
    for name, ledger in founding.ledgers.items():
        adapter = adapters[name] = _create(name, ledger.engine)
        entries = adapter.genesis(ledger.config)
        try:
            room_bytes -= check_genesis(entries, frozenset(adapter.manifest.maps), room_bytes)
        except AdapterError as error:
            raise OperatorError(f"ledger {name!r} cannot begin so: {error}") from error
        genesis += entries
    return adapters, genesis


def joined_adapters(manifests: Sequence[Manifest]) -> dict[str, LedgerAdapter]:
    """Load what the network runs; this node must have exactly the same versions."""
    adapters: dict[str, LedgerAdapter] = {}
    for manifest in manifests:
        adapter = _create(manifest.name, manifest.engine.partition(" ")[0])
        if adapter.manifest != manifest:
            raise OperatorError(
                f"the network runs {manifest.name} {manifest.version} on {manifest.engine!r}, "
                f"this node has {adapter.manifest.version} on {adapter.manifest.engine!r}"
            )
        adapters[manifest.name] = adapter
    return adapters


def _create(name: str, engine: str) -> LedgerAdapter:
    """Return the adapter of the installed plugin ``name``; raises OperatorError when it is unfit."""
    adapter = plugins.load(name).create(engine)
    try:
        check_manifest(name, adapter.manifest)
    except AdapterError as error:
        raise OperatorError(str(error)) from error
    return adapter


def _validity() -> tuple[datetime.datetime, datetime.datetime]:
    # An hour of slack, because clocks of a consortium's machines differ.
    now = utc_now().replace(microsecond=0)
    return now - datetime.timedelta(hours=1), now + datetime.timedelta(days=CERTIFICATE_VALIDITY_DAYS)


def new_service() -> ServiceIdentity:
    """Return a fresh service identity."""
    key = PrivateKey.generate(Curve.P384)
    not_before, not_after = _validity()
    certificate = self_signed(key, "Coco Service", not_before=not_before, not_after=not_after, ca=True)
    return ServiceIdentity(key=key, certificate=certificate)


def own_record(node: BareNode, certificate: str) -> NodeRecord:
    """Return the record of this node, the first of a service."""
    return _record(_request(node), node.measurement, certificate)


def endorse_node(public_key: PublicKey, hosts: Sequence[str], service: ServiceIdentity) -> str:
    """Return a certificate of the service for a node known by ``hosts``."""
    not_before, not_after = _validity()
    return endorse(
        public_key,
        "Coco Node",
        service.key,
        service.certificate,
        not_before=not_before,
        not_after=not_after,
        sans=sorted({*hosts, "localhost", "127.0.0.1", "::1"}),
    )


def parts_of(node: BareNode, welcome: Welcome) -> Parts:
    """Return what this node's replica is made of."""
    settings = node.settings
    least, most = settings.election_timeout_ms
    return Parts(
        identity=Identity(
            node_id=node.node_id,
            key=node.key,
            encryption_key=node.encryption_key,
            certificate=welcome.certificate,
        ),
        service=welcome.service,
        secrets=welcome.secrets,
        nodes={record.node_id: record for record in welcome.nodes},
        manifests=welcome.manifests,
        admission=admission_rules(node),
        runtime=node.runtime,
        entropy=random_bytes,
        timing=Timing(
            election_timeout_ticks_min=max(2, least // settings.tick_ms),
            election_timeout_ticks_max=max(2, most // settings.tick_ms),
            heartbeat_ticks=max(1, settings.heartbeat_ms // settings.tick_ms),
        ),
        draw=draw,
        reader=node.disk,
        snapshots=node.snapshots,
        time_ms=unix_ms(),
        randomness=random_bytes(),
        chunk_entries=settings.snapshot_interval,
        # Who lacks more than lies between two snapshots is better served with one.
        snapshot_lag_entries=settings.snapshot_interval,
    )
