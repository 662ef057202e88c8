"""TPM quotes and logs: what counts as one, and how each lie is refused (a simulated TPM)."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from coco_enclave import EvidenceError, attestation_key, tpm
from coco_enclave.event_log import Event, check_log, parse_log, replay
from coco_enclave.pki import check_chain, load_certificate, load_certificates
from coco_enclave.policy import PlatformPolicy
from coco_enclave.testing import sim_tpm
from coco_enclave.testing.authority import issue, rsa_key
from coco_enclave.testing.sim_tpm import Tpm, TpmVendor, log_event

NOW_S = 1_790_000_000
NONCE = bytes(range(64))


@pytest.fixture(scope="module")
def vendor() -> TpmVendor:
    return sim_tpm.make_tpm_vendor(NOW_S)


@pytest.fixture(scope="module")
def machine(vendor: TpmVendor) -> Tpm:
    made = sim_tpm.make_tpm(vendor, now_s=NOW_S)
    made.extend(4, 0xD, b"loader")
    made.extend(7, 1, b"variable")
    made.extend(7, 1, b"another")
    return made


def code_of(call: Any, *args: Any, **named: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        call(*args, **named)
    return caught.value.code


# ── quotes ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", [tpm.SHA256, tpm.SHA384])
@pytest.mark.parametrize("scheme", [tpm.RSASSA, tpm.RSAPSS, tpm.ECDSA])
def test_a_genuine_quote(vendor: TpmVendor, scheme: int, algorithm: int) -> None:
    made = sim_tpm.make_tpm(vendor, now_s=NOW_S, elliptic=scheme == tpm.ECDSA)
    made.extend(4, 0xD, b"loader")
    data, signature = made.quote(NONCE, (4, 7, 17), scheme=scheme, algorithm=algorithm)
    quote = tpm.parse_quote(data)
    tpm.check_signature(quote, tpm.parse_signature(signature), _key(made))
    tpm.check_nonce(quote, NONCE)
    assert tpm.check_registers(quote, made.registers, tpm.SHA256, {4, 7}) == {
        4: made.register(4),
        7: bytes(32),
        17: b"\xff" * 32,
    }
    assert (quote.reset_count, quote.restart_count, quote.clock_safe) == (1, 0, True)


def _key(made: Tpm) -> Any:
    return made.ak.key.public_key()


def test_a_nonce_may_be_a_digest_of_what_is_expected(machine: Tpm) -> None:
    for nonce in (NONCE, hashlib.sha256(NONCE).digest()):
        tpm.check_nonce(tpm.parse_quote(machine.quote(nonce, (4,))[0]), NONCE)
    for nonce in (b"", NONCE[:32], hashlib.sha512(NONCE).digest()):
        assert code_of(tpm.check_nonce, tpm.parse_quote(machine.quote(nonce, (4,))[0]), NONCE) == "tpm_nonce"


def test_what_is_signed_must_be_a_quote(machine: Tpm) -> None:
    assert code_of(tpm.parse_quote, machine.quote(NONCE, (4,), magic=0)[0]) == "tpm_magic"
    assert code_of(tpm.parse_quote, machine.quote(NONCE, (4,), kind=0x8017)[0]) == "tpm_magic"


def test_a_quote_of_another_key(vendor: TpmVendor, machine: Tpm) -> None:
    data, signature = machine.quote(NONCE, (4,))
    quote, parsed = tpm.parse_quote(data), tpm.parse_signature(signature)
    other = rsa_key().public_key()
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    for key in (other, elliptic):
        assert code_of(tpm.check_signature, quote, parsed, key) == "signature"
    for key in (
        rsa.generate_private_key(65537, 1024).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
    ):
        assert code_of(tpm.check_signature, quote, parsed, key) == "unsupported"
    curved = sim_tpm.make_tpm(vendor, now_s=NOW_S, elliptic=True)
    elliptic_signature = tpm.parse_signature(curved.quote(NONCE, (4,))[1])
    assert code_of(tpm.check_signature, quote, elliptic_signature, other) == "signature"
    assert code_of(tpm.check_signature, quote, elliptic_signature, elliptic) == "signature"


def test_sha1_counts_only_where_it_is_asked_for(machine: Tpm) -> None:
    data, signature = machine.quote(NONCE, (4,), algorithm=tpm.SHA1)
    quote, parsed = tpm.parse_quote(data), tpm.parse_signature(signature)
    assert code_of(tpm.check_signature, quote, parsed, _key(machine)) == "unsupported"
    tpm.check_signature(quote, parsed, _key(machine), sha1=True)


def test_registers_must_be_the_quoted_ones(machine: Tpm) -> None:
    quote = tpm.parse_quote(machine.quote(NONCE, (4, 7))[0])
    check = tpm.check_registers
    assert code_of(check, quote, machine.registers, tpm.SHA256, {4, 9}) == "tpm_selection"
    assert code_of(check, quote, machine.registers, tpm.SHA384, {4}) == "tpm_selection"
    assert code_of(check, quote, machine.registers | {4: bytes(32)}, tpm.SHA256, {4}) == "tpm_digest"
    assert code_of(check, quote, machine.registers | {4: bytes(31)}, tpm.SHA256, {4}) == "tpm_digest"
    assert code_of(check, quote, {}, tpm.SHA256, {4}) == "tpm_digest"
    assert code_of(check, quote, machine.registers, tpm.SHA384, set()) == "tpm_selection"
    moved = machine.register(4) + machine.register(7)
    assert code_of(check, quote, {4: moved[:33], 7: moved[33:]}, tpm.SHA256, {4}) == "tpm_digest"


def _quote_with(machine: Tpm, selections: bytes, digest: bytes = bytes(32)) -> bytes:
    whole = machine.quote(NONCE, (4,))[0]
    head = whole[: len(whole) - 34 - 6 - 4]
    return head + selections + struct.pack(">H", len(digest)) + digest


@pytest.mark.parametrize(
    "selections",
    [
        struct.pack(">I", 5),
        struct.pack(">I", 5) + 5 * struct.pack(">HB", 0xB, 0),
        struct.pack(">IHB", 1, 0xB, 4) + bytes(4),
        struct.pack(">I", 2) + 2 * (struct.pack(">HB", 0xB, 1) + b"\x01"),
        b"",
    ],
)
def test_selections_that_are_none(machine: Tpm, selections: bytes) -> None:
    assert code_of(tpm.parse_quote, _quote_with(machine, selections)) == "malformed"


def test_a_digest_of_no_known_size(machine: Tpm) -> None:
    quote = tpm.parse_quote(_quote_with(machine, struct.pack(">IHB", 1, 0xB, 1) + b"\x01", b"short"))
    assert code_of(tpm.check_registers, quote, {}, tpm.SHA256, {0}) == "tpm_digest"


def test_sizes_of_quotes_and_signatures(machine: Tpm) -> None:
    data, signature = machine.quote(NONCE, (4,))
    for parse, whole in ((tpm.parse_quote, data), (tpm.parse_signature, signature)):
        for size in range(len(whole)):
            assert code_of(parse, whole[:size]) == "malformed"
        for longer in (whole + b"\0", whole + bytes(2000)):
            assert code_of(parse, longer) == "malformed"
    assert code_of(tpm.bare_signature, bytes(2000)) == "malformed"
    assert code_of(tpm.parse_quote, machine.quote(bytes(2000), (4,))[0]) == "malformed"
    assert code_of(tpm.parse_signature, signature[:4] + struct.pack(">H", 2000) + bytes(2000)) == "malformed"
    for head in (b"\x00\x18\x00\x99", b"\x00\x99\x00\x0b"):
        assert code_of(tpm.parse_signature, head + signature[4:]) == "unsupported"


# ── the key ──────────────────────────────────────────────────────────────────────────────────────


def _judge_key(collateral: bytes, now_s: int = NOW_S, **policy: Any) -> attestation_key.AttestationKey:
    return attestation_key.check_key(*attestation_key.read_key(collateral), PlatformPolicy(**policy), now_s)


def test_a_key_is_certified_or_pinned(vendor: TpmVendor, machine: Tpm) -> None:
    anchors = frozenset({vendor.anchor})
    certified = _judge_key(machine.chain, anchors=anchors)
    assert (certified.anchor, certified.key) == (vendor.anchor, _key(machine))
    pem = _key(machine).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pinned = attestation_key.fingerprint(_key(machine))
    assert _judge_key(pem, anchors=frozenset({pinned})).anchor == pinned
    assert code_of(_judge_key, pem, anchors=anchors) == "root"
    assert code_of(_judge_key, machine.chain) == "root"


def test_a_certificate_must_be_for_an_attestation_key(vendor: TpmVendor) -> None:
    anchors = frozenset({vendor.anchor})
    ek = sim_tpm.make_tpm(vendor, now_s=NOW_S, purposes=[x509.ObjectIdentifier("2.23.133.8.1")])
    assert code_of(_judge_key, ek.chain, anchors=anchors) == "ak"
    unsaid = sim_tpm.make_tpm(vendor, now_s=NOW_S, purposes=[])
    assert _judge_key(unsaid.chain, anchors=anchors).anchor == vendor.anchor
    authority = vendor.authority.pem + vendor.root.pem
    assert code_of(_judge_key, authority, anchors=anchors) == "ak"


def test_chains_that_do_not_hold(vendor: TpmVendor, machine: Tpm) -> None:
    anchors = frozenset({vendor.anchor})
    assert code_of(_judge_key, machine.chain, NOW_S + 10**9, anchors=anchors) == "expired"
    for chain in (
        machine.ak.pem + vendor.root.pem,
        vendor.root.pem,
        (machine.ak.pem + vendor.authority.pem) * 3 + vendor.root.pem,
    ):
        assert code_of(_judge_key, chain, anchors=anchors) == "chain"
    plain = issue("Simulated TPM CA", rsa_key(), vendor.root, now_s=NOW_S)
    key = issue("AK", rsa_key(), plain, now_s=NOW_S)
    assert code_of(_judge_key, key.pem + plain.pem + vendor.root.pem, anchors=anchors) == "chain"
    short = issue("CA 1", rsa_key(), vendor.root, now_s=NOW_S, authority=True, path_length=0)
    second = issue("CA 2", rsa_key(), short, now_s=NOW_S, authority=True)
    key = issue("AK", rsa_key(), second, now_s=NOW_S)
    chain = key.pem + second.pem + short.pem + vendor.root.pem
    assert code_of(_judge_key, chain, anchors=anchors) == "chain"
    usage = x509.KeyUsage(True, *[False] * 8).public_bytes()
    signing = issue(
        "CA 3", rsa_key(), vendor.root, now_s=NOW_S, authority=True, extensions={"2.5.29.15": usage}
    )
    key = issue("AK", rsa_key(), signing, now_s=NOW_S)
    assert code_of(_judge_key, key.pem + signing.pem + vendor.root.pem, anchors=anchors) == "chain"
    none = x509.BasicConstraints(ca=False, path_length=None).public_bytes()
    said = issue("CA 5", rsa_key(), vendor.root, now_s=NOW_S, extensions={"2.5.29.19": none})
    key = issue("AK", rsa_key(), said, now_s=NOW_S)
    assert code_of(_judge_key, key.pem + said.pem + vendor.root.pem, anchors=anchors) == "chain"
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False).public_bytes()
    able = issue("CA 4", rsa_key(), vendor.root, now_s=NOW_S, authority=True, extensions={"2.5.29.15": usage})
    key = issue("AK", rsa_key(), able, now_s=NOW_S)
    assert _judge_key(key.pem + able.pem + vendor.root.pem, anchors=anchors).anchor == vendor.anchor
    with pytest.raises(EvidenceError, match="certificates"):
        check_chain([vendor.root.certificate] * 9, "a chain")
    with pytest.raises(EvidenceError, match="certificates"):
        check_chain([], "a chain")


def test_keys_that_are_none(vendor: TpmVendor) -> None:
    edwards = ed25519.Ed25519PrivateKey.generate()
    pem = edwards.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert code_of(attestation_key.read_key, pem) == "unsupported"
    certificate = issue("AK", edwards, vendor.root, now_s=NOW_S)
    assert code_of(attestation_key.read_key, certificate.pem) == "unsupported"
    begin = b"-----BEGIN PUBLIC KEY-----\n"
    assert code_of(attestation_key.read_key, begin) == "malformed"
    assert code_of(attestation_key.read_key, begin + bytes(5000)) == "size"
    assert code_of(attestation_key.read_key, b"") == "collateral"
    assert code_of(load_certificates, vendor.root.pem * 9, "chain") == "chain"


def test_a_certificate_of_a_version_that_does_not_exist(vendor: TpmVendor) -> None:
    """Fuzzing found it: the library has an exception of its own for this."""
    der = vendor.root.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x42", 1)
    assert code_of(load_certificate, der, "root") == "malformed"
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    assert code_of(load_certificates, pem, "root") == "malformed"


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_adds_up_to_the_registers(machine: Tpm) -> None:
    quote = tpm.parse_quote(machine.quote(NONCE, (4, 7, 9))[0])
    events = parse_log(machine.log)
    assert check_log(events, quote, tpm.SHA256, {4, 7}) == {
        4: machine.register(4),
        7: machine.register(7),
        9: bytes(32),
    }
    assert all(event.is_of_its_data(tpm.SHA256) for event in events)
    assert code_of(check_log, events, quote, tpm.SHA256, {5}) == "tpm_selection"
    for wrong in (events[1:], events[::-1], [*events, events[0]]):
        assert code_of(check_log, wrong, quote, tpm.SHA256, {4}) == "log"


def test_a_text_that_was_not_measured_shows(vendor: TpmVendor) -> None:
    made = sim_tpm.make_tpm(vendor, now_s=NOW_S)
    made.extend(4, 0xD, b"loader", text=b"another loader")
    [event] = parse_log(made.log)
    assert not event.is_of_its_data(tpm.SHA256)
    assert not event.is_of_its_data(tpm.SHA384)


def test_a_log_of_sha1_only() -> None:
    digest = hashlib.sha1(b"data").digest()
    log = struct.pack("<II20sI", 4, 0xD, digest, 4) + b"data"
    events = parse_log(log * 2)
    once = hashlib.sha1(bytes(20) + digest).digest()
    assert replay(events, tpm.SHA1) == {4: hashlib.sha1(once + digest).digest()}
    assert code_of(replay, events, tpm.SHA256) == "log"


def test_where_the_tpm_was_started_from_is_the_first_value_of_register_0() -> None:
    start = Event(register=0, type=3, digests={}, data=b"StartupLocality\0\x03")
    nothing = Event(register=0, type=3, digests={}, data=b"anything else")
    after = Event(register=0, type=8, digests={tpm.SHA256: b"d" * 32}, data=b"")
    wanted = hashlib.sha256(bytes(31) + b"\x03" + b"d" * 32).digest()
    assert replay([start, nothing, after], tpm.SHA256) == {0: wanted}


HEADER = struct.pack("<II20s", 0, 3, b"")


def _header(spec: bytes) -> bytes:
    return HEADER + struct.pack("<I", len(spec)) + spec


SPEC = b"Spec ID Event03\0" + bytes(8)


@pytest.mark.parametrize(
    ("log", "code"),
    [
        (b"", "malformed"),
        (_header(SPEC), "malformed"),
        (_header(SPEC + struct.pack("<I", 0) + b"\0"), "malformed"),
        (_header(SPEC + struct.pack("<I", 9) + b"\0"), "malformed"),
        (_header(SPEC + struct.pack("<IHH", 1, 0xB, 31) + b"\0"), "malformed"),
        (_header(SPEC + struct.pack("<I", 9) + struct.pack("<HH", 0xB, 32) * 9 + b"\0"), "malformed"),
        (_header(SPEC + struct.pack("<IHH", 1, 0x99, 65) + b"\0"), "malformed"),
        (_header(SPEC + struct.pack("<IHH", 1, 0xB, 32) + b"\0\0"), "malformed"),
        (_header(SPEC + struct.pack("<IHH", 1, 0xB, 32) + b"\0") + b"\xff" * 8, "log"),
        (struct.pack("<II", 24, 4) + bytes(24), "log"),
        (bytes(300_000), "size"),
        (bytes(32 * 5000), "malformed"),
    ],
)
def test_logs_that_are_none(log: bytes, code: str) -> None:
    assert code_of(parse_log, log) == code


def test_digests_that_the_log_does_not_list(machine: Tpm) -> None:
    for event in (
        log_event(4, 1, tpm.SHA384, b"d" * 48, b""),
        struct.pack("<III", 4, 1, 2) + 2 * (struct.pack("<H", tpm.SHA256) + b"d" * 32) + bytes(4),
    ):
        assert code_of(parse_log, machine.log + event) == "malformed"


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_as_evidence(data: bytes) -> None:
    for parse in (tpm.parse_quote, tpm.parse_signature, attestation_key.read_key):
        with pytest.raises(EvidenceError):
            parse(data)
