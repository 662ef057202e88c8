"""The tree beside the maps: whoever executes, whatever is dropped, its root is that of the state."""

from __future__ import annotations

import hashlib

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coco_core.adapter import CommittedBatch, TxID
from coco_core.kv import Store
from coco_sawtooth import messages
from coco_sawtooth.merkle import EMPTY_ROOT, state_root, tree_of
from coco_sawtooth.records import BLOCK_IDS, STATE, Block
from coco_sawtooth.roots import StateRoots

KEYS = [bytes([number]) * 35 for number in range(6)]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.binary(max_size=3)), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("execute"), st.lists(CHANGES, min_size=1, max_size=3)),
        st.tuples(st.just("fail"), CHANGES),
        st.tuples(
            st.sampled_from(["commit", "drop", "other leads", "catch up", "restore", "warm", "warm twice"]),
            st.none(),
        ),
    ),
    max_size=25,
)


@attrs.define
class Network:
    """One agreed state, and two nodes that keep roots of it; the first of them leads."""

    store: Store = attrs.field(factory=Store)
    nodes: list[StateRoots] = attrs.field(factory=lambda: [StateRoots(), StateRoots()])
    heads: list[Block] = attrs.field(factory=list)
    open: list[tuple[int, dict, int]] = attrs.field(factory=list)
    made: int = 0

    def begin(self) -> None:
        """Put the first block in place."""
        self.heads = [self.block()]
        self.store.append(1, {BLOCK_IDS: {bytes.fromhex(self.heads[0].id): b""}})
        self.store.commit(1)

    def block(self) -> Block:
        self.made += 1
        return Block(
            id=hashlib.sha512(bytes([self.made % 256, self.made // 256])).hexdigest(),
            header=messages.BlockHeader(),
            header_bytes=b"",
            base_seqno=0,
        )

    def stand(self) -> StateRoots:
        """Let the leader begin to execute."""
        roots = self.nodes[0]
        if roots.is_cold:
            warming = roots.begin_warming(self.store.head())
            roots.warm(warming, tree_of(warming.items))
        roots.stand_at(self.heads[-1], self.store.head())
        return roots

    def state(self) -> dict[bytes, bytes]:
        return dict(self.store.head().items(STATE))

    def execute(self, blocks: list[dict]) -> None:
        """Execute one core batch of blocks, checking every root."""
        roots, state, layer = self.stand(), self.state(), {STATE: {}, BLOCK_IDS: {}}
        for changes in blocks:
            root = roots.root_after(changes)
            for key, value in changes.items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
            assert root == (state_root(state) if state else EMPTY_ROOT)
            block = self.block()
            roots.made(block)
            self.heads.append(block)
            layer[STATE].update(changes)
            layer[BLOCK_IDS][bytes.fromhex(block.id)] = b""
        seqno = self.store.head_version + 1
        self.store.append(seqno, layer)
        self.open.append((seqno, layer, len(blocks)))

    def do(self, what: str, argument) -> None:
        match what:
            case "execute":
                self.execute(argument)
            case "fail":
                # Execution that ends in the middle: what it changed became no block.
                self.stand().root_after(argument)
            case "commit" if self.open:
                seqno, layer, _ = self.open.pop(0)
                self.store.commit(seqno)
                for node in self.nodes:
                    node.committed(CommittedBatch(TxID(2, seqno), layer))
            case "drop" if self.open:
                _, _, blocks = self.open.pop()
                self.store.rollback(self.store.head_version - 1)
                del self.heads[-blocks:]
            case "other leads":
                self.nodes.reverse()
            case "catch up":
                self.nodes[1].catch_up(self.store.view(), 2)
            case "restore":
                self.nodes[1].forget()
            case "warm":
                # A node begins to make its tree, and things go on before it has it.
                node = self.nodes[1]
                warming = node.begin_warming(self.store.view())
                self.execute([{KEYS[0]: b"meanwhile"}])
                self.do("commit", None)
                node.warm(warming, tree_of(warming.items))
            case "warm twice":
                # It takes over while it makes its tree, and makes another one to execute.
                node = self.nodes[1]
                warming = node.begin_warming(self.store.view())
                self.execute([{KEYS[0]: b"twice"}])
                self.do("commit", None)
                self.nodes.reverse()
                self.execute([{KEYS[1]: b"twice"}])
                node.warm(warming, tree_of(warming.items))


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_roots_are_those_of_the_state_whoever_leads(steps):
    network = Network()
    network.begin()
    for what, argument in steps:
        network.do(what, argument)
    network.execute([{KEYS[1]: b"last"}])
    network.nodes.reverse()
    network.execute([{KEYS[2]: b"after"}])


def test_a_tree_that_was_made_for_another_state_is_not_taken():
    roots = StateRoots()
    store = Store()
    warming = roots.begin_warming(store.view())
    roots.forget()
    roots.warm(warming, tree_of(warming.items))
    assert roots.is_cold
    with pytest.raises(RuntimeError):
        roots.root_after({})
    roots.catch_up(store.view(), 10)
    assert roots.stale == 0


def test_what_was_read_beforehand_is_hashed_beforehand():
    """Hashing is most of the work: left to the first block, it would hold up the whole node."""
    roots, store = StateRoots(), Store()
    store.append(1, {STATE: {KEYS[0]: b"one"}})
    store.commit(1)
    warming = roots.begin_warming(store.view())
    roots.warm(warming, tree_of(warming.items))
    assert roots._tree._root == state_root({KEYS[0]: b"one"})
    of_another = {STATE: {KEYS[1]: b"two"}, BLOCK_IDS: {b"block": b""}}
    store.append(2, of_another)
    store.commit(2)
    roots.committed(CommittedBatch(TxID(2, 2), of_another))
    roots.catch_up(store.view(), 10)
    assert roots._tree._root == state_root({KEYS[0]: b"one", KEYS[1]: b"two"})
