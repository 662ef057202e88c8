"""Requests as bytes: each is read back, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_corda.limits import ATTACHMENT_MAX_BYTES, PART_MAX_BYTES, PARTS_MAX
from coco_corda.payloads import (
    Attachment,
    Parameters,
    Part,
    Payload,
    Proof,
    Submission,
    decode,
    encode,
    parts_of,
)
from coco_core.base.limits import PAYLOAD_SIZE_MAX_BYTES, WRITE_SET_SIZE_MAX_BYTES
from coco_core.errors import MalformedError

VECTORS = Path(__file__).parents[1] / "wire" / "vectors"
BYTES = st.binary(min_size=1, max_size=50)
PROOFS = st.builds(Proof, key=BYTES, text=BYTES, signature=BYTES)
PAYLOADS = st.one_of(
    st.builds(Submission, stx=BYTES, proof=st.none() | PROOFS),
    st.builds(Attachment, BYTES),
    st.builds(Parameters, BYTES),
    st.builds(
        Part, digest=st.just(bytes(32)), index=st.just(3), count=st.integers(4, PARTS_MAX), content=BYTES
    ),
)


@given(PAYLOADS)
def test_a_payload_is_read_back(payload: Payload) -> None:
    assert decode(encode(payload)) == payload


@given(PAYLOADS, st.data())
def test_what_is_cut_off_or_longer_is_refused(payload: Payload, data: st.DataObject) -> None:
    encoded = encode(payload)
    for wrong in (encoded[: data.draw(st.integers(0, len(encoded) - 1))], encoded + b"x"):
        with pytest.raises(MalformedError):
            decode(wrong)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        payload = decode(data)
    except MalformedError:
        return
    assert encode(payload) == data


def test_a_transaction_as_corda_wrote_it_is_a_payload() -> None:
    written = (VECTORS / "cash-move.stx").read_bytes()
    assert decode(written) == decode(encode(Submission(stx=written))) == Submission(stx=written)


def test_a_proof_beyond_its_bounds_is_refused() -> None:
    proof = Proof(key=bytes(5000), text=b"x", signature=b"x")
    with pytest.raises(MalformedError):
        decode(encode(Submission(stx=b"x", proof=proof)))


@given(PROOFS)
def test_a_stored_proof_is_read_back(proof: Proof) -> None:
    assert Proof.unpack(proof.pack()) == proof


@pytest.mark.parametrize("size", [1, PART_MAX_BYTES, PART_MAX_BYTES + 1, ATTACHMENT_MAX_BYTES])
def test_a_jar_is_brought_in_payloads_that_the_core_takes(size: int) -> None:
    jar = bytes(size)
    payloads = [encode(each) for each in parts_of(jar)]
    assert all(len(each) <= PAYLOAD_SIZE_MAX_BYTES for each in payloads)
    decoded = [decode(each) for each in payloads]
    assert b"".join(each.content for each in decoded if isinstance(each, Attachment | Part)) == jar
    assert size < WRITE_SET_SIZE_MAX_BYTES


def test_a_jar_beyond_the_bound_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parts_of(bytes(ATTACHMENT_MAX_BYTES + 1))


@pytest.mark.parametrize(("index", "count"), [(0, 0), (1, 1), (0, PARTS_MAX + 1), (255, 255)])
def test_a_part_that_cannot_be_is_refused(index: int, count: int) -> None:
    with pytest.raises(MalformedError):
        decode(encode(Part(digest=bytes(32), index=index, count=count, content=b"x")))
