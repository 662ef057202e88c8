"""Join requests and welcomes: only what was meant, for whom it was meant."""

import datetime
import json
import sys
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coco_core.attestation import Policy, VirtualPlatform, VirtualVerifier
from coco_core.base import TxID, limits
from coco_core.crypto import endorse
from coco_core.errors import AttestationError
from coco_core.governance import JoinRequest, admit, encode_join_request, read_join_request, report_data
from coco_core.replica import Agreed, Welcome, check_welcome, encode_welcome, read_welcome
from coco_core.testing import MEASUREMENT, Consortium, Tally, derived_key

CONSORTIUM = Consortium.of(2)
IDENTITY = CONSORTIUM.identities[1]
POLICY = Policy(formats=frozenset({"Insecure_Virtual"}), measurements=frozenset({MEASUREMENT}))
VERIFIERS = {"Insecure_Virtual": VirtualVerifier()}
WELCOME = Welcome(
    certificate=IDENTITY.certificate,
    service=CONSORTIUM.service,
    secrets=CONSORTIUM.secrets,
    nodes=list(CONSORTIUM.nodes.values()),
    manifests=[Tally().manifest],
)


def request(measurement: str = MEASUREMENT, *, bound_to: int = 1002) -> JoinRequest:
    return JoinRequest(
        public_key=IDENTITY.key.public,
        encryption_key=IDENTITY.encryption_key.public,
        evidence=VirtualPlatform(measurement).attest(report_data(derived_key(bound_to).public)),
        peer_address="127.0.0.1:7001",
    )


def test_request_round_trip() -> None:
    read = read_join_request(encode_join_request(request(), IDENTITY.key))
    assert read == request()
    assert read.node_id == IDENTITY.node_id
    verdict = admit(read, VERIFIERS, POLICY, 0)
    assert (verdict.measurement, verdict.secure) == (MEASUREMENT, False)


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
                read_welcome(data, IDENTITY.encryption_key)
    finally:
        sys.setrecursionlimit(before)


def test_evidence_is_judged() -> None:
    with pytest.raises(AttestationError, match="is not in the code manifest"):
        admit(request("ab" * 32), VERIFIERS, POLICY, 0)
    with pytest.raises(AttestationError, match="bound to another key"):
        admit(request(bound_to=5), VERIFIERS, POLICY, 0)
    with pytest.raises(AttestationError, match="no verifier"):
        admit(request(), {}, POLICY, 0)


def test_welcome_round_trip() -> None:
    data = encode_welcome(WELCOME, IDENTITY.encryption_key.public)
    read = read_welcome(data, IDENTITY.encryption_key)
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
    read = read_welcome(encode_welcome(welcome, IDENTITY.encryption_key.public), IDENTITY.encryption_key)
    assert read.agreed == agreed
    assert read.operators == [CONSORTIUM.operator]


def test_welcome_for_somebody_else() -> None:
    data = encode_welcome(WELCOME, IDENTITY.encryption_key.public)
    with pytest.raises(AttestationError):
        read_welcome(data, derived_key(9))


def test_service_key_must_be_the_certificates() -> None:
    stranger = attrs.evolve(CONSORTIUM.service, key=derived_key(9))
    data = encode_welcome(attrs.evolve(WELCOME, service=stranger), IDENTITY.encryption_key.public)
    with pytest.raises(AttestationError, match="service key"):
        read_welcome(data, IDENTITY.encryption_key)


def welcome_with(change: Callable[[dict[str, Any]], object]) -> bytes:
    outer = json.loads(encode_welcome(WELCOME, IDENTITY.encryption_key.public))
    change(outer)
    return json.dumps(outer).encode()


BAD_WELCOMES = {
    "sealed part": welcome_with(lambda outer: outer.update(sealed="A" + outer["sealed"][1:])),
    "no sealed part": welcome_with(lambda outer: outer.pop("sealed")),
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
        read_welcome(BAD_WELCOMES[fault], IDENTITY.encryption_key)


@pytest.mark.parametrize(
    ("field", "bound"),
    [("quote", limits.QUOTE_SIZE_MAX_BYTES), ("endorsements", limits.ENDORSEMENTS_SIZE_MAX_BYTES)],
)
def test_evidence_is_bounded(field: str, bound: int) -> None:
    large = attrs.evolve(request(), evidence=attrs.evolve(request().evidence, **{field: bytes(bound + 1)}))
    with pytest.raises(AttestationError, match=f"{field} of {bound + 1} bytes exceeds? the bound"):
        admit(large, VERIFIERS, POLICY, 0)


NOW = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
STRANGERS = Consortium.of(2, first_key=2000)


def with_node(**changes: Any) -> Welcome:
    """Return the welcome with the other node's record changed."""
    first, second = WELCOME.nodes
    return attrs.evolve(WELCOME, nodes=[attrs.evolve(first, **changes), second])


def judge(
    welcome: Welcome, *, pinned: str = CONSORTIUM.service.certificate, at: datetime.datetime = NOW
) -> None:
    check_welcome(welcome, IDENTITY.key.public, pinned, VERIFIERS, POLICY, at)


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
        "bound to another key",
    ),
    "a node that runs something else": (
        with_node(evidence=VirtualPlatform("ab" * 32).attest(report_data(OTHER.key.public))),
        "is not in the code manifest",
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
