"""Deliberate bugs are noticed, and leave nothing behind. The whole list is hunted by ``make mutants``."""

from __future__ import annotations

import inspect

import pytest

from coco_core.consensus.raft import election, replication
from coco_core.kv import Store
from coco_core.testing.simulation import MUTANTS, hunt, run_seed

QUICK = {
    "forget the vote": "election safety",
    "commit on a minority": "durability",
    "acknowledge before the disk": "durability",
    "forget an fsync": "durability",
    "skip check-quorum": "check-quorum",
    "answer before commit": "acknowledged",
    "execute again on retry": "exactly-once",
    "follow the clock back": "time",
    "count learners at once": "liveness",
    "promote without waiting": "members",
    "end when removed": "retirement",
    "trust old keys": "stopped",
    "let pins move on": "snapshots",
}


@pytest.mark.parametrize(("name", "checker"), QUICK.items(), ids=QUICK)
def test_a_mutant_is_caught_by_the_checker_of_the_law_it_breaks(name: str, checker: str) -> None:
    caught = hunt(name)
    assert caught.checker == checker
    assert caught.seeds <= MUTANTS[name].seeds_max


def test_a_mutant_leaves_nothing_behind() -> None:
    before = run_seed(3)
    functions = (replication.advance_commit, election.on_vote_request, Store.rollback)
    for mutant in MUTANTS.values():
        with mutant.applied():
            changed = [(owner, name, value) for owner, name, value in mutant.changes]
        for owner, name, value in changed:
            now = owner[name] if isinstance(owner, dict) else vars(owner)[name]
            assert now is not value
    assert functions == (replication.advance_commit, election.on_vote_request, Store.rollback)
    assert run_seed(3) == before


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 50
    assert all(mutant.name == name and mutant.breaks for name, mutant in MUTANTS.items())


def arguments(function: object) -> int | None:
    """Return how many arguments something takes; None for what is no function, or takes any number."""
    if not inspect.isfunction(function):
        return None
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    any_number = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return None if any_number & set(kinds) else len(kinds)


def test_mutants_take_the_arguments_of_what_they_replace() -> None:
    """One that is called wrongly stops a world, and so seems caught by whatever law it is for."""
    wrong = []
    for mutant in MUTANTS.values():
        for owner, name, value in mutant.changes:
            if not isinstance(name, str):
                continue  # A row of a table, which is called by its own rules.
            takes, replaced = arguments(value), arguments(getattr(owner, name, None))
            if takes is not None and replaced is not None and takes != replaced:
                wrong.append(f"{mutant.name}: {name} takes {takes} arguments, not {replaced}")
    assert not wrong
