"""The bugs of membership and snapshots that the simulation must notice (see ``mutants``).

Every function here is wrong on purpose. Each replaces the one named beside it in ``MEMBER_BUGS`` or
``SNAPSHOT_BUGS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM

from coco_core.base import NodeID, TxID
from coco_core.consensus import Membership, SendSnapshot
from coco_core.consensus.raft import membership
from coco_core.consensus.raft.core import Core
from coco_core.consensus.raft.quorum import Configuration, VoteOutcome
from coco_core.governance import RETIRED, Members, administration, read_nodes
from coco_core.kv import Store, View
from coco_core.kv.pinned import Pinned
from coco_core.ledger import read_header
from coco_core.ledger import snapshots as snapshot_files
from coco_core.replica import Chain, Restoration, chain, upkeep
from coco_core.replica.effects import Retired
from coco_core.replica.following import Follower
from coco_core.replica.messages import SnapshotOffer
from coco_core.replica.neighbours import Neighbours
from coco_core.replica.snapshots import Snapshots
from coco_core.replica.views import ViewHistory
from coco_core.testing.simulation.disk import SimulatedDisk
from coco_core.testing.simulation.mutant import Change, Mutant

_read_members = vars(chain)["read_members"]
_agreed_index = Configuration.agreed_index
_outcome = Configuration.outcome
_take_memberships = Chain.take_memberships
_restart = Chain.restart
_truncate = Chain.truncate
_retirement_due = upkeep.retirement_due
_follow = Neighbours.follow
_refresh = Follower.refresh
_offered = Snapshots.offered
_offer = Snapshots.offer
_Reader: Any = vars(snapshot_files)["_Reader"]
_Asked: Any = vars(administration)["_Asked"]


# ── members ──────────────────────────────────────────────────────────────────────────────────────


def _learners_vote(view: View) -> Members:
    members = _read_members(view)
    return Members(members.voters | members.learners, frozenset())


def _nobody(*_: object) -> list[NodeID]:
    return []


def _keep_the_sets(of: Chain, seqno: int) -> None:
    members = list(vars(of)["_members"])
    _truncate(of, seqno)
    vars(of)["_members"] = members


def _forget_the_newest_set(core: Core, index: int) -> None:
    core.truncate_after(index)
    core.configure(core.memberships[:1])


def _hand_over_late(of: Chain) -> list[Membership]:
    late: list[Membership] = vars(of).get("late", [])
    vars(of)["late"] = _take_memberships(of)
    return late


def _newest_agrees(configuration: Configuration, match: Mapping[NodeID, int]) -> int:
    return _agreed_index(Configuration(configuration.parts[-1:]), match)


def _newest_elects(configuration: Configuration, votes: Mapping[NodeID, bool]) -> VoteOutcome:
    return _outcome(Configuration(configuration.parts[-1:]), votes)


def _over_when_it_stands(core: Core) -> None:
    core.configure(core.memberships[-1:])


def _say_the_end_at_once(head: View, _agreed: View) -> Any:
    return _retirement_due(head, head)


def _end_when_removed(neighbours: Neighbours, newest: View, agreed: View, *rest: Any) -> None:
    _follow(neighbours, newest, agreed, *rest)
    own = read_nodes(agreed).get(vars(neighbours)["_node_id"])
    if own is not None and own.status == RETIRED:
        vars(neighbours)["_emit"](Retired())


def _close_at_once(neighbours: Neighbours, newest: View, _agreed: View, *_rest: Any) -> None:
    _follow(neighbours, newest, newest, frozenset(), None)


def _anybody(asked: Any) -> str:
    return str(asked.request.caller.identity)


def _no_change_under_way(_view: View) -> None:
    return None


def _refresh_once(follower: Follower) -> None:
    if not vars(follower)["_keys"]:
        _refresh(follower)


def _nothing(*_: object) -> None:
    """Do not do it."""


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────


def _believe_the_receipt(reader: Any, end: int, _digest: bytes, service: str) -> TxID:
    receipt = bytes(vars(reader)["_data"][end:])
    txid: TxID = vars(snapshot_files)["verify_receipt"](receipt, service).txid
    return txid


class _WithoutTag:
    """A cipher that opens whatever it is given; its tag is looked at by nobody."""

    def __init__(self, algorithm: AES, mode: GCM) -> None:
        counter = bytes(mode.initialization_vector) + (2).to_bytes(4)
        self._cipher = Cipher(algorithm, CTR(counter)).decryptor()

    def decryptor(self) -> _WithoutTag:
        return self

    def authenticate_additional_data(self, _data: bytes) -> None:
        """Look at nothing."""

    def update(self, data: bytes) -> bytes:
        return self._cipher.update(data)

    def finalize(self) -> None:
        """Find nothing."""


def _take_all_that_is_there(restored: Restoration, raw: bytes) -> TxID | None:
    entry = restored.follower.read_back(raw, read_header(raw).txid.view)
    if entry is None:
        return None
    if entry.committable:
        restored.chain.commit(entry.index)
    return TxID(entry.term, entry.index)


def _pin_the_newest(store: Store, seqno: int) -> Pinned:
    return Pinned(seqno, vars(store)["_base"], [])


def _offer_at_the_leaders_term(books: Snapshots, send: SendSnapshot) -> Any:
    return _offer(books, attrs.evolve(send, term=send.leader_term))


def _prove_from_what_is_cut(of: SimulatedDisk, index: int) -> bool:
    return index <= len(of.entries)


def _restart_without_views(of: Chain, snapshot: Any) -> None:
    _restart(of, snapshot)
    of.views = ViewHistory([(of.committed.view, of.committed.seqno)])


def _count_on(of: Chain, snapshot: Any) -> None:
    since_point = vars(of)["_since_point"]
    _restart(of, snapshot)
    vars(of)["_since_point"] = since_point


def _resume_anything(books: Snapshots, sender: NodeID, offer: SnapshotOffer, committed: int) -> Any:
    incoming = vars(books)["_incoming"]
    if incoming is None or offer.place.seqno <= committed:
        return _offered(books, sender, offer, committed)
    incoming.offer, incoming.sender = offer, sender
    return vars(Snapshots)["_ask"](books)


def _mutant(name: str, breaks: str, *changes: Change, seeds_max: int = 60) -> Mutant:
    return Mutant(name=name, breaks=breaks, changes=changes, seeds_max=seeds_max)


MEMBER_BUGS: Final = (
    _mutant("count learners at once", "learners count for nothing", (chain, "read_members", _learners_vote)),
    _mutant("promote without waiting", "who has not caught up waits", (upkeep, "waited_for", _nobody)),
    _mutant(
        "keep sets on truncation",
        "members and log move as one",
        (Chain, "truncate", _keep_the_sets),
        seeds_max=300,
    ),
    _mutant(
        "forget sets on truncation",
        "what stands in the log has its say",
        (membership, "truncate_after", _forget_the_newest_set),
        seeds_max=500,
    ),
    _mutant(
        "hand sets over late",
        "a set has its say before anything else",
        (Chain, "take_memberships", _hand_over_late),
        seeds_max=400,
    ),
    _mutant(
        "the new majority agrees alone",
        "every active set agrees",
        (Configuration, "agreed_index", _newest_agrees),
        seeds_max=150,
    ),
    _mutant(
        "the new majority elects alone",
        "every active set elects",
        (Configuration, "outcome", _newest_elects),
        seeds_max=300,
    ),
    _mutant(
        "a set is over when the next stands",
        "a set has its say until then",
        (membership, "settle", _over_when_it_stands),
        seeds_max=150,
    ),
    _mutant(
        "say the end at once",
        "an end is said when removal is agreed",
        (upkeep, "retirement_due", _say_the_end_at_once),
    ),
    _mutant(
        "end when removed", "nobody ends before that is agreed", (Neighbours, "follow", _end_when_removed)
    ),
    _mutant(
        "tell nobody who takes part",
        "who heard of nobody for long is told",
        (Neighbours, "asked", _nothing),
        seeds_max=150,
    ),
    _mutant(
        "close channels at once",
        "channels stay until agreed",
        (Neighbours, "follow", _close_at_once),
        seeds_max=150,
    ),
    _mutant("trust old keys", "who takes part may sign", (Follower, "refresh", _refresh_once), seeds_max=150),
    _mutant(
        "take anybody for an operator",
        "operators change members",
        (_Asked, "operator", _anybody),
        seeds_max=150,
    ),
    _mutant(
        "two changes at once",
        "one change at a time",
        (administration, "read_change", _no_change_under_way),
        seeds_max=150,
    ),
)

SNAPSHOT_BUGS: Final = (
    _mutant(
        "install without checking",
        "snapshots prove themselves",
        (_Reader, "_check_receipt", _believe_the_receipt),
        (_Reader, "_check_signature", _nothing),
        (snapshot_files, "Cipher", _WithoutTag),
        seeds_max=150,
    ),
    _mutant(
        "start from what is not agreed",
        "old ledgers are cut",
        (Restoration, "read_back", _take_all_that_is_there),
    ),
    _mutant("pin the newest state", "a snapshot is of one place", (Store, "pin", _pin_the_newest)),
    _mutant("let pins move on", "a pinned state stays", (Pinned, "publish", _nothing)),
    _mutant(
        "offer at the leader's term",
        "a place is view and seqno",
        (Snapshots, "offer", _offer_at_the_leaders_term),
        seeds_max=150,
    ),
    _mutant(
        "prove from what is to be cut",
        "receipts are of what is agreed",
        (SimulatedDisk, "reaches", _prove_from_what_is_cut),
        seeds_max=500,
    ),
    _mutant("begin without views", "views move with the log", (Chain, "restart", _restart_without_views)),
    _mutant(
        "count on from before a snapshot",
        "snapshots are made at the same places",
        (Chain, "restart", _count_on),
        seeds_max=150,
    ),
    _mutant(
        "go on with another snapshot",
        "parts are of one snapshot",
        (Snapshots, "offered", _resume_anything),
        seeds_max=300,
    ),
)
