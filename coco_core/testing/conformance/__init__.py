"""PUBLIC DOOR for authors of ledger adapters: the tests that every adapter passes, given a harness.

Needs the extra ``testing``.
"""

from coco_core.testing.conformance.harness import Asking, Configured, LedgerHarness, get, post
from coco_core.testing.conformance.marking import Nonconformity, description, overridden, standard_tests
from coco_core.testing.conformance.tests import LedgerAdapterTests

__all__ = [
    "Asking",
    "Configured",
    "LedgerAdapterTests",
    "LedgerHarness",
    "Nonconformity",
    "description",
    "get",
    "overridden",
    "post",
    "standard_tests",
]
