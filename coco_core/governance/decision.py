"""One accepted proposal being carried out: what it sees, and the writes it makes so far.

Each action sees what those before it wrote. All of them become one entry of the ledger together with the
ballot or proposal that was decisive, or none does. Knows tables; must not know what actions there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from coco_core.base import NodeID, invariant, limits
from coco_core.crypto import check_issued, read_certificate
from coco_core.errors import AttestationError, MemberError
from coco_core.governance.consortium import (
    ACTIVE,
    OPEN,
    read_config,
    read_consortium,
    read_member,
    read_service_info,
)
from coco_core.governance.epochs import ADDITION_CANCELLED, want_epoch
from coco_core.governance.membership import (
    PENDING,
    RETIRED,
    TRUSTED,
    MembershipChange,
    change_writes,
    dismissing_writes,
    forgetting_writes,
    read_change,
    read_nodes,
)
from coco_core.governance.recovery import deal_shares, with_secrets
from coco_core.governance.recovery_tables import newest_epoch, read_epochs, read_recovery
from coco_core.governance.renewals import read_renewals, replacements
from coco_core.governance.validity import Renew, Validity
from coco_core.kv import View, Writes, maps, merge


class Secrets(Protocol):
    """The ledger secrets of the node that executes (``ledger.LedgerSecrets``)."""

    @property
    def epochs(self) -> list[tuple[int, bytes]]:
        """First seqno and secret of every epoch."""
        ...


Deal = Callable[[View, Mapping[str, str], int], Writes]
"""Returns the writes that deal shares over a view, to whom (encryption key by member ID), at a threshold."""
BeginEpoch = Callable[[View, str], Writes]
"""Returns the writes that begin a new epoch over a view, for a reason."""


def dealing_of(secrets: Secrets) -> Deal:
    """Return how whoever holds ``secrets`` deals shares: every epoch is escrowed to the new key."""

    def deal(view: View, holders: Mapping[str, str], threshold: int) -> Writes:
        return deal_shares(holders, threshold, with_secrets(read_epochs(view), secrets.epochs))

    return deal


@attrs.define(kw_only=True)
class Decision:
    """What an accepted proposal does to the tables."""

    base: View
    proposal_id: str
    proposer: str
    time_ms: int
    deal: Deal
    begin_epoch: BeginEpoch
    renew: Renew
    writes: Writes = attrs.field(factory=dict)
    drops_others: bool = False
    """Whether other proposals must be made again, because the rules they were made under changed."""
    _shares_due: bool = False
    _epoch_due: str = ""
    _node_validity: dict[NodeID, Validity] = attrs.field(factory=dict)
    _service_validity: Validity | None = None

    @property
    def view(self) -> View:
        """The tables with what was decided so far."""
        return self.base.over(self.writes)

    def write(self, writes: Writes) -> None:
        """Add to what is decided."""
        merge(self.writes, writes)

    def put(self, name: str, key: str, value: bytes | None) -> None:
        """Add one value, or the removal of one."""
        self.writes.setdefault(name, {})[key.encode()] = value

    def put_singleton(self, name: str, value: bytes) -> None:
        """Add the value of a table that holds one."""
        self.writes.setdefault(name, {})[maps.SINGLETON_KEY] = value

    # ── members of consensus ─────────────────────────────────────────────────────────────────────

    def replace_node(self, fresh: NodeID, old: NodeID) -> None:
        """Have ``fresh`` take the place of ``old``, or of whom that one came for; see ``change_nodes``."""
        change = read_change(self.view)
        held = dict(change.replaces).get(old, old) if change is not None else old
        self.change_nodes([fresh], [old])
        change = read_change(self.view)
        if change is None or held not in read_nodes(self.view):
            return
        remove = change.remove if held in change.remove else (*change.remove, held)
        pairs = (*change.replaces, (fresh, held))
        self.write(change_writes(attrs.evolve(change, remove=remove, replaces=pairs)))

    def change_nodes(self, add: Sequence[NodeID], remove: Sequence[NodeID]) -> None:
        """Add nodes to the change under way, or begin one; raises MemberError when it cannot be made.

        A change waits until the nodes it adds have caught up, so what is decided meanwhile joins it.
        """
        nodes = read_nodes(self.view)
        change = read_change(self.view) or MembershipChange((), (), f"proposal {self.proposal_id}")
        added, removed = dict.fromkeys(change.add), dict.fromkeys(change.remove)
        replaces = replacements(self.view, change)
        fresh_for = {one.replaces: fresh for fresh, one in read_renewals(self.view).items()}
        for name in add:
            status = nodes[name].status if name in nodes else "unknown"
            if status != PENDING or name in added:
                raise MemberError(f"node {name[:64]} is {status}: only who asked to join is added")
            added[name] = None
        for name in remove:
            status = nodes[name].status if name in nodes else "unknown"
            if name in added or status == PENDING:
                welcomed = name in added
                if welcomed:
                    self.write(want_epoch(ADDITION_CANCELLED))
                added.pop(name, None)
                removed.pop(replaces.get(name, name), None)
                self.write(dismissing_writes(self.view, [name]) if welcomed else forgetting_writes([name]))
            elif fresh_for.get(name) in added:
                # Who is sent away has no say any more in who comes in its place.
                del added[fresh_for[name]]
                self.write(want_epoch(ADDITION_CANCELLED))
                self.write(dismissing_writes(self.view, [fresh_for[name]]))
            elif status == TRUSTED and name not in removed:
                removed[name] = None
            else:
                raise MemberError(f"node {name[:64]} is {status}: there is nothing to remove")
        voters = sum(node.status == TRUSTED for node in nodes.values()) + len(added) - len(removed)
        if not 1 <= voters <= limits.NODES_MAX:
            raise MemberError(f"{voters} nodes would take part; 1 to {limits.NODES_MAX} may")
        made = change.of(added, removed)
        self.write(change_writes(made if added or removed else None))

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────

    def deal_shares(self) -> None:
        """Have the members' shares dealt anew, once everything is decided."""
        self._shares_due = True

    def renew_secret(self, reason: str) -> None:
        """Have a new epoch begin behind this entry."""
        self._epoch_due = self._epoch_due or reason

    # ── certificates ─────────────────────────────────────────────────────────────────────────────

    def renew_nodes(self, nodes: Sequence[NodeID], validity: Validity) -> None:
        """Have the certificates of ``nodes`` issued anew, once everything is decided."""
        self._node_validity |= dict.fromkeys(nodes, validity)

    def renew_service(self, validity: Validity) -> None:
        """Have the service's own certificate issued anew, once everything is decided."""
        self._service_validity = validity

    def _check_renewals(self) -> None:
        service, nodes = str(read_service_info(self.view)["cert"]), read_nodes(self.view)
        staying = {name: node for name, node in nodes.items() if node.status != RETIRED}
        # Another action of the same proposal may have sent a node away.
        self._node_validity = {name: one for name, one in self._node_validity.items() if name in staying}
        due = [(staying[name].certificate, validity) for name, validity in self._node_validity.items()]
        if self._service_validity is not None:
            due.append((service, self._service_validity))
        for pem, validity in due:
            validity.check(self.time_ms)
            try:
                check_issued(read_certificate(pem), read_certificate(service))
            except AttestationError as error:
                raise MemberError(str(error)) from error

    def _renew(self) -> None:
        if self._service_validity is not None:
            info = dict(read_service_info(self.view))
            info["cert"] = self.renew(read_certificate(str(info["cert"])), self._service_validity)
            self.put_singleton(maps.SERVICE_INFO, json.dumps(info).encode())
        nodes = read_nodes(self.view)
        for name, validity in self._node_validity.items():
            pem = self.renew(read_certificate(nodes[name].certificate), validity)
            self.put(maps.NODES_ENDORSED_CERTIFICATES, name, pem.encode())

    # ── all of it ────────────────────────────────────────────────────────────────────────────────

    def finish(self) -> Writes:
        """Return all writes; raises MemberError when shares, an epoch or certificates cannot be made.

        That is found out from the tables and the time alone, before anything is made of entropy or keys: who
        audits cannot tell what was made and then thrown away.
        """
        self._check_renewals()
        self._check_epoch()
        is_open = read_service_info(self.view)["status"] == OPEN
        # A recovered service has shares before it is open: of the key it had before.
        if self._shares_due and (is_open or read_recovery(self.view) is not None):
            self._deal()
        if self._epoch_due:
            self.write(self.begin_epoch(self.view, self._epoch_due))
        self._renew()
        return self.writes

    def _check_epoch(self) -> None:
        newest = newest_epoch(self.view)
        if self._epoch_due and newest is not None and newest.number >= limits.DECIDED_EPOCHS_MAX:
            raise MemberError(f"the ledger has had {newest.number} epochs: members can begin no other")

    def _deal(self) -> None:
        holders = {
            name: member.encryption_key
            for name, member in read_consortium(self.view).items()
            if member.holds_share and member.encryption_key is not None
        }
        threshold = read_config(self.view).recovery_threshold
        if len(holders) < threshold:
            raise MemberError(
                f"{len(holders)} active members have an encryption key, and recovery needs {threshold}: "
                "lower the recovery threshold first, or let members with keys become active"
            )
        invariant(threshold >= 1, "checked when it was set")
        self.write(self.deal(self.view, holders, threshold))

    def active_member(self, member_id: str) -> None:
        """Raise MemberError unless a member of that ID is active."""
        member = read_member(self.view, member_id)
        if member is None or member.status != ACTIVE:
            status = (
                "unknown" if member is None else f"{member.status}: it has not acknowledged the state yet"
            )
            raise MemberError(f"member {member_id[:64]} is {status}")
