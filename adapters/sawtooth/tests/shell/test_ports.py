"""Where a development network listens for processors when another one is there before it."""

from __future__ import annotations

import socket

import pytest

from coco_core.errors import OperatorError
from coco_sawtooth.plugin import SawtoothPlugin
from coco_sawtooth.shell import ports


@pytest.fixture
def taken():
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_second_network_listens_elsewhere(taken, monkeypatch):
    # The last of a node's ports is taken, so none of the row is used.
    monkeypatch.setattr("coco_sawtooth.plugin.PROCESSORS_PORT", taken - 8)
    development = SawtoothPlugin().development()
    first = int(development.node_settings(0)["processors"].rsplit(":", 1)[1])
    assert first > taken - 8
    assert (first - (taken - 8)) % 100 == 0
    assert development.node_settings(2) == {"processors": f"tcp://127.0.0.1:{first + 2}"}


def test_no_free_ports_is_said(taken, monkeypatch):
    monkeypatch.setattr(ports, "_TRIES", 1)
    with pytest.raises(OperatorError, match=f"no 1 free ports in a row from {taken} on"):
        ports.free_ports(taken, 1)


def test_drawn_ports_are_free_and_different():
    drawn = ports.drawn_ports(9)
    assert len(set(drawn)) == 9
    for port in drawn:
        socket.create_server(("127.0.0.1", port)).close()
