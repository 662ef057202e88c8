"""The class that an adapter's author subclasses: every standard test, and the one that none is missing."""

from __future__ import annotations

from coco_core.testing.conformance.kit_again import AgainTests
from coco_core.testing.conformance.kit_calls import CallTests
from coco_core.testing.conformance.kit_execution import ExecutionTests
from coco_core.testing.conformance.kit_front import FrontEndTests
from coco_core.testing.conformance.kit_made import MadeTests
from coco_core.testing.conformance.kit_outside import OutsideTests
from coco_core.testing.conformance.kit_processes import ProcessTests
from coco_core.testing.conformance.kit_replication import ReplicationTests
from coco_core.testing.conformance.marking import dropped, expect, standard


class LedgerAdapterTests(
    ProcessTests,
    FrontEndTests,
    ReplicationTests,
    OutsideTests,
    AgainTests,
    ExecutionTests,
    MadeTests,
    CallTests,
):
    """Judges a ledger adapter; a subclass sets ``harness``."""

    @standard
    async def test_no_standard_test_is_dropped(self) -> None:
        """Every standard test is there as the kit has it, or replaced for a reason that is stated.

        Why: an adapter that passes the kit passes all of it; whoever relies on that reads the reasons.

        Mend: take the override, the skip or the expected failure away, or put ``@overridden(reason="…")``
        above the test that stands in its place.
        """
        lines = dropped(type(self), LedgerAdapterTests)
        expect(not lines, f"of the standard tests {'; '.join(lines)}")
