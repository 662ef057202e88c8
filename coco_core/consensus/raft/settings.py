"""What the operator and the genesis give one Raft engine: who takes part, and how patient it is.

Knows members and bounds; must not know addresses, keys or how long a tick lasts.
"""

from __future__ import annotations

import attrs

from coco_core.base import NodeID, limits
from coco_core.errors import OperatorError


@attrs.frozen(slots=True, kw_only=True)
class RaftSettings:
    """Who takes part and how patient the engine is; all durations count ticks of the host's clock.

    ``election_timeout_ticks_min`` is also the time a follower trusts a silent leader and the time a
    leader may go without a quorum, so elections, stickiness and check-quorum fit together.
    Raises OperatorError, naming every fault at once, for values that cannot work.
    """

    node_id: NodeID
    members: frozenset[NodeID]
    """The voters of the set in force where the log begins, at its last agreed entry. A node that joins is
    not one of them, unless that set says so."""
    learners: frozenset[NodeID] = frozenset()
    """The learners of that set; a node that joins counts itself here."""
    first_term: int = 2
    """The term in which the founder leads without an election (CCF's first view is 2). Every node begins
    in it, so nobody can ever be elected in it."""
    election_timeout_ticks_min: int = 10
    election_timeout_ticks_max: int = 20
    heartbeat_ticks: int = 2
    append_size_max_bytes: int = limits.APPEND_SIZE_MAX_BYTES
    in_flight_max: int = limits.APPEND_IN_FLIGHT_MAX
    log_cache_max_bytes: int = limits.LOG_CACHE_MAX_BYTES
    snapshot_lag_entries: int = limits.SNAPSHOT_LAG_ENTRIES
    """A learner this far behind the newest snapshot is sent it, even if the log holds every entry."""

    def __attrs_post_init__(self) -> None:
        """Check every value against every other."""
        faults = [text for broken, text in self._rules() if broken]
        if faults:
            raise OperatorError("consensus settings: " + "; ".join(faults))

    def _rules(self) -> tuple[tuple[bool, str], ...]:
        least, most = self.election_timeout_ticks_min, self.election_timeout_ticks_max
        return (
            (
                self.node_id not in self.members | self.learners,
                "members or learners must contain node_id",
            ),
            (not self.members, "members must not be empty"),
            (bool(self.members & self.learners), "no member may be a learner too"),
            (self.first_term < 1, "first_term must be at least 1"),
            (self.heartbeat_ticks < 1, "heartbeat_ticks must be at least 1"),
            (
                least <= self.heartbeat_ticks,
                "election_timeout_ticks_min must exceed heartbeat_ticks, or live leaders are deposed",
            ),
            (most < least, "election_timeout_ticks_max must be at least election_timeout_ticks_min"),
            (
                not 1 <= self.append_size_max_bytes <= limits.APPEND_SIZE_MAX_BYTES,
                f"append_size_max_bytes must be 1 to {limits.APPEND_SIZE_MAX_BYTES}",
            ),
            (
                not 1 <= self.in_flight_max <= limits.APPEND_IN_FLIGHT_MAX,
                f"in_flight_max must be 1 to {limits.APPEND_IN_FLIGHT_MAX}",
            ),
            (self.log_cache_max_bytes < 0, "log_cache_max_bytes must not be negative"),
            (self.snapshot_lag_entries < 1, "snapshot_lag_entries must be at least 1"),
        )
