"""Nonces: each is good once, for one key, for a short time, and the table does not grow."""

from __future__ import annotations

import pytest

from coco_core.base import NodeID, limits
from coco_core.errors import AttestationError
from coco_core.governance import Challenges

OWNER, OTHER = NodeID("ab" * 32), NodeID("cd" * 32)
NOW = 1_000_000


def nonce(number: int) -> bytes:
    return number.to_bytes(limits.NONCE_SIZE_BYTES, "big")


def refused(challenges: Challenges, code: str, number: int, owner: NodeID = OWNER, at: int = NOW) -> None:
    with pytest.raises(AttestationError) as caught:
        challenges.redeem(nonce(number), owner, at)
    assert caught.value.code == code


def test_once() -> None:
    challenges = Challenges()
    challenges.issue(nonce(1), OWNER, NOW)
    challenges.redeem(nonce(1), OWNER, NOW)
    refused(challenges, "nonce_used", 1)


def test_only_what_was_given_out() -> None:
    challenges = Challenges()
    challenges.issue(nonce(1), OWNER, NOW)
    refused(challenges, "nonce_unknown", 2)


def test_another_joiner_neither_passes_nor_uses_it_up() -> None:
    challenges = Challenges()
    challenges.issue(nonce(1), OWNER, NOW)
    refused(challenges, "nonce_owner", 1, OTHER)
    challenges.redeem(nonce(1), OWNER, NOW)


def test_until_its_end() -> None:
    challenges = Challenges()
    for number in (1, 2):
        challenges.issue(nonce(number), OWNER, NOW)
    challenges.redeem(nonce(1), OWNER, NOW + limits.NONCE_TTL_MS - 1)
    refused(challenges, "nonce_expired", 2, at=NOW + limits.NONCE_TTL_MS)
    refused(challenges, "nonce_used", 2, at=NOW + limits.NONCE_TTL_MS)


def test_of_two_that_race_for_one_nonce_one_passes() -> None:
    challenges = Challenges()
    challenges.issue(nonce(1), OWNER, NOW)
    passed = 0
    for _ in range(2):
        try:
            challenges.redeem(nonce(1), OWNER, NOW)
        except AttestationError:
            continue
        passed += 1
    assert passed == 1


def test_old_ones_are_forgotten() -> None:
    challenges = Challenges()
    challenges.issue(nonce(1), OWNER, NOW)
    challenges.issue(nonce(2), OWNER, NOW + 1)
    challenges.issue(nonce(3), OWNER, NOW + 2 * limits.NONCE_TTL_MS)
    assert len(challenges) == 2
    refused(challenges, "nonce_unknown", 1, at=NOW + 2 * limits.NONCE_TTL_MS)
    refused(challenges, "nonce_expired", 2, at=NOW + 2 * limits.NONCE_TTL_MS)


def test_the_table_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NONCES_MAX", 3)
    challenges = Challenges()
    for number in range(5):
        challenges.issue(nonce(number), OWNER, NOW)
        assert len(challenges) <= 3
    refused(challenges, "nonce_unknown", 1)
    challenges.redeem(nonce(2), OWNER, NOW)
    challenges.issue(nonce(5), OWNER, NOW)
    refused(challenges, "nonce_unknown", 2)
