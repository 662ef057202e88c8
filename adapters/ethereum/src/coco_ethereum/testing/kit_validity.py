"""Standard tests: every reason a transaction can be invalid, by code and by the words clients match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest
import rlp

from coco_ethereum.engine import INVALID_CODES, EvmEngine, Invalid
from coco_ethereum.signatures import ORDER
from coco_ethereum.testing.assembly import assemble
from coco_ethereum.testing.world import ALICE, ALICE_KEY, BOB, ETHER, World
from coco_ethereum.transactions import ACCESS_LIST, LEGACY, SET_CODE, Authorization, decode, transaction_hash

VOID: Final = Authorization(chain_id=0, address=BOB, nonce=0, r=1, s=1)
"""An authorization nobody signed: enough for a type 4 transaction to be valid."""


def resigned(raw: bytes, **fields: Any) -> bytes:
    """Return a transaction with other signature numbers."""
    return attrs.evolve(decode(raw), **fields).encode()


def upper_half(raw: bytes) -> bytes:
    """Return the mirror image of a signature, which EIP-2 forbids."""
    signed = decode(raw)
    return resigned(raw, s=ORDER - signed.s, y_parity=1 - signed.y_parity)


def with_field(raw: bytes, index: int, value: object) -> bytes:
    """Return an envelope with one RLP field replaced."""
    head, body = (b"", raw) if raw[0] >= 0xC0 else (raw[:1], raw[1:])
    fields: Any = rlp.decode(body)
    fields[index] = value
    return bytes(head + rlp.encode(fields))


Build = Callable[[World], bytes]

UNDECODABLE: Final[dict[str, Build]] = {
    "empty": lambda world: b"",
    "a string": lambda world: b"\x83abc",
    "cut short": lambda world: world.sign()[:-1],
    "bytes left over": lambda world: world.sign() + b"\x00",
    "type without body": lambda world: b"\x02",
    "body that is a string": lambda world: b"\x02\x83abc",
    "too few fields": lambda world: b"\x02\xc1\x01",
    "leading zero": lambda world: with_field(world.sign(), 1, b"\x00\x01"),
    "nonce of 9 bytes": lambda world: with_field(world.sign(), 1, b"\x01" * 9),
    "fee of 17 bytes": lambda world: with_field(world.sign(), 3, b"\x01" * 17),
    "gas of 9 bytes": lambda world: with_field(world.sign(), 4, b"\x01" * 9),
    "recipient of 19 bytes": lambda world: with_field(world.sign(), 5, b"\x01" * 19),
    "value of 33 bytes": lambda world: with_field(world.sign(), 6, b"\x01" * 33),
    "data that is a list": lambda world: with_field(world.sign(), 7, []),
    "access list that is a string": lambda world: with_field(world.sign(), 8, b"\x01"),
    "access list with a short key": lambda world: with_field(world.sign(), 8, [[BOB, [b"\x01"]]]),
    "access list entry of three": lambda world: with_field(world.sign(), 8, [[BOB, [], []]]),
    "authorization of five": lambda world: with_field(
        world.sign(type=SET_CODE, authorization_list=(VOID,)), 9, [[b""] * 5]
    ),
    "parity 2": lambda world: with_field(world.sign(), 9, b"\x02"),
    "r of 33 bytes": lambda world: with_field(world.sign(), 10, b"\x01" * 33),
    "legacy v 26": lambda world: with_field(world.sign(type=LEGACY), 6, b"\x1a"),
    "legacy v 29": lambda world: with_field(world.sign(type=LEGACY), 6, b"\x1d"),
    "type 4 without recipient": lambda world: world.sign(type=SET_CODE, to=None, authorization_list=(VOID,)),
    "long form of a short list": lambda world: b"\xf8\x01\xc0",
    "a bomb of lists": lambda world: b"\xf9\xff\xff" + b"\xc1" * 65_534 + b"\xc0",
}

CASES: Final[dict[str, tuple[str, str, Build]]] = {
    "type 0x00": ("type-not-supported", "transaction type not supported", lambda world: b"\x00"),
    "type 0x05": ("type-not-supported", "transaction type not supported", lambda world: b"\x05\xc0"),
    "type 0x7f": ("type-not-supported", "transaction type not supported", lambda world: b"\x7f"),
    "blob": ("blob-not-supported", "blob transaction not supported", lambda world: b"\x03"),
    "other chain": ("chain-id", "invalid chain id for signer", lambda world: world.sign(chain_id=1)),
    "other chain, legacy": (
        "chain-id",
        "invalid chain id for signer",
        lambda world: world.sign(type=LEGACY, chain_id=1),
    ),
    "chain zero": ("chain-id", "invalid chain id", lambda world: world.sign(type=ACCESS_LIST, chain_id=0)),
    "r zero": ("signature", "invalid sender", lambda world: resigned(world.sign(), r=0)),
    "s zero": ("signature", "invalid sender", lambda world: resigned(world.sign(), s=0)),
    "r too large": ("signature", "invalid sender", lambda world: resigned(world.sign(), r=ORDER)),
    "s in the upper half": ("signature", "invalid sender", lambda world: upper_half(world.sign())),
    "no such point": ("signature", "invalid sender", lambda world: resigned(world.sign(), r=5)),
    "tip above cap": (
        "tip-above-fee-cap",
        "max priority fee per gas higher than max fee per gas",
        lambda world: world.sign(max_fee_per_gas=10, max_priority_fee_per_gas=11),
    ),
    "cap below base fee": (
        "fee-cap-below-base-fee",
        "max fee per gas less than block base fee",
        lambda world: world.sign(max_fee_per_gas=6),
    ),
    "price below base fee": (
        "fee-cap-below-base-fee",
        "max fee per gas less than block base fee",
        lambda world: world.sign(type=LEGACY, max_fee_per_gas=6),
    ),
    "no authorizations": (
        "empty-authorization-list",
        "EIP-7702 transaction with empty auth list",
        lambda world: world.sign(type=SET_CODE),
    ),
    "gas above block": (
        "gas-limit",
        "exceeds block gas limit",
        lambda world: world.sign(gas_limit=world.context.gas_limit + 1),
    ),
    "large init code": (
        "initcode-size",
        "max initcode size exceeded",
        lambda world: world.sign(to=None, data=bytes(49_153), gas_limit=10_000_000),
    ),
    "nonce maximum": ("nonce-max", "nonce has max value", lambda world: world.sign(nonce=2**64 - 1)),
    "gas 20999": ("intrinsic-gas", "intrinsic gas too low", lambda world: world.sign(gas_limit=20_999)),
    "gas for data": (
        "intrinsic-gas",
        "intrinsic gas too low",
        lambda world: world.sign(gas_limit=21_019, data=b"\x00\x01"),
    ),
    "gas for init code": (
        "intrinsic-gas",
        "intrinsic gas too low",
        lambda world: world.sign(to=None, gas_limit=53_000 + 33 * 16 + 3, data=b"\x01" * 33),
    ),
    "gas for authorizations": (
        "intrinsic-gas",
        "intrinsic gas too low",
        lambda world: world.sign(type=SET_CODE, authorization_list=(VOID,), gas_limit=45_999),
    ),
    "gas for access list": (
        "intrinsic-gas",
        "intrinsic gas too low",
        lambda world: world.sign(access_list=((BOB, (bytes(32),)),), gas_limit=25_299),
    ),
    "floor": (
        "gas-floor",
        "insufficient gas for floor data gas cost",
        lambda world: world.sign(gas_limit=21_039, data=b"\x01"),
    ),
    "nonce 1": ("nonce-too-high", "nonce too high", lambda world: world.sign(nonce=1)),
    "funds": (
        "insufficient-funds",
        "insufficient funds for gas * price + value",
        lambda world: world.sign(value=ETHER),
    ),
    "funds for gas": (
        "insufficient-funds",
        "insufficient funds for gas * price + value",
        lambda world: world.sign(max_fee_per_gas=ETHER),
    ),
    "overflow": (
        "overflow",
        "insufficient funds for gas * price + value",
        lambda world: world.sign(value=2**256 - 1),
    ),
}


class ValidityTests:
    """Both engines give the same answer to the same bad transaction."""

    def refusal(self, world: World, raw: bytes, **context: Any) -> Invalid:
        """Run a transaction that must be refused, without effect on anything."""
        before = dict(world.accounts)
        result = world.run(raw, **context)
        [refused] = result.results
        assert isinstance(refused, Invalid), refused
        assert result.gas_used == 0
        assert world.accounts == before
        return refused

    @pytest.mark.parametrize("fault", UNDECODABLE)
    def test_undecodable(self, world: World, fault: str) -> None:
        refused = self.refusal(world, UNDECODABLE[fault](world))
        assert refused.code == "undecodable", refused
        assert refused.message.startswith("rlp: ")
        assert refused.hash == b""

    @pytest.mark.parametrize("fault", CASES)
    def test_invalid(self, world: World, fault: str) -> None:
        code, words, build = CASES[fault]
        raw = build(world)
        refused = self.refusal(world, raw)
        assert refused.code == code, refused
        assert refused.message.startswith(words)
        unnamed = code in ("type-not-supported", "blob-not-supported")
        assert refused.hash == (b"" if unnamed else transaction_hash(raw))

    def test_a_nonce_used_is_too_low(self, world: World) -> None:
        raw = world.sign()
        world.run(raw)
        refused = self.refusal(world, raw)
        assert refused.code == "nonce-too-low"
        assert refused.message.startswith("nonce too low")

    def test_a_contract_cannot_send(self, world: World) -> None:
        world.put(ALICE, balance=ETHER, code=assemble("STOP"))
        refused = self.refusal(world, world.sign())
        assert refused.code == "sender-not-eoa"
        assert refused.message.startswith("sender not an eoa")

    def test_osaka_caps_the_gas(self, world: World, engine: EvmEngine) -> None:
        if "osaka" not in engine.forks:
            pytest.skip(f"{engine.name} does not support osaka")
        refused = self.refusal(world, world.sign(gas_limit=2**24 + 1), fork="osaka")
        assert refused.code == "gas-limit-cap"
        assert refused.message.startswith("transaction gas limit too high")

    def test_exact_amounts_are_enough(self, world: World) -> None:
        world.send(gas_limit=21_000, value=ETHER - 21_000 * 10, max_fee_per_gas=10)
        assert world.account(ALICE).nonce == 1
        world.put(ALICE, balance=ETHER, nonce=1)
        world.send(gas_limit=21_040, data=b"\x01")
        world.send(to=None, data=bytes(49_152), gas_limit=10_000_000)
        world.send(
            gas_limit=world.context.gas_limit,
            max_fee_per_gas=world.context.base_fee,
            max_priority_fee_per_gas=0,
        )

    def test_the_first_broken_rule_answers(self, world: World) -> None:
        """Break ever fewer rules, from the documented order's front."""
        broken: dict[str, Any] = {
            "chain_id": 1,
            "max_priority_fee_per_gas": 7,
            "max_fee_per_gas": 6,
            "to": None,
            "data": bytes(49_153),
            "gas_limit": world.context.gas_limit + 1,
            "nonce": 2**64 - 1,
            "value": 2**256 - 1,
        }
        repairs: list[tuple[str, dict[str, Any]]] = [
            ("chain-id", {"chain_id": world.context.chain_id}),
            ("tip-above-fee-cap", {"max_priority_fee_per_gas": 6}),
            ("fee-cap-below-base-fee", {"max_fee_per_gas": 7}),
            ("gas-limit", {"gas_limit": 100}),
            ("initcode-size", {"data": b"\x01"}),
            ("nonce-max", {"nonce": 5}),
            ("intrinsic-gas", {"gas_limit": 21_030, "to": BOB}),
            ("gas-floor", {"gas_limit": 30_000}),
            ("sender-not-eoa", {}),
            ("nonce-too-high", {"nonce": 0}),
            ("overflow", {"value": ETHER}),
            ("insufficient-funds", {}),
        ]
        world.put(ALICE, balance=ETHER, code=assemble("STOP"))
        assert [code for code, _ in repairs] == [code for code in INVALID_CODES if code in dict(repairs)]
        for code, repair in repairs:
            assert self.refusal(world, world.sign(ALICE_KEY, **broken)).code == code
            broken |= repair
            if code == "sender-not-eoa":
                world.put(ALICE, balance=ETHER)
