"""Requests as bytes: each is read back, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_corda.payloads import Attachment, Parameters, Payload, Proof, Submission, decode, encode
from coco_core.errors import MalformedError

BYTES = st.binary(min_size=1, max_size=50)
PROOFS = st.builds(Proof, key=BYTES, text=BYTES, signature=BYTES)
PAYLOADS = st.one_of(
    st.builds(Submission, stx=BYTES, proof=st.none() | PROOFS),
    st.builds(Attachment, BYTES),
    st.builds(Parameters, BYTES),
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


def test_a_proof_beyond_its_bounds_is_refused() -> None:
    proof = Proof(key=bytes(5000), text=b"x", signature=b"x")
    with pytest.raises(MalformedError):
        decode(encode(Submission(stx=b"x", proof=proof)))


@given(PROOFS)
def test_a_stored_proof_is_read_back(proof: Proof) -> None:
    assert Proof.unpack(proof.pack()) == proof
