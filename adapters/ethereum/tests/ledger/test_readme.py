"""The README lists exactly the methods that are served."""

from __future__ import annotations

import re
from pathlib import Path

from coco_ethereum.limits import RPC_BATCH_CALLS_MAX
from coco_ethereum.rpc.methods import METHODS
from coco_ethereum.rpc.transactions import SEND_RAW_TRANSACTION

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_table_lists_every_method():
    listed = re.findall(r"`((?:eth|net|web3|txpool)_\w+)`", README)
    assert sorted(listed) == sorted([*METHODS, SEND_RAW_TRANSACTION])


def test_the_bound_on_batches_is_told():
    assert f"batches of at most {RPC_BATCH_CALLS_MAX}" in README
