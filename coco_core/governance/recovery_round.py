"""Members' shares being collected by a node that recovers a service, until they are enough.

A member gives its share in a request it signs (COSE_Sign1, ``recovery_share``) with the payload
``{"share": base64, "service_identity": SHA-256 of the new service key}``: so it confirms, with the
share, *to which* identity the service is recovered, and a message that somebody kept serves no other
recovery. Who may give one is read from the tables as of the ledger's last signature.

Every fault is a RefusedError with a code that stays the same; a share that was refused counts for nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from coco_core.crypto import Certificate
from coco_core.errors import MemberError
from coco_core.governance.member_requests import (
    Moment,
    open_request,
    read_object,
    refuse_ahead,
    require_active,
)
from coco_core.governance.recovery import check_share, recover_secrets
from coco_core.governance.recovery_tables import read_epochs, read_recovery
from coco_core.governance.refusal import RefusedError
from coco_core.governance.signed_requests import RECOVERY_SHARE
from coco_core.governance.validity import Validity
from coco_core.kv import View, Writes

RECOVER_PATH: Final = re.compile(r"/gov/recovery/members/(?P<member>[0-9a-f]{64}):recover")


class RecoveryRound:
    """Shares given so far for one new identity."""

    def __init__(self, view: View, service_identity: str) -> None:
        """Collect for the service key whose SHA-256 is ``service_identity``; raises MemberError.

        That is when no shares were dealt, so that nobody can recover the ledger.
        """
        key = read_recovery(view)
        if key is None:
            raise MemberError("no shares were dealt before the service was lost: no member can recover it")
        epochs = read_epochs(view)
        if not epochs or any(epoch.escrow is None for epoch in epochs):
            raise MemberError("not every epoch of the ledger was escrowed to the members' shares")
        self._view = view
        self._service_identity = service_identity
        self.threshold = key.threshold
        """How many shares are needed."""
        self._shares: dict[str, bytes] = {}

    @property
    def given(self) -> list[str]:
        """The members who gave their share."""
        return sorted(self._shares)

    @property
    def complete(self) -> bool:
        """Whether enough shares are there."""
        return len(self._shares) >= self.threshold

    def accept(self, path: str, message: bytes, time_ms: int) -> Mapping[str, int]:
        """Take what a member posted to ``path``; return how many shares there are, and are needed.

        Raises RefusedError.
        """
        found = RECOVER_PATH.fullmatch(path)
        if found is None:
            raise RefusedError("not-found", f"nothing is posted to {path[:200]!r} during a recovery")
        moment = Moment(
            view=self._view, time_ms=time_ms, state_digest=str, begin_epoch=_no_epoch, renew=_no_renewal
        )
        signed = open_request(message, RECOVERY_SHARE, found.groupdict(), moment)
        require_active(signed)
        refuse_ahead(signed.request, time_ms)
        said = read_object(signed.request.payload)
        match said:
            case {"share": str(encoded), "service_identity": str(identity), **rest} if not rest:
                pass
            case _:
                raise RefusedError("malformed", 'the payload is {"share": …, "service_identity": …}')
        if identity != self._service_identity:
            raise RefusedError(
                "other-service-identity",
                f"the share is given to {identity[:64]}, and this node's is {self._service_identity}",
            )
        try:
            share = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise RefusedError("malformed", f"the share is not base64: {error}") from error
        member_id = signed.request.member_id
        try:
            check_share(self._view, member_id, share)
        except MemberError as error:
            raise RefusedError("wrong-share", str(error)) from error
        if not self.complete:
            self._shares[member_id] = share
        return {"submittedCount": len(self._shares), "recoveryThreshold": self.threshold}

    def secrets(self) -> list[tuple[int, bytes]]:
        """Return first seqno and secret of every epoch, and forget the shares.

        Raises MemberError while they are too few, IntegrityError when the tables do not hold what they say.
        """
        secrets = recover_secrets(self._view, self._shares)
        self._shares = dict.fromkeys(self._shares, b"")
        return secrets


def _no_renewal(certificate: Certificate, _validity: Validity) -> str:
    raise MemberError(f"nothing is renewed while a service is recovered ({certificate.subject})")


def _no_epoch(_view: View, reason: str) -> Writes:
    raise MemberError(f"no epoch begins while a service is recovered ({reason})")
