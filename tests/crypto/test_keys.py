"""Keys sign and verify on their own curve only; verification raises."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from coco_core.crypto import Curve, PrivateKey, PublicKey, SignatureError
from coco_core.errors import AttestationError, IntegrityError


@pytest.fixture(scope="module", params=list(Curve), ids=lambda curve: curve.value)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return PrivateKey.generate(request.param)


def test_every_form_of_signature_verifies(key: PrivateKey) -> None:
    digest = hashlib.sha256(b"root").digest()
    key.public.verify(key.sign(b"message"), b"message")
    key.public.verify_raw(key.sign_raw(b"message"), b"message")
    key.public.verify_digest(key.sign_digest(digest), digest)
    assert len(key.sign_raw(b"")) == 2 * key.public.curve.coordinate_size_bytes


def test_a_changed_message_or_signature_is_refused(key: PrivateKey) -> None:
    digest = hashlib.sha256(b"root").digest()
    signature = key.sign(b"message")
    for wrong in (signature[:-1], signature + b"\0", b"", bytes([signature[0] ^ 1]) + signature[1:]):
        with pytest.raises(SignatureError):
            key.public.verify(wrong, b"message")
    with pytest.raises(SignatureError):
        key.public.verify(signature, b"massage")
    with pytest.raises(SignatureError):
        key.public.verify_digest(key.sign_digest(digest), hashlib.sha256(b"other").digest())
    with pytest.raises(SignatureError, match="31 bytes"):
        key.public.verify_digest(key.sign_digest(digest), digest[:31])
    with pytest.raises(SignatureError, match="raw signature has 10 bytes"):
        key.public.verify_raw(bytes(10), b"message")
    with pytest.raises(SignatureError):
        key.public.verify_raw(bytes(2 * key.public.curve.coordinate_size_bytes), b"message")


def test_another_key_is_refused_as_an_integrity_fault(key: PrivateKey) -> None:
    with pytest.raises(IntegrityError, match="signature is not by key"):
        PrivateKey.generate().public.verify(key.sign(b"message"), b"message")


def test_encodings_return(key: PrivateKey) -> None:
    assert PublicKey.from_der(key.public.der) == key.public
    assert PublicKey.from_pem(key.public.pem) == key.public
    assert hash(PublicKey.from_pem(key.public.pem.encode())) == hash(key.public)
    again = PrivateKey.from_pem(key.to_pem())
    assert again.public == key.public
    again.public.verify(again.sign(b"m"), b"m")


def test_node_id_is_the_digest_of_the_encoded_key(key: PrivateKey) -> None:
    der = key.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public.node_id() == hashlib.sha256(der).hexdigest()


def test_other_curves_and_rubbish_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP256K1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(AttestationError, match="not on P-256, P-384 or P-521"):
        PrivateKey.from_pem(pem)
    with pytest.raises(AttestationError, match="not on P-256, P-384 or P-521"):
        PublicKey.wrap(other.public_key())
    edwards = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(AttestationError, match="not on P-256, P-384 or P-521"):
        PrivateKey.from_pem(edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for read in (PrivateKey.from_pem, PublicKey.from_pem):
        with pytest.raises(AttestationError):
            read("rubbish")
    with pytest.raises(AttestationError):
        PublicKey.from_der(b"\x30\x00")


def test_private_keys_are_not_printed(key: PrivateKey) -> None:
    assert key.to_pem().splitlines()[1] not in repr(key)
    assert key.public.node_id()[:16] in repr(key)
