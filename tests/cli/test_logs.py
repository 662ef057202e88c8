"""A node's log: what adapters say through Python's logging is in it, as what the node says itself."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

WRITES = """
import logging, structlog
from coco_core.cli.logs import configure_log
configure_log({level!r})
adapter, node = logging.getLogger("coco.someledger"), structlog.get_logger("coco.http")
adapter.debug("%d details", 3)
adapter.info("%s registered", "intkey 1.0")
node.info("listening", port=1)
try:
    raise ValueError("no such thing")
except ValueError:
    adapter.exception("a request failed")
"""


def written(level: str) -> list[dict[str, Any]]:
    """Return what a process writes to its log at a level."""
    script = WRITES.format(level=level)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_what_an_adapter_logs_is_in_the_nodes_log_in_its_form() -> None:
    registered, listening, failed = written("info")
    assert (registered["event"], registered["level"]) == ("intkey 1.0 registered", "info")
    assert (listening["event"], listening["level"], listening["port"]) == ("listening", "info", 1)
    assert registered.keys() == listening.keys() - {"port"}
    assert (failed["event"], failed["level"]) == ("a request failed", "error")
    assert "ValueError: no such thing" in failed["exception"]


def test_the_level_holds_for_both() -> None:
    assert [each["event"] for each in written("warning")] == ["a request failed"]
    assert written("debug")[0]["event"] == "3 details"
