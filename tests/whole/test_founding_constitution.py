"""A founder refuses to begin a service under a constitution that could never govern, and says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from coco_core.cli.consortium import GovernedNetwork, Organisation
from coco_core.cli.network import NetworkSpec, running
from coco_core.errors import OperatorError
from coco_core.node import load

pytestmark = pytest.mark.processes

TEXTS = {
    "def": "syntax",
    "def validate(p):\n    return None\ndef apply(p):\n    return p['actions']\n": "resolve",
}


@pytest.mark.parametrize("text", TEXTS)
async def test_nothing_is_founded_on_it(tmp_path: Path, text: str) -> None:
    config = load("ethereum").development().config
    law = tmp_path / "law.star"
    law.write_text(text)
    spec = NetworkSpec(folder=tmp_path / "network", nodes=1, ledger="ethereum", engine="", config=config)
    spec.folder.mkdir()
    network = GovernedNetwork(spec, [Organisation.make("A", tmp_path / "members")], str(law), 1)
    with trio.fail_after(60), pytest.RaisesGroup(OperatorError, flatten_subgroups=True) as refused:
        async with running(network):
            pass
    (fault,) = refused.value.exceptions
    while isinstance(fault, ExceptionGroup):
        (fault,) = fault.exceptions
    assert "'found.constitution' cannot govern this service" in str(fault)
    assert TEXTS[text] in str(fault)
