"""From where a ledger may fetch is for members to say, of ledgers that fetch at all."""

from __future__ import annotations

import datetime
import json
from typing import Any

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from coco_core.adapter import Applied, Rejected
from coco_core.base import limits
from coco_core.errors import IntegrityError
from coco_core.governance import (
    ACTIVE,
    Administration,
    FetchPolicy,
    StarlarkRuntime,
    founding_writes,
    opening_writes,
    read_fetch_policy,
)
from coco_core.kv import maps
from coco_core.testing import Consortium, Tally
from coco_core.testing.consortium import ADMISSION
from coco_core.testing.members import Council, Signatory

NETWORK = Consortium.of(3)
ALICE = Signatory.make("alice")
ALONE = (
    "def validate(p):\n    return None\n"
    "def resolve(p, a, v, m):\n    return 'Accepted'\n"
    "def apply(p):\n    return p['actions']\n"
)


def issuer() -> str:
    """Return the certificate of an issuer with a key of the kind most servers' issuers have."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Issuer")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2090))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.fixture
def council() -> Council:
    administration = Administration(
        ADMISSION, NETWORK.service.key, runtime=StarlarkRuntime(), secrets=NETWORK.secrets, entropy=bytes
    )
    tables = founding_writes(NETWORK.nodes.values(), NETWORK.service.certificate)
    council = Council.of(administration, tables, [ALICE.member(status=ACTIVE, encryption_key=None)], ALONE)
    mute = attrs.evolve(Tally(name="mute").manifest, fetches=False)
    opening = opening_writes(NETWORK.service.certificate, [Tally().manifest, mute], governed=True)
    council.write({maps.ADAPTERS: opening[maps.ADAPTERS]})
    return council


def decide(council: Council, **args: Any) -> str:
    """Propose; return why it failed or was refused, nothing when it was accepted."""
    outcome = council.propose(ALICE, {"name": "set_fetch_origins", "args": {"name": "tally", **args}})
    if isinstance(outcome, Rejected):
        return outcome.message
    assert isinstance(outcome, Applied)
    told = json.loads(outcome.receipt)
    return "" if told["proposalState"] == "Accepted" else str(told["failure"])


def test_origins_are_set_changed_and_taken_away(council: Council) -> None:
    assert read_fetch_policy(council.view, "tally") == FetchPolicy()
    both = ["https://b.example", "http://127.0.0.1:8000", "https://b.example"]
    assert decide(council, origins=both) == ""
    assert read_fetch_policy(council.view, "tally") == FetchPolicy(frozenset(both))
    pem = issuer() + NETWORK.service.certificate
    assert decide(council, origins=["https://a.example"], ca_certs=pem) == ""
    assert read_fetch_policy(council.view, "tally") == FetchPolicy(frozenset({"https://a.example"}), pem)
    assert read_fetch_policy(council.view, "mute") == FetchPolicy()
    assert decide(council, origins=[]) == ""
    assert council.view.get(maps.FETCH_ORIGINS, b"tally") is None


def test_a_ledger_that_does_not_fetch_or_is_not_there_is_given_no_origins(council: Council) -> None:
    assert "does not fetch" in decide(council, origins=["https://a.example"], name="mute")
    assert "runs no ledger" in decide(council, origins=["https://a.example"], name="none")


MANY = [f"https://a{number}.example" for number in range(limits.FETCH_ORIGINS_MAX + 1)]
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no list": ({"origins": "https://a.example"}, "must be a list"),
    "too many": ({"origins": MANY}, f"at most {limits.FETCH_ORIGINS_MAX}"),
    "plain http elsewhere": ({"origins": ["http://a.example"]}, "plain http"),
    "a path": ({"origins": ["https://a.example/x"]}, "has a path"),
    "no text": ({"origins": [1]}, "a URL is a text"),
    "the usual port": ({"origins": ["https://a.example:443"]}, "left out"),
    "no certificates": ({"origins": MANY[:1], "ca_certs": "x"}, "no certificates"),
    "certificates that are none": ({"origins": MANY[:1], "ca_certs": 1}, "must be PEM"),
    "certificates beyond ASCII": ({"origins": MANY[:1], "ca_certs": "ü"}, "no certificates"),
    "half a certificate": (
        {"origins": MANY[:1], "ca_certs": NETWORK.service.certificate[:-40]},
        "no certificates",
    ),
    "large": (
        {"origins": MANY[:1], "ca_certs": "x" * (limits.FETCH_CA_CERTS_SIZE_MAX_BYTES + 1)},
        "at most",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_proposed(council: Council, fault: str) -> None:
    args, reason = REFUSED[fault]
    assert reason in decide(council, **args)
    assert council.view.get(maps.FETCH_ORIGINS, b"tally") is None


@pytest.mark.parametrize("row", [b"", b"[]", b"{}", b'{"origins": {}, "ca_certs": null}', b'{"origins": []}'])
def test_a_malformed_row(council: Council, row: bytes) -> None:
    council.write({maps.FETCH_ORIGINS: {b"tally": row}})
    with pytest.raises(IntegrityError):
        read_fetch_policy(council.view, "tally")
