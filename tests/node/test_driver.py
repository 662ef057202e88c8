"""What the driver may report as durable."""

import pytest

from coco_core.base import TxID
from coco_core.consensus import Entry
from coco_core.node.log_writer import _kept, _newest_kept
from coco_core.replica.effects import Persist


def persist(*indexes: int, after: int | None = None) -> Persist:
    return Persist(after, tuple(Entry(2, index, b"data", committable=True) for index in indexes))


@pytest.mark.parametrize(
    ("written", "queued", "newest"),
    [
        ([persist(1, 2)], [], 2),
        ([persist(1, 2), TxID(2, 2)], [TxID(2, 2)], 2),
        ([persist(1, 2), persist(3)], [persist(4)], 3),
        ([persist(1, 2, 3)], [persist(2, after=1)], 1),
        ([persist(1, 2), persist(3)], [persist(3, after=2)], 2),
        ([persist(1, 2, 3)], [persist(after=3), persist(after=2)], 2),
        ([persist(4, 5)], [persist(after=3)], None),
        ([persist(1, 2, 3), persist(after=1)], [], None),
        ([persist(1, 2, 3), persist(2, after=1)], [persist(after=1)], None),
        ([], [], None),
    ],
)
def test_an_entry_that_waits_to_be_dropped_is_not_reported(written, queued, newest) -> None:
    found = _newest_kept(written, queued)
    assert (found.index if found else None) == newest


def test_what_waits_to_be_dropped_does_not_count_as_held() -> None:
    assert _kept([persist(1, 2), TxID(2, 2)]) > 10**18
    assert _kept([persist(after=7), persist(5, after=4), persist(6)]) == 4
