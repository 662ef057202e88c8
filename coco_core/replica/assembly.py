"""Putting a replica together: for the founder of a service, and for a node that was welcomed to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from coco_core.adapter import Manifest, Writes
from coco_core.base import NodeID, limits
from coco_core.consensus import LogReader
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.crypto import PrivateKey
from coco_core.kv import Store
from coco_core.ledger import EntryOpener, EntrySealer, LedgerSecrets, LedgerSigner, MerkleTree
from coco_core.replica.chain import Chain
from coco_core.replica.checking import check_manifest
from coco_core.replica.effects import Effect
from coco_core.replica.following import Follower
from coco_core.replica.membership import NodeRecord, founding_writes, opening_writes, signing_keys
from coco_core.replica.replica import Replica
from coco_core.replica.sequencing import Sequencer

FIRST_VIEW = 2
"""The view a new service begins in (CCF's convention)."""


@attrs.frozen(kw_only=True)
class Identity:
    """A node's own key and what the service says of it."""

    node_id: NodeID
    key: PrivateKey = attrs.field(repr=False)
    certificate: str


@attrs.frozen(kw_only=True)
class ServiceIdentity:
    """The service's key, shared by all its nodes, and its certificate."""

    key: PrivateKey = attrs.field(repr=False)
    certificate: str


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
    manifests: Sequence[Manifest]
    timing: Timing
    draw: Callable[[int, int], int]
    reader: LogReader
    time_ms: int
    randomness: bytes
    chunk_size_bytes: int = limits.CHUNK_SIZE_TARGET_BYTES
    append_size_max_bytes: int = limits.APPEND_SIZE_MAX_BYTES
    log_cache_max_bytes: int = limits.LOG_CACHE_MAX_BYTES


def found_service(parts: Parts, genesis: Iterable[Writes]) -> tuple[Replica, list[Effect]]:
    """Return the first primary of a new service and the effects that place its first entries."""
    raft = Raft.founder(_settings(parts), draw=parts.draw, reader=parts.reader)
    replica = _assemble(parts, raft)
    first = founding_writes(parts.nodes.values(), parts.service.certificate)
    last = opening_writes(parts.service.certificate, parts.manifests)
    return replica, replica.found([first, *genesis, last])


def join_service(parts: Parts) -> Replica:
    """Return a backup with an empty ledger that waits for the primary."""
    return _assemble(parts, Raft(_settings(parts), draw=parts.draw, reader=parts.reader))


def _settings(parts: Parts) -> RaftSettings:
    return RaftSettings(
        node_id=parts.identity.node_id,
        members=frozenset(parts.nodes),
        first_term=FIRST_VIEW,
        election_timeout_ticks_min=parts.timing.election_timeout_ticks_min,
        election_timeout_ticks_max=parts.timing.election_timeout_ticks_max,
        heartbeat_ticks=parts.timing.heartbeat_ticks,
        append_size_max_bytes=parts.append_size_max_bytes,
        log_cache_max_bytes=parts.log_cache_max_bytes,
    )


def _assemble(parts: Parts, raft: Raft) -> Replica:
    for manifest in parts.manifests:
        check_manifest(manifest.name, manifest)
    chain = Chain(Store(), MerkleTree())
    signer = LedgerSigner(
        parts.identity.key, parts.identity.node_id, parts.identity.certificate, parts.service.key
    )
    return Replica(
        node_id=parts.identity.node_id,
        consensus=raft,
        chain=chain,
        sequencer=Sequencer(chain, EntrySealer(parts.secrets), signer, parts.chunk_size_bytes),
        follower=Follower(chain, EntryOpener(parts.secrets), signing_keys(parts.nodes)),
        adapters={manifest.name: frozenset(manifest.maps) for manifest in parts.manifests},
        time_ms=parts.time_ms,
        randomness=parts.randomness,
    )
