"""State roots: the real validator's, and the same from a tree that changes as from all of state."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_sawtooth.merkle import EMPTY_ROOT, Tree, state_root, tree_of

# Few tokens at few places, so that addresses share prefixes of every length.
PARTS = st.lists(st.sampled_from(b"\x00\x01\xff"), min_size=35, max_size=35).map(bytes)
CLOSE = st.builds(
    lambda prefix, place, token: prefix[:place] + bytes([token]) + prefix[place + 1 :],
    st.sampled_from([bytes(35), b"\x1c\xf1\x26" + bytes(32)]),
    st.integers(0, 34),
    st.integers(0, 255),
)
CHANGES = st.lists(
    st.dictionaries(st.one_of(PARTS, CLOSE), st.one_of(st.none(), st.binary(max_size=300)), max_size=8),
    max_size=8,
)


@pytest.mark.shared
def test_roots_are_the_real_validators(shared):
    recorded = json.loads(
        (shared / "data" / "sawtooth" / "merkle_roots_v1.0.5.json").read_text(encoding="utf-8")
    )
    assert recorded["empty_root"] == EMPTY_ROOT
    steps = 0
    for case in recorded["cases"]:
        state: dict[bytes, bytes] = {}
        tree = Tree()
        for step in case:
            changes = {bytes.fromhex(key): bytes.fromhex(value) for key, value in step["set"].items()}
            deleted = {bytes.fromhex(key): None for key in step["delete"]}
            state |= changes
            for key in deleted:
                state.pop(key, None)
            tree.update(changes | deleted)
            assert tree.root == step["root"] == state_root(state)
            steps += 1
    assert steps == 240


@given(rounds=CHANGES)
@settings(max_examples=60, deadline=None)
def test_a_tree_that_changes_has_the_root_of_what_is_in_it(rounds):
    state: dict[bytes, bytes] = {}
    tree = Tree()
    for changes in rounds:
        tree.update(changes)
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        expected = state_root(state) if state else EMPTY_ROOT
        assert tree.root == expected
        assert tree.count == len(state)
    assert tree_of(state.items()).root == tree.root


@pytest.mark.parametrize("size", [0, 1, 22, 23, 24, 254, 255, 256, 65_532, 65_535, 65_536])
def test_values_of_every_size(size):
    state = {bytes(35): b"v" * size}
    assert tree_of(state.items()).root == state_root(state)


@pytest.mark.parametrize("count", [1, 2, 23, 24, 255, 256])
def test_any_number_of_children(count):
    state = {bytes([token]) + bytes(34): b"v" for token in range(count)}
    assert tree_of(state.items()).root == state_root(state)


def test_an_empty_value_is_in_the_root():
    assert state_root({bytes(35): b""}) != EMPTY_ROOT
    tree = tree_of([(bytes(35), b"")])
    tree.update({bytes(35): None, b"\x01" + bytes(34): None})
    assert (tree.root, tree.count) == (EMPTY_ROOT, 0)
