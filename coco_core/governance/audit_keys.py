"""What can be checked of dealt shares, new epochs and renewed certificates without any secret.

Their values come from entropy, so nobody computes them again. What can be seen is that they are as many as
they should be, for the right members and epochs, that any so many shares open the key, and that each escrow
was made for its epoch. That an escrow holds the right secret only who opens it sees, by its commitment.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from coco_core.crypto import Certificate, check_issued, check_renewed, read_certificate
from coco_core.errors import AttestationError, IntegrityError
from coco_core.governance.audit_nodes import difference
from coco_core.governance.audit_rules import Fail, GovernanceRule
from coco_core.governance.consortium import read_service_info
from coco_core.governance.epochs import met_wish, read_copies, taking_part
from coco_core.governance.recovery import check_escrowed, check_shares_dealt
from coco_core.governance.recovery_tables import EpochRecord, epoch_key, read_epochs, read_recovery
from coco_core.governance.validity import Validity
from coco_core.kv import View, Writes, maps


@attrs.frozen
class AuditedKeys:
    """The keys one entry writes, as the source of what re-executing it cannot compute."""

    before: View
    entry: Writes
    window: tuple[int, int]
    """When the entry was made: milliseconds from, and to."""
    fail: Fail

    def deal(self, view: View, holders: Mapping[str, str], threshold: int) -> Writes:
        """Return the shares the entry deals, once they are what dealing over ``view`` gives (``Deal``)."""
        key = read_recovery(self.before.over(self.entry))
        if key is None or maps.RECOVERY not in self.entry:
            self.fail(GovernanceRule.EFFECT, "no shares are dealt where new ones are due")
        if key.threshold != threshold or sorted(key.members) != sorted(holders):
            self.fail(
                GovernanceRule.EFFECT,
                f"shares for {len(key.members)} members with threshold {key.threshold} are dealt, and "
                f"{len(holders)} with {threshold} are to hold them",
            )
        old = read_recovery(self.before)
        if old is not None and old.public_key == key.public_key:
            self.fail(GovernanceRule.EFFECT, "the recovery key is not a new one")
        try:
            check_shares_dealt(self.before.over(self.entry))
        except IntegrityError as fault:
            self.fail(GovernanceRule.EFFECT, f"the shares dealt do not fit together: {fault}")
        written = dict(self.entry.get(maps.EPOCHS, {}))
        dealt = {name: self.entry[name] for name in (maps.RECOVERY,)}
        now = read_epochs(self.before.over(self.entry))
        epochs = list(zip(view.items(maps.EPOCHS), read_epochs(view), strict=True))
        for (number, _), was in epochs:
            if number not in written:
                self.fail(GovernanceRule.EFFECT, f"epoch {was.number} is not escrowed to the new key")
            self._check_dealt(was, now[was.number - 1])
        if epochs:
            dealt[maps.EPOCHS] = {number: written[number] for (number, _), _ in epochs}
        return dealt

    def _check_dealt(self, was: EpochRecord, now: EpochRecord) -> None:
        if attrs.evolve(now, escrow=was.escrow) != was:
            self.fail(GovernanceRule.EFFECT, f"the record of epoch {was.number} is another one than before")
        try:
            check_escrowed(self.before.over(self.entry), [now])
        except IntegrityError as fault:
            self.fail(GovernanceRule.EFFECT, f"no escrow to the new key: {fault}")

    def begin_epoch(self, view: View, reason: str) -> Writes:
        """Return the epoch the entry begins, once it is the one due (``BeginEpoch``)."""
        known = read_epochs(view)
        new = dict(self.entry.get(maps.EPOCHS, {}))
        for number, _ in view.items(maps.EPOCHS):
            new.pop(number, None)
        if not new:
            self.fail(GovernanceRule.EPOCH, f"no epoch begins, where one is due: {reason}")
        writes: Writes = {maps.EPOCHS: new}
        added = read_epochs(view.over(writes))[len(known) :]
        if len(added) != 1 or added[0].reason != reason:
            self.fail(GovernanceRule.EPOCH, f"{len(added)} epochs begin, where one is due: {reason}")
        (record,) = added
        if not self.window[0] <= record.created_ms <= self.window[1]:
            self.fail(GovernanceRule.TIME, f"epoch {record.number} says it began at {record.created_ms} ms")
        if (record.escrow is None) != (read_recovery(view) is None):
            self.fail(GovernanceRule.EPOCH, f"epoch {record.number} must be escrowed if members hold shares")
        if record.escrow is not None:
            try:
                check_escrowed(view.over(writes), [record])
            except IntegrityError as fault:
                self.fail(GovernanceRule.EPOCH, str(fault))
        return {**writes, **self._copies(view, record), **met_wish(view)}

    def renew(self, certificate: Certificate, validity: Validity) -> str:
        """Return the certificate in place of another, once it is what was decided (``Renew``)."""
        rule = GovernanceRule.EFFECT
        service = read_certificate(str(read_service_info(self.before)["cert"]))
        try:
            new = self._renewed(certificate, service)
            if new is None:
                self.fail(rule, f"the certificate of {certificate.subject} is to be renewed, and is not")
            if Validity(new.not_before, new.not_after) != validity:
                self.fail(rule, f"a certificate is valid from {new.not_before} to {new.not_after}")
            check_renewed(new, certificate)
            check_issued(new, service)
        except AttestationError as fault:
            self.fail(rule, str(fault))
        return new.pem

    def _renewed(self, certificate: Certificate, service: Certificate) -> Certificate | None:
        """Return what the entry has in place of ``certificate``, None when it leaves it."""
        name = certificate.public_key.node_id()
        if certificate.public_key == service.public_key:
            pem = str(read_service_info(self.before.over(self.entry))["cert"])
        else:
            found = self.entry.get(maps.NODES_ENDORSED_CERTIFICATES, {}).get(name.encode())
            pem = certificate.pem if found is None else found.decode("ascii", "replace")
        new = read_certificate(pem)
        return None if new == certificate else new

    def _copies(self, view: View, record: EpochRecord) -> Writes:
        """Return the copies of the new secret that the entry hands out, once they are for the right nodes."""
        after = view.over(self.entry)
        copies, wanted = read_copies(after, record.number), taking_part(view)
        if copies.keys() != wanted:
            others = sorted(name[:16] for name in copies.keys() ^ wanted)
            self.fail(
                GovernanceRule.EPOCH,
                f"epoch {record.number} is handed out to others than those who take part: {others}",
            )
        key = epoch_key(record.number)
        return {maps.LEDGER_SECRETS: {key: after.get(maps.LEDGER_SECRETS, key)}}


def check_epoch(before: View, writes: Writes, window: tuple[int, int], fail: Fail) -> None:
    """Judge an entry that begins an epoch of its own."""
    rule = GovernanceRule.EPOCH
    known = read_epochs(before)
    added = read_epochs(before.over(writes))[len(known) :]
    if len(added) != 1:
        fail(rule, f"{len(added)} epochs begin with one entry that no member asked for")
    begun = AuditedKeys(before, writes, window, fail).begin_epoch(before, added[0].reason)
    found = difference(writes, begun)
    if found is not None:
        fail(rule, f"beginning an epoch changes more: {found}")
