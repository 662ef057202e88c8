"""The state root: Sawtooth's radix tree over addresses, with one level for each of their 35 bytes.

A node is the canonical CBOR map ``{"c": {token: hash of child}, "v": value or null}``, where a token is two
hex digits and a leaf's value is wrapped in CBOR once more; its hash is the first 64 hex digits of SHA-512.
The root is a function of what is in state and of nothing else.

``state_root`` computes it from all of it and is the reference; ``Tree`` keeps hashes of what did not change.
A subtree with one leaf is kept as that leaf: most levels are such chains.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterable, Mapping
from hashlib import sha512
from typing import Final

import attrs
import cbor2

from coco_sawtooth.addresses import ADDRESS_SIZE_BYTES

EMPTY_ROOT: Final = "708ca7fbb701799bb387f2e50deaca402e8502abe229f705693d2d4f350e1ad6"

_NO_CHILDREN: Final = b"\xa2\x61c\xa0\x61v"
_NO_VALUE: Final = b"\x61v\xf6"
_CHILD: Final = tuple(b"\x62" + b"%02x" % token + b"\x78\x40" for token in range(256))
"""What stands before the hash of the child at a token."""
_ONLY_CHILD: Final = tuple(b"\xa2\x61c\xa1" + child for child in _CHILD)
_MAP_HEAD: Final = tuple(
    bytes((0xA0 + count,)) if count < 24 else b"\xb8%c" % count if count < 256 else b"\xb9\x01\x00"
    for count in range(257)
)


def state_root(state: Mapping[bytes, bytes]) -> str:
    """Return the root of a whole state (64 hex digits)."""
    return _root_below(sorted(state), state, 0)


def _root_below(keys: list[bytes], state: Mapping[bytes, bytes], depth: int) -> str:
    children: dict[str, str] = {}
    value = None
    if depth == ADDRESS_SIZE_BYTES:
        value = cbor2.dumps(state[keys[0]])
    else:
        tokens: dict[int, list[bytes]] = {}
        for key in keys:
            tokens.setdefault(key[depth], []).append(key)
        children = {f"{token:02x}": _root_below(below, state, depth + 1) for token, below in tokens.items()}
    return sha512(cbor2.dumps({"c": children, "v": value}, canonical=True)).hexdigest()[:64]


def _hash(node: bytes) -> bytes:
    return hexlify(sha512(node).digest()[:32])


def _head(size: int) -> bytes:
    """Return what stands before a CBOR byte string."""
    if size < 24:
        return bytes((0x40 + size,))
    if size < 0x100:
        return bytes((0x58, size))
    return b"\x59" + size.to_bytes(2) if size < 0x10000 else b"\x5a" + size.to_bytes(4)


def leaf_hash(value: bytes) -> bytes:
    """Return the hash of a leaf as 64 hex digits in ASCII."""
    wrapped = _head(len(value)) + value
    return _hash(_NO_CHILDREN + _head(len(wrapped)) + wrapped)


@attrs.define(slots=True, eq=False)
class _Leaf:
    key: bytes
    hash: bytes

    def hash_at(self, depth: int) -> bytes:
        """Return the hash of the subtree at ``depth`` that holds this leaf alone."""
        found = self.hash
        for token in reversed(self.key[depth:]):
            found = hexlify(sha512(_ONLY_CHILD[token] + found + _NO_VALUE).digest()[:32])
        return found


@attrs.define(slots=True, eq=False)
class _Branch:
    children: dict[int, _Branch | _Leaf] = attrs.field(factory=dict)
    hashes: dict[int, bytes] = attrs.field(factory=dict)
    """Encoded children whose hash is known; who changes a child takes it out."""

    def hash_at(self, depth: int) -> bytes:
        """Return the hash of this subtree, whose root is at ``depth``."""
        hashes = self.hashes
        for token, child in self.children.items():
            if token not in hashes:
                hashes[token] = _CHILD[token] + child.hash_at(depth + 1)
        count = len(hashes)
        encoded = b"".join([hashes[token] for token in sorted(hashes)])
        return _hash(b"\xa2\x61c" + _MAP_HEAD[count] + encoded + _NO_VALUE)


class Tree:
    """The radix tree of a state that changes."""

    def __init__(self) -> None:
        """Begin empty."""
        self._top = _Branch()
        self._root = EMPTY_ROOT
        self._count = 0

    @property
    def count(self) -> int:
        """How many addresses have a value."""
        return self._count

    def update(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set values, and delete where the change is None; what is not there need not be deleted."""
        self._root = ""
        for key, value in changes.items():
            if value is None:
                self._delete(key)
            else:
                self._set(key, leaf_hash(value))

    @property
    def root(self) -> str:
        """The state root, 64 hex digits."""
        self.hash()
        return self._root

    def hash(self) -> None:
        """Hash what changed, so that who asks for the root next does not wait for it."""
        if not self._root:
            self._root = self._top.hash_at(0).decode() if self._count else EMPTY_ROOT

    def _set(self, key: bytes, hashed: bytes) -> None:
        branch = self._top
        for depth in range(ADDRESS_SIZE_BYTES):
            token = key[depth]
            branch.hashes.pop(token, None)
            child = branch.children.get(token)
            if child is None:
                branch.children[token] = _Leaf(key, hashed)
                self._count += 1
                return
            if isinstance(child, _Leaf):
                if child.key == key:
                    child.hash = hashed
                    return
                # Two leaves below this token now: the old one moves one level down.
                branch.children[token] = below = _Branch({child.key[depth + 1]: child})
                child = below
            branch = child

    def _delete(self, key: bytes) -> None:
        path: list[_Branch] = []
        child: _Branch | _Leaf | None = self._top
        while isinstance(child, _Branch):
            path.append(child)
            child = child.children.get(key[len(path) - 1])
        if child is None or child.key != key:
            return
        self._count -= 1
        for depth in range(len(path) - 1, -1, -1):
            branch, token = path[depth], key[depth]
            branch.hashes.pop(token, None)
            below = path[depth + 1] if depth + 1 < len(path) else None
            if below is None or not below.children:
                del branch.children[token]
            elif len(below.children) == 1:
                # A leaf that is alone again moves up; a branch stays.
                (only,) = below.children.values()
                if isinstance(only, _Leaf):
                    branch.children[token] = only


def tree_of(items: Iterable[tuple[bytes, bytes]]) -> Tree:
    """Return the tree of a whole state, its root known: hashing is most of the work."""
    tree = Tree()
    tree.update(dict(items))
    tree.hash()
    return tree
