"""The golden vectors of Corda, through the real worker: each gets its verdict, alone and all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from coco_corda import wire
from coco_corda.refs import sha256
from coco_corda.shell import Workers
from coco_corda.shell.samples import LIBRARY
from coco_corda.verification import Failure, Job, Refused

VECTORS: Final = Path(__file__).resolve().parents[2] / "wire" / "vectors"
INDEX: Final[dict[str, Any]] = json.loads((VECTORS / "vectors.json").read_text(encoding="utf-8"))
TRANSACTIONS: Final[dict[str, dict[str, Any]]] = {each["name"]: each for each in INDEX["transactions"]}
NOTARY: Final = bytes.fromhex(INDEX["members"]["O=Coco Notary, L=Zurich, C=CH"]["key"])
DOMAIN: Final = b"golden vectors"


def read(name: str) -> bytes:
    return (VECTORS / name).read_bytes()


@pytest.fixture(scope="module")
def jars() -> dict[bytes, bytes]:
    """Return the attachments by their hash; the index says which jars the vectors were made for."""
    published = [*LIBRARY.glob("corda-finance-contracts-*.jar"), *LIBRARY.glob("tokens-contracts-*.jar")]
    if not published:
        pytest.skip("no published contracts here: make jvm (needs a JDK 17 and Maven)")
    found = {sha256(each): each for each in (*(path.read_bytes() for path in published), read("terms.zip"))}
    assert sorted(each.hex() for each in found) == sorted(INDEX["attachments"].values())
    return found


def job(vector: dict[str, Any], jars: dict[bytes, bytes]) -> Job:
    """Return what the adapter would ask: states from the ledger, trust from governance."""
    parameters = {name: bytes.fromhex(digest) for name, digest in INDEX["network_parameters"].items()}
    request = wire.Verify(
        stx=read(f"{vector['name']}.stx"),
        signatures=wire.Verify.ALL_EXCEPT_NOTARY,
        notary_key=NOTARY,
        trusted_attachments=list(jars) if vector.get("trusted", True) else [],
        states=[
            wire.ResolvedState(
                ref=wire.StateRef(tx_id=bytes.fromhex(each["tx_id"]), index=each["index"]),
                state=read(each["file"]),
                network_parameters_hash=parameters[each["parameters"]],
            )
            for each in vector["states"]
        ],
    )
    epochs = {digest: read(f"{name}.parameters") for name, digest in parameters.items()}
    return Job(request=request, domain=DOMAIN, attachments=jars, parameters=epochs)


def check(vector: dict[str, Any], answer: wire.Verified | Failure) -> None:
    """Check an answer against the verdict and the words that the index has."""
    if vector["verdict"] == "Verified":
        assert isinstance(answer, wire.Verified), answer
        assert answer.tx_id.hex() == vector["tx_id"]
        return
    assert isinstance(answer, Refused), answer
    assert answer.kind == vector["verdict"], answer
    told = "\n".join(each.message for each in answer.causes)
    assert vector.get("message", "") in told, told


@pytest.mark.parametrize("name", TRANSACTIONS)
async def test_a_vector_gets_its_verdict(name: str, workers: Workers, jars: dict[bytes, bytes]) -> None:
    vector = TRANSACTIONS[name]
    (description,) = await workers.describe([read(f"{name}.stx")])
    assert isinstance(description, wire.Description), description
    assert description.tx_id.hex() == vector["tx_id"]
    (answer,) = await workers.verify([job(vector, jars)])
    check(vector, answer)


async def test_all_at_once_get_the_same(workers: Workers, jars: dict[bytes, bytes]) -> None:
    answers = await workers.verify([job(vector, jars) for vector in TRANSACTIONS.values()])
    for vector, answer in zip(TRANSACTIONS.values(), answers, strict=True):
        check(vector, answer)


async def test_a_composite_keys_holders_participate_each(workers: Workers, jars: dict[bytes, bytes]) -> None:
    (answer,) = await workers.verify([job(TRANSACTIONS["composite-issue-to-both"], jars)])
    assert isinstance(answer, wire.Verified), answer
    members = {name.split(",")[0]: bytes.fromhex(each["key"]) for name, each in INDEX["members"].items()}
    assert set(answer.outputs[0].participants) == {members["O=Alice"], members["O=Bob"]}


async def test_outputs_are_the_bytes_that_later_vectors_use(
    workers: Workers, jars: dict[bytes, bytes]
) -> None:
    """What the ledger would keep of one is what the next is given."""
    split = TRANSACTIONS["cash-split"]
    (answer,) = await workers.verify([job(split, jars)])
    assert isinstance(answer, wire.Verified), answer
    expected = [read(f"cash-split.{index}.state") for index in range(2)]
    assert [each.state for each in answer.outputs] == expected
