"""revm as a Python module: execute a block's raw transactions over key-value state in one call.

Knows nothing of the Coco packages: it reads attributes of what it is given and returns plain tuples.
``coco_ethereum.engines.revm`` makes the engine of them.
"""

from coco_ethereum_revm._native import (
    FORKS,
    REVM_VERSION,
    StateError,
    call,
    execute,
    keccak256,
    ordered_trie_root,
    state_root,
)

__all__ = [
    "FORKS",
    "REVM_VERSION",
    "StateError",
    "call",
    "execute",
    "keccak256",
    "ordered_trie_root",
    "state_root",
]
