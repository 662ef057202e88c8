"""A plan follows from its seed, and every kind of fault comes before any comes again."""

from __future__ import annotations

from coco_core.testing.nemesis import KINDS, draw_plan
from coco_core.testing.nemesis.plan import CALM_AT_END_S, FIRST_AFTER_S


def test_a_seed_names_a_plan() -> None:
    assert draw_plan("7/0", 60, KINDS) == draw_plan("7/0", 60, reversed(KINDS))
    assert draw_plan("7/0", 60, KINDS) != draw_plan("7/1", 60, KINDS)


def test_every_kind_comes_before_any_comes_again() -> None:
    kinds = [one.kind for one in draw_plan("1", 600, KINDS)]
    for start in range(0, len(kinds) - len(KINDS), len(KINDS)):
        assert sorted(kinds[start : start + len(KINDS)]) == sorted(KINDS)


def test_faults_come_after_the_beginning_and_are_over_before_the_end() -> None:
    for seed in range(50):
        for one in draw_plan(str(seed), 40, KINDS):
            assert one.at_s >= FIRST_AFTER_S
            assert one.lasts_s >= 0
            assert one.at_s + one.lasts_s <= 40 - CALM_AT_END_S + 0.002
