"""The bugs of replica, ledger and toy ledger that the simulation must notice (see ``mutants``).

Every function here is wrong on purpose. Each replaces the one named beside it in ``SERVICE_BUGS``.
"""

from __future__ import annotations

from typing import Any, Final

from coco_core.adapter import Committed, Outcome, ReadView
from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.kv import Store
from coco_core.ledger import EntrySealer, MerkleTree
from coco_core.replica import FIRST_VIEW, Chain, Replica, agreement, submission
from coco_core.replica.chain import CommittedLayer
from coco_core.replica.effects import Answer, Persist
from coco_core.replica.following import Follower
from coco_core.replica.requests import Requests
from coco_core.replica.sequencing import Sequencer
from coco_core.replica.submission import Forwarded, Group, Queued, RequestQueue
from coco_core.replica.views import ViewHistory
from coco_core.testing import tally
from coco_core.testing.simulation.mutant import Change, Mutant

_seal = EntrySealer.seal
_commit = Chain.commit
_clear = RequestQueue.clear
_answer = vars(Requests)["_answer"]
_on_tick = vars(Replica)["_on_tick"]
_final = vars(submission)["_final"]
_execute_one = vars(tally)["_execute_one"]


def _truncate_leaves_only(tree: MerkleTree, size: int) -> None:
    del vars(MerkleTree)["_levels"].__get__(tree)[0][size * 32 :]
    vars(MerkleTree)["_size"].__set__(tree, size)


def _seal_in_the_first_view(sealer: EntrySealer, txid: TxID, writes: Any, **rest: Any) -> Any:
    return _seal(sealer, TxID(FIRST_VIEW, txid.seqno), writes, **rest)


def _tell_the_newest_batch_only(chain: Chain, seqno: int) -> list[CommittedLayer]:
    return _commit(chain, seqno)[-1:]


def _answer_at_once(requests: Requests, group: Group) -> None:
    if group.peer is not None:
        _answer(requests, group)
    else:
        vars(requests)["_emit"](Answer(group.ticket, group.all_fates()))


def _believe_the_place(fate: Any, *_: object) -> Any:
    return fate


def _places_of_the_applied(group: Group) -> list[TxID]:
    return [fate.txid for fate in group.all_fates() if isinstance(fate, Committed)]


def _refuse_at_once(fate: Any, basis: TxID, committed: TxID, views: ViewHistory) -> Any:
    return _final(fate, basis, committed, views) if isinstance(fate, Committed) else fate


def _lose_the_queue(queue: RequestQueue) -> list[Queued]:
    _clear(queue)
    return []


def _follow_the_clock(replica: Replica, time_ms: int) -> None:
    vars(replica)["_time_ms"] = time_ms
    _on_tick(replica, time_ms)


def _store_without_cutting(_truncate_after: int | None, entries: tuple[Entry, ...]) -> Persist:
    return Persist(None, entries)


def _execute_again(
    payload: bytes, state: ReadView, seqno: int, own: tally.TallyMaps, largest: int | None = None
) -> Outcome:
    name = payload.split()[1]
    outcome: Outcome = _execute_one(payload, state.over({own.seen: {name: None}}), seqno, own, largest)
    return outcome


def _none_overdue(_forwarded: Forwarded) -> list[Group]:
    return []


def _nothing(*_: object) -> None:
    """Do not do it."""


def _mutant(name: str, breaks: str, *changes: Change, seeds_max: int = 60) -> Mutant:
    return Mutant(name=name, breaks=breaks, changes=changes, seeds_max=seeds_max)


_leads = property(lambda replica: replica.leader is not None)

SERVICE_BUGS: Final = (
    _mutant(
        "truncate leaves only", "tree and log move as one", (MerkleTree, "truncate", _truncate_leaves_only)
    ),
    _mutant("keep layers on truncation", "state and log move as one", (Store, "rollback", _nothing)),
    _mutant(
        "keep views on truncation",
        "view history and log move as one",
        (ViewHistory, "truncate", _nothing),
        seeds_max=300,
    ),
    _mutant(
        "skip the root check",
        "a backup trusts no root it did not compute",
        (MerkleTree, "truncate", _truncate_leaves_only),
        (Follower, "_check", _nothing),
    ),
    _mutant("reuse nonces", "a place is sealed once", (EntrySealer, "seal", _seal_in_the_first_view)),
    _mutant(
        "tell of the newest batch only",
        "adapters see every batch",
        (Chain, "commit", _tell_the_newest_batch_only),
    ),
    _mutant("answer before commit", "acknowledged is committed", (Requests, "_answer", _answer_at_once)),
    _mutant(
        "ignore the view of a place", "a place is view and seqno", (submission, "_final", _believe_the_place)
    ),
    _mutant(
        "refuse over uncommitted state",
        "a refusal waits for what it was decided over",
        (submission, "_places", _places_of_the_applied),
        (submission, "_final", _refuse_at_once),
    ),
    _mutant(
        "lose the queue silently", "every submission is answered", (RequestQueue, "clear", _lose_the_queue)
    ),
    _mutant("drop the deferred", "every submission is answered", (RequestQueue, "push_back", _nothing)),
    _mutant(
        "wait for ever for the primary",
        "every submission is answered",
        (Requests, "peer_lost", _nothing),
        (Forwarded, "tick", _none_overdue),
    ),
    _mutant("execute on a backup", "only the primary executes", (Replica, "is_primary", _leads)),
    _mutant("execute again on retry", "each transaction once", (tally, "_execute_one", _execute_again)),
    _mutant(
        "store without cutting", "disk and log move as one", (agreement, "Persist", _store_without_cutting)
    ),
    _mutant("follow the clock back", "time never runs backwards", (Replica, "_on_tick", _follow_the_clock)),
    _mutant(
        "trust one's own clock",
        "time never runs backwards",
        (Sequencer, "newest_time_ms", lambda _sequencer: 0),
        seeds_max=100,
    ),
)
