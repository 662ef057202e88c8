"""What a recovery entry changes, and that its audit allows nothing more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Never

import attrs
import pytest

from coco_core.base import TxID
from coco_core.crypto import endorse_predecessor, read_certificate
from coco_core.governance import (
    PENDING,
    RETIRED,
    SERVICE_RECOVERED,
    TRUSTED,
    MembershipChange,
    Takeover,
    admission_writes,
    begin_epoch,
    change_writes,
    founding_writes,
    node_writes,
    policy_writes,
    read_change,
    read_epochs,
    read_members,
    read_nodes,
    read_service_info,
    service_endorsements,
    takeover_writes,
)
from coco_core.governance.audit_rules import GovernanceRule
from coco_core.governance.audit_takeover import check_takeover
from coco_core.governance.leases import lease_writes, read_leases
from coco_core.kv import Store, View, Writes, maps, merged
from coco_core.testing import Consortium
from coco_core.testing.consortium import POLICY

OLD, NEW, NEXT = Consortium.of(4), Consortium.of(2, first_key=5000), Consortium.of(1, first_key=9000)
WINDOW = (1_000, 2_000)
UNTIL = TxID(2, 9)


def before() -> View:
    view = Store().head().over(founding_writes(OLD.first(3).values(), OLD.service.certificate))
    view = view.over(node_writes([OLD.joiner(3)]))
    ids = [identity.node_id for identity in OLD.identities]
    return view.over(change_writes(MembershipChange((ids[3],), (ids[0],), "somebody")))


def takeover(service: Consortium = NEW, of: Consortium = OLD, until: TxID = UNTIL) -> Takeover:
    (node,) = service.first(1).values()
    endorsement = endorse_predecessor(
        read_certificate(of.service.certificate), service.service.key, service.service.certificate, until
    )
    return Takeover(
        node=node,
        service_certificate=service.service.certificate,
        endorsement=endorsement,
        until=until,
        time_ms=1_500,
    )


def test_one_node_takes_part_and_who_did_is_retired_for_good() -> None:
    view = before()
    after = view.over(taken(view, takeover()))
    assert read_members(after).voters == {NEW.identities[0].node_id}
    assert not read_members(after).learners
    assert read_change(after) is None
    nodes = read_nodes(after)
    assert OLD.identities[3].node_id not in nodes, "who waited is forgotten"
    for identity in OLD.identities[:3]:
        assert (nodes[identity.node_id].status, nodes[identity.node_id].retired_committed) == (RETIRED, True)
    info = read_service_info(after)
    assert (info["status"], info["recovery_count"]) == ("Opening", 1)
    assert info["cert"] == NEW.service.certificate
    assert info["previous_service_identity"] == OLD.service.certificate
    assert service_endorsements(after) == [takeover_endorsement(after)]


def taken(view: View, by: Takeover) -> Writes:
    """Return the whole recovery entry: with the epoch it begins."""
    writes = takeover_writes(view, by)
    epoch = begin_epoch(
        view.over(writes), bytes, seqno=20 + len(read_epochs(view)), time_ms=1_500, reason=SERVICE_RECOVERED
    )
    return merged([writes, epoch])


def takeover_endorsement(view: View) -> str:
    ((_, pem),) = view.items(maps.PREVIOUS_IDENTITIES)
    return pem.decode()


def test_a_second_recovery_follows_the_first() -> None:
    view = before()
    view = view.over(taken(view, takeover()))
    view = view.over(taken(view, takeover(NEXT, NEW, TxID(102, 30))))
    assert read_service_info(view)["recovery_count"] == 2
    assert len(service_endorsements(view)) == 2
    assert len(service_endorsements(view, after=9)) == 1
    assert read_members(view).voters == {NEXT.identities[0].node_id}


def test_leases_end_and_one_begins() -> None:
    old, new = OLD.identities[0].node_id, NEW.identities[0].node_id
    view = before().over({maps.LEASE_POLICY: {maps.SINGLETON_KEY: b'{"lease_s": 60}'}})
    view = view.over(lease_writes([old], 60, 0))
    after = view.over(taken(view, takeover()))
    leases = read_leases(after)
    assert leases.keys() == {new}
    assert leases[new].until_ms == 61_500
    check_takeover(view, taken(view, takeover()), WINDOW, fail)
    with pytest.raises(AssertionError, match="governance-time"):
        check_takeover(view, taken(view, takeover()), (0, 100), fail)


# ── its audit ────────────────────────────────────────────────────────────────────────────────────


def fail(rule: GovernanceRule, reason: str) -> Never:
    raise AssertionError(f"[{rule.value}] {reason}")


def test_an_honest_recovery_passes_with_its_admission() -> None:
    view = before().over(policy_writes(POLICY))
    writes = taken(view, takeover())
    check_takeover(view, writes, WINDOW, fail)
    admitted = writes[maps.ADMISSIONS]
    (name,) = NEW.first(1)
    record = NEW.admissions([name], WINDOW[0])[name]
    admitted |= admission_writes({name: record})[maps.ADMISSIONS]
    check_takeover(view, writes, WINDOW, fail)
    admitted |= admission_writes({name: attrs.evolve(record, measurement="ab" * 32)})[maps.ADMISSIONS]
    with pytest.raises(AssertionError, match=r"node-join.*verdict is another"):
        check_takeover(view, writes, WINDOW, fail)


def test_for_production_who_takes_over_was_admitted() -> None:
    view = before().over(policy_writes(attrs.evolve(POLICY, production=True)))
    writes = taken(view, takeover())
    with pytest.raises(AssertionError, match="nothing tells why the node that takes over was admitted"):
        check_takeover(view, writes, WINDOW, fail)
    (name,) = NEW.first(1)
    writes[maps.ADMISSIONS] |= admission_writes(NEW.admissions([name], WINDOW[0]))[maps.ADMISSIONS]
    with pytest.raises(AssertionError, match="judged by another policy"):
        check_takeover(view, writes, WINDOW, fail)


def keeps_an_old_node(writes: Writes) -> None:
    del writes[maps.NODES_INFO][OLD.identities[0].node_id.encode()]


def brings_two_nodes(writes: Writes) -> None:
    records = node_writes(attrs.evolve(one, status=TRUSTED) for one in NEW.nodes.values())
    for name, changes in records.items():
        writes[name].update(changes)


def lets_the_node_wait(writes: Writes) -> None:
    (node,) = NEW.first(1).values()
    writes[maps.NODES_INFO].update(node_writes([attrs.evolve(node, status=PENDING)])[maps.NODES_INFO])


def keeps_a_change(writes: Writes) -> None:
    del writes[maps.MEMBERSHIP_CHANGE]


def changes_the_rules(writes: Writes) -> None:
    writes[maps.CONSTITUTION] = {maps.SINGLETON_KEY: b'"mine"'}


def opens_at_once(writes: Writes) -> None:
    info = json.loads(writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] or b"")
    writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] = json.dumps({**info, "status": "Open"}).encode()


def forgets_who_was_before(writes: Writes) -> None:
    info = json.loads(writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] or b"")
    del info["previous_service_identity"]
    writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] = json.dumps(info).encode()


def endorses_nobody(writes: Writes) -> None:
    del writes[maps.PREVIOUS_IDENTITIES]


def keeps_the_secrets(writes: Writes) -> None:
    del writes[maps.EPOCHS], writes[maps.LEDGER_SECRETS]


def keeps_the_identity(writes: Writes) -> None:
    info = json.loads(writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] or b"")
    info["cert"] = OLD.service.certificate
    writes[maps.SERVICE_INFO][maps.SINGLETON_KEY] = json.dumps(info).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        keeps_an_old_node,
        brings_two_nodes,
        lets_the_node_wait,
        keeps_a_change,
        changes_the_rules,
        opens_at_once,
        forgets_who_was_before,
        endorses_nobody,
        keeps_the_identity,
        keeps_the_secrets,
    ],
)
def test_a_recovery_that_does_more_or_less_is_refused(spoil: Callable[[Writes], None]) -> None:
    view = before()
    writes = {name: dict(changes) for name, changes in taken(view, takeover()).items()}
    spoil(writes)
    with pytest.raises(AssertionError, match=r"\[(service-change|ledger-epoch)\]"):
        check_takeover(view, writes, WINDOW, fail)
