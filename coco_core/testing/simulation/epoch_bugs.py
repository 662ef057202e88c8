"""The bugs of epochs that the simulation must notice (see ``mutants``).

Every function here is wrong on purpose. Each replaces the one named beside it in ``EPOCH_BUGS``.
"""

from __future__ import annotations

from typing import Any, Final

from coco_core.base import NodeID
from coco_core.governance import epochs, joins, read_nodes
from coco_core.kv import View
from coco_core.replica import LedgerKeys, upkeep
from coco_core.testing.simulation.mutant import Change, Mutant

_took = LedgerKeys.took


def _begin_beside(keys: LedgerKeys, offset: int, *entry: Any) -> None:
    before = keys.secrets.current.first_seqno
    _took(keys, *entry)
    *epochs_before, (first_seqno, secret) = keys.secrets.epochs
    if first_seqno != before:
        keys.secrets.replace([*epochs_before, (first_seqno + offset, secret)])


def _begin_late(keys: LedgerKeys, *entry: Any) -> None:
    _begin_beside(keys, 1, *entry)


def _begin_early(keys: LedgerKeys, *entry: Any) -> None:
    _begin_beside(keys, -1, *entry)


def _everybody(view: View) -> frozenset[NodeID]:
    return frozenset(read_nodes(view))


def _never(*_: object) -> None:
    return None


def _nobody_leaves(_nodes: object) -> frozenset[NodeID]:
    return frozenset()


def _nobody(_view: View, _node: NodeID) -> bool:
    return False


def _at_once(head: View, _agreed: View, _time_ms: int) -> str | None:
    return epochs.wanted_epoch(head)


def _mutant(name: str, breaks: str, *changes: Change, seeds_max: int = 60) -> Mutant:
    return Mutant(name=name, breaks=breaks, changes=changes, seeds_max=seeds_max)


EPOCH_BUGS: Final = (
    _mutant(
        "use a new secret one entry late",
        "what is behind its entry is under it",
        (LedgerKeys, "took", _begin_late),
    ),
    _mutant(
        "use a new secret one entry early",
        "its entry is under the one before",
        (LedgerKeys, "took", _begin_early),
    ),
    _mutant(
        "keep epochs on truncation",
        "secrets and log move as one",
        (LedgerKeys, "truncate", _never),
        seeds_max=400,
    ),
    _mutant("hand secrets to who left", "who left reads no further", (epochs, "taking_part", _everybody)),
    _mutant(
        "lock out who may be needed",
        "who may be needed reads on",
        (epochs, "leaving", _nobody_leaves),
        (upkeep, "rekey_due", _at_once),
    ),
    _mutant(
        "let in who was sent away",
        "who was sent away lacks the secrets since",
        (joins, "was_dismissed", _nobody),
        seeds_max=150,
    ),
    _mutant(
        "go on under the old secret", "a change of members is an epoch's end", (upkeep, "rekey_due", _never)
    ),
)
