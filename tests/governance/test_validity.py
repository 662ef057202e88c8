"""Certificates renewed by votes: for how long, over which keys, and what an auditor accepts of it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from coco_core.adapter import Applied
from coco_core.base import limits
from coco_core.crypto import check_issued, endorse, read_certificate, self_signed, service_id
from coco_core.errors import MemberError
from coco_core.governance import read_nodes, read_proposal, read_service_info
from coco_core.governance.actions import plan
from coco_core.governance.validity import read_start
from coco_core.kv import Writes, maps
from coco_core.testing.members import NOW_MS

Governed = Callable[..., Any]

NOW = datetime.datetime.fromtimestamp(NOW_MS // 1000, datetime.UTC)
DAY = datetime.timedelta(days=1)


def renewal(name: str, start: datetime.datetime = NOW, days: int | None = 30, **args: Any) -> dict[str, Any]:
    period = {} if days is None else {"validity_period_days": days}
    return {"name": name, "args": {"valid_from": start.isoformat(), **period, **args}}


def of_node(ledger: Any, number: int = 0, *given: Any, **args: Any) -> dict[str, Any]:
    name = ledger.network.identities[number].node_id
    return renewal("set_node_certificate_validity", *given, node_id=name, **args)


def of_service(*given: Any, **args: Any) -> dict[str, Any]:
    return renewal("set_service_certificate_validity", *given, **args)


def of_all(*given: Any) -> dict[str, Any]:
    return renewal("set_all_nodes_certificate_validity", *given)


def shown(ledger: Any, number: int) -> Any:
    name = ledger.network.identities[number].node_id
    return read_certificate(read_nodes(ledger.council.view)[name].certificate)


def service(ledger: Any) -> Any:
    return read_certificate(read_service_info(ledger.council.view)["cert"])


def last_ballot(ledger: Any, *actions: Any) -> tuple[str, Writes]:
    """Return a proposal, and what the ballot that decides it writes."""
    name = ledger.propose(ledger.alice, *actions)
    ledger.vote(ledger.alice, name)
    outcome = ledger.executed(*ledger.ballot(ledger.bob, name))
    assert isinstance(outcome, Applied)
    return name, outcome.writes


# ── what is decided ──────────────────────────────────────────────────────────────────────────────


def test_one_node(governed: Governed) -> None:
    ledger = governed()
    old, others = shown(ledger, 0), [shown(ledger, 1), shown(ledger, 2)]
    assert ledger.decide(of_node(ledger)) == "Accepted"
    new = shown(ledger, 0)
    assert (new.not_before, new.not_after) == (NOW, NOW + 30 * DAY - datetime.timedelta(seconds=1))
    assert (new.public_key, new.subject) == (old.public_key, old.subject)
    assert new.x509.serial_number != old.x509.serial_number
    assert list(new.x509.extensions) == list(old.x509.extensions)
    check_issued(new, service(ledger))
    assert [shown(ledger, 1), shown(ledger, 2)] == others
    ledger.audit()


def test_all_nodes_and_the_service_at_once(governed: Governed) -> None:
    ledger = governed()
    before = service(ledger)
    assert ledger.decide(of_service(), of_all()) == "Accepted"
    after = service(ledger)
    assert after.fingerprint != before.fingerprint
    assert service_id(after.pem) == service_id(before.pem)
    assert [shown(ledger, number).not_before for number in range(3)] == [NOW] * 3
    for issuer in (before, after):
        check_issued(shown(ledger, 1), issuer)
    assert read_service_info(ledger.council.view)["status"] == "Opening"
    ledger.audit()
    # Who knows the service by its old certificate opens it, and joins it.
    old = {"next_service_identity": before.pem}
    assert ledger.decide({"name": "transition_service_to_open", "args": old}) == "Accepted"
    ledger.place(ledger.joining(ledger.network.joiner(3)))
    assert ledger.decide(of_all(NOW, 7)) == "Accepted"
    assert shown(ledger, 3).not_after == NOW + 7 * DAY - datetime.timedelta(seconds=1)
    ledger.audit()


def test_the_last_word_on_a_certificate_counts(governed: Governed) -> None:
    ledger = governed()
    assert ledger.decide(of_all(), of_node(ledger, 1, NOW, 3)) == "Accepted"
    assert shown(ledger, 1).not_after < shown(ledger, 0).not_after
    assert ledger.decide(of_service(NOW, 3), of_service(NOW, 4)) == "Accepted"
    assert service(ledger).not_after > NOW + 3 * DAY
    ledger.audit()


def test_as_long_as_may_be_unless_said(governed: Governed) -> None:
    ledger = governed()
    bounds = {"maximum_node_certificate_validity_days": 20, "maximum_service_certificate_validity_days": 40}
    bound = {"name": "set_service_configuration", "args": bounds}
    assert ledger.decide(bound, of_node(ledger, 0, NOW, None), of_service(NOW, None)) == "Accepted"
    assert shown(ledger, 0).not_after == NOW + 20 * DAY - datetime.timedelta(seconds=1)
    assert service(ledger).not_after == NOW + 40 * DAY - datetime.timedelta(seconds=1)
    asked = [(of_node(ledger, 0, NOW, 21), 20), (of_all(NOW, 21), 20), (of_service(NOW, 41), 40)]
    for action, allowed in asked:
        name, writes = last_ballot(ledger, action)
        ledger.place(writes)
        failure = read_proposal(ledger.council.view, name).failure
        assert f"configuration allows {allowed}" in failure
    ledger.audit()


@pytest.mark.parametrize("days_from_now", [-31, 1])
def test_a_certificate_that_would_not_be_valid_now(governed: Governed, days_from_now: int) -> None:
    ledger = governed()
    before = shown(ledger, 0)
    start = NOW + days_from_now * DAY
    assert ledger.decide(of_node(ledger, 0, start)) == "Failed"
    assert ledger.decide(of_service(start)) == "Failed"
    assert shown(ledger, 0) == before
    ledger.audit()


def test_what_fails_for_its_dates_alone_has_no_other_effect(governed: Governed) -> None:
    """What could be made was not, so that an audit of the failure passes."""
    ledger = governed()
    opening = {"next_service_identity": service(ledger).pem}
    assert ledger.decide({"name": "transition_service_to_open", "args": opening}) == "Accepted"
    late = NOW + 400 * DAY
    shares, rekey = ("trigger_recovery_shares_refresh", {}), ("trigger_ledger_rekey", {})
    first = [{"name": name, "args": args} for name, args in (shares, rekey)]
    for others in ([first[0]], [first[1]], first, [of_service()], [of_node(ledger, 1)]):
        assert ledger.decide(*others, of_node(ledger, 0, late)) == "Failed"
    ledger.audit()


def test_nodes_that_are_not_there(governed: Governed) -> None:
    ledger = governed()
    assert ledger.decide(of_node(ledger, 4)) == "Failed"
    ledger.place(ledger.joining(ledger.network.joiner(4)))
    gone = {"name": "remove_node", "args": {"node_id": ledger.network.identities[4].node_id}}
    assert ledger.decide(of_node(ledger, 4), gone) == "Accepted"
    assert ledger.network.identities[4].node_id not in read_nodes(ledger.council.view)
    ledger.audit()


BAD: dict[str, dict[str, Any]] = {
    "no start": {"args": {}},
    "no time": {"args": {"valid_from": "tomorrow"}},
    "no text": {"args": {"valid_from": 1_700_000_000}},
    "no zone": {"args": {"valid_from": "2023-11-14T22:13:20"}},
    "another zone": {"args": {"valid_from": "2023-11-14T22:13:20+01:00"}},
    "a week": {"args": {"valid_from": "2023-W46-2T22:13:20Z"}},
    "no dashes": {"args": {"valid_from": "20231114T221320Z"}},
    "hour 24": {"args": {"valid_from": "2023-11-14T24:00:00Z"}},
    "no seconds": {"args": {"valid_from": "2023-11-14T22Z"}},
    "before 1970": {"args": {"valid_from": "1969-12-31T23:59:59Z"}},
    "month 13": {"args": {"valid_from": "231314221320Z"}},
    "beyond all years": {"args": {"valid_from": "9999-12-31T00:00:00Z"}},
    "too long": {"args": {"valid_from": "2" * 41}},
    "no days": {"args": {"valid_from": "231114221320Z", "validity_period_days": 0}},
    "days as text": {"args": {"valid_from": "231114221320Z", "validity_period_days": "30"}},
    "too many days": {
        "args": {
            "valid_from": "231114221320Z",
            "validity_period_days": limits.CERTIFICATE_VALIDITY_DAYS_MAX + 1,
        }
    },
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_validity(fault: str) -> None:
    for name in ("set_all_nodes_certificate_validity", "set_service_certificate_validity"):
        with pytest.raises(MemberError, match=name):
            plan([{"name": name, **BAD[fault]}])


def test_a_start_in_both_of_ccf_forms() -> None:
    assert read_start("231114221320Z") == read_start("2023-11-14T22:13:20Z") == NOW
    assert read_start("2023-11-14T22:13:20.5+00:00") == NOW


# ── what an auditor refuses ──────────────────────────────────────────────────────────────────────


def forged(ledger: Any, lie: str) -> str:
    node, network = ledger.network.identities[0], ledger.network
    hosts = ["localhost", "127.0.0.1"]
    time = {"not_before": NOW, "not_after": NOW + 30 * DAY - datetime.timedelta(seconds=1)}
    match lie:
        case "longer":
            time["not_after"] += DAY
        case "another's":
            node = network.identities[1]
        case "of another service":
            key = network.identities[2].key
            issuer = self_signed(key, "Coco Service", not_before=NOW, not_after=NOW + DAY, ca=True)
            return endorse(node.key.public, "Coco Node", key, issuer, **time, sans=hosts)
        case "for more hosts":
            hosts.append("bank.example")
        case "garbage":
            return "garbage"
    return endorse(
        node.key.public,
        "Coco Node",
        network.service.key,
        network.service.certificate,
        **time,
        sans=hosts,
    )


@pytest.mark.parametrize("lie", ["longer", "another's", "of another service", "for more hosts", "garbage"])
def test_a_node_gets_another_certificate_than_was_decided(governed: Governed, lie: str) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_node(ledger))
    ((key, _),) = writes[maps.NODES_ENDORSED_CERTIFICATES].items()
    pem = forged(ledger, lie).encode()
    seqno = ledger.place(writes | {maps.NODES_ENDORSED_CERTIFICATES: {key: pem}})
    with pytest.raises(Exception, match=f"seqno {seqno}: "):
        ledger.audit()


def test_another_node_gets_a_certificate_too(governed: Governed) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_node(ledger))
    other = ledger.network.identities[1].node_id.encode()
    certificates = {**writes[maps.NODES_ENDORSED_CERTIFICATES], other: shown(ledger, 1).pem.encode()}
    ledger.refused("request-effect", ledger.place(writes | {maps.NODES_ENDORSED_CERTIFICATES: certificates}))


def test_a_renewal_that_is_left_out(governed: Governed) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_node(ledger))
    del writes[maps.NODES_ENDORSED_CERTIFICATES]
    ledger.refused("request-effect", ledger.place(writes))


def test_a_decision_that_is_said_to_have_failed(governed: Governed) -> None:
    """Who executes may not leave undone what could be done, and blame the dates or the number of epochs."""
    for action in (of_node(governed(), 0), {"name": "trigger_ledger_rekey", "args": {}}):
        ledger = governed()
        name, writes = last_ballot(ledger, action)
        record = json.loads(writes[maps.PROPOSALS_INFO][name.encode()] or b"")
        record |= {"state": "Failed", "failure": "it could not be done"}
        told = {maps.PROPOSALS_INFO: {name.encode(): json.dumps(record).encode()}}
        kept = {
            each: writes[each] for each in (maps.COSE_HISTORY, maps.COSE_RECENT_PROPOSALS) if each in writes
        }
        rule = "ledger-epoch" if action["name"] == "trigger_ledger_rekey" else "request-effect"
        ledger.refused(rule, ledger.place(told | kept))


def test_a_service_certificate_longer_than_was_decided(governed: Governed) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_service())
    network = ledger.network
    pem = self_signed(network.service.key, "Coco Service", not_before=NOW, not_after=NOW + 31 * DAY, ca=True)
    ((key, value),) = writes[maps.SERVICE_INFO].items()
    info = json.loads(value or b"") | {"cert": pem}
    forgery = {maps.SERVICE_INFO: {key: json.dumps(info).encode()}}
    ledger.refused("request-effect", ledger.place(writes | forgery))


def test_a_certificate_nobody_decided_on(governed: Governed) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_node(ledger), of_service())
    name = maps.NODES_ENDORSED_CERTIFICATES
    ledger.refused("node-membership", ledger.place({name: writes[name]}))


def test_a_service_certificate_nobody_decided_on(governed: Governed) -> None:
    ledger = governed()
    _, writes = last_ballot(ledger, of_service())
    ledger.refused("service-change", ledger.place({maps.SERVICE_INFO: writes[maps.SERVICE_INFO]}))
