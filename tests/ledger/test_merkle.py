"""The tree against the definition: pair neighbours, promote the odd one, level by level."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.base.invariants import BrokenInvariantError
from coco_core.errors import CallerError, IntegrityError
from coco_core.ledger import LEAF_ZERO, MerkleFrontier, MerkleTree, root_from_path

LEAVES = [LEAF_ZERO] + [sha256(bytes([n])).digest() for n in range(1, 80)]


def by_definition(leaves: list[bytes]) -> bytes:
    level = leaves
    while len(level) > 1:
        pairs = [sha256(level[n] + level[n + 1]).digest() for n in range(0, len(level) - 1, 2)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]


@pytest.fixture(scope="module")
def tree() -> MerkleTree:
    tree = MerkleTree()
    tree.append_many(LEAVES[1:])
    return tree


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_root_path_and_serialised_form_at_every_size(tree: MerkleTree, size: int) -> None:
    root = by_definition(LEAVES[:size])
    assert tree.root(size) == root
    for index in range(size):
        assert root_from_path(LEAVES[index], tree.path(index, size)) == root
    frontier = MerkleFrontier.from_serialised(tree.serialise(size))
    assert (frontier.size, frontier.root()) == (size, root)
    for leaf in LEAVES[size:]:
        frontier.append(leaf)
    assert frontier.root() == tree.root()


@pytest.mark.parametrize("retained", [1, 2, 3, 7])
def test_frontier_reads_trees_that_retain_more_leaves(tree: MerkleTree, retained: int) -> None:
    for flushed in range(20):
        heights = [height for height in range(8) if flushed >> height & 1]
        roots, begin = {}, 0
        for height in reversed(heights):
            roots[height] = by_definition(LEAVES[begin : begin + (1 << height)])
            begin += 1 << height
        data = retained.to_bytes(8, "big") + flushed.to_bytes(8, "big")
        data += b"".join(LEAVES[flushed : flushed + retained]) + b"".join(roots[h] for h in heights)
        assert MerkleFrontier.from_serialised(data).root() == tree.root(flushed + retained)
        part = MerkleTree.from_serialised(data)
        assert (part.root(), part.first_leaf) == (tree.root(flushed + retained), flushed)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_truncate_and_append_in_any_order(steps: list[tuple[int, int]]) -> None:
    tree, leaves = MerkleTree(), [LEAF_ZERO]
    for stamp, (more, fewer) in enumerate(steps):
        fresh = [sha256(f"{stamp}.{n}".encode()).digest() for n in range(more)]
        tree.append_many(fresh)
        leaves += fresh
        size = max(1, len(leaves) - fewer)
        tree.truncate(size)
        del leaves[size:]
        assert tree.size == len(leaves)
        assert tree.root() == by_definition(leaves)
        assert tree.leaf(size - 1) == leaves[-1]
        assert root_from_path(leaves[size // 2], tree.path(size // 2)) == tree.root()


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_a_tree_from_its_flushed_form_is_the_whole_one_from_there_on(tree: MerkleTree, size: int) -> None:
    grown = MerkleTree.from_serialised(tree.serialise(size))
    assert (grown.size, grown.first_leaf) == (size, size - 1)
    grown.append_many(LEAVES[size:])
    for later in range(size, len(LEAVES) + 1):
        assert grown.root(later) == tree.root(later)
        assert grown.serialise(later) == tree.serialise(later)
        for index in range(size - 1, later):
            assert grown.leaf(index) == LEAVES[index]
            assert grown.path(index, later) == tree.path(index, later)
    for below in range(size - 1):
        for ask in (
            grown.leaf,
            grown.path,
            lambda at: grown.root(at + 1),
            lambda at: grown.serialise(at + 1),
        ):
            with pytest.raises(CallerError, match=f"leaf {below} is not known here.* leaf {size - 1}"):
                ask(below)
    with pytest.raises(BrokenInvariantError):
        grown.truncate(size - 1)


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
def test_a_tree_from_its_flushed_form_grows_and_shrinks_like_the_whole_one(
    size: int, steps: list[tuple[int, int]]
) -> None:
    whole = MerkleTree()
    whole.append_many(LEAVES[1:size])
    part = MerkleTree.from_serialised(whole.serialise())
    for stamp, (more, fewer) in enumerate(steps):
        fresh = [sha256(f"{stamp}.{n}".encode()).digest() for n in range(more)]
        keep = max(size, whole.size + more - fewer)
        for each in (whole, part):
            each.append_many(fresh)
            each.truncate(keep)
        assert (part.size, part.root(), part.serialise()) == (whole.size, whole.root(), whole.serialise())
        assert part.path(keep - 1) == whole.path(keep - 1)
        again = MerkleTree.from_serialised(part.serialise())
        assert (again.root(), again.first_leaf) == (whole.root(), keep - 1)


def test_a_path_proves_one_leaf_only(tree: MerkleTree) -> None:
    path = tree.path(7)
    assert root_from_path(LEAVES[8], path) != tree.root()
    left, sibling = path[2]
    assert root_from_path(LEAVES[7], [*path[:2], (not left, sibling), *path[3:]]) != tree.root()


def test_malformed_paths_are_refused() -> None:
    with pytest.raises(IntegrityError, match="64 steps"):
        root_from_path(LEAF_ZERO, [(True, LEAF_ZERO)] * 64)
    with pytest.raises(IntegrityError, match="31 bytes"):
        root_from_path(LEAF_ZERO, [(True, bytes(31))])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(16),
        (0).to_bytes(8, "big") + (1).to_bytes(8, "big") + bytes(32),
        (1).to_bytes(8, "big") + (3).to_bytes(8, "big") + bytes(64),
        (2**60).to_bytes(8, "big") + (0).to_bytes(8, "big") + bytes(32),
        (1).to_bytes(8, "big") + (2**63).to_bytes(8, "big") + bytes(64),
    ],
)
def test_malformed_serialised_trees_are_refused(data: bytes) -> None:
    for kind in (MerkleFrontier, MerkleTree):
        with pytest.raises(IntegrityError):
            kind.from_serialised(data)


def test_asking_beyond_the_tree_is_our_own_bug(tree: MerkleTree) -> None:
    for ask in (
        lambda: tree.root(len(LEAVES) + 1),
        lambda: tree.root(0),
        lambda: tree.path(5, 5),
        lambda: tree.leaf(len(LEAVES)),
        lambda: tree.serialise(0),
        lambda: tree.truncate(0),
    ):
        with pytest.raises(BrokenInvariantError):
            ask()
