"""Members of a consortium for tests: keys, and requests signed with them. No network, no node."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from coco_core.adapter import ANONYMOUS, Applied, Batch, Outcome, Request
from coco_core.base import utc
from coco_core.crypto import Curve, PrivateKey, read_certificate, self_signed
from coco_core.governance import (
    Administration,
    Member,
    ServiceConfig,
    governance_payload,
    sign_request,
)
from coco_core.governance.consortium import config_writes, constitution_writes, member_writes
from coco_core.kv import Store, View, Writes, merge
from coco_core.testing.at_once import run_at_once

NOW_MS = 1_700_000_000_000
_DAY = datetime.timedelta(days=1)
_NOW = utc(NOW_MS)


@attrs.frozen(kw_only=True)
class Signatory:
    """One member with its keys."""

    key: PrivateKey = attrs.field(repr=False)
    certificate: str
    encryption_key: str = attrs.field(repr=False)
    """Its RSA private key, PEM."""
    encryption_public: str

    @classmethod
    def make(cls, name: str, *, curve: Curve = Curve.P384, days: int = 365) -> Signatory:
        """Return a member with fresh keys, its certificate valid from a day ago for ``days``."""
        key = PrivateKey.generate(curve)
        certificate = self_signed(key, name, not_before=_NOW - _DAY, not_after=_NOW + days * _DAY)
        encryption = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(
            key=key,
            certificate=certificate,
            encryption_key=encryption.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode(),
            encryption_public=encryption.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode(),
        )

    @property
    def member_id(self) -> str:
        """The member's name."""
        return read_certificate(self.certificate).fingerprint

    def member(self, **fields: Any) -> Member:
        """Return the member as the tables would hold it."""
        values: dict[str, Any] = {"encryption_key": self.encryption_public, **fields}
        return Member(certificate=self.certificate, **values)

    def sign(
        self, kind: str, payload: Any, *, created_at_s: int = NOW_MS // 1000, proposal_id: str | None = None
    ) -> bytes:
        """Return a signed request; ``payload`` is bytes, or becomes JSON."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return sign_request(
            self.key, self.certificate, kind, body, created_at_s=created_at_s, proposal_id=proposal_id
        )


class Council:
    """Governance over tables in memory: what is accepted becomes state at once."""

    def __init__(self, administration: Administration, first: Writes) -> None:
        """Begin with the tables ``first`` writes."""
        self._administration = administration
        self._store = Store()
        self._seqno = 0
        self._created_s = NOW_MS // 1000
        self._write(first)

    @classmethod
    def of(
        cls,
        administration: Administration,
        tables: Writes,
        members: Sequence[Member],
        constitution: str,
        config: ServiceConfig | None = None,
    ) -> Council:
        """Return a council of ``members`` under ``constitution``."""
        first: Writes = {**constitution_writes(constitution), **config_writes(config or ServiceConfig())}
        merge(first, tables)
        for member in members:
            merge(first, member_writes(member))
        return cls(administration, first)

    @property
    def view(self) -> View:
        """The tables now."""
        return self._store.view()

    def _write(self, writes: Writes) -> None:
        self._seqno += 1
        self._store.append(self._seqno, writes)
        self._store.commit(self._seqno)

    def write(self, writes: Writes) -> None:
        """Change the tables behind everybody's back."""
        self._write(writes)

    def executed(self, path: str, message: bytes, *, now_ms: int = NOW_MS) -> Outcome:
        """Execute one signed request; keep nothing of it."""
        request = Request(governance_payload(path, message), ANONYMOUS)
        batch = Batch(
            requests=(request,),
            view=2,
            first_seqno=self._seqno + 1,
            time_ms=now_ms,
            randomness=bytes(32),
        )
        (outcome,) = run_at_once(self._administration.execute(batch, self.view)).outcomes
        return outcome

    def post(self, path: str, message: bytes, *, now_ms: int = NOW_MS) -> Outcome:
        """Execute one signed request; keep what it writes."""
        outcome = self.executed(path, message, now_ms=now_ms)
        if isinstance(outcome, Applied):
            self._write(outcome.writes)
        return outcome

    def propose(self, member: Signatory, *actions: Mapping[str, Any]) -> Outcome:
        """Have ``member`` propose; each request is made a second later than the one before."""
        self._created_s += 1
        message = member.sign("proposal", {"actions": list(actions)}, created_at_s=self._created_s)
        return self.post("/gov/members/proposals:create", message, now_ms=self._created_s * 1000)

    def vote(self, member: Signatory, proposal_id: str, ballot: Any = True) -> Outcome:
        """Have ``member`` vote: a bool, or the text of a ballot."""
        payload = {"vote": ballot} if isinstance(ballot, bool) else {"ballot": ballot}
        message = member.sign("ballot", payload, proposal_id=proposal_id)
        path = f"/gov/members/proposals/{proposal_id}/ballots/{member.member_id}:submit"
        return self.post(path, message)
