"""Which transactions may run now: those that overlap no earlier one whose fate is open. Sans-IO.

Two transactions overlap when one may write where the other may read or write, by the prefixes they declare.
Within its own batch a transaction waits until those before it that overlap are done; for transactions of
earlier batches it waits until their batches are decided, since a batch has effect as a whole or not at all.
Every batch begins with a gate, where what concerns all of it is checked; it may have reads of its own.

The result equals a serial execution: when a transaction fails, those before it in its batch still run, so
that the first failure in order is the one that is told, and those after it are skipped. A transaction that is
skipped hands on what it waited for, so that nobody who waits for it runs too early.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from coco_sawtooth.addresses import overlap

GATE: Final = -1
"""The position of a batch's gate."""
WIDE: Final = 16
"""So many places below a prefix, and whoever reads it is remembered."""


class _State(enum.Enum):
    WAITING = 0
    RUNNING = 1
    FINISHED = 2


@attrs.define(slots=True, eq=False)
class Node:
    """A transaction of a batch, or its gate."""

    batch: int
    position: int
    state: _State = _State.WAITING
    waits_for: int = 0
    inside: list[Node] = attrs.field(factory=list, repr=False)
    """Nodes of its own batch that wait until it is finished."""
    outside: list[Node] = attrs.field(factory=list, repr=False)
    """Nodes of later batches that wait until its batch is decided."""


@attrs.define(slots=True, eq=False)
class _Batch:
    nodes: list[Node] = attrs.field(factory=list)
    failed_at: int | None = None
    open: int = 0
    decided: bool = False


@attrs.define(slots=True, eq=False)
class _Entry:
    """Who used a prefix: the last that may write there, and who may read there since."""

    writer: Node | None = None
    readers: list[Node] = attrs.field(factory=list)


class _Index:
    """Prefixes in use, by what they begin with."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._lengths: list[int] = []
        self._below: dict[str, set[str]] = {}
        self._written: list[tuple[str, Node]] = []
        """Every prefix that somebody may write, in order."""
        self._seen: dict[str, tuple[int, list[Node]]] = {}
        """Of prefixes with many below: the length of ``_written``, and whom somebody waited for then."""

    def writers(self, prefix: str) -> list[Node]:
        """Return who may write what begins with ``prefix``, or others who wait for all of them."""
        if prefix not in self._seen:
            found = [entry.writer for entry in self._overlapping(prefix) if entry.writer is not None]
            if len(found) < WIDE:
                return found
        else:
            # Who reads everything again and again is compared with what is new.
            position, before = self._seen[prefix]
            new = (node for written, node in self._written[position:] if overlap(written, prefix))
            found = [*before, *new]
        found = list({id(node): node for node in found}.values())
        self._seen[prefix] = len(self._written), found
        return found

    def write(self, prefix: str, node: Node) -> None:
        """Note that a node may write there; it waits for everybody who used it before."""
        self._forget_below(prefix)
        entry = self.entry(prefix)
        entry.writer, entry.readers = node, []
        self._written.append((prefix, node))

    def waited(self, prefix: str, outputs: Sequence[str]) -> None:
        """Note that a node waits for all ``writers`` of a prefix; it stands for them if it writes there."""
        found = self._seen.get(prefix)
        if found is not None and any(overlap(prefix, output) for output in outputs[:WIDE]):
            self._seen[prefix] = found[0], []

    def users(self, prefix: str) -> Iterator[Node]:
        """Yield who may read or write there since anybody before them may have written."""
        for entry in self._overlapping(prefix):
            if entry.writer is not None:
                yield entry.writer
            yield from entry.readers

    def _overlapping(self, prefix: str) -> Iterator[_Entry]:
        """Yield the entries of prefixes that begin with ``prefix``, or the other way round."""
        if len(prefix) not in self._lengths:
            self._add_length(len(prefix))
        for length in self._lengths:
            if length > len(prefix):
                break
            found = self._entries.get(prefix[:length])
            if found is not None:
                yield found
        for longer in self._below.get(prefix, ()):
            yield self._entries[longer]

    def entry(self, prefix: str) -> _Entry:
        """Return the entry of a prefix that has been looked up, new when there is none."""
        found = self._entries.get(prefix)
        if found is None:
            found = self._entries[prefix] = _Entry()
            for length in self._lengths:
                if length < len(prefix):
                    self._below.setdefault(prefix[:length], set()).add(prefix)
        return found

    def _forget_below(self, prefix: str) -> None:
        """Drop the entries of longer prefixes: whoever writes everywhere below waits for all of them."""
        for longer in self._below.pop(prefix, ()):
            del self._entries[longer]
            for length in self._lengths:
                if length < len(longer) and longer[:length] in self._below:
                    self._below[longer[:length]].discard(longer)

    def _add_length(self, length: int) -> None:
        self._lengths = sorted([*self._lengths, length])
        for prefix in self._entries:
            if length < len(prefix):
                self._below.setdefault(prefix[:length], set()).add(prefix)


class Schedule:
    """The order in which transactions of several batches may run."""

    def __init__(self) -> None:
        """Begin without batches."""
        self._batches: list[_Batch] = []
        self._index = _Index()
        self._ready: deque[Node] = deque()
        self._decided: list[int] = []

    def add(
        self,
        transactions: Sequence[tuple[Sequence[str], Sequence[str]]],
        *,
        gate_reads: Sequence[str] = (),
        after: Iterable[int] = (),
    ) -> int:
        """Add a batch behind the others and return its number.

        ``transactions`` are inputs and outputs of each; ``after`` are earlier batches that must be decided
        before its gate opens.
        """
        number = len(self._batches)
        batch = _Batch()
        self._batches.append(batch)
        gate = Node(number, GATE)
        batch.nodes.append(gate)
        before = {id(node): node for node in (self._batches[each].nodes[0] for each in after)}
        self._place(gate, gate_reads, (), before)
        for position, (inputs, outputs) in enumerate(transactions):
            node = Node(number, position)
            batch.nodes.append(node)
            self._place(node, inputs, outputs, {id(gate): gate})
        batch.open = len(batch.nodes)
        self._pass([node for node in batch.nodes if not node.waits_for])
        return number

    def _place(
        self, node: Node, inputs: Sequence[str], outputs: Sequence[str], before: dict[int, Node]
    ) -> None:
        """Let a node wait for those in ``before`` and for those it overlaps with."""
        for prefix in outputs:
            before.update((id(other), other) for other in self._index.users(prefix))
        for prefix in inputs:
            before.update((id(other), other) for other in self._index.writers(prefix))
        for prefix in outputs:
            self._index.write(prefix, node)
        for prefix in inputs:
            self._index.waited(prefix, outputs)
            readers = self._index.entry(prefix).readers
            # Whoever waits for this node waits for all that it waits for.
            if len(readers) > 1 and all(id(reader) in before for reader in readers):
                readers.clear()
            if not readers or readers[-1] is not node:
                readers.append(node)
        for other in before.values():
            self._follow(node, other)

    def _follow(self, node: Node, other: Node) -> None:
        same = node.batch == other.batch
        if self._batches[other.batch].decided and other.state is not _State.WAITING:
            return
        if same and other.state is _State.FINISHED:
            return
        node.waits_for += 1
        (other.inside if same else other.outside).append(node)

    def ready(self) -> Node | None:
        """Return a node that may run now and has not been returned before, or None."""
        while self._ready:
            node = self._ready.popleft()
            failed_at = self._batches[node.batch].failed_at
            if node.state is _State.FINISHED:
                continue
            if failed_at is None or node.position < failed_at:
                return node
            # Its batch failed after it was let pass and before it began.
            node.state = _State.FINISHED
            self._batches[node.batch].open -= 1
            self._release(node.inside)
        return None

    def finish(self, node: Node, *, valid: bool) -> list[int]:
        """Take note of a node's result; return the batches that are decided by it.

        The result of a node whose batch was decided meanwhile changes nothing.
        """
        if node.state is _State.FINISHED:
            return []
        batch = self._batches[node.batch]
        if not valid and (batch.failed_at is None or node.position < batch.failed_at):
            batch.failed_at = node.position
        node.state = _State.FINISHED
        batch.open -= 1
        self._release(node.inside)
        self._decide(node.batch)
        decided, self._decided = self._decided, []
        return decided

    def failed_at(self, batch: int) -> int | None:
        """Return the position of the first failure of a batch, None when there was none."""
        return self._batches[batch].failed_at

    def _decide(self, number: int) -> None:
        batch = self._batches[number]
        if batch.decided:
            return
        failed_at = batch.failed_at
        if failed_at is None:
            if batch.open:
                return
        elif any(node.state is not _State.FINISHED for node in batch.nodes[: failed_at + 2]):
            return
        batch.decided = True
        self._decided.append(number)
        for node in batch.nodes:
            if node.state is _State.RUNNING:
                node.state = _State.FINISHED
                self._release(node.inside)
        for node in batch.nodes:
            if node.state is not _State.WAITING:
                self._release(node.outside)

    def _release(self, nodes: list[Node]) -> None:
        free: list[Node] = []
        for node in nodes:
            node.waits_for -= 1
            if not node.waits_for:
                free.append(node)
        nodes.clear()
        self._pass(free)

    def _pass(self, nodes: list[Node]) -> None:
        """Let nodes that wait for nobody run, or skip them where their batch has failed before them."""
        work = deque(nodes)
        while work:
            node = work.popleft()
            batch = self._batches[node.batch]
            skipped = batch.decided or (batch.failed_at is not None and node.position > batch.failed_at)
            if not skipped:
                node.state = _State.RUNNING
                self._ready.append(node)
                continue
            node.state = _State.FINISHED
            batch.open -= 1
            for followers in (node.inside, node.outside) if batch.decided else (node.inside,):
                for follower in followers:
                    follower.waits_for -= 1
                    if not follower.waits_for:
                        work.append(follower)
                followers.clear()
