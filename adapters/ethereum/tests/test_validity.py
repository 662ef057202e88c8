"""Rules one by one, at the exact boundary of each."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from coco_ethereum import validity as v
from coco_ethereum.engine import FORKS, INVALID_CODES
from coco_ethereum.gas import effective_gas_price, floor_gas, fork_at_least, intrinsic_gas
from coco_ethereum.state import EMPTY_CODE_HASH, Account
from coco_ethereum.testing.kit_validity import CASES
from coco_ethereum.testing.world import ALICE, ALICE_KEY, BOB, CONTEXT, ETHER
from coco_ethereum.transactions import (
    DYNAMIC_FEE,
    SET_CODE,
    Authorization,
    InvalidTransactionError,
    Transaction,
)

PLAIN = Transaction(
    type=DYNAMIC_FEE,
    chain_id=CONTEXT.chain_id,
    nonce=0,
    max_priority_fee_per_gas=1,
    max_fee_per_gas=10,
    gas_limit=21_000,
    to=BOB,
    value=0,
    data=b"",
)


def code_of(rule: Any, *arguments: Any) -> str:
    """Return the code a rule refuses with, or nothing."""
    try:
        rule(*arguments)
    except InvalidTransactionError as error:
        return error.code
    return ""


LARGEST = {"to": None, "data": bytes(49_152)}
ONE_BYTE = {"data": b"\x01"}
AUTHORIZED = {"type": SET_CODE, "authorization_list": (Authorization(chain_id=0, address=BOB, nonce=0),)}

Boundary = tuple[Any, str, dict[str, Any], dict[str, Any]]

# A rule, the code it refuses with, the last fields it allows and the first it does not.
BLOCK_BOUNDARIES: list[Boundary] = [
    (v.tip_within_fee_cap, "tip-above-fee-cap", {"max_fee_per_gas": 1}, {"max_fee_per_gas": 0}),
    (v.fee_cap_covers_base_fee, "fee-cap-below-base-fee", {"max_fee_per_gas": 7}, {"max_fee_per_gas": 6}),
    (v.has_authorizations, "empty-authorization-list", AUTHORIZED, {"type": SET_CODE}),
    (v.gas_limit_within_block, "gas-limit", {"gas_limit": 30_000_000}, {"gas_limit": 30_000_001}),
    (v.initcode_within_size, "initcode-size", LARGEST, LARGEST | {"data": bytes(49_153)}),
    (v.initcode_within_size, "initcode-size", {"data": bytes(49_153)}, LARGEST | {"data": bytes(49_153)}),
    (v.nonce_below_max, "nonce-max", {"nonce": 2**64 - 2}, {"nonce": 2**64 - 1}),
    (v.gas_covers_intrinsic, "intrinsic-gas", {"gas_limit": 21_000}, {"gas_limit": 20_999}),
    (v.gas_covers_floor, "gas-floor", ONE_BYTE | {"gas_limit": 21_040}, ONE_BYTE | {"gas_limit": 21_039}),
]


@pytest.mark.parametrize(("rule", "code", "inside", "outside"), BLOCK_BOUNDARIES)
def test_rules_of_the_block(rule: Any, code: str, inside: dict[str, Any], outside: dict[str, Any]) -> None:
    assert rule in v.BLOCK_RULES
    assert code_of(rule, attrs.evolve(PLAIN, **inside), CONTEXT) == ""
    assert code_of(rule, attrs.evolve(PLAIN, **outside), CONTEXT) == code


def sender(nonce: int = 0, balance: int = 0, code: bytes = b"") -> v.Sender:
    return v.Sender(ALICE, Account(nonce, balance, EMPTY_CODE_HASH), code)


DELEGATION = v.DELEGATION_PREFIX + BOB


NOT_QUITE = DELEGATION + b"\x00"
RICH, POOR = sender(balance=210_005), sender(balance=210_004)

# A rule, the code it refuses with, the transaction's fields, a sender it allows and one it does not.
SENDER_BOUNDARIES: list[tuple[Any, str, dict[str, Any], v.Sender, v.Sender]] = [
    (v.sender_is_eoa, "sender-not-eoa", {}, sender(), sender(code=b"\x00")),
    (v.sender_is_eoa, "sender-not-eoa", {}, sender(code=DELEGATION), sender(code=NOT_QUITE)),
    (v.nonce_is_next, "nonce-too-high", {"nonce": 4}, sender(nonce=4), sender(nonce=3)),
    (v.nonce_is_next, "nonce-too-low", {"nonce": 4}, sender(nonce=4), sender(nonce=5)),
    (v.sender_can_pay, "insufficient-funds", {"value": 5}, RICH, POOR),
]


@pytest.mark.parametrize(("rule", "code", "fields", "inside", "outside"), SENDER_BOUNDARIES)
def test_rules_of_the_sender(
    rule: Any, code: str, fields: dict[str, Any], inside: v.Sender, outside: v.Sender
) -> None:
    assert rule in v.SENDER_RULES
    assert code_of(rule, attrs.evolve(PLAIN, **fields), inside) == ""
    assert code_of(rule, attrs.evolve(PLAIN, **fields), outside) == code


def test_amounts_no_account_can_hold_overflow() -> None:
    rich = sender(balance=2**256 - 1)
    most = attrs.evolve(PLAIN, gas_limit=1, max_fee_per_gas=2**128 - 1, value=2**256 - 2**128)
    assert code_of(v.sender_can_pay, most, rich) == ""
    assert code_of(v.sender_can_pay, attrs.evolve(most, value=most.value + 1), rich) == "overflow"
    assert code_of(v.sender_can_pay, attrs.evolve(most, gas_limit=2, value=0), rich) == "overflow"


def test_the_gas_cap_begins_with_osaka() -> None:
    large = attrs.evolve(PLAIN, gas_limit=2**24 + 1)
    osaka, prague = attrs.evolve(CONTEXT, fork="osaka"), attrs.evolve(CONTEXT, fork="prague")
    assert code_of(v.gas_limit_within_cap, large, osaka) == "gas-limit-cap"
    assert code_of(v.gas_limit_within_cap, large, prague) == ""
    assert code_of(v.gas_limit_within_cap, attrs.evolve(large, gas_limit=2**24), osaka) == ""


def test_room() -> None:
    large = attrs.evolve(PLAIN, gas_limit=CONTEXT.gas_limit)
    assert v.has_room(large, CONTEXT, 0)
    assert not v.has_room(large, CONTEXT, 1)
    assert v.has_room(large, attrs.evolve(CONTEXT, pinned=True), 1)
    # Too large for any block: that is a rule's business, or it would wait for ever.
    assert v.has_room(attrs.evolve(large, gas_limit=CONTEXT.gas_limit + 1), CONTEXT, 1)


def test_an_opened_envelope_names_hash_and_sender() -> None:
    raw = PLAIN.sign(ALICE_KEY).encode()
    opened = v.open_envelope(raw, CONTEXT)
    assert (opened.sender, opened.transaction.encode()) == (ALICE, raw)
    v.check_block_rules(opened.transaction, CONTEXT)
    v.check_sender_rules(opened.transaction, sender(balance=ETHER))


def test_every_code_has_a_standard_test() -> None:
    """The kit has a case for each code (these are written out there as tests of their own)."""
    apart = {"undecodable", "gas-limit-cap", "sender-not-eoa", "nonce-too-low"}
    assert {code for code, _, _ in CASES.values()} | apart == set(INVALID_CODES)


def test_forks_are_ordered() -> None:
    assert fork_at_least("prague", "cancun")
    assert not fork_at_least("cancun", "prague")
    assert [fork for fork in FORKS if floor_gas(b"\x01", fork)] == ["prague", "osaka"]
    with pytest.raises(ValueError, match="frontier"):
        fork_at_least("frontier", "shanghai")


def test_gas_schedules() -> None:
    assert intrinsic_gas(b"", (), creates=False) == 21_000
    assert intrinsic_gas(b"\x00\x01", (), creates=False) == 21_020
    assert intrinsic_gas(b"\x01" * 33, (), creates=True) == 53_000 + 33 * 16 + 4
    assert intrinsic_gas(b"", ((BOB, (bytes(32),) * 2),), creates=False) == 21_000 + 2_400 + 2 * 1_900
    assert intrinsic_gas(b"", (), creates=False, authorizations=2) == 71_000
    assert floor_gas(b"\x00\x01", "prague") == 21_050


def test_effective_prices() -> None:
    assert effective_gas_price(PLAIN, base_fee=7) == 8
    assert effective_gas_price(PLAIN, base_fee=9) == 10
    assert effective_gas_price(attrs.evolve(PLAIN, max_priority_fee_per_gas=10), base_fee=7) == 10
