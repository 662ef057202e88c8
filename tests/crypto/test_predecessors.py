"""The chain of identities that a service had: only its own links, in order, and for nothing else."""

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from coco_core.base import TxID, limits
from coco_core.crypto import (
    Certificate,
    Curve,
    PrivateKey,
    check_issued,
    check_issued_before,
    endorse,
    endorse_predecessor,
    read_certificate,
    read_predecessors,
    self_signed,
)
from coco_core.errors import AttestationError

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
KEYS = [PrivateKey.generate(Curve.P384), PrivateKey.generate(Curve.P256), PrivateKey.generate(Curve.P384)]


def service_of(key: PrivateKey) -> str:
    return self_signed(key, "Coco Service", not_before=START, not_after=END, ca=True)


FIRST, SECOND, THIRD = map(service_of, KEYS)


def taken_over(before: str, key: PrivateKey, certificate: str, until: TxID) -> str:
    return endorse_predecessor(read_certificate(before), key, certificate, until)


CHAIN = [taken_over(FIRST, KEYS[1], SECOND, TxID(2, 9)), taken_over(SECOND, KEYS[2], THIRD, TxID(103, 20))]
NODE_KEY = PrivateKey.generate()


def node_of(key: PrivateKey, certificate: str) -> str:
    return endorse(NODE_KEY.public, "Coco Node", key, certificate, not_before=START, not_after=END)


def test_a_chain_leads_from_the_first_identity_to_the_one_in_force() -> None:
    first, second = read_predecessors(CHAIN, read_certificate(THIRD))
    assert (first.public_key, first.until) == (KEYS[0].public, TxID(2, 9))
    assert (second.public_key, second.until) == (KEYS[1].public, TxID(103, 20))
    assert read_predecessors(CHAIN[1:], read_certificate(THIRD)) == [second]
    assert read_predecessors([], read_certificate(THIRD)) == []
    check_issued_before(read_certificate(node_of(KEYS[0], FIRST)), first)
    with pytest.raises(AttestationError, match="not endorsed by that previous identity"):
        check_issued_before(read_certificate(node_of(KEYS[0], FIRST)), second)


@pytest.mark.parametrize(
    "chain",
    [
        CHAIN[::-1],
        CHAIN[:1],
        [CHAIN[0], CHAIN[0]],
        [CHAIN[1], CHAIN[1]],
        ["nonsense"],
        [node_of(KEYS[2], THIRD)],
        [SECOND],
        [THIRD],
        [taken_over(FIRST, KEYS[1], SECOND, TxID(103, 20)), CHAIN[1]],
        [CHAIN[1] + "\n"],
        [CHAIN[1]] * (limits.RECOVERIES_MAX + 1),
    ],
)
def test_anything_else_is_refused(chain: Sequence[str]) -> None:
    with pytest.raises(AttestationError):
        read_predecessors(chain, read_certificate(THIRD))


def test_only_the_holder_of_the_new_key_endorses() -> None:
    with pytest.raises(AttestationError, match="not for the issuer's key"):
        taken_over(FIRST, KEYS[2], SECOND, TxID(2, 9))


def _pem(certificate: str) -> x509.Certificate:
    return read_certificate(certificate).x509


def test_who_holds_the_old_key_is_nobody_to_tls(tmp_path: Path) -> None:
    """Neither may it issue certificates, nor is it a certificate to present."""
    old: Certificate = read_certificate(CHAIN[1])
    with pytest.raises(AttestationError, match="may not endorse"):
        check_issued(read_certificate(node_of(KEYS[1], SECOND)), old)
    store = Store([_pem(THIRD)])
    verifier = PolicyBuilder().store(store).build_client_verifier()
    with pytest.raises(VerificationError):
        verifier.verify(_pem(node_of(KEYS[1], SECOND)), [old.x509])
    (tmp_path / "node.pem").write_text(NODE_KEY.to_pem() + node_of(KEYS[1], SECOND) + CHAIN[1])
    (tmp_path / "old.pem").write_text(KEYS[1].to_pem() + old.x509.public_bytes(Encoding.PEM).decode())
    for name in ("node.pem", "old.pem"):
        with pytest.raises(ssl.SSLError):
            _shake_hands(tmp_path / name)


def _shake_hands(identity: Path) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(identity)
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.load_verify_locations(cadata=THIRD)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
