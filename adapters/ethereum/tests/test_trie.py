"""Merkle-Patricia roots against Ethereum's vectors."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import rlp

from coco_ethereum.engine import State
from coco_ethereum.state import Account, encode_account
from coco_ethereum.trie import EMPTY_ROOT, ordered_trie_root, secure_trie_root, state_root, trie_root


def vectors(shared: Path, name: str) -> dict[str, Any]:
    with tarfile.open(shared / "data/conformance/ethereum-tests-basic.tar.xz") as archive:
        [member] = [one for one in archive.getmembers() if one.name.endswith(f"TrieTests/{name}.json")]
        file = archive.extractfile(member)
        assert file is not None
        loaded: dict[str, Any] = json.load(file)
        return loaded


def entry(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def final_items(given: Any) -> list[tuple[bytes, bytes]]:
    """Return what a vector's writes leave: later ones win, None deletes."""
    final: dict[bytes, bytes | None] = {}
    for key, value in given.items() if isinstance(given, dict) else given:
        final[entry(key)] = None if value is None else entry(value)
    return [(key, value) for key, value in final.items() if value is not None]


@pytest.mark.shared
@pytest.mark.parametrize("name", ["trieanyorder", "trietest"])
def test_plain_tries(shared: Path, name: str) -> None:
    for title, vector in vectors(shared, name).items():
        assert trie_root(final_items(vector["in"])).hex() == vector["root"][2:], title


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["trieanyorder_secureTrie", "trietest_secureTrie", "hex_encoded_securetrie_test"]
)
def test_secure_tries(shared: Path, name: str) -> None:
    for title, vector in vectors(shared, name).items():
        assert secure_trie_root(final_items(vector["in"])).hex() == vector["root"][2:], title


def test_an_empty_trie() -> None:
    assert EMPTY_ROOT.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    assert trie_root([]) == ordered_trie_root([]) == state_root(State([{}], [{}], [{}])) == EMPTY_ROOT


def test_ordered_roots_commit_to_order() -> None:
    items = [bytes([n]) * 40 for n in range(20)]
    assert ordered_trie_root(items) == trie_root((rlp.encode(n), item) for n, item in enumerate(items))
    assert ordered_trie_root(items) != ordered_trie_root(items[::-1])


def test_state_roots_ignore_storage_nobody_owns() -> None:
    address = b"\x01" * 20
    stored = encode_account(Account(nonce=1))
    assert stored is not None
    lone = {b"\x02" * 52: b"\x01"}
    assert state_root(State([{address: stored}], [lone], [{}])) == state_root(
        State([{address: stored}], [{}], [{}])
    )
