"""From a bare node to everything it needs to take part: founding a service, or joining one.

The founder makes the service identity and the first ledger secret, admits its joiners and hands
both to them; a joiner attests, asks, checks that it runs what the network runs, and reads back what an
earlier node left in its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import trio

from coco_core.adapter import LedgerAdapter, Manifest, Writes
from coco_core.attestation import Policy, VirtualPlatform, known_verifiers
from coco_core.base import bound_recursion, limits
from coco_core.crypto import read_certificate
from coco_core.errors import AdapterError, MemberError, OperatorError
from coco_core.governance import Admission, Voucher, check_lasts, policy_of, try_founding
from coco_core.ledger import LedgerSecrets
from coco_core.node import plugins
from coco_core.node.admission import FoundingAdmissions
from coco_core.node.asking import Applicant, ask_to_join
from coco_core.node.bare_node import BareNode, admitted, certify, certify_own, new_service, own_admission
from coco_core.node.clock import unix_ms, utc_now
from coco_core.node.doorkeeping import Doorkeeper, Judged
from coco_core.node.entropy import draw, random_bytes
from coco_core.node.refusals import Refusals
from coco_core.node.restoring import OldLedger
from coco_core.node.settings import Founding, Joining
from coco_core.node.shown import ShownCertificates
from coco_core.replica import (
    LedgerKeys,
    Parts,
    Replica,
    Restoration,
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

    def __init__(self, node: BareNode, founding: Founding, refusals: Refusals) -> None:
        """Make the service identity; nodes that run other code than this one are refused.

        Raises OperatorError for an unusable folder, ledger or genesis."""
        if node.disk.has_ledger or node.snapshots.newest() is not None:
            raise OperatorError(
                f"{node.settings.folder} holds a ledger already: who founds a service needs an empty folder"
            )
        self._node = node
        self._adapters, self._genesis = _founding_adapters(founding, node.settings.adapters)
        self.service = new_service()
        self.certificate = certify_own(node, self.service)
        self.shown = ShownCertificates(node.node_id, node.key, self.certificate, self.service.certificate)
        self._operators = founding.operators
        self._charter = founding.charter
        self._policy = _founding_policy(node, founding)
        door = Doorkeeper(
            self.shown,
            node.platform,
            known_verifiers(),
            lambda: self._policy,
            refusals,
        )
        self.admissions = FoundingAdmissions(founding.nodes - 1, door)

    async def try_constitution(self) -> None:
        """Raise OperatorError unless members could live under the service's first constitution."""
        if self._charter is None:
            return
        for number, member in enumerate(self._charter.members):
            try:
                check_lasts(read_certificate(member.certificate), unix_ms())
            except MemberError as error:
                raise OperatorError(f"'found.members[{number}]': {error}") from error
        try:
            await try_founding(self._node.runtime, self._charter, self.service.certificate)
        except MemberError as error:
            raise OperatorError(f"'found.constitution' cannot govern this service: {error}") from error

    async def found(self) -> Membership:
        """Wait for the joiners, place the first entries, and welcome everybody."""
        node = self._node
        joiners = await self.admissions.complete()
        now_ms = unix_ms()
        found = [own_admission(node, self.certificate, self.service, self._policy, now_ms)]
        for judged in joiners:
            request = judged.request
            # Judged anew, by the time the ledger has, so that anybody who reads it finds the same.
            found.append(
                admitted(
                    request,
                    certify(request, self.service),
                    node.node_id,
                    self.service,
                    self._policy,
                    now_ms,
                )
            )
        welcome = Welcome(
            certificate=self.certificate,
            service=self.service,
            secrets=LedgerSecrets([(1, random_bytes(32))]),
            nodes=[one.node for one in found],
            manifests=[adapter.manifest for adapter in self._adapters.values()],
            policy=self._policy,
            judged_at_ms={one.node.node_id: one.admission.judged_at_ms for one in found},
            operators=self._operators,
        )
        parts = attrs.evolve(
            parts_of(node, welcome, now_ms),
            admissions={one.node.node_id: one.admission for one in found},
        )
        replica, effects = found_service(parts, self._genesis, self._operators, self._charter, self._policy)
        certificates = {one.node.node_id: one.node.certificate for one in found}

        def seal(judged: Judged) -> bytes:
            own = attrs.evolve(welcome, certificate=certificates[judged.request.node_id])
            return encode_welcome(own, judged.request.encryption_key, judged.record.proof.transcript)

        self.admissions.welcome(seal)
        return Membership(replica=replica, first_effects=effects, adapters=self._adapters, welcome=welcome)


def _founding_policy(node: BareNode, founding: Founding) -> Policy:
    """Return what may join; raises OperatorError when it is not said on a platform that proves something."""
    if founding.policy is not None:
        return founding.policy
    if not isinstance(node.platform, VirtualPlatform):
        raise OperatorError(
            f"a service founded on {node.platform.format} needs 'found.policy': which code and roots may join"
        )
    return policy_of([(node.platform.format, node.platform.measurement)])


async def join(
    node: BareNode, joining: Joining, waiting: Callable[[], None], voucher: Voucher | None = None
) -> Membership:
    """Ask in, in the place of who gave ``voucher``; ``waiting`` is called once when the node must wait.

    Raises AttestationError when refused or led elsewhere, OperatorError otherwise, and IntegrityError when
    what an earlier node left in the folder is not what it should be.
    """
    if joining.policy is None and node.platform.format != VirtualPlatform.format:
        raise OperatorError(
            f"a node on {node.platform.format} needs 'join.policy': whom it believes is not for them to say"
        )
    applicant = Applicant(
        key=node.key,
        encryption_key=node.encryption_key,
        platform=node.platform,
        standing=node.standing,
        verifiers=known_verifiers(),
        peer_address=node.peer_address,
        hosts=node.settings.hosts,
        voucher=voucher,
    )
    welcomed = await ask_to_join(joining, applicant, waiting)
    welcome = read_welcome(welcomed.welcome, node.encryption_key, welcomed.transcript)
    check_welcome(
        welcome,
        node.key.public,
        joining.service_certificate,
        known_verifiers(),
        utc_now(),
        joining.policy,
    )
    adapters = joined_adapters(welcome.manifests, node.settings.adapters)
    restored = await _restored(node, welcome)
    replica, effects = join_service(parts_of(node, welcome, unix_ms()), restored)
    return Membership(replica=replica, first_effects=effects, adapters=adapters, welcome=welcome)


async def _restored(node: BareNode, welcome: Welcome) -> Restoration | None:
    keys = LedgerKeys(welcome.secrets, node.identity(welcome.certificate))
    old = OldLedger(
        node.disk,
        node.snapshots,
        keys,
        welcome.service.certificate,
        welcome.service.endorsements,
    )
    if not old.exists:
        return None
    if welcome.agreed is None:
        raise OperatorError(f"{node.settings.folder} holds a ledger: a founding node needs an empty folder")
    return await trio.to_thread.run_sync(old.restore, welcome.agreed)


def _founding_adapters(
    founding: Founding, settings: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, LedgerAdapter], list[Writes]]:
    """Load every ledger and collect its first entries, checked as what it writes later is."""
    adapters: dict[str, LedgerAdapter] = {}
    genesis: list[Writes] = []
    room_bytes = limits.GENESIS_SIZE_MAX_BYTES
    for name, ledger in founding.ledgers.items():
        adapter = adapters[name] = _create(name, ledger.engine, settings)
        entries = adapter.genesis(ledger.config, random_bytes())
        try:
            room_bytes -= check_genesis(entries, frozenset(adapter.manifest.maps), room_bytes)
        except AdapterError as error:
            raise OperatorError(f"ledger {name!r} cannot begin so: {error}") from error
        genesis += entries
    return adapters, genesis


def joined_adapters(
    manifests: Sequence[Manifest], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, LedgerAdapter]:
    """Load what the network runs; this node must have exactly the same versions."""
    adapters: dict[str, LedgerAdapter] = {}
    for manifest in manifests:
        adapter = _create(manifest.name, manifest.engine.partition(" ")[0], settings)
        if adapter.manifest != manifest:
            raise OperatorError(
                f"the network runs {manifest.name} {manifest.version} on {manifest.engine!r}, "
                f"this node has {adapter.manifest.version} on {adapter.manifest.engine!r}"
            )
        adapters[manifest.name] = adapter
    return adapters


def _create(name: str, engine: str, settings: Mapping[str, Mapping[str, Any]]) -> LedgerAdapter:
    """Return the adapter of the installed plugin ``name``; raises OperatorError when it is unfit."""
    adapter = plugins.load(name).create(engine, settings.get(name, {}))
    bound_recursion()
    try:
        check_manifest(name, adapter.manifest)
    except AdapterError as error:
        raise OperatorError(str(error)) from error
    return adapter


def parts_of(node: BareNode, welcome: Welcome, now_ms: int) -> Parts:
    """Return what this node's replica is made of."""
    settings = node.settings
    least, most = settings.election_timeout_ms
    return Parts(
        identity=node.identity(welcome.certificate),
        service=welcome.service,
        secrets=welcome.secrets,
        nodes={record.node_id: record for record in welcome.nodes},
        manifests=welcome.manifests,
        admission=Admission(verifiers=known_verifiers()),
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
        time_ms=now_ms,
        randomness=random_bytes(),
        chunk_entries=settings.snapshot_interval,
        # Who lacks more than lies between two snapshots is better served with one.
        snapshot_lag_entries=settings.snapshot_interval,
    )
