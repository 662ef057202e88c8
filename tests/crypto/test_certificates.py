"""Certificates that strict verifiers accept, and endorsements that cannot be faked."""

import base64
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from coco_core.crypto import (
    Curve,
    PrivateKey,
    check_endorsed,
    check_issued,
    endorse,
    read_certificate,
    self_signed,
)
from coco_core.errors import AttestationError

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
AT = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
SERVICE_KEY = PrivateKey.generate(Curve.P384)
NODE_KEY = PrivateKey.generate()
SERVICE = self_signed(SERVICE_KEY, "Coco Service", not_before=START, not_after=END, ca=True)
NODE = endorse(
    NODE_KEY.public,
    "Coco Node",
    SERVICE_KEY,
    SERVICE,
    not_before=START,
    not_after=END,
    sans=("localhost", "127.0.0.1"),
)


def test_endorsed_certificate_is_accepted_and_tells_its_contents() -> None:
    check_endorsed(NODE, SERVICE, AT)
    node = read_certificate(NODE)
    assert node.public_key == NODE_KEY.public
    assert node.subject == "CN=Coco Node"
    assert (node.not_before, node.not_after) == (START, END)
    assert len(node.fingerprint) == 64


def test_strict_path_validation_of_the_library_accepts_it() -> None:
    store = Store([x509.load_pem_x509_certificate(SERVICE.encode())])
    verifier = PolicyBuilder().store(store).time(AT).build_client_verifier()
    verifier.verify(x509.load_pem_x509_certificate(NODE.encode()), [])
    server = PolicyBuilder().store(store).time(AT).build_server_verifier(x509.DNSName("localhost"))
    server.verify(x509.load_pem_x509_certificate(NODE.encode()), [])


def _context(purpose: ssl.Purpose, folder: Path) -> ssl.SSLContext:
    (folder / "node.pem").write_text(NODE_KEY.to_pem() + NODE)
    context = ssl.create_default_context(purpose, cadata=SERVICE)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "node.pem")
    return context


def test_openssl_with_strict_flags_accepts_it_on_both_sides(tmp_path: Path) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _context(ssl.Purpose.SERVER_AUTH, tmp_path).wrap_bio(
        to_client, to_server, server_hostname="localhost"
    )
    server = _context(ssl.Purpose.CLIENT_AUTH, tmp_path).wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert len(done) == 2
    assert server.getpeercert() is not None


def test_endorsement_by_another_service_of_the_same_name_is_refused() -> None:
    other_key = PrivateKey.generate(Curve.P384)
    other = self_signed(other_key, "Coco Service", not_before=START, not_after=END, ca=True)
    with pytest.raises(AttestationError, match="not endorsed"):
        check_endorsed(NODE, other, AT)


def test_a_node_cannot_endorse() -> None:
    forged = endorse(PrivateKey.generate().public, "Forged", NODE_KEY, NODE, not_before=START, not_after=END)
    with pytest.raises(AttestationError, match="may not endorse"):
        check_issued(read_certificate(forged), read_certificate(NODE))


@pytest.mark.parametrize("at", [START - datetime.timedelta(seconds=1), END + datetime.timedelta(seconds=1)])
def test_time_outside_validity_is_refused(at: datetime.datetime) -> None:
    with pytest.raises(AttestationError, match="is valid from"):
        check_endorsed(NODE, SERVICE, at)
    check_issued(read_certificate(NODE), read_certificate(SERVICE))


def test_issuer_key_must_fit_issuer_certificate() -> None:
    with pytest.raises(AttestationError, match="not for the issuer's key"):
        endorse(NODE_KEY.public, "Node", NODE_KEY, SERVICE, not_before=START, not_after=END)


@pytest.mark.parametrize("pem", ["", "rubbish", NODE[:200], "x" * 20_000])
def test_rubbish_is_not_a_certificate(pem: str) -> None:
    with pytest.raises(AttestationError):
        read_certificate(pem)


def test_a_certificate_without_names_still_names_its_key() -> None:
    pem = self_signed(NODE_KEY, "Node", not_before=START, not_after=END)
    names = read_certificate(pem).x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == [f"urn:coco:key:{NODE_KEY.public.node_id()}"]


@pytest.mark.filterwarnings("ignore:Parsed a serial number:UserWarning")
@pytest.mark.parametrize("which", ["node", "service"])
def test_a_flipped_bit_in_any_byte_of_a_certificate_is_refused(which: str) -> None:
    parts = {"node": NODE, "service": SERVICE}
    der = read_certificate(parts[which]).x509.public_bytes(Encoding.DER)
    passed = []
    for at in range(len(der)):
        changed = bytearray(der)
        changed[at] ^= 1 << at % 8
        pem = "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(changed).decode()
        try:
            damaged = parts | {which: pem + "-----END CERTIFICATE-----\n"}
            check_issued(read_certificate(damaged["node"]), read_certificate(damaged["service"]))
        except AttestationError:
            continue
        passed.append(at)
    # The service's own signature and unrelated extensions do not matter: its key is what is pinned.
    assert which == "service" or passed == []
