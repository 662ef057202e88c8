"""Shares count when their member signed them, for this recovery; nothing else does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from coco_core.crypto import Curve, PrivateKey, sha256
from coco_core.errors import MemberError
from coco_core.governance import (
    ACCEPTED,
    ACTIVE,
    RecoveryRound,
    deal_shares,
    escrow_epoch,
    open_share,
    read_recovery,
    with_secrets,
)
from coco_core.governance.consortium import member_writes, removed_member_writes
from coco_core.governance.recovery_tables import read_epochs
from coco_core.governance.refusal import RefusedError
from coco_core.kv import Store, View
from coco_core.testing.members import NOW_MS, Signatory

ALICE, BOB, CAROL, DAVE = (Signatory.make(name) for name in ("alice", "bob", "carol", "dave"))
HOLDERS = (ALICE, BOB, CAROL)
SECRETS = [(1, bytes(range(32))), (9, bytes(range(32, 64)))]
IDENTITY = sha256(b"the new service certificate").hex()


def tables(threshold: int = 2) -> View:
    view = Store().head()
    for one in HOLDERS:
        view = view.over(member_writes(one.member(status=ACTIVE)))
    for seqno, secret in SECRETS:
        view = view.over(
            escrow_epoch(view, first_seqno=seqno, secret=secret, created_ms=seqno, reason="test")
        )
    holders = {one.member_id: one.encryption_public for one in HOLDERS}
    return view.over(deal_shares(holders, threshold, with_secrets(read_epochs(view), SECRETS)))


VIEW = tables()


def share_of(member: Signatory, view: View = VIEW) -> bytes:
    key = read_recovery(view)
    assert key is not None
    return open_share(key.members[member.member_id].encrypted_share, member.encryption_key)


def path_of(member: Signatory) -> str:
    return f"/gov/recovery/members/{member.member_id}:recover"


def message(
    member: Signatory, given: bytes | None = None, *, kind: str = "recovery_share", **said: Any
) -> bytes:
    given = given if given is not None else share_of(member)
    payload = {"share": base64.b64encode(given).decode(), "service_identity": IDENTITY, **said}
    return member.sign(kind, payload)


def give(collected: RecoveryRound, member: Signatory, *args: Any, **said: Any) -> dict[str, int]:
    return dict(collected.accept(path_of(member), message(member, *args, **said), NOW_MS))


def test_a_threshold_of_members_recovers_every_epoch() -> None:
    collected = RecoveryRound(VIEW, IDENTITY)
    assert (collected.threshold, collected.given, collected.complete) == (2, [], False)
    assert give(collected, ALICE) == {"submittedCount": 1, "recoveryThreshold": 2}
    with pytest.raises(MemberError, match="1 of the 2 shares"):
        collected.secrets()
    assert give(collected, ALICE) == {"submittedCount": 1, "recoveryThreshold": 2}, (
        "given twice is given once"
    )
    assert give(collected, CAROL) == {"submittedCount": 2, "recoveryThreshold": 2}
    assert collected.complete
    assert collected.given == sorted([ALICE.member_id, CAROL.member_id])
    assert collected.secrets() == SECRETS


def test_a_share_is_given_though_the_members_certificate_has_run_out() -> None:
    collected = RecoveryRound(VIEW, IDENTITY)
    late_ms = NOW_MS + 400 * 24 * 3600 * 1000
    assert collected.accept(path_of(ALICE), message(ALICE), late_ms)["submittedCount"] == 1


def refused(code: str, member: Signatory, data: bytes, *, path: str = "", view: View = VIEW) -> None:
    collected = RecoveryRound(view, IDENTITY)
    with pytest.raises(RefusedError) as caught:
        collected.accept(path or path_of(member), data, NOW_MS)
    assert caught.value.code == code
    assert collected.given == []


def test_what_is_not_a_members_own_share_for_this_identity_is_refused() -> None:
    refused("wrong-share", ALICE, message(ALICE, share_of(BOB)))
    refused("wrong-share", ALICE, message(ALICE, b"nonsense"))
    flipped = bytearray(share_of(ALICE))
    flipped[-1] ^= 1
    refused("wrong-share", ALICE, message(ALICE, bytes(flipped)))
    refused("wrong-share", ALICE, message(ALICE, share_of(ALICE, tables())))
    refused("other-service-identity", ALICE, message(ALICE, service_identity="0" * 64))
    refused("malformed", ALICE, message(ALICE, share="*"))
    refused("malformed", ALICE, message(ALICE, share=7))
    refused("malformed", ALICE, message(ALICE, more=1))
    refused("malformed", ALICE, ALICE.sign("recovery_share", b"\xff"))
    refused("malformed", ALICE, b"nonsense")
    refused("wrong-member", ALICE, message(ALICE), path=path_of(BOB))
    refused("wrong-type", ALICE, message(ALICE, kind="ack"))
    refused("not-found", ALICE, message(ALICE), path="/gov/members/proposals:create")


def test_who_is_no_active_member_gives_nothing() -> None:
    refused("not-a-member", DAVE, message(DAVE, share_of(ALICE)))
    removed = VIEW.over(removed_member_writes(ALICE.member_id))
    refused("not-a-member", ALICE, message(ALICE), view=removed)
    asleep = VIEW.over(member_writes(ALICE.member(status=ACCEPTED)))
    refused("not-active", ALICE, message(ALICE), view=asleep)
    joined = VIEW.over(member_writes(DAVE.member(status=ACTIVE)))
    refused("wrong-share", DAVE, message(DAVE, share_of(ALICE)), view=joined)


def test_another_keys_signature_is_none() -> None:
    forger = Signatory(
        key=PrivateKey.generate(Curve.P384),
        certificate=ALICE.certificate,
        encryption_key="",
        encryption_public="",
    )
    refused("signature", ALICE, message(forger, share_of(ALICE)))


def test_a_request_from_the_future_is_refused() -> None:
    payload = {"share": base64.b64encode(share_of(ALICE)).decode(), "service_identity": IDENTITY}
    refused(
        "created-in-the-future",
        ALICE,
        ALICE.sign("recovery_share", payload, created_at_s=NOW_MS // 1000 + 3600),
    )


def test_nobody_recovers_what_was_shared_with_nobody() -> None:
    with pytest.raises(MemberError, match="no shares were dealt"):
        RecoveryRound(Store().head(), IDENTITY)
    nothing_escrowed = Store().head().over(deal_shares({ALICE.member_id: ALICE.encryption_public}, 1, []))
    with pytest.raises(MemberError, match="not every epoch"):
        RecoveryRound(nothing_escrowed, IDENTITY)
