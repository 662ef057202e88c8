"""Whole clusters under faults: whatever is dropped, repeated, reordered or cut, nothing agreed is lost.

Half of the worlds also change their members (add, promote, remove, swap, any set for any other), forget
what snapshots cover, and ship those.

Each seed is one world; a seed beyond the range below that ever failed is added to ``SEEDS`` for good.
"""

import functools
import random

import pytest

from coco_core.base import NodeID
from coco_core.consensus import TransferRequested
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.testing.stage import Stage, StageDisk, write_members

BLOCKS = 10
SEEDS = (*range(200), 589)
STEPS = 400


def _engine(make: type[Raft], settings: RaftSettings, rng: random.Random, disk: StageDisk) -> Raft:
    return make(settings, draw=rng.randint, reader=disk)


def build(rng: random.Random, count: int, joiners: int) -> Stage:
    stage = Stage()
    names = [NodeID(f"n{i}") for i in range(count + joiners)]
    members = frozenset(names[:count])
    for node_id in names:
        settings = RaftSettings(
            node_id=node_id,
            members=members,
            learners=frozenset({node_id}) - members,
            election_timeout_ticks_min=4,
            election_timeout_ticks_max=8,
            heartbeat_ticks=1,
            append_size_max_bytes=rng.choice((1, 16, 4096)),
            in_flight_max=rng.choice((1, 2, 16)),
            log_cache_max_bytes=rng.choice((0, 64, 4096)),
            snapshot_lag_entries=rng.choice((1, 5, 100)),
        )
        make = Raft.founder if node_id == "n0" else Raft
        stage.add(node_id, functools.partial(_engine, make, settings, rng), founding=node_id in members)
    return stage


def propose(stage: Stage, rng: random.Random, node_id: NodeID) -> None:
    term = stage.nodes[node_id].engine.status().term
    entries = [
        (f"{node_id}/{term}/{rng.random()}".encode(), rng.random() < 0.5) for _ in range(rng.randint(1, 4))
    ]
    stage.propose(node_id, entries)


def reconfigure(stage: Stage, rng: random.Random, node_id: NodeID) -> None:
    newest = stage.nodes[node_id].engine.status().memberships[-1]
    voters, learners = set(newest.voters), set(newest.learners)
    others = sorted(stage.nodes.keys() - voters)
    kind = rng.choice(("learn", "promote", "remove", "swap", "any"))
    if kind == "learn" and others:
        learners ^= {rng.choice(others)}
    elif kind == "promote" and learners:
        voters |= learners
        learners.clear()
    elif kind == "remove" and len(voters) > 1:
        voters.remove(rng.choice(sorted(voters)))
    elif kind == "swap" and others:
        voters.remove(rng.choice(sorted(voters)))
        voters.add(rng.choice(others))
    else:
        voters = set(rng.sample(sorted(stage.nodes), rng.randint(1, len(stage.nodes))))
    change = write_members(voters, learners - voters)
    stage.propose(node_id, rng.choice(([(change, True)], [(change, False)], [(change, False), (b"s", True)])))


def change(stage: Stage, rng: random.Random) -> None:
    """Do one of the steps that only worlds with changes know."""
    roll, leaders = rng.random(), stage.leaders()
    if roll < 0.3 and leaders:
        reconfigure(stage, rng, rng.choice(leaders))
    elif roll < 0.6:
        node = stage.nodes[rng.choice(list(stage.nodes))]
        if node.commit_index:
            stage.snapshot(node.node_id, rng.randint(0, node.commit_index))
    elif stage.shipments:
        stage.ship(rng.randrange(len(stage.shipments)))


def step(stage: Stage, rng: random.Random) -> None:
    roll = rng.random()
    nodes = list(stage.nodes)
    if roll < 0.62 and stage.pool:
        at = 0 if rng.random() < 0.8 else rng.randrange(len(stage.pool))
        if rng.random() < 0.05:
            stage.pool.pop(at)
        else:
            stage.deliver(at, keep=rng.random() < 0.05)
    elif roll < 0.72:
        impatient = rng.choice(nodes)
        for _ in range(rng.choice((1, 1, 1, 1, 4, 8))):
            stage.tick(impatient)
    elif roll < 0.87:
        stage.persist(rng.choice(nodes))
    elif roll < 0.95:
        leaders = stage.leaders()
        if leaders:
            propose(stage, rng, rng.choice(leaders))
    elif roll < 0.96:
        asked = rng.choice(nodes)
        voters = sorted(stage.nodes[asked].engine.status().memberships[-1].voters)
        stage.handle(asked, TransferRequested(rng.choice([None, *voters])))
    elif roll < 0.97:
        rng.shuffle(nodes)
        at = rng.randint(0, len(nodes))
        stage.cut(nodes[:at], nodes[at:])
    else:
        stage.heal()


def recover(stage: Stage) -> None:
    """Heal the world, and expect agreement of all members on one log within a few elections."""
    stage.heal()
    for _ in range(200):
        for node_id in list(stage.nodes):
            stage.tick(node_id)
        stage.settle()
        leaders = stage.leaders()
        if len(leaders) == 1:
            leader = stage.nodes[leaders[0]]
            stage.propose(leader.node_id, [(b"last", True)])
            stage.settle()
            (membership,) = leader.engine.status().memberships
            members = [stage.nodes[name] for name in membership.voters | membership.learners]
            if all(n.commit_index == len(leader.disk.entries) for n in (leader, *members)):
                break
    else:
        pytest.fail("a healed cluster did not agree")
    assert len({tuple(node.applied) for node in members}) == 1


def run_world(seed: int) -> None:
    rng = random.Random(seed)
    changing = seed % 2 == 1
    stage = build(rng, rng.choice((1, 2, 3, 3) if changing else (3, 3, 5)), 3 if changing else 0)
    for number in range(STEPS):
        step(stage, rng)
        if changing and rng.random() < 0.1:
            change(stage, rng)
        if number % 50 == 0:
            stage.judge.log_matching(list(stage.nodes.values()))
    recover(stage)
    stage.judge.log_matching(list(stage.nodes.values()))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_agreed_is_ever_lost(block: int) -> None:
    for seed in SEEDS[block::BLOCKS]:
        run_world(seed)
