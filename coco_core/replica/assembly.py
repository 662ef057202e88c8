"""Putting a replica together: for the founder of a service, and for a node that was welcomed to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from coco_core.adapter import Manifest, Writes
from coco_core.attestation import Policy
from coco_core.base import NodeID, limits
from coco_core.consensus import LogReader, SnapshotAvailable
from coco_core.consensus.raft import LogStart, Raft, RaftSettings
from coco_core.governance import (
    PENDING,
    SERVICE_RECOVERED,
    TRUSTED,
    Administration,
    Admission,
    AdmissionRecord,
    Charter,
    Members,
    NodeRecord,
    Runtime,
    admission_writes,
    begin_epoch,
    charter_writes,
    first_epoch,
    founding_writes,
    opening_writes,
    policy_of,
    policy_writes,
)
from coco_core.kv import merge, merged
from coco_core.ledger import EntryOpener, EntrySealer, LedgerSecrets, LedgerSigner
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_manifest
from coco_core.replica.effects import Effect
from coco_core.replica.following import Follower
from coco_core.replica.identities import Identity, ServiceIdentity
from coco_core.replica.ledger_keys import LedgerKeys
from coco_core.replica.lineage import Lineage
from coco_core.replica.replica import Replica
from coco_core.replica.restoring import Restoration
from coco_core.replica.sequencing import Sequencer
from coco_core.replica.snapshots import SnapshotReader, Snapshots

FIRST_VIEW = 2
"""The view a new service begins in (CCF's convention)."""


@attrs.frozen(kw_only=True)
class Timing:
    """Consensus timing in ticks of the shell's clock."""

    election_timeout_ticks_min: int
    election_timeout_ticks_max: int
    heartbeat_ticks: int


@attrs.frozen(kw_only=True)
class Parts:
    """Everything a replica is made of; the shell supplies what is not pure."""

    identity: Identity
    service: ServiceIdentity
    secrets: LedgerSecrets
    nodes: Mapping[NodeID, NodeRecord]
    """The nodes of the service as this one was told of them."""
    manifests: Sequence[Manifest]
    admission: Admission
    timing: Timing
    runtime: Runtime
    """Evaluates the constitution."""
    entropy: Callable[[int], bytes]
    """Returns so many fresh random bytes, for new secrets."""
    draw: Callable[[int, int], int]
    reader: LogReader
    snapshots: SnapshotReader
    time_ms: int
    randomness: bytes
    admissions: Mapping[NodeID, AdmissionRecord] = attrs.field(factory=dict)
    """Of the nodes of a service to be founded: what they were measured as is what may join it."""
    chunk_size_bytes: int = limits.CHUNK_SIZE_TARGET_BYTES
    chunk_entries: int = limits.CHUNK_TARGET_ENTRIES
    append_size_max_bytes: int = limits.APPEND_SIZE_MAX_BYTES
    log_cache_max_bytes: int = limits.LOG_CACHE_MAX_BYTES
    snapshot_lag_entries: int = limits.SNAPSHOT_LAG_ENTRIES


def found_service(
    parts: Parts,
    genesis: Iterable[Writes],
    operators: Sequence[str] = (),
    charter: Charter | None = None,
    policy: Policy | None = None,
) -> tuple[Replica, list[Effect]]:
    """Return the first primary of a new service and the effects that place its first entries.

    ``operators`` are the certificates (PEM) of those who may change the nodes while nobody governs the
    service; a service with a ``charter`` is governed from its first entry on. ``policy`` says what may join,
    what its first nodes were measured as unless given.
    """
    members = _told(parts)
    raft = Raft.founder(_settings(parts, members), draw=parts.draw, reader=parts.reader)
    chain = Chain(LedgerKeys(parts.secrets, parts.identity), members)
    replica = _assemble(parts, raft, chain, _follower(parts, chain))
    first = founding_writes(parts.nodes.values(), parts.service.certificate, operators)
    merge(first, admission_writes(parts.admissions))
    measured = [(one.platform, one.measurement) for one in parts.admissions.values()]
    merge(first, policy_writes(policy if policy is not None else policy_of(measured)))
    merge(
        first,
        first_epoch(chain.store.head(), parts.secrets.current.secret, time_ms=parts.time_ms),
    )
    if charter is not None:
        merge(first, charter_writes(charter))
    last = opening_writes(parts.service.certificate, parts.manifests, governed=charter is not None)
    return replica, replica.found([first, *genesis, last])


def join_service(parts: Parts, restored: Restoration | None = None) -> tuple[Replica, list[Effect]]:
    """Return a backup that waits for the primary, with an empty ledger or its own old one."""
    start = LogStart() if restored is None else restored.finish()
    if restored is None or not start.last_index:
        members = _told(parts)
        chain = Chain(LedgerKeys(parts.secrets, parts.identity), members)
        follower = _follower(parts, chain)
    else:
        chain, follower = restored.chain, restored.follower
        members = Members(chain.membership.voters, chain.membership.learners)
    raft = Raft(_settings(parts, members), draw=parts.draw, reader=parts.reader, start=start)
    if restored is not None and restored.snapshot_seqno:
        seqno = restored.snapshot_seqno
        raft.handle(SnapshotAvailable(seqno, chain.views.at(seqno)))
    replica = _assemble(parts, raft, chain, follower)
    return replica, replica.join(parts.nodes)


def recover_service(parts: Parts, restored: Restoration, first: Writes) -> tuple[Replica, list[Effect]]:
    """Return the only node of a service that was restored from its ledger, and the effects of going on.

    It leads in the view that ``restored`` was made for, later than all in the ledger. ``first`` makes it the
    only node (``governance.takeover_writes``); with the same entry a new epoch begins, so that whoever held
    the secrets before reads nothing of what comes.
    """
    start = restored.finish()
    chain = restored.chain
    after = chain.store.head().over(first)
    epoch = begin_epoch(
        after, parts.entropy, seqno=chain.head + 1, time_ms=parts.time_ms, reason=SERVICE_RECOVERED
    )
    members = _told(parts)
    raft = Raft.founder(_settings(parts, members), draw=parts.draw, reader=parts.reader, start=start)
    chain.take_over(members)
    if restored.snapshot_seqno:
        seqno = restored.snapshot_seqno
        raft.handle(SnapshotAvailable(seqno, chain.views.at(seqno)))
    replica = _assemble(parts, raft, chain, _follower(parts, chain))
    return replica, replica.found([merged([first, epoch])])


def _told(parts: Parts) -> Members:
    """Return the members this node was told of; itself as a learner if it is not one of them."""
    voters = frozenset(name for name, node in parts.nodes.items() if node.status == TRUSTED)
    learners = frozenset(name for name, node in parts.nodes.items() if node.status == PENDING)
    return Members(voters, learners)


def _settings(parts: Parts, members: Members) -> RaftSettings:
    this = parts.identity.node_id
    return RaftSettings(
        node_id=this,
        members=members.voters,
        learners=members.learners | (frozenset({this}) - members.voters),
        first_term=FIRST_VIEW,
        election_timeout_ticks_min=parts.timing.election_timeout_ticks_min,
        election_timeout_ticks_max=parts.timing.election_timeout_ticks_max,
        heartbeat_ticks=parts.timing.heartbeat_ticks,
        append_size_max_bytes=parts.append_size_max_bytes,
        log_cache_max_bytes=parts.log_cache_max_bytes,
        snapshot_lag_entries=parts.snapshot_lag_entries,
    )


def _follower(parts: Parts, chain: Chain) -> Follower:
    lineage = Lineage(parts.service.certificate, parts.service.endorsements)
    return Follower(chain, EntryOpener(chain.keys.secrets), lineage)


def _assemble(parts: Parts, raft: Raft, chain: Chain, follower: Follower) -> Replica:
    for manifest in parts.manifests:
        check_manifest(manifest.name, manifest)
    signer = LedgerSigner(
        parts.identity.key, parts.identity.node_id, parts.identity.certificate, parts.service.key
    )
    sealer = EntrySealer(chain.keys.secrets)
    return Replica(
        node_id=parts.identity.node_id,
        consensus=raft,
        chain=chain,
        sequencer=Sequencer(chain, sealer, signer, parts.chunk_size_bytes, parts.chunk_entries),
        follower=follower,
        snapshots=Snapshots(parts.snapshots),
        administration=Administration(
            parts.admission,
            parts.service.key,
            runtime=parts.runtime,
            secrets=chain.keys.secrets,
            entropy=parts.entropy,
        ),
        adapters={manifest.name: frozenset(manifest.maps) for manifest in parts.manifests},
        entropy=parts.entropy,
        time_ms=parts.time_ms,
        randomness=parts.randomness,
    )
