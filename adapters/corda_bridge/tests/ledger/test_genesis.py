"""Genesis: what an operator says, and each way to say it wrong."""

from __future__ import annotations

import base64
import io
import random
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from coco_corda import records
from coco_corda.development import main
from coco_corda.genesis import genesis_writes
from coco_corda.limits import GENESIS_ENTRY_MAX_BYTES, OUTPUTS_MAX_BYTES
from coco_corda.refs import StateRef, hash_text, sha256
from coco_core.adapter import Writes, merge
from coco_core.errors import OperatorError

NAME = {"notary_name": "O=Notary, L=London, C=GB"}


def jar() -> str:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/B.class", b"x")
    return base64.b64encode(made.getvalue()).decode()


def state(number: int, size: int) -> dict[str, Any]:
    return {
        "ref": str(StateRef(number.to_bytes(32), 0)),
        # Bytes that do not pack.
        "state": base64.b64encode(random.Random(number).randbytes(size)).decode(),
        "networkParametersHash": hash_text(bytes(32)),
        "participants": [hash_text(bytes(32))],
    }


def test_the_key_is_drawn_unless_given() -> None:
    one, other = (genesis_writes(NAME, bytes([number]) * 32)[0] for number in (1, 2))
    assert one[records.KEYS] != other[records.KEYS]
    given = {**NAME, "notary_seed": "07" * 32}
    assert genesis_writes(given, bytes(32))[0][records.KEYS] == {records.NOTARY_KEY: bytes([7]) * 32}


def test_many_states_are_several_entries_and_none_is_lost() -> None:
    size = GENESIS_ENTRY_MAX_BYTES // 3
    config = {**NAME, "states": [state(number, size) for number in range(7)], "attachments": [jar()]}
    entries = genesis_writes(config, bytes(32))
    assert all(
        sum(len(row or b"") for row in entry.get(records.STATE, {}).values()) <= GENESIS_ENTRY_MAX_BYTES
        for entry in entries
    )
    assert sum(records.STATE in entry for entry in entries) == 4
    everything: Writes = {}
    for entry in entries:
        merge(everything, entry)
    assert len(everything[records.STATE]) == 7
    assert everything[records.ATTACHMENT].keys() == everything[records.ATTACHMENT_INFO].keys()


def test_whoever_participates_twice_is_one_participant() -> None:
    twice = state(1, 10)
    twice["participants"] = [hash_text(bytes(32)), hash_text(bytes(31) + b"\1"), hash_text(bytes(32))]
    (row,) = genesis_writes({**NAME, "states": [twice]}, bytes(32))[-1][records.STATE].values()
    assert row is not None
    assert records.State.unpack(row).participants == (bytes(32), bytes(31) + b"\1")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("notary_name", "nobody"),
        ("notary_seed", "07"),
        ("keeps", "everything"),
        ("attachments", ["bm8gamFy"]),
        ("attachments", [jar(), jar()]),
        ("network_parameters", ["?"]),
        ("trusted_attachments", ["?"]),
        ("trusted_signers", "AA"),
        ("states", [{"ref": "?"}]),
        ("states", [{**state(1, 1), "participants": [f"{key:064x}" for key in range(70_000)]}]),
        ("states", [state(1, OUTPUTS_MAX_BYTES + 1)]),
        ("nonsense", 1),
    ],
)
def test_a_faulty_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(OperatorError, match=field):
        genesis_writes({**NAME, field: value}, bytes(32))


def test_a_network_for_development_trusts_jars_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.jar"
    own.write_bytes(base64.b64decode(jar()))
    main([str(own)])
    config = orjson.loads(capsys.readouterr().out)
    (first, *_) = genesis_writes(config, b"")
    assert sha256(own.read_bytes()) in first[records.ATTACHMENT_INFO]
    with pytest.raises(SystemExit, match="No such file"):
        main([str(tmp_path / "none.jar")])
