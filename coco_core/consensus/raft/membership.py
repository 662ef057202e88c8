"""Who has a say: one-transaction joint changes of membership, bounded by what is committable.

The laws:

* A node keeps its **active** sets: the last agreed one, and every later one of its log. A change is one
  entry; there is no second one that leaves a joint state.
* Leaders need a majority of *each* active set to agree and to stay (check-quorum). Candidates need one of
  each active set up to their last committable entry, for they drop what is behind it when they win.
* When a committable entry at or behind a set's entry is agreed, the sets before it lose their say.
  Truncation drops the sets above the cut.
* Who is in no active set neither leads nor stands, and its answers are ignored; but every node goes on
  answering candidates and leaders, whoever they are: its own log may be the one that lags, and a
  candidate may need a vote from a set that is agreed to be over, but not known to be.

Why one entry is safe. The argument in ``election`` stands on one thing: the quorum that agreed on an entry
and any later leader's voters share a node. Name a set by its index. Suppose leader L agreed on a committable
entry K in term U; let X, elected in T > U, be the first leader that lacks an agreed entry, and K the first
that it lacks. Let l and a be the oldest active sets of L (then) and X (when elected); both are agreed.
They share an active set, and so a voter:

* l <= a. Set a was agreed in some term of at most T. If that was after U, the leader who did it held K, as
  X is the first who lacks anything; so either a < K, and K's agreement covered a before: a contradiction; or
  a >= K, and X, whose log is agreed to a or beyond, holds K: a contradiction. So set a was agreed in U or
  before, and L holds it: L agreed on it, or it was agreed before L was elected and L lacks nothing. As
  l <= a, it is active in L, and in X it is the oldest. Shared.
* l > a. The entry of l was agreed before K was, so X holds it, and committable entries behind it: K is
  the first it lacks. As a < l it is active in X and counted in its election. Shared.

The same two cases, for two candidates of one term (which hold all that was agreed in earlier terms, or
are refused), give them a common voter, so a term has one leader. Sets behind K need no say in the
agreement on K, nor sets of a tail in an election; leaders ask the former nevertheless, so that what is
agreed and who stays leader are counted by one rule.

Retired voters. A node that is in no active set of its own, because a later set is agreed, may hold
committable entries that nobody else has; judged by them, a candidate that needs this node's vote, for
it does not know that the set is over, could never win. So such a node judges by its last *agreed*
entry P, if it learned of the agreement in the term of P, hence knows that P was agreed by the leader
who made it. Safe: take the newest active set that L and X share, and let its common voter v have
judged so. X has P, by the argument in ``election`` with P for C, and so the set S, not behind P, that
ended v's say. Either S is behind K, then X, agreed to P, holds K: a contradiction; or L, whose log v held up
to K, has S too. Then S, or the newer one of l and a, is a newer set that both share: a contradiction.

Retirement. A leader that the newest set leaves out goes on until that set is agreed, not counting itself
there, then tells the others, names the most advanced voter as its successor and steps down (CCF; thesis
§4.2.2). A retired node still answers; when its host may end it is said in the contract. Pre-vote and
stickiness keep those that do not know of their removal from disturbing anyone: who lacks an agreed
set lacks an agreed entry, and a majority of its own voters will say so.
"""

from __future__ import annotations

from itertools import pairwise

from coco_core.base import invariant
from coco_core.consensus.contract import Reconfigured
from coco_core.consensus.raft.core import Core
from coco_core.consensus.raft.quorum import Configuration


def on_reconfigured(core: Core, event: Reconfigured) -> None:
    """Let the set that stands in the log now have its say beside those before it."""
    membership = event.membership
    invariant(bool(membership.voters), "a set of members has voters")
    invariant(
        core.memberships[-1].index < membership.index <= core.log.last_index,
        "sets of members come in the order of the log",
    )
    core.configure((*core.memberships, membership))
    settle(core)


def agree(core: Core, index: int) -> bool:
    """Note that everything up to ``index`` is agreed; return whether that is news."""
    news = core.commit(index)
    if news and len(core.memberships) > 1:
        settle(core)
    return news


def truncate_after(core: Core, index: int) -> None:
    """Cut the log after ``index``, and with it the sets that stood there."""
    core.truncate_after(index)
    if core.memberships[-1].index > index:
        core.configure(tuple(m for m in core.memberships if m.index <= index))


def settle(core: Core) -> None:
    """Take the say from the sets before the last agreed one."""
    commit_index, memberships = core.log.commit_index, core.memberships
    over = sum(1 for _, later in pairwise(memberships) if later.index <= commit_index)
    if over:
        core.configure(memberships[over:])


def elective(core: Core) -> Configuration:
    """Return who elects this node: the sets of its log up to its last committable entry."""
    first, *later = core.memberships
    last_committable = core.log.last_committable(core.log.last_index)
    return Configuration((first.voters, *(m.voters for m in later if m.index <= last_committable)))


def last_committable(core: Core) -> tuple[int, int]:
    """Return index and term of the entry this node's log is judged by."""
    index = core.log.last_committable(core.log.last_index)
    return index, core.log.term_at(index) or 0


def yardstick(core: Core) -> tuple[int, int]:
    """Return index and term of the entry that a candidate must not be behind to get this node's vote."""
    log = core.log
    if core.node_id not in core.configuration.nodes and log.term_at(log.commit_index) == core.commit_term:
        return log.commit_index, core.commit_term
    return last_committable(core)
