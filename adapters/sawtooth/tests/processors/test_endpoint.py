"""Where processors may connect: this machine only, unless the operator says otherwise."""

from __future__ import annotations

import pytest

from coco_core.errors import OperatorError
from coco_sawtooth.processors import checked_endpoint


@pytest.mark.parametrize(
    ("endpoint", "bound"),
    [
        ("ipc:///run/coco/processors", "ipc:///run/coco/processors"),
        ("tcp://127.0.0.1:4004", "tcp://127.0.0.1:4004"),
        ("tcp://127.9.9.9:0", "tcp://127.9.9.9:*"),
        ("tcp://localhost:4004", "tcp://localhost:4004"),
        ("tcp://[::1]:4004", "tcp://[::1]:4004"),
    ],
)
def test_this_machine(endpoint, bound):
    assert checked_endpoint(endpoint, anywhere=False) == bound


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://*:4004", "tcp://0.0.0.0:4004", "tcp://10.0.0.1:4004", "tcp://[::]:4004", "tcp://eth0:4004"],
)
def test_anywhere_only_when_that_is_said(endpoint):
    with pytest.raises(OperatorError, match="processors_anywhere"):
        checked_endpoint(endpoint, anywhere=False)
    assert checked_endpoint(endpoint, anywhere=True) == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "ipc://",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://:4004",
        "tcp://127.0.0.1:65536",
        "http://x:1",
        "127.0.0.1:4004",
        "tcp://127.0.0.1:4o04",
        "ipc://" + "x" * 200,
    ],
)
def test_what_is_no_endpoint_is_named(endpoint):
    with pytest.raises(OperatorError, match="processors: "):
        checked_endpoint(endpoint, anywhere=True)
