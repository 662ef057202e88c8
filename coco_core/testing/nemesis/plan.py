"""What will go wrong and when: drawn from a seed before a round begins, so that a seed names a plan.

Which node a fault hits follows from its dice and, for half of them, from who leads when it comes; how the
network gets on decides no more than that. Pure: knows no process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import attrs

KINDS: Final = {
    "kill": "SIGKILL: the process is gone, its host closes its connections",
    "power": "SIGKILL without a word: the host is gone too, nothing answers",
    "pause": "SIGSTOP, later SIGCONT",
    "isolate": "one node reaches no other, and no other reaches it",
    "depose": "the same, for the primary",
    "halve": "two halves do not reach each other",
    "mute": "what one node sends to others gets lost",
    "deafen": "what others send to one node gets lost",
    "one way": "what one node sends to one other gets lost",
    "cable": "one node is off the network, for clients too",
    "delay": "everything to and from one node takes longer",
    "loss": "packets to and from one node get lost and are sent again",
    "reset": "connections of one node are reset, again and again",
    "disk full": "no room on the disk of one node's ledger",
    "clock": "the wall clock of one node is wrong",
}
"""Every kind of fault."""
ENDING: Final = frozenset({"kill", "power"})
"""Kinds after which the node does not come back."""
FIRST_AFTER_S: Final = 2.0
CALM_AT_END_S: Final = 4.0
GAP_S: Final = 3.0
"""Mean time from one fault to the next; they overlap when they last longer."""
LASTS_S: Final = ((0.2, 1.0), (1.0, 3.0), (3.0, 6.0))


@attrs.frozen(kw_only=True)
class Planned:
    """One fault."""

    kind: str
    at_s: float
    """After the beginning of the round."""
    lasts_s: float
    dice: tuple[float, float, float]
    """Which node, and how."""


def draw_plan(seed: str, seconds: float, kinds: Iterable[str]) -> Sequence[Planned]:
    """Return the faults of one round: every kind once before any comes again."""
    chance = Random(seed)  # noqa: S311 - chance from a seed, not a secret
    plan: list[Planned] = []
    at_s = FIRST_AFTER_S
    every = sorted(kinds)
    bag: list[str] = []
    while at_s < seconds - CALM_AT_END_S:
        if not bag:
            bag = list(every)
            chance.shuffle(bag)
        lasts_s = min(chance.uniform(*chance.choice(LASTS_S)), seconds - CALM_AT_END_S - at_s)
        dice = (chance.random(), chance.random(), chance.random())
        plan.append(Planned(kind=bag.pop(), at_s=round(at_s, 3), lasts_s=round(lasts_s, 3), dice=dice))
        at_s += min(chance.expovariate(1 / GAP_S), 3 * GAP_S)
    return plan
