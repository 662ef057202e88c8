"""Signatures: ours verify, everything else is refused, and there is one form of each."""

from __future__ import annotations

import hashlib

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import MalformedError
from coco_sawtooth.signing import Signer, canonical_key, verify

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ALICE = Signer(hashlib.sha256(b"alice").digest())
BOB = Signer(hashlib.sha256(b"bob").digest())


@given(message=st.binary(max_size=100), key=st.binary(min_size=32, max_size=32))
def test_what_is_signed_verifies(message, key):
    signer = Signer(hashlib.sha256(key).digest())
    signature = signer.sign(message)
    verify(signature, message, signer.public_key)
    assert signature == signer.sign(message)
    with pytest.raises(MalformedError):
        verify(signature, message + b"x", signer.public_key)


def test_anothers_signature_is_refused():
    with pytest.raises(MalformedError):
        verify(BOB.sign(b"m"), b"m", ALICE.public_key)


def test_a_high_s_is_refused():
    signature = ALICE.sign(b"m")
    mirrored = signature[:64] + (ORDER - int(signature[64:], 16)).to_bytes(32).hex()
    with pytest.raises(MalformedError):
        verify(mirrored, b"m", ALICE.public_key)


@pytest.mark.parametrize("signature", ["00" * 64, "ff" * 64, "00" * 63, ""])
def test_what_is_no_signature_is_refused(signature):
    with pytest.raises(MalformedError):
        verify(signature, b"m", ALICE.public_key)


@pytest.mark.parametrize("key", ["", "00" * 33, "02" + "ff" * 32, "04" + "11" * 64, "zz" * 33, " " * 66])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(MalformedError):
        verify(ALICE.sign(b"m"), b"m", key)
    if key != "02" + "ff" * 32:
        with pytest.raises(MalformedError):
            canonical_key(key)


def test_every_form_of_a_key_verifies_and_has_one_name():
    uncompressed = coincurve.PublicKey(bytes.fromhex(ALICE.public_key)).format(compressed=False).hex()
    for form in (ALICE.public_key, ALICE.public_key.upper(), uncompressed, uncompressed.upper()):
        verify(ALICE.sign(b"m"), b"m", form)
        assert canonical_key(form) == ALICE.public_key
