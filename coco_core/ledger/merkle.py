"""The append-only Merkle tree over all entries (CCF / merklecpp semantics).

Leaf 0 is 32 zero bytes, leaf ``n`` belongs to seqno ``n``. A parent is SHA-256(left || right); a node
without a right sibling is promoted, not paired with itself (the shape of RFC 6962 §2.1, without its
domain separation: the format's, kept for independent tools). The root signed at seqno ``n`` is over
leaves ``0..n-1``. All complete nodes are kept, 64 bytes per leaf, so roots and paths of any earlier
size stay available, back to where a tree that was read from its flushed form begins. The room knows
digests only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from coco_core.base import invariant
from coco_core.base.limits import MERKLE_PATH_LENGTH_MAX, SERIALISED_TREE_SIZE_MAX_BYTES
from coco_core.errors import CallerError, IntegrityError

LEAF_ZERO: Final = bytes(32)
_SIZE = 32
_COUNTS = struct.Struct(">QQ")

Path = Sequence[tuple[bool, bytes]]
"""From leaf to root: whether the sibling is on the left, and its digest."""


class MerkleTree:
    """The tree in memory: whole, or from its first leaf on that is not flushed.

    Of flushed leaves one root per complete subtree remains. On a level with an odd number of flushed
    nodes that is the last of them, on others none, so a level begins at that number with its lowest
    bit cleared.
    """

    __slots__ = ("_flushed", "_levels", "_size")

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray(LEAF_ZERO)]
        self._size = 1
        self._flushed = 0

    @classmethod
    def from_serialised(cls, data: bytes) -> MerkleTree:
        """Read a tree as ``serialise`` writes it; raises IntegrityError if malformed."""
        flushed, subtrees, retained = _read_serialised(data)
        tree = cls()
        tree._levels = [bytearray() for _ in range(max(flushed.bit_length(), 1))]
        for height, digest in subtrees:
            tree._levels[height] += digest
        tree._size = tree._flushed = flushed
        tree.append_many(retained)
        return tree

    @property
    def size(self) -> int:
        """Number of leaves, leaf 0 included: one more than the last seqno."""
        return self._size

    @property
    def first_leaf(self) -> int:
        """The first leaf that is known itself; 0 for a tree that was grown here."""
        return self._flushed

    def append(self, leaf: bytes) -> None:
        """Add the next leaf; on average one hash."""
        levels = self._levels
        index = self._size
        levels[0] += leaf
        height, digest = 0, leaf
        while index & 1:
            below = levels[height]
            digest = sha256(below[-64:]).digest()
            height += 1
            index >>= 1
            if height == len(levels):
                levels.append(bytearray())
            levels[height] += digest
        self._size += 1

    def append_many(self, leaves: Iterable[bytes]) -> None:
        """Add leaves in order."""
        for leaf in leaves:
            self.append(leaf)

    def truncate(self, size: int) -> None:
        """Forget leaves so that ``size`` remain; the first that is known always does."""
        invariant(self._flushed < size <= self._size, f"cannot truncate {self._size} leaves to {size}")
        for height, level in enumerate(self._levels):
            del level[((size >> height) - self._start(height)) * _SIZE :]
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()
        self._size = size

    def leaf(self, index: int) -> bytes:
        """Return one leaf; raises CallerError below ``first_leaf``."""
        invariant(0 <= index < self._size, f"no leaf {index} in a tree of {self._size}")
        self._check_known(index)
        return self._node(0, index)

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first ``size`` leaves (all of them by default).

        Raises CallerError when none of them is known itself; so do ``path`` and ``serialise``.
        """
        size = self._size if size is None else size
        invariant(1 <= size <= self._size, f"no root over {size} leaves in a tree of {self._size}")
        self._check_known(size - 1)
        return self._range_root(0, size)

    def path(self, index: int, size: int | None = None) -> list[tuple[bool, bytes]]:
        """Return the path from leaf ``index`` to the root over the first ``size`` leaves."""
        size = self._size if size is None else size
        invariant(0 <= index < size <= self._size, f"no path for leaf {index} of {size} in {self._size}")
        self._check_known(index)
        steps: list[tuple[bool, bytes]] = []
        height = 0
        while (1 << height) < size:
            sibling = index ^ 1
            begin = sibling << height
            if begin + (1 << height) <= size:
                steps.append((bool(index & 1), self._node(height, sibling)))
            elif begin < size:
                steps.append((False, self._range_root(begin, size)))
            index >>= 1
            height += 1
        return steps

    def serialise(self, size: int | None = None) -> bytes:
        """Return the first ``size`` leaves in merklecpp's flushed form: last leaf, roots of the rest.

        A few hundred bytes whatever the size: ``u64 retained = 1, u64 flushed`` (big-endian), the
        last leaf, then one subtree root per set bit of ``flushed``, smallest subtree first.
        """
        size = self._size if size is None else size
        invariant(1 <= size <= self._size, f"cannot serialise {size} of {self._size} leaves")
        self._check_known(size - 1)
        flushed = size - 1
        parts = [_COUNTS.pack(1, flushed), self._node(0, flushed)]
        parts += [digest for _, digest in reversed(self._peaks(0, flushed))]
        return b"".join(parts)

    def _check_known(self, index: int) -> None:
        if index < self._flushed:
            raise CallerError(f"leaf {index} is not known here: the tree begins at leaf {self._flushed}")

    def _start(self, height: int) -> int:
        """Return the index of the first node kept on a level."""
        return (self._flushed >> height) & ~1

    def _node(self, height: int, index: int) -> bytes:
        at = (index - self._start(height)) * _SIZE
        return bytes(self._levels[height][at : at + _SIZE])

    def _peaks(self, begin: int, end: int) -> list[tuple[int, bytes]]:
        """Return height and digest of the largest complete subtrees that cover ``begin..end-1``.

        ``begin`` is a multiple of every subtree that fits behind it, which holds for all callers.
        """
        peaks: list[tuple[int, bytes]] = []
        while begin < end:
            height = (end - begin).bit_length() - 1
            peaks.append((height, self._node(height, begin >> height)))
            begin += 1 << height
        return peaks

    def _range_root(self, begin: int, end: int) -> bytes:
        return _fold([digest for _, digest in self._peaks(begin, end)])


class MerkleFrontier:
    """Only what is needed to go on appending: one digest per set bit of the size.

    For auditors, who read forward and never issue paths.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = [(0, LEAF_ZERO)]
        self._size = 1

    @classmethod
    def from_serialised(cls, data: bytes) -> MerkleFrontier:
        """Read a tree as the ledger's tree table holds it; raises IntegrityError if malformed."""
        flushed, subtrees, retained = _read_serialised(data)
        tree = cls()
        tree._peaks, tree._size = subtrees, flushed
        for leaf in retained:
            tree.append(leaf)
        return tree

    @property
    def size(self) -> int:
        """Number of leaves, leaf 0 included."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the next leaf."""
        peaks = self._peaks
        height, digest = 0, leaf
        while peaks and peaks[-1][0] == height:
            digest = sha256(peaks.pop()[1] + digest).digest()
            height += 1
        peaks.append((height, digest))
        self._size += 1

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return _fold([digest for _, digest in self._peaks])


def root_from_path(leaf: bytes, path: Path) -> bytes:
    """Return the root that ``path`` leads to from ``leaf``; raises IntegrityError if it is malformed."""
    if len(path) > MERKLE_PATH_LENGTH_MAX:
        raise IntegrityError(f"Merkle path of {len(path)} steps exceeds {MERKLE_PATH_LENGTH_MAX}")
    digest = leaf
    for left, sibling in path:
        if len(sibling) != _SIZE:
            raise IntegrityError(f"Merkle path holds a digest of {len(sibling)} bytes")
        digest = sha256(sibling + digest if left else digest + sibling).digest()
    return digest


def _read_serialised(data: bytes) -> tuple[int, list[tuple[int, bytes]], list[bytes]]:
    """Return how many leaves are flushed, their subtrees' heights and roots, and the leaves behind them.

    The largest subtree comes first, as everywhere in this file.
    """
    if not _COUNTS.size <= len(data) <= SERIALISED_TREE_SIZE_MAX_BYTES:
        raise IntegrityError(f"serialised tree has {len(data)} bytes")
    retained, flushed = _COUNTS.unpack_from(data)
    digests = [data[at : at + _SIZE] for at in range(_COUNTS.size, len(data), _SIZE)]
    if retained == 0 or flushed >= 2**MERKLE_PATH_LENGTH_MAX:
        raise IntegrityError(f"serialised tree retains {retained} leaves after {flushed}")
    if len(data) != _COUNTS.size + _SIZE * (retained + flushed.bit_count()):
        raise IntegrityError(f"serialised tree of {len(data)} bytes does not fit its counts")
    heights = [height for height in range(flushed.bit_length()) if flushed >> height & 1]
    subtrees = list(zip(heights, digests[retained:], strict=True))[::-1]
    return flushed, subtrees, digests[:retained]


def _fold(peaks: list[bytes]) -> bytes:
    """Join subtree roots, largest first, the way promotion of odd nodes does: from the right."""
    digest = peaks[-1]
    for left in reversed(peaks[:-1]):
        digest = sha256(left + digest).digest()
    return digest
