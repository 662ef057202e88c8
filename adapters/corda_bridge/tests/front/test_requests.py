"""Signed requests: what a key proves, and every way in which it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from coco_corda.limits import REQUEST_TIME_OFF_MAX_MS
from coco_corda.payloads import Proof
from coco_corda.refs import sha256
from coco_corda.requests import Desk, RequestSignatureError, signed_text, verify, verify_submission
from coco_core.errors import BusyError

NOTARY = b"the notary's key"
NOW_MS = 1_700_000_000_000
NONCE = "0123456789abcdef"
STX = b"a transaction"

Sign = Callable[[bytes], bytes]


def der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def ed25519_key() -> tuple[bytes, Sign]:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return der(key.public_key()), key.sign


def ec_key(curve: ec.EllipticCurve) -> tuple[bytes, Sign]:
    key = ec.derive_private_key(12345, curve)
    return der(key.public_key()), lambda text: key.sign(text, ec.ECDSA(hashes.SHA256()))


def rsa_key() -> tuple[bytes, Sign]:
    key = rsa.generate_private_key(65537, 2048)
    return der(key.public_key()), lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256())


KINDS: dict[str, Callable[[], tuple[bytes, Sign]]] = {
    "ed25519": ed25519_key,
    "secp256r1": lambda: ec_key(ec.SECP256R1()),
    "secp256k1": lambda: ec_key(ec.SECP256K1()),
    "rsa": rsa_key,
}


def proof(time_ms: int = NOW_MS, nonce: str = NONCE, *, kind: str = "ed25519", body: bytes = STX) -> Proof:
    key, sign = KINDS[kind]()
    text = signed_text("POST", "/transactions", NOTARY, time_ms, nonce, body)
    return Proof(key=key, text=text, signature=sign(text))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_that_corda_has_signs(kind: str) -> None:
    signed = proof(kind=kind)
    verify(signed)
    Desk().check(signed, NOW_MS)
    verify_submission(signed, STX, NOTARY)
    with pytest.raises(RequestSignatureError):
        verify(Proof(key=signed.key, text=signed.text + b" ", signature=signed.signature))


def test_what_is_signed_is_seven_lines() -> None:
    lines = proof(body=b"").text.decode().split("\n")
    assert lines[:3] == ["coco.corda.request.v1", "POST", "/transactions"]
    assert lines[4:6] == [str(NOW_MS), NONCE]
    assert lines[6] == "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"


@pytest.mark.parametrize("off_ms", [-REQUEST_TIME_OFF_MAX_MS - 1, REQUEST_TIME_OFF_MAX_MS + 1])
def test_an_old_request_and_one_of_tomorrow_are_refused(off_ms: int) -> None:
    with pytest.raises(RequestSignatureError, match="off"):
        Desk().check(proof(NOW_MS + off_ms), NOW_MS)


def test_a_nonce_is_taken_once_for_as_long_as_its_time_is_good() -> None:
    desk = Desk()
    signed = proof(NOW_MS + REQUEST_TIME_OFF_MAX_MS)
    desk.check(signed, NOW_MS)
    for later_ms in (0, REQUEST_TIME_OFF_MAX_MS, 2 * REQUEST_TIME_OFF_MAX_MS):
        with pytest.raises(RequestSignatureError, match="used before"):
            desk.check(signed, NOW_MS + later_ms)
    with pytest.raises(RequestSignatureError, match="off"):
        desk.check(signed, NOW_MS + 2 * REQUEST_TIME_OFF_MAX_MS + 1)
    desk.check(proof(nonce="another-nonce-00"), NOW_MS)


def test_more_signed_requests_than_a_node_remembers_keep_nobody_out() -> None:
    """Anybody may sign any number; who signs a new one is served, and none counts twice."""
    desk = Desk(remembered_max=3)
    sent = [proof(NOW_MS + number, f"nonce-of-request-{number}") for number in range(6)]
    for each in sent:
        desk.check(each, NOW_MS)
    for forgotten in sent[:3]:
        with pytest.raises(BusyError, match="sign it anew"):
            desk.check(forgotten, NOW_MS)
    for remembered in sent[3:]:
        with pytest.raises(RequestSignatureError, match="used before"):
            desk.check(remembered, NOW_MS)
    desk.check(proof(NOW_MS + 6), NOW_MS)


def test_strangers_keep_no_participant_out() -> None:
    """Theirs may be of the future, so that whatever is signed now is as old as what was forgotten."""
    mine = proof()
    desk = Desk({sha256(mine.key)}.__contains__, remembered_max=3)
    for number in range(9):
        desk.check(proof(NOW_MS + 50_000 + number, f"nonce-of-request-{number}", kind="secp256k1"), NOW_MS)
    with pytest.raises(BusyError, match="sign it anew"):
        desk.check(proof(kind="secp256k1"), NOW_MS)
    desk.check(mine, NOW_MS)
    with pytest.raises(RequestSignatureError, match="used before"):
        desk.check(mine, NOW_MS)


def test_one_key_takes_a_part_of_what_is_remembered() -> None:
    desk = Desk(lambda key: True, remembered_max=3, of_one_key_max=2)
    sent = [proof(NOW_MS, f"nonce-of-request-{number}") for number in range(3)]
    for each in sent[:2]:
        desk.check(each, NOW_MS)
    with pytest.raises(BusyError, match="wait a minute"):
        desk.check(sent[2], NOW_MS)
    desk.check(proof(kind="secp256k1"), NOW_MS)
    later_ms = NOW_MS + REQUEST_TIME_OFF_MAX_MS + 1
    desk.check(proof(later_ms), later_ms)


def test_a_nonce_counts_once_also_for_who_became_a_participant_meanwhile() -> None:
    participants: set[bytes] = set()
    desk, signed = Desk(participants.__contains__), proof()
    desk.check(signed, NOW_MS)
    participants.add(sha256(signed.key))
    with pytest.raises(RequestSignatureError, match="used before"):
        desk.check(signed, NOW_MS)


def test_what_was_forgotten_because_it_was_old_is_not_taken_when_the_clock_goes_back() -> None:
    desk, signed = Desk(), proof()
    desk.check(signed, NOW_MS)
    later_ms = NOW_MS + 2 * REQUEST_TIME_OFF_MAX_MS
    desk.check(proof(later_ms, nonce="another-nonce-00"), later_ms)
    with pytest.raises(BusyError):
        desk.check(signed, NOW_MS)


def test_a_bad_signature_uses_no_nonce_up() -> None:
    desk, good = Desk(), proof()
    with pytest.raises(RequestSignatureError):
        desk.check(Proof(key=good.key, text=good.text, signature=bytes(64)), NOW_MS)
    desk.check(good, NOW_MS)


@pytest.mark.parametrize("nonce", ["short", "x" * 65, "with a space in it", "ünïcödé-ünïcödé-"])
def test_a_nonce_of_another_form_is_refused(nonce: str) -> None:
    with pytest.raises(RequestSignatureError):
        Desk().check(proof(nonce=nonce), NOW_MS)


def test_a_signature_of_something_else_is_none_of_a_submission() -> None:
    with pytest.raises(RequestSignatureError, match="not this submission"):
        verify_submission(proof(), b"another", NOTARY)
    with pytest.raises(RequestSignatureError, match="not this submission"):
        verify_submission(proof(), STX, b"another notary")


@pytest.mark.parametrize("key", [b"", b"nonsense", bytes(5000)])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    signed = proof()
    with pytest.raises(RequestSignatureError):
        verify(Proof(key=key, text=signed.text, signature=signed.signature))


def test_keys_that_corda_does_not_have_are_refused() -> None:
    key, sign = ec_key(ec.SECP384R1())
    text = proof().text
    with pytest.raises(RequestSignatureError, match="kind"):
        verify(Proof(key=key, text=text, signature=sign(text)))


def test_rsa_keys_whose_signatures_take_long_to_check_are_refused() -> None:
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    key = der(rsa.RSAPublicNumbers(modulus - 2, modulus).public_key())
    with pytest.raises(RequestSignatureError, match="kind"):
        verify(Proof(key=key, text=proof().text, signature=bytes(256)))
