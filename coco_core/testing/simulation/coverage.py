"""Which states simulated worlds reached, counted: a checker proves little about states nobody visits."""

from __future__ import annotations

from collections import Counter
from typing import Final

STATES: Final = (
    "elections won",
    "leadership lost to a later view",
    "leadership given up without a quorum",
    "leadership handed over on request",
    "conflicting entries truncated",
    "provisional tail dropped on election",
    "log read back from disk",
    "requests forwarded",
    "forwards abandoned",
    "forwards refused by who does not lead",
    "submissions refused as busy",
    "transactions committed",
    "duplicates refused",
    "not committed, sent again",
    "executions outlived by their leadership",
    "batches of several requests",
    "requests deferred",
    "adapter faults",
    "pipeline full",
    "chunks ended",
    "messages lost",
    "messages doubled",
    "messages overtaken",
    "connections broken",
    "partitions",
    "one-way partitions",
    "slow ways",
    "nodes crashed",
    "torn tails",
    "unsynced writes lost",
    "full disks",
    "slow disks",
    "corrupt sectors found by the audit",
    "stalls",
    "clocks moved forward",
    "clocks moved back",
    "clocks changed pace",
    "nodes that came",
    "joins asked for again",
    "joins refused",
    "nodes seated",
    "strangers refused",
    "changes asked for",
    "changes refused",
    "changes made",
    "changes cancelled",
    "learners promoted",
    "members removed",
    "leaders removed",
    "removed nodes elected once more",
    "several replaced at once",
    "sets of members dropped with the log",
    "removed nodes switched off",
    "nodes asked whether they belong",
    "nodes told that they do not belong",
    "nodes told who takes part",
    "lost nodes switched off",
    "messages from strangers",
    "restarts with an empty disk",
    "restarts from own ledger",
    "restarts from snapshot and ledger",
    "restarts from a snapshot alone",
    "torn tails dropped at a restart",
    "uncommitted tails dropped at a restart",
    "old ledgers found spoiled",
    "old ledgers without a beginning",
    "snapshots taken",
    "snapshots that found no room",
    "snapshots proven",
    "entries archived",
    "snapshots offered",
    "parts of snapshots sent",
    "parts of snapshots spoiled",
    "parts of snapshots asked for again",
    "snapshots resumed with another leader",
    "snapshots refused",
    "snapshots received",
    "snapshots installed",
    "snapshots the log made needless",
    "ledgers audited from a snapshot",
    "epochs begun",
    "epochs begun on schedule",
    "epochs dropped with the log",
    "epochs learnt from a snapshot",
    "old ledgers read back across epochs",
)
"""Every state a run of a few hundred worlds must reach at least once."""


def table(counts: Counter[str], worlds: int) -> str:
    """Return the counts as lines: in total, and per world."""
    width = max(map(len, STATES))
    lines = [f"{'state':<{width}}  {'total':>9}  {'per world':>9}"]
    lines += [f"{name:<{width}}  {counts[name]:>9}  {counts[name] / max(1, worlds):>9.2f}" for name in STATES]
    return "\n".join(lines)


def unreached(counts: Counter[str]) -> list[str]:
    """Return the states nobody visited."""
    return [name for name in STATES if not counts[name]]
