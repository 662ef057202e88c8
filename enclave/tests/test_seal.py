"""What is sealed is read by the same code, on the same machine, for the same node; an old blob never is."""

from __future__ import annotations

from typing import Any

import attrs
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_core.errors import IntegrityError
from coco_enclave import (
    SealContext,
    SealingError,
    SealingKey,
    SealPolicy,
    read_header,
    seal,
    unseal,
)

KEY = SealingKey(
    platform="sgx", policy=SealPolicy.EXACT, code="11" * 32, svn=3, tcb="db18", secret=b"\x77" * 16
)
CONTEXT = SealContext(service_id="ab" * 32, node_id="cd" * 32, purpose="recovery key")
ENTROPY = bytes(range(44))
SECRET = b"what only this node may know"
BLOB = seal(SECRET, KEY, CONTEXT, 7, ENTROPY)


def refused(blob: bytes, key: SealingKey = KEY, context: SealContext = CONTEXT, seqno: int = 7) -> str:
    with pytest.raises(SealingError) as caught:
        unseal(blob, key, context, committed_seqno=seqno)
    assert isinstance(caught.value, IntegrityError)
    return caught.value.code


def test_sealed_is_read_again() -> None:
    opened = unseal(BLOB, KEY, CONTEXT, committed_seqno=7)
    assert (opened.secret, opened.seqno, opened.stale) == (SECRET, 7, False)
    assert SECRET not in BLOB


def test_newer_code_of_the_same_author_reads_it() -> None:
    author = attrs.evolve(KEY, policy=SealPolicy.AUTHOR, code="22" * 32)
    blob = seal(SECRET, author, CONTEXT, 7, ENTROPY)
    newer = attrs.evolve(author, svn=4)
    assert unseal(blob, newer, CONTEXT, committed_seqno=0).secret == SECRET
    assert refused(blob, attrs.evolve(author, svn=2)) == "svn"


def test_after_an_update_of_the_firmware_it_is_stale() -> None:
    assert unseal(BLOB, KEY, CONTEXT, committed_seqno=7, current_tcb="db19").stale
    newer = attrs.evolve(KEY, tcb="db19", secret=b"\x78" * 16)
    assert refused(BLOB, newer) == "machine", "the old key is asked for, nothing weaker is tried"
    assert read_header(BLOB).tcb == "db18"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": b"\x78" * 16}, "machine"),
        ({"code": "12" * 32}, "code"),
        ({"policy": SealPolicy.AUTHOR}, "policy"),
        ({"platform": "snp"}, "platform"),
        ({"svn": 2}, "svn"),
    ],
)
def test_another_key_does_not_read_it(changes: dict[str, Any], code: str) -> None:
    assert refused(BLOB, attrs.evolve(KEY, **changes)) == code


@pytest.mark.parametrize("field", ["service_id", "node_id", "purpose"])
def test_swapped_blob_is_refused(field: str) -> None:
    assert refused(BLOB, context=attrs.evolve(CONTEXT, **{field: "another"})) == "context"


def test_older_blob_is_refused() -> None:
    assert refused(BLOB, seqno=8) == "rollback"


def test_every_byte_counts() -> None:
    codes = set()
    for at in range(len(BLOB)):
        codes.add(refused(BLOB[:at] + bytes([BLOB[at] ^ 1]) + BLOB[at + 1 :]))
    assert "altered" in codes
    assert codes <= {"altered", "malformed", "machine", "code", "policy", "platform", "svn", "context"}


def test_every_field_is_authenticated() -> None:
    values = cbor2.loads(BLOB)
    for at, value in ((4, 1), (6, 9)):
        changed = [*values]
        changed[at] = value
        assert refused(cbor2.dumps(changed, canonical=True)) == "altered"


@pytest.mark.parametrize("at", range(12))
def test_a_field_of_another_type_is_malformed(at: int) -> None:
    values = cbor2.loads(BLOB)
    for other in ("text", b"bytes", 7, None, []):
        if type(other) is not type(values[at]):
            changed = [*values]
            changed[at] = other
            assert refused(cbor2.dumps(changed, canonical=True)) == "malformed"


def test_a_refusal_says_why() -> None:
    with pytest.raises(SealingError) as caught:
        unseal(BLOB, attrs.evolve(KEY, code="12" * 32), CONTEXT, committed_seqno=7)
    assert str(caught.value) == "sealed for another code"


def test_a_blob_has_one_form() -> None:
    values = cbor2.loads(BLOB)
    assert refused(b"\x9f" + b"".join(map(cbor2.dumps, values)) + b"\xff") == "malformed"
    assert refused(cbor2.dumps([*values[:10], values[10][:11], values[11]], canonical=True)) == "malformed"


@given(st.binary(max_size=300))
def test_anything_else_is_malformed(blob: bytes) -> None:
    assert refused(blob) == "malformed"


def test_entropy_and_secret_are_within_bounds() -> None:
    for secret, entropy in ((SECRET, ENTROPY[:-1]), (bytes(65 * 1024), ENTROPY)):
        with pytest.raises(SealingError):
            seal(secret, KEY, CONTEXT, 7, entropy)
    assert refused(bytes(200 * 1024)) == "malformed"


def test_same_secret_looks_different_every_time() -> None:
    assert seal(SECRET, KEY, CONTEXT, 7, ENTROPY[::-1])[-20:] != BLOB[-20:]
    assert "77" not in repr(KEY)
