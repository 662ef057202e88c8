"""The tutorial's tally does what the core's own test ledger does: two readings of one set of rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coco_core.adapter import Committed, LedgerAdapter, Rejected
from coco_core.testing import Cluster, Tally, add
from coco_core.testing.at_once import run_at_once
from coco_tally import TallyAdapter

ADDITIONS = st.builds(
    add, st.sampled_from(["a", "b", "c-1"]), st.sampled_from(["x", "y"]), st.integers(-(10**9), 10**9)
)
# The core's alone can be asked to fail and to fetch, for its own tests: nothing to compare there.
ANYTHING = st.binary(max_size=12).filter(lambda payload: not payload.startswith((b"fail ", b"quote ")))
PAYLOADS = st.lists(ADDITIONS | ANYTHING, max_size=8)
CONFIG = {"counters": {"x": -3}}


def fates(cluster: Cluster, batches: list[list[bytes]]) -> list[tuple[str, bytes | str]]:
    """Return what becomes of each transaction."""
    cluster.settle()
    found: list[tuple[str, bytes | str]] = []
    for batch in batches:
        ticket = cluster.submit(cluster.primary, *batch)
        cluster.settle()
        for fate in cluster.primary.answers[ticket]:
            assert isinstance(fate, Committed | Rejected)
            found.append(
                ("applied", fate.receipt) if isinstance(fate, Committed) else (fate.code, fate.message)
            )
    return found


@given(st.lists(PAYLOADS.filter(bool), min_size=1, max_size=3))
def test_both_come_to_the_same(batches: list[list[bytes]]) -> None:
    def alone(adapter: type[LedgerAdapter]) -> Cluster:
        return Cluster.found(1, draw=min, make=adapter, config=CONFIG)

    ours, cores = alone(TallyAdapter), alone(Tally)
    assert fates(ours, batches) == fates(cores, batches)
    maps = Tally().manifest.maps
    assert TallyAdapter.manifest.maps == maps
    state, other = ours.primary.state(), cores.primary.state()
    assert [state.get(name) for name in maps] == [other.get(name) for name in maps]


@given(PAYLOADS.filter(bool))
def test_each_executes_anew_what_the_other_wrote(batch: list[bytes]) -> None:
    for writer, reader in ((TallyAdapter, Tally), (Tally, TallyAdapter)):
        cluster = Cluster.found(1, draw=min, make=writer, config=CONFIG)
        cluster.settle()
        before = cluster.primary.replica.chain.store.view()
        cluster.submit(cluster.primary, *batch)
        running = cluster.primary.running
        assert running is not None
        result = run_at_once(cluster.primary.adapter.execute(running.batch, running.view))
        entries = [one.writes for one in result.outcomes if not isinstance(one, Rejected)]
        entries += [result.closing] if result.closing else []
        assert run_at_once(reader().replay(entries, before)) == entries
