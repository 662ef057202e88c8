"""Appends, acknowledgements and the commit rule.

The laws (Raft §5.3, §5.4.2, with CCF's signature-bounded commit):

* **Log matching.** A follower takes entries only behind a place it holds just as the leader does. It
  replaces entries of its own only where they conflict, never at or below what is agreed.
* **Durable before counted.** A node counts its own entries, and a follower acknowledges, only up to
  what ``Persisted`` has reported.
* **Commit.** The leader agrees on the highest *committable* entry of *its own term* that a quorum
  holds durably; all before it is agreed with it. A follower follows the leader's commit index as far
  as its log is known to match, down to a committable place.
* **Speed.** Appends leave when entries are proposed, before they are durable here; a new commit index
  leaves at once, with the next entries or as a notice that needs no answer. But reading entries back
  takes time, in which this node neither ticks nor answers: one append of them per event, and what
  follows when it is acknowledged, or with the answer to the next heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from coco_core.base import NodeID, invariant, limits
from coco_core.consensus.contract import EntriesCompactedError, Entry, Persisted, Proposed, Role
from coco_core.consensus.raft import membership, roles, snapshots, transfer
from coco_core.consensus.raft.core import Core, EncodedAppend
from coco_core.consensus.raft.messages import Acknowledge, Append, CommitNotice, Reject, encode
from coco_core.consensus.raft.progress import AWAITS_SNAPSHOT, Progress
from coco_core.errors import IntegrityError, PeerError

# ── leader ───────────────────────────────────────────────────────────────────────────────────────


def propose(core: Core, event: Proposed) -> None:
    """Append what the host proposes and send it on at once."""
    log, term = core.log, core.term
    invariant(core.role is Role.LEADER and event.term == term, "only the leader of a term proposes in it")
    invariant(event.first_index == log.last_index + 1, "a proposal continues the log")
    core.append(
        tuple(
            Entry(term, index, data, committable)
            for index, (data, committable) in enumerate(event.entries, start=event.first_index)
        )
    )
    for peer, progress in core.progress.items():
        send_entries(core, peer, progress)


def send_heartbeats(core: Core) -> None:
    """Tell every peer who leads; an answer also shows whether what was sent arrived."""
    core.heartbeat_elapsed = 0
    for peer, progress in core.progress.items():
        _send_heartbeat(core, peer, progress)


def introduce(core: Core, known: Set[NodeID]) -> None:
    """Send a first word to every peer but the ``known`` ones; its answer tells where its log ends."""
    for peer, progress in core.progress.items():
        if peer not in known:
            _send_heartbeat(core, peer, progress)


def send_entries(core: Core, peer: NodeID, progress: Progress) -> bool:
    """Send ``peer`` what it lacks, as far as its window allows; return whether any entry left."""
    settings, log, sent = core.settings, core.log, False
    while progress.next_index <= log.last_index and progress.may_send(settings.in_flight_max):
        lag = log.snapshot_index - progress.next_index
        if lag >= settings.snapshot_lag_entries and peer not in core.configuration.nodes:
            snapshots.begin(core, peer, progress)
            break
        try:
            encoded = _encoded_append(core, progress.next_index)
            if encoded is None:
                break
        except EntriesCompactedError:
            snapshots.begin(core, peer, progress)
            break
        core.send_encoded(peer, encoded.message)
        progress.sent(encoded.last_index)
        sent = True
    return sent


def on_acknowledge(core: Core, sender: NodeID, message: Acknowledge) -> None:
    """Count what a follower holds; commit and send more as that allows."""
    progress = core.progress.get(sender)
    if progress is None:
        return
    if message.match_index > core.log.last_index:
        raise PeerError(
            f"acknowledged entry {message.match_index} of a log that ends at {core.log.last_index}"
        )
    progress.active = True
    news = progress.acknowledged(message.match_index)
    if not (news and advance_commit(core)):
        send_entries(core, sender, progress)


def on_reject(core: Core, sender: NodeID, message: Reject) -> None:
    """Look further back for the place where a follower's log matches."""
    progress = core.progress.get(sender)
    if progress is None:
        return
    if not message.hint_index < message.previous_index <= core.log.last_index:
        raise PeerError(f"rejected entry {message.previous_index} with the hint {message.hint_index}")
    progress.active = True
    hint_index = core.log.hint(message.hint_index, message.hint_term)
    if progress.rejected(message.previous_index, hint_index):
        send_entries(core, sender, progress)


def advance_commit(core: Core) -> bool:
    """Agree on what a quorum holds durably, and tell everyone; return whether anything was agreed.

    What is agreed may take the say from earlier sets of members, so that more can be agreed at once; and
    a leader whose own removal is agreed goes.
    """
    log, news = core.log, False
    while core.role is Role.LEADER:
        match = {peer: progress.match_index for peer, progress in core.progress.items()}
        match[core.node_id] = log.persisted_index
        index = log.last_committable(core.configuration.agreed_index(match))
        if index <= log.commit_index or log.term_at(index) != core.term:
            break
        served, memberships = core.progress, core.memberships
        news = membership.agree(core, index)
        _tell_agreed(core, served)
        if core.memberships is memberships:
            break
        if core.node_id not in core.configuration.nodes:
            transfer.retire(core)
    return news


def _tell_agreed(core: Core, served: Mapping[NodeID, Progress]) -> None:
    """Tell every peer ``served`` until now, those just removed too, what is agreed."""
    notice = encode(CommitNotice(core.term, core.log.commit_index))
    for peer, progress in served.items():
        if not send_entries(core, peer, progress):
            core.send_encoded(peer, notice)


def _send_heartbeat(core: Core, peer: NodeID, progress: Progress) -> None:
    previous = previous_term = 0
    if progress.snapshot_index == AWAITS_SNAPSHOT:
        snapshots.begin(core, peer, progress)
    elif progress.snapshot_index is None:
        try:
            previous_term = _term_at(core, progress.next_index - 1)
            previous = progress.next_index - 1
        except EntriesCompactedError:
            snapshots.begin(core, peer, progress)
    core.send(peer, Append(core.term, previous, previous_term, core.log.commit_index, ()))


def _encoded_append(core: Core, next_index: int) -> EncodedAppend | None:
    """Return an append from ``next_index`` on, or None when it must wait for another event."""
    log, settings = core.log, core.settings
    place = (core.term, next_index, log.last_index, log.commit_index)
    encoded = core.encoded_append
    if encoded is None or encoded.place != place:
        if next_index < log.first_held:
            if core.read_back:
                return None
            core.read_back = True
        entries = log.entries_from(next_index, settings.append_size_max_bytes, limits.APPEND_ENTRIES_MAX)
        previous = next_index - 1
        message = encode(Append(core.term, previous, _term_at(core, previous), log.commit_index, entries))
        encoded = core.encoded_append = EncodedAppend(place, entries[-1].index, message)
    return encoded


def _term_at(core: Core, index: int) -> int:
    term = core.log.term_at(index)
    invariant(term is not None, "only places the log holds are spoken of")
    return term or 0


# ── follower ─────────────────────────────────────────────────────────────────────────────────────


def on_append(core: Core, sender: NodeID, message: Append) -> None:
    """Take the leader's entries if they fit; acknowledge at once what is durable already."""
    log = core.log
    previous = message.previous_index
    if not log.holds(previous, message.previous_term):
        _follow(core, sender)
        hint_index = max(log.hint(previous - 1, message.previous_term), log.commit_index)
        core.send(sender, Reject(core.term, previous, hint_index, _term_at(core, hint_index)))
        return
    news = _new_entries(core, message)
    _follow(core, sender)
    if news:
        if news[0].index <= log.last_index:
            membership.truncate_after(core, news[0].index - 1)
        core.append(news)
    core.matched_index = max(core.matched_index, previous + len(message.entries))
    _follow_commit(core, message.commit_index)
    if not message.entries or core.matched_index <= log.persisted_index:
        _acknowledge(core, sender)


def on_commit_notice(core: Core, sender: NodeID, message: CommitNotice) -> None:
    """Follow the leader's commit index."""
    _follow(core, sender)
    _follow_commit(core, message.commit_index)


def on_persisted(core: Core, event: Persisted) -> None:
    """Count or acknowledge what became durable here."""
    if not core.log.persisted(event.index, event.term):
        return
    if core.role is Role.LEADER:
        advance_commit(core)
    elif core.leader is not None:
        _acknowledge(core, core.leader)


def _new_entries(core: Core, message: Append) -> tuple[Entry, ...]:
    """Return the entries from the first one on that this log lacks or holds otherwise.

    Raises IntegrityError if that would replace what is agreed, PeerError if it would replace what the
    same leader sent before.
    """
    log, entries = core.log, message.entries
    skip = 0
    for entry in entries[: max(0, log.last_index - message.previous_index)]:
        if not log.has(entry):
            break
        skip += 1
    if skip == len(entries):
        return ()
    first_index = entries[skip].index
    if first_index <= log.commit_index:
        raise IntegrityError(
            f"the leader of term {message.term} has another entry {first_index}, which is agreed"
        )
    if first_index <= core.matched_index and message.term == core.term:
        raise PeerError(f"the leader of term {message.term} sent two different entries {first_index}")
    return entries[skip:]


def _follow(core: Core, leader: NodeID) -> None:
    """Stay with, or turn to, the leader of this term."""
    if core.role is Role.FOLLOWER and core.leader == leader:
        core.election_elapsed = 0
    else:
        roles.become_follower(core, core.term, leader)


def _follow_commit(core: Core, commit_index: int) -> None:
    membership.agree(core, core.log.last_committable(min(commit_index, core.matched_index)))


def _acknowledge(core: Core, leader: NodeID) -> None:
    core.send(leader, Acknowledge(core.term, min(core.log.persisted_index, core.matched_index)))
