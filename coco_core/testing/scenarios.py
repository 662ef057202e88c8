"""Scenario transcripts: text that is at once a test and an explanation of consensus.

A scenario file holds blocks parted by blank lines: ``#`` comments, commands, ``----``, and the exact log
of what the commands made the nodes do. :func:`run_transcript` plays the commands on a fresh
:class:`~coco_core.testing.stage.Stage` and returns the file as it should read; a test compares, or
rewrites the file for a human to review the difference.

Commands (``a`` stands for any node; ``x*`` is a committable entry with the data ``x``, and ``{a,b/c}`` one
that makes a and b the voters and c a learner)::

    nodes a b c [founder=a] [term=2] [timeout=4] [heartbeat=1] [bytes=N] [window=N] [cache=N] [lag=N]
    start d               d joins with an empty log, and waits to hear from a leader
    tick a [N]            N ticks pass on a
    propose a x y z*      a, being leader, proposes entries
    persist a             a's disk reports all it was told to store as durable
    report a VIEW.SEQNO   a's disk reports exactly this
    deliver [a] [b]       deliver what is under way now (to a; or from a to b)
    drop [a] [b]          lose what is under way now (to a; or from a to b)
    repeat a b            deliver what is under way from a to b, and leave it there
    settle                persist and deliver until nothing is left to do
    cut a b | c           no way between the groups any more: what is sent is logged and lost
    heal                  every way is open again
    transfer a [b]        a is asked to hand leadership over (to b)
    snapshot a [N]        a makes a snapshot of what it agreed on, and forgets its entries (up to N)
    ship                  every snapshot under way arrives; where the way is cut it fails
    log                   every node's log: ``!`` up to here durable, ``|`` up to here agreed
    status                every node's role and place

A draw of randomness gives the n-th node ``low + n``, so the first node is the least patient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coco_core.base import NodeID, TxID
from coco_core.consensus import Effects, Entry, Membership, Persisted, TransferRequested
from coco_core.consensus.raft import Raft, RaftSettings
from coco_core.consensus.raft.messages import (
    Acknowledge,
    Append,
    CommitNotice,
    Message,
    Reject,
    StaleTerm,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    decode,
)
from coco_core.errors import CocoError
from coco_core.testing.stage import Letter, Stage, StageDisk, StageNode, write_members

SEPARATOR: Final = "----"


def run_transcript(text: str) -> str:
    """Play every block of ``text`` on one stage and return it with the log that really came out."""
    scenario = Scenario()
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        given = lines[: lines.index(SEPARATOR)] if SEPARATOR in lines else lines
        commands = [line for line in given if line and not line.startswith("#")]
        output = [line for command in commands for line in scenario.run(command)]
        blocks.append("\n".join([*given, SEPARATOR, *(output or ["(nothing)"])]))
    return "\n\n".join(blocks) + "\n"


class Scenario:
    """One stage driven by commands; keeps the log of the command under way."""

    def __init__(self) -> None:
        """Begin with an empty stage."""
        self.stage = Stage(self._observe)
        self._lines: list[str] = []
        self._options: dict[str, str] = {}
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "nodes": self._nodes,
            "start": self._start,
            "tick": self._tick,
            "propose": self._propose,
            "persist": lambda words: self._note(words[0], self.stage.persist(NodeID(words[0]))),
            "report": self._report,
            "deliver": self._deliver,
            "drop": self._drop,
            "repeat": self._repeat,
            "settle": lambda _words: self.stage.settle(),
            "cut": self._cut,
            "heal": lambda _words: self.stage.heal(),
            "transfer": self._transfer,
            "snapshot": self._snapshot,
            "ship": self._ship,
            "log": self._log,
            "status": self._status,
        }

    def run(self, command: str) -> list[str]:
        """Carry out one command and return what it made the nodes do."""
        self._lines = []
        name, *words = command.split()
        try:
            self._commands[name](words)
        except CocoError as error:
            self._lines.append(f"{type(error).__name__}: {error}")
        self.stage.judge.log_matching(list(self.stage.nodes.values()))
        return self._lines

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    def _nodes(self, words: list[str]) -> None:
        self._options = dict(word.split("=") for word in words if "=" in word)
        names = [NodeID(word) for word in words if "=" not in word]
        for name in names:
            self._add(name, frozenset(names), founding=self._options.get("founder") == name)

    def _start(self, words: list[str]) -> None:
        self._add(NodeID(words[0]), self.stage.founding, founding=False)

    def _add(self, name: NodeID, members: frozenset[NodeID], *, founding: bool) -> None:
        options, rank = self._options, len(self.stage.nodes)
        timeout = int(options.get("timeout", 4))
        settings = RaftSettings(
            node_id=name,
            members=members,
            learners=frozenset({name}) - members,
            first_term=int(options.get("term", 2)),
            election_timeout_ticks_min=timeout,
            election_timeout_ticks_max=timeout + max(rank, len(members)),
            heartbeat_ticks=int(options.get("heartbeat", 1)),
            append_size_max_bytes=int(options.get("bytes", 4096)),
            in_flight_max=int(options.get("window", 16)),
            log_cache_max_bytes=int(options.get("cache", 4096)),
            snapshot_lag_entries=int(options.get("lag", 1000)),
        )
        self.stage.add(name, _maker(settings, rank, founding=founding), founding=name in members)

    def _tick(self, words: list[str]) -> None:
        for _ in range(int(words[1]) if len(words) > 1 else 1):
            self.stage.tick(NodeID(words[0]))

    def _propose(self, words: list[str]) -> None:
        entries = [(word.rstrip("*").encode(), word.endswith("*")) for word in words[1:]]
        self.stage.propose(NodeID(words[0]), entries)

    def _report(self, words: list[str]) -> None:
        place = TxID.parse(words[1])
        effects = self.stage.handle(NodeID(words[0]), Persisted(place.seqno, place.view))
        self._note(words[0], None if effects == Effects() else effects)

    def _deliver(self, words: list[str]) -> None:
        for letter in self._under_way(words):
            self.stage.deliver(self.stage.pool.index(letter))

    def _drop(self, words: list[str]) -> None:
        for letter in self._under_way(words):
            self._lines.append(f"lost: {letter.sender} > {letter.to} {describe(decode(letter.message))}")
            self.stage.pool.remove(letter)

    def _repeat(self, words: list[str]) -> None:
        for letter in self._under_way(words):
            self.stage.deliver(self.stage.pool.index(letter), keep=True)

    def _cut(self, words: list[str]) -> None:
        groups = [[NodeID(name) for name in group.split()] for group in " ".join(words).split("|")]
        self.stage.cut(*groups)

    def _transfer(self, words: list[str]) -> None:
        target = NodeID(words[1]) if len(words) > 1 else None
        self.stage.handle(NodeID(words[0]), TransferRequested(target))

    def _snapshot(self, words: list[str]) -> None:
        self.stage.snapshot(NodeID(words[0]), int(words[1]) if len(words) > 1 else None)

    def _ship(self, _words: list[str]) -> None:
        for _ in range(len(self.stage.shipments)):
            self.stage.ship()

    def _log(self, _words: list[str]) -> None:
        for node in self.stage.nodes.values():
            status = node.engine.status()
            marks = {status.persisted_index: "!", status.commit_index: "|"}
            if status.persisted_index == status.commit_index:
                marks = {status.commit_index: "!|"}
            gone = node.disk.compacted_index
            held = [f"[to {gone}]{marks.get(gone, '')}"] if gone else [marks.get(0, "")]
            shown = [*held, *(_entry(e) + marks.get(e.index, "") for e in node.disk.entries[gone:])]
            self._lines.append(f"{node.node_id}: {' '.join(word for word in shown if word)}")

    def _status(self, _words: list[str]) -> None:
        for node in self.stage.nodes.values():
            s = node.engine.status()
            match = "".join(f" {peer}={index}" for peer, index in s.match.items())
            match = f", match{match}" if match else ""
            awaited = "".join(f", {peer} awaits snapshot {i}" for peer, i in s.awaiting_snapshot.items())
            members = ""
            if s.memberships != (Membership(0, self.stage.founding),):
                members = ", members " + " ".join(map(_members, s.memberships))
            leader = f" of {s.leader}" if s.leader not in (None, node.node_id) else ""
            self._lines.append(
                f"{node.node_id}: {s.role.value}{leader} term {s.term}, log to {s.last_term}.{s.last_index}, "
                f"durable to {s.persisted_index}, agreed to {s.commit_index}{match}{awaited}{members}"
            )

    # ── reporting ────────────────────────────────────────────────────────────────────────────────

    def _under_way(self, words: list[str]) -> list[Letter]:
        if len(words) == 2:
            return [x for x in self.stage.pool if (x.sender, x.to) == (words[0], words[1])]
        return [x for x in self.stage.pool if not words or x.to == words[0]]

    def _note(self, name: str, effects: Effects | None) -> None:
        if effects is None:
            self._lines.append(f"{name}: nothing new")

    def _observe(self, node: StageNode, effects: Effects) -> None:
        """Log what ``node`` asks for, in the order of the contract."""
        name, log = node.node_id, self._lines.append
        if effects.leadership is not None:
            role, leader = effects.leadership.role.value, effects.leadership.leader
            of = f" of {leader}" if leader not in (None, name) else ""
            log(f"{name}: {role}{of} in term {effects.leadership.term}")
        if effects.truncate_after is not None:
            log(f"{name}: drops what is after {effects.truncate_after}")
        if effects.install is not None:
            log(f"{name}: begins anew at the snapshot {effects.install}")
        if effects.append:
            log(f"{name}: stores {' '.join(map(_entry, effects.append))}")
        for send in effects.send:
            log(f"{name} > {send.to} {describe(decode(send.message))}")
        for snapshot in effects.send_snapshots:
            log(f"{name} ships snapshot {snapshot.term}.{snapshot.index} to {snapshot.to}")
        if effects.commit is not None:
            log(f"{name}: agreed to {effects.commit}")


def describe(message: Message) -> str:
    """Return one message in words."""
    match message:
        case Append():
            entries = " ".join(map(_entry, message.entries))
            place = f"{message.previous_term}.{message.previous_index}"
            text = f"Append after {place}: {entries}" if entries else f"Heartbeat at {place}"
            text += f", agreed {message.commit_index}"
        case CommitNotice():
            text = f"CommitNotice {message.commit_index}"
        case Acknowledge():
            text = f"Acknowledge {message.match_index}"
        case Reject():
            hint = f"{message.hint_term}.{message.hint_index}"
            text = f"Reject {message.previous_index}, hint {hint}"
        case VoteRequest():
            name = "PreVoteRequest" if message.pre else "VoteRequest"
            why = ", asked to stand" if message.transfer else ""
            text = f"{name} with {message.last_term}.{message.last_index}{why}"
        case VoteReply():
            text = f"{'PreVoteReply' if message.pre else 'VoteReply'} {'yes' if message.granted else 'no'}"
        case StaleTerm() | TimeoutNow():
            text = type(message).__name__
    return f"{text} (term {message.term})"


def _entry(entry: Entry) -> str:
    return f"{entry.term}.{entry.index}={entry.data.decode()}{'*' if entry.committable else ''}"


def _members(membership: Membership) -> str:
    return write_members(membership.voters, membership.learners).decode()


def _maker(settings: RaftSettings, rank: int, *, founding: bool) -> Callable[[StageDisk], Raft]:
    def draw(low: int, high: int) -> int:
        return min(low + rank, high)

    def make(reader: StageDisk) -> Raft:
        build = Raft.founder if founding else Raft
        return build(settings, draw=draw, reader=reader)

    return make
