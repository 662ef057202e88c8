"""Everything about a simulated world that is drawn before it begins: its size, its pace, its weather.

Knows numbers only. All durations are virtual microseconds unless the name says ticks.
"""

from __future__ import annotations

from random import Random

import attrs

MILLISECOND_US = 1_000
SECOND_US = 1_000_000


@attrs.frozen(kw_only=True)
class Plan:
    """One world's constants, drawn from its seed; ``steps`` is how long faults and load go on."""

    seed: int
    steps: int
    nodes: int
    """How many found the service."""
    clients: int
    counters: int
    """How many counters the clients share: the fewer, the more every order is observed."""
    group_max: int
    """Most transactions a client submits in one call."""
    batch_max: int
    """Most transactions the adapter applies in one batch; it defers the others."""
    fail_share: float
    """Share of submissions that make the adapter raise."""
    chunk_size_bytes: int
    chunk_entries: int
    append_size_max_bytes: int
    """1 lets every entry travel alone, so that logs end inside batches."""
    log_cache_max_bytes: int
    """0 makes a leader read back from its disk what is agreed."""
    tick_us: int
    heartbeat_ticks: int
    election_timeout_ticks_min: int
    election_timeout_ticks_max: int
    latency_us: int
    jitter_us: int
    in_order: bool
    """Whether each way between two nodes keeps the order of its messages, as TCP does."""
    loss_share: float
    duplicate_share: float
    disk_us: int
    execute_us: int
    think_us: int
    patience_us: int
    """How long a client waits before it sends the same transactions to another node."""
    fault_interval_us: int

    machines: int
    """How many machines there are; one whose node ended may seat another."""
    arrival_us: int
    """Time between two nodes that ask to join, about; 0 in worlds that keep their members."""
    operator_us: int
    """Time between two looks of the operator at the members, about."""
    epoch_ms: int
    """How long an epoch of ledger secrets lasts, 0 for until the members change."""
    caught_up_entries_max: int
    """How far behind a learner may be to be a member."""
    snapshot_lag_entries: int
    """How far behind a learner must be to be sent a snapshot."""
    part_max_bytes: int
    """How much of a snapshot travels in one message."""
    snapshots_kept: int
    archives_share: float
    """Share of nodes that drop the entries before their newest proven snapshot."""
    spoiled_share: float
    """Share of received parts of snapshots in which a bit changes."""

    @classmethod
    def draw(cls, seed: int, steps: int, rng: Random) -> Plan:
        """Draw the plan of world ``seed`` with ``rng``."""
        least = rng.choice((4, 5, 8))
        nodes = rng.choice((2, 3, 3, 3, 4, 5, 5))
        return cls(
            seed=seed,
            steps=steps,
            nodes=nodes,
            clients=rng.choice((2, 4, 6)),
            counters=rng.choice((1, 2, 4)),
            group_max=rng.choice((1, 2, 5)),
            batch_max=rng.choice((1, 2, 100)),
            fail_share=rng.choice((0.0, 0.0, 0.02)),
            chunk_size_bytes=rng.choice((1, 5_000, 100_000)),
            chunk_entries=rng.choice((4, 20, 1_000)),
            append_size_max_bytes=rng.choice((1, 1, 4096 * 1024)),
            log_cache_max_bytes=rng.choice((0, 64 * 1024 * 1024)),
            tick_us=10 * MILLISECOND_US,
            heartbeat_ticks=rng.choice((1, 2, 3)),
            election_timeout_ticks_min=least,
            election_timeout_ticks_max=least + rng.choice((1, 4, 8)),
            latency_us=rng.choice((200, 1_000, 5_000)),
            jitter_us=rng.choice((100, 2_000, 10_000)),
            in_order=rng.random() < 0.5,
            loss_share=rng.choice((0.0, 0.0, 0.01, 0.05)),
            duplicate_share=rng.choice((0.0, 0.0, 0.01, 0.05)),
            disk_us=rng.choice((100, 2_000, 10_000)),
            execute_us=rng.choice((100, 1_000, 5_000)),
            think_us=rng.choice((1_000, 5_000, 20_000)),
            patience_us=rng.choice((50, 150, 500)) * MILLISECOND_US,
            fault_interval_us=rng.choice((15, 40, 100)) * MILLISECOND_US,
            machines=nodes + rng.choice((0, 2, 4)),
            arrival_us=rng.choice((0, 20, 20, 80)) * MILLISECOND_US,
            operator_us=rng.choice((15, 60, 250)) * MILLISECOND_US,
            caught_up_entries_max=rng.choice((2, 10, 2_000)),
            snapshot_lag_entries=rng.choice((1, 10, 1_000)),
            part_max_bytes=rng.choice((1_500, 6_000, 1024 * 1024)),
            snapshots_kept=rng.choice((1, 2)),
            archives_share=rng.choice((0.0, 0.5, 0.8)),
            spoiled_share=rng.choice((0.0, 0.0, 0.1)),
            epoch_ms=rng.choice((0, 0, 150, 500)),
        )
