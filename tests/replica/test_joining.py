"""Join requests and welcomes: only what was meant, for whom it was meant."""

import datetime
import json
import sys
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.attestation import Evidence, VirtualPlatform, VirtualVerifier
from coco_core.base import TxID, limits
from coco_core.crypto import Curve, PrivateKey, PublicKey, endorse, hpke_open, hpke_seal
from coco_core.errors import AttestationError
from coco_core.governance import (
    JoinRequest,
    Transcript,
    encode_join_request,
    judge_joiner,
    policy_of,
    read_join_request,
    standing_report_data,
)
from coco_core.replica import Agreed, Welcome, check_welcome, encode_welcome, joining, read_welcome
from coco_core.testing import MEASUREMENT, Consortium, Tally, derived_key
from coco_core.testing.consortium import POLICY
from coco_core.wire.values import from_base64, to_base64

CONSORTIUM = Consortium.of(2)
IDENTITY = CONSORTIUM.identities[1]
VERIFIERS = {"Insecure_Virtual": VirtualVerifier()}
WELCOME = Welcome(
    certificate=IDENTITY.certificate,
    service=CONSORTIUM.service,
    secrets=CONSORTIUM.secrets,
    nodes=list(CONSORTIUM.nodes.values()),
    manifests=[Tally().manifest],
    policy=POLICY,
)
PROOF = CONSORTIUM.proof(1)
TRANSCRIPT = PROOF.transcript


def standing(number: int, measurement: str = MEASUREMENT) -> Evidence:
    node = CONSORTIUM.identities[number]
    expected = standing_report_data(node.key.public, node.encryption_key.public)
    return VirtualPlatform(measurement).attest(expected)


def request(measurement: str = MEASUREMENT) -> JoinRequest:
    return JoinRequest(
        public_key=IDENTITY.key.public,
        encryption_key=IDENTITY.encryption_key.public,
        nonce=TRANSCRIPT.nonce,
        evidence=CONSORTIUM.proof(1, measurement=measurement).evidence,
        standing=standing(1, measurement),
        peer_address="127.0.0.1:7001",
    )


def sealed(welcome: Welcome, key: PublicKey = IDENTITY.encryption_key.public) -> bytes:
    return encode_welcome(welcome, key, TRANSCRIPT)


def opened(data: bytes, key: PrivateKey = IDENTITY.encryption_key) -> Welcome:
    return read_welcome(data, key, TRANSCRIPT)


def test_request_round_trip() -> None:
    read = read_join_request(encode_join_request(request(), IDENTITY.key))
    assert read == request()
    assert read.node_id == IDENTITY.node_id
    proof = read.proof(TRANSCRIPT.service_id, TRANSCRIPT.verifier)
    assert proof == PROOF
    keys = read.public_key, read.encryption_key
    record = judge_joiner(*keys, proof, read.standing, VERIFIERS, POLICY, 5_000)
    assert (record.platform, record.measurement, record.secure) == ("Insecure_Virtual", MEASUREMENT, False)
    assert (record.judged_at_ms, record.proof) == (5_000, proof)


def test_signed_by_another_key() -> None:
    with pytest.raises(AttestationError):
        read_join_request(encode_join_request(request(), derived_key(9)))


def tampered(change: Callable[[dict[str, Any]], object]) -> bytes:
    outer = json.loads(encode_join_request(request(), IDENTITY.key))
    change(outer)
    return json.dumps(outer).encode()


TAMPERED = {
    "address": tampered(lambda outer: outer["body"].update(peer_address="127.0.0.1:1")),
    "evidence": tampered(lambda outer: outer["body"]["evidence"].update(quote="AAAA")),
    "standing evidence": tampered(lambda outer: outer["body"]["standing"].update(quote="AAAA")),
    "nonce": tampered(lambda outer: outer["body"].update(nonce="AAAA")),
    "encryption key": tampered(lambda outer: outer["body"].update(encryption_key=derived_key(9).public.pem)),
    "more fields": tampered(lambda outer: outer["body"].update(more=1)),
    "no signature": tampered(lambda outer: outer.pop("signature")),
    "signature not base64": tampered(lambda outer: outer.update(signature="!")),
    "signature a number": tampered(lambda outer: outer.update(signature=1)),
    "key not PEM": tampered(lambda outer: outer["body"].update(public_key="x")),
    "key a number": tampered(lambda outer: outer["body"].update(public_key=1)),
    "no JSON": b"{",
    "a list": b"[]",
    "nested": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("fault", TAMPERED)
def test_tampered_request(fault: str) -> None:
    with pytest.raises(AttestationError):
        read_join_request(TAMPERED[fault])


@pytest.mark.parametrize(
    "address", ["", "nowhere", "host:port", "h\n:1", "a" * 300 + ":1", "a..b:80", "a" * 64 + ":80"]
)
def test_address_that_is_none(address: str) -> None:
    data = encode_join_request(attrs.evolve(request(), peer_address=address), IDENTITY.key)
    with pytest.raises(AttestationError, match="peer address"):
        read_join_request(data)


def test_hosts_come_back_and_are_bounded() -> None:
    asked = attrs.evolve(request(), hosts=("node-0.example.org", "::1"))
    assert read_join_request(encode_join_request(asked, IDENTITY.key)) == asked
    for hosts in (("a..b",), ("a",) * (limits.CERTIFICATE_HOSTS_MAX + 1)):
        data = encode_join_request(attrs.evolve(asked, hosts=hosts), IDENTITY.key)
        with pytest.raises(AttestationError, match="host"):
            read_join_request(data)


def test_nesting_is_bounded_whatever_the_recursion_limit() -> None:
    # py-evm raises the limit so far that the standard library's parser overflows the stack of the process.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        for data in (b"[" * 100_000, b'{"body":' * 100_000):
            with pytest.raises(AttestationError, match="malformed join request"):
                read_join_request(data)
            with pytest.raises(AttestationError, match="malformed welcome"):
                opened(data)
    finally:
        sys.setrecursionlimit(before)


def test_encryption_key_is_on_the_curve_of_the_seal() -> None:
    other = attrs.evolve(request(), encryption_key=PrivateKey.generate(Curve.P384).public)
    with pytest.raises(AttestationError, match="is on P-256, not P-384") as caught:
        read_join_request(encode_join_request(other, IDENTITY.key))
    assert caught.value.code == "malformed"


def test_welcome_round_trip() -> None:
    data = sealed(WELCOME)
    read = opened(data)
    assert read.service.key.public == CONSORTIUM.service.key.public
    assert read.secrets.to_bytes() == CONSORTIUM.secrets.to_bytes()
    assert read.nodes == WELCOME.nodes
    assert read.manifests == WELCOME.manifests
    assert read.certificate == IDENTITY.certificate
    for secret in (CONSORTIUM.service.key.to_pem().encode(), CONSORTIUM.secrets.epochs[0][1]):
        assert secret not in data


AGREED = Agreed(committed=TxID(4, 20), views=((2, 1), (4, 10)), view=6)


@pytest.mark.parametrize("agreed", [None, AGREED, Agreed(committed=TxID(2, 1), views=((2, 1),), view=2)])
def test_welcome_to_a_running_service_tells_what_is_agreed(agreed: Agreed | None) -> None:
    welcome = attrs.evolve(WELCOME, agreed=agreed, operators=[CONSORTIUM.operator])
    read = opened(sealed(welcome))
    assert read.agreed == agreed
    assert read.operators == [CONSORTIUM.operator]


def test_welcome_for_somebody_else() -> None:
    data = sealed(WELCOME)
    with pytest.raises(AttestationError, match="not for this key"):
        opened(data, derived_key(9))


def test_key_that_ends_tls_and_signs_opens_no_welcome() -> None:
    data = sealed(WELCOME)
    with pytest.raises(AttestationError, match="not for this key"):
        opened(data, IDENTITY.key)
    assert opened(data).service.key.public == CONSORTIUM.service.key.public


@pytest.mark.parametrize(
    "changes",
    [{"nonce": bytes(32)}, {"verifier": "ab" * 32}, {"service_id": "ab" * 32}, {"role": "member"}],
)
def test_welcome_to_another_request(changes: dict[str, Any]) -> None:
    data = sealed(WELCOME)
    other: Transcript = attrs.evolve(TRANSCRIPT, **changes)
    with pytest.raises(AttestationError, match="not for this key"):
        read_welcome(data, IDENTITY.encryption_key, other)


@pytest.mark.parametrize("name", ["certificate", "nodes", "manifests", "policy", "operators", "agreed"])
def test_what_is_in_the_clear_is_from_who_sealed_the_rest(name: str) -> None:
    outer = json.loads(sealed(WELCOME))
    outer[name] = json.loads(sealed(attrs.evolve(WELCOME, **OTHERWISE[name])))[name]
    with pytest.raises(AttestationError, match="not from who sealed"):
        opened(json.dumps(outer).encode())


def test_service_key_must_be_the_certificates() -> None:
    stranger = attrs.evolve(CONSORTIUM.service, key=derived_key(9))
    data = sealed(attrs.evolve(WELCOME, service=stranger))
    with pytest.raises(AttestationError, match="service key"):
        opened(data)


def welcome_with(change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the welcome of a service that makes it so: what is in the clear is as it was sealed."""
    outer = json.loads(sealed(WELCOME))
    info = joining._seal_info(TRANSCRIPT)
    secrets = json.loads(hpke_open(IDENTITY.encryption_key, info, from_base64(outer.pop("sealed"))))
    before = dict(outer)
    change(outer)
    secrets["in_clear"] = joining._digest(outer)
    if outer.keys() <= before.keys():
        plaintext = json.dumps(secrets).encode()
        outer["sealed"] = to_base64(hpke_seal(IDENTITY.encryption_key.public, info, plaintext))
    return json.dumps(outer).encode()


OTHERWISE: dict[str, dict[str, Any]] = {
    "certificate": {"certificate": CONSORTIUM.identities[0].certificate},
    "nodes": {"nodes": WELCOME.nodes[:1]},
    "manifests": {"manifests": []},
    "policy": {"policy": policy_of([("Insecure_Virtual", "ab" * 32)])},
    "judged_at": {"judged_at_ms": {IDENTITY.node_id: 1}},
    "operators": {"operators": [CONSORTIUM.operator]},
    "agreed": {"agreed": Agreed(committed=TxID(2, 1), views=((2, 1),), view=2)},
}

BAD_WELCOMES = {
    "sealed part": json.dumps({**json.loads(sealed(WELCOME)), "sealed": to_base64(bytes(200))}).encode(),
    "no sealed part": welcome_with(lambda outer: outer.update(more=1)),
    "a list": b"[]",
    "no policy": welcome_with(lambda outer: outer.pop("policy")),
    "policy a number": welcome_with(lambda outer: outer.update(policy=1)),
    "platforms a number": welcome_with(lambda outer: outer["policy"].update(platforms=1)),
    "measurement alone": welcome_with(lambda outer: outer["policy"].update(measurements=["ab"])),
    "minimum a number": welcome_with(lambda outer: outer["policy"].update(minimum_tcb={"SGX": 1})),
    "advisories a list": welcome_with(lambda outer: outer["policy"].update(allowed_advisories=[1])),
    "a time as text": welcome_with(lambda outer: outer.update(judged_at={"x": "1"})),
    "nodes a number": welcome_with(lambda outer: outer.update(nodes=1)),
    "node without fields": welcome_with(lambda outer: outer.update(nodes=[{}])),
    "manifest with infinity": welcome_with(lambda outer: outer["manifests"][0].update(api=float("inf"))),
    "certificate a number": welcome_with(lambda outer: outer.update(certificate=1)),
    "service certificate nonsense": welcome_with(lambda outer: outer.update(service_certificate="x")),
    "operators a number": welcome_with(lambda outer: outer.update(operators=1)),
    "operator a number": welcome_with(lambda outer: outer.update(operators=[1])),
    **{
        f"agreed: {what}": welcome_with(lambda outer, agreed=agreed: outer.update(agreed=agreed))
        for what, agreed in {
            "a number": 1,
            "empty": {},
            "no place": {"committed": "here", "views": [[2, 1]], "view": 2},
            "place a number": {"committed": 2.1, "views": [[2, 1]], "view": 2},
            "views a number": {"committed": "2.1", "views": 2, "view": 2},
            "views of one number": {"committed": "2.1", "views": [[2]], "view": 2},
            "views as text": {"committed": "2.1", "views": [["2", "1"]], "view": 2},
            "views not numbers": {"committed": "2.1", "views": [[2.0, 1]], "view": 2},
            "view zero": {"committed": "2.1", "views": [[0, 1]], "view": 2},
            "seqno zero": {"committed": "2.1", "views": [[2, 0]], "view": 2},
            "views descend": {"committed": "4.9", "views": [[4, 1], [2, 5]], "view": 4},
            "a view twice": {"committed": "4.9", "views": [[2, 1], [2, 5]], "view": 4},
            "seqnos descend": {"committed": "4.9", "views": [[2, 5], [4, 1]], "view": 4},
            "a seqno twice": {"committed": "4.9", "views": [[2, 1], [4, 1]], "view": 4},
            "no view": {"committed": "2.1", "views": [[2, 1]]},
            "view yes": {"committed": "2.1", "views": [[2, 1]], "view": True},
        }.items()
    },
    "no JSON": b"<html>",
    "nested": b"[" * 100_000,
}


@pytest.mark.parametrize("fault", BAD_WELCOMES)
def test_bad_welcome(fault: str) -> None:
    with pytest.raises(AttestationError):
        opened(BAD_WELCOMES[fault])


@pytest.mark.parametrize("which", ["evidence", "standing"])
@pytest.mark.parametrize(
    ("field", "bound"),
    [("quote", limits.QUOTE_SIZE_MAX_BYTES), ("endorsements", limits.ENDORSEMENTS_SIZE_MAX_BYTES)],
)
def test_evidence_is_bounded(which: str, field: str, bound: int) -> None:
    made = request()
    large = attrs.evolve(getattr(made, which), **{field: bytes(bound + 1)})
    data = encode_join_request(attrs.evolve(made, **{which: large}), IDENTITY.key)
    with pytest.raises(AttestationError, match=f"{field} of {bound + 1} bytes") as caught:
        read_join_request(data)
    assert caught.value.code == "size"


NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
STRANGERS = Consortium.of(2, first_key=2000)


def with_node(**changes: Any) -> Welcome:
    """Return the welcome with the other node's record changed."""
    first, second = WELCOME.nodes
    return attrs.evolve(WELCOME, nodes=[attrs.evolve(first, **changes), second])


def judge(
    welcome: Welcome, *, pinned: str = CONSORTIUM.service.certificate, at: datetime.datetime = NOW
) -> None:
    check_welcome(welcome, IDENTITY.key.public, pinned, VERIFIERS, at)


def test_welcome_into_the_expected_service() -> None:
    judge(WELCOME)
    judge(WELCOME, pinned=f"\n{CONSORTIUM.service.certificate}\n")


def test_welcome_into_another_service() -> None:
    with pytest.raises(AttestationError, match="another service"):
        judge(WELCOME, pinned=STRANGERS.service.certificate)


FOREIGN = STRANGERS.identities[0]
OTHER = CONSORTIUM.identities[0]
UNFIT: dict[str, tuple[Welcome, str]] = {
    "certificate of another node": (
        attrs.evolve(WELCOME, certificate=OTHER.certificate),
        "another node's key",
    ),
    "without the joiner": (attrs.evolve(WELCOME, nodes=WELCOME.nodes[:1]), "do not hold this one"),
    "a node twice": (attrs.evolve(WELCOME, nodes=[*WELCOME.nodes, WELCOME.nodes[0]]), "one of them twice"),
    "a node of another name": (with_node(node_id="ab" * 32), "is for another node's key"),
    "a node of another service": (
        attrs.evolve(WELCOME, nodes=[STRANGERS.nodes[FOREIGN.node_id], WELCOME.nodes[1]]),
        "is not endorsed by",
    ),
    "a node with others' evidence": (
        with_node(evidence=CONSORTIUM.nodes[IDENTITY.node_id].evidence),
        "for another key or purpose",
    ),
    "a node with another encryption key": (
        with_node(encryption_key=derived_key(9).public.pem),
        "for another key or purpose",
    ),
    "a node with evidence for joining": (
        with_node(evidence=CONSORTIUM.proof(0).evidence),
        "for another key or purpose",
    ),
    "a node that runs something else": (
        with_node(evidence=standing(0, "ab" * 32)),
        "is not in the code manifest",
    ),
    "a policy that does not accept this node": (
        attrs.evolve(
            with_node(evidence=standing(0, "ab" * 32), measurement="ab" * 32),
            policy=policy_of([("Insecure_Virtual", "ab" * 32)]),
        ),
        "is not in the code manifest",
    ),
    "a policy that accepts no such platform": (
        attrs.evolve(WELCOME, policy=attrs.evolve(POLICY, formats=frozenset({"SGX"}))),
        "is not accepted by this network",
    ),
    "a node recorded as something else": (with_node(measurement="ab" * 32), "measured as something else"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_welcome_that_does_not_hold(fault: str) -> None:
    welcome, message = UNFIT[fault]
    with pytest.raises(AttestationError, match=message):
        judge(welcome)


def test_welcome_with_a_certificate_of_another_service() -> None:
    pem = endorse(
        IDENTITY.key.public,
        "Coco Node",
        STRANGERS.service.key,
        STRANGERS.service.certificate,
        not_before=NOW,
        not_after=NOW,
    )
    with pytest.raises(AttestationError, match="is not endorsed by"):
        judge(attrs.evolve(WELCOME, certificate=pem))


def test_welcome_with_a_certificate_that_ended() -> None:
    with pytest.raises(AttestationError, match="is valid from"):
        judge(WELCOME, at=datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC))
