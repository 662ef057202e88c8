"""Merkle-Patricia roots over the kept ``trie`` library: readable, for headers, tests and audits.

This room knows the tries of the yellow paper (§4.1, §4.3.2, appendix D) and reads whole state. It
must not be on a fast path: native engines compute the same roots in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

import rlp
from eth_hash.auto import keccak
from trie import HexaryTrie

from coco_ethereum.engine import State
from coco_ethereum.state import decode_account, flatten

EMPTY_ROOT: Final = keccak(rlp.encode(b""))


def trie_root(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the root of a trie of key-value pairs; empty values are not allowed."""
    trie = HexaryTrie({}, prune=True)
    with trie.squash_changes() as batch:
        for key, value in items:
            batch[key] = value
    return bytes(trie.root_hash)


def ordered_trie_root(items: Sequence[bytes]) -> bytes:
    """Return the root of ``rlp(index) -> item``: transactions and receipts of a block (§4.3.2)."""
    return trie_root((rlp.encode(index), item) for index, item in enumerate(items))


def secure_trie_root(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the root of ``keccak(key) -> value``, as state and storage are hashed (§4.1)."""
    return trie_root((keccak(key), value) for key, value in items)


def state_root(state: State) -> bytes:
    """Return the root over all accounts and their storage (§4.1)."""
    storage_roots = {
        address: secure_trie_root((key[20:], rlp.encode(value)) for key, value in slots)
        for address, slots in groupby(sorted(flatten(state.storage).items()), lambda item: item[0][:20])
    }
    return secure_trie_root(
        (address, _account_leaf(value, storage_roots.get(address, EMPTY_ROOT)))
        for address, value in flatten(state.accounts).items()
    )


def _account_leaf(value: bytes, storage_root: bytes) -> bytes:
    account = decode_account(value)
    leaf: bytes = rlp.encode([account.nonce, account.balance, storage_root, account.code_hash])
    return leaf
