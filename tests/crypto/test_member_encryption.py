"""A member's secret opens with the member's own RSA key only."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from coco_core.crypto import (
    PrivateKey,
    check_encryption_key,
    make_encryption_key,
    unwrap_by_member,
    wrap_for_member,
)
from coco_core.errors import AttestationError

KEY = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)


def private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def large_public() -> str:
    """A well-formed key too large to be generated in a test."""
    numbers = rsa.RSAPublicNumbers(65537, 2**8192 + 1)
    return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_round_trip() -> None:
    wrapped = wrap_for_member(public(KEY), b"share")
    assert wrap_for_member(public(KEY).encode(), b"share") != wrapped
    assert unwrap_by_member(private(KEY), wrapped) == b"share"
    assert unwrap_by_member(private(KEY).encode(), wrapped) == b"share"
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label=None)
    assert KEY.decrypt(wrapped, oaep) == b"share"


def test_wrong_key_or_changed() -> None:
    wrapped = wrap_for_member(public(KEY), b"share")
    for key, data in ((OTHER, wrapped), (KEY, wrapped[:-1]), (KEY, b""), (KEY, bytes(256))):
        with pytest.raises(AttestationError, match="not encrypted to this key"):
            unwrap_by_member(private(key), data)


def test_too_large_for_the_key() -> None:
    assert len(unwrap_by_member(private(KEY), wrap_for_member(public(KEY), bytes(190)))) == 190
    with pytest.raises(AttestationError, match="191 bytes do not fit"):
        wrap_for_member(public(KEY), bytes(191))


@pytest.mark.parametrize(
    ("pem", "fault"),
    [
        ("rubbish", "not a public encryption key"),
        ("\ud800", "not a public encryption key"),
        (b"\xff", "not a public encryption key"),
        (private(KEY), "not a public encryption key"),
        (PrivateKey.generate().public.pem, "is an RSA key"),
        (public(SMALL), "has 1024 bits"),
        (large_public(), "has 8193 bits"),
        (public(KEY) + " " * 20_000, "bytes exceeds"),
    ],
)
def test_public_keys_refused(pem: str | bytes, fault: str) -> None:
    with pytest.raises(AttestationError, match=fault):
        check_encryption_key(pem)
    with pytest.raises(AttestationError, match=fault):
        wrap_for_member(pem, b"share")


@pytest.mark.parametrize(
    ("pem", "fault"),
    [
        ("rubbish", "not a private encryption key"),
        (public(KEY), "not a private encryption key"),
        (
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            "not a private encryption key",
        ),
        (PrivateKey.generate().to_pem(), "is an RSA key"),
        (private(SMALL), "has 1024 bits"),
        (private(KEY) + " " * 20_000, "bytes exceeds"),
    ],
)
def test_private_keys_refused(pem: str | bytes, fault: str) -> None:
    with pytest.raises(AttestationError, match=fault):
        unwrap_by_member(pem, wrap_for_member(public(KEY), b"share"))


def test_acceptable_key() -> None:
    check_encryption_key(public(KEY))


def test_fresh_key_serves() -> None:
    private_pem, public_pem = make_encryption_key()
    check_encryption_key(public_pem)
    assert unwrap_by_member(private_pem, wrap_for_member(public_pem, b"a share")) == b"a share"
