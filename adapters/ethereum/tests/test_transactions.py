"""Transactions against vectors of others: ethers' signed transactions and Ethereum's own tests."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coco_ethereum import signatures
from coco_ethereum.gas import INITCODE_SIZE_MAX_BYTES, intrinsic_gas
from coco_ethereum.transactions import (
    ACCESS_LIST,
    DYNAMIC_FEE,
    LEGACY,
    SET_CODE,
    AccessList,
    Authorization,
    InvalidTransactionError,
    Transaction,
    contract_address,
    decode,
    transaction_hash,
)
from coco_ethereum.validity import AMOUNT_MAX, NONCE_MAX

KEY = b"\x07" * 32

VARIANTS = ("signedLegacy", "signedEip155", "signedBerlin", "signedLondon")


def number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16)


def raw(text: str | None) -> bytes:
    return bytes.fromhex((text or "0x")[2:])


def ethers_access_list(entries: list[dict[str, Any]]) -> AccessList:
    return tuple((raw(e["address"]), tuple(raw(key) for key in e["storageKeys"])) for e in entries)


def ethers_transaction(fields: dict[str, Any], variant: str) -> Transaction:
    price = number(fields.get("gasPrice", 0))
    london = variant == "signedLondon"
    typed = variant in ("signedBerlin", "signedLondon")
    kinds = {"signedBerlin": ACCESS_LIST, "signedLondon": DYNAMIC_FEE}
    return Transaction(
        type=kinds.get(variant, LEGACY),
        chain_id=None if variant == "signedLegacy" else number(fields.get("chainId", 0)),
        nonce=number(fields.get("nonce", 0)),
        max_priority_fee_per_gas=number(fields.get("maxPriorityFeePerGas", 0)) if london else price,
        max_fee_per_gas=number(fields.get("maxFeePerGas", 0)) if london else price,
        gas_limit=number(fields.get("gasLimit", 0)),
        to=raw(fields.get("to")) or None,
        value=number(fields.get("value", 0)),
        data=raw(fields.get("data")),
        access_list=ethers_access_list(fields.get("accessList") or []) if typed else (),
    )


@pytest.mark.shared
def test_ethers_signs_the_same_bytes(shared: Path, full: bool) -> None:
    with gzip.open(shared / "data/conformance/ethers-testcases/transactions.json.gz") as file:
        vectors = json.load(file)
    assert len(vectors) == 3200
    for index, vector in enumerate(vectors):
        key = raw(vector["privateKey"])
        for variant in VARIANTS if full else VARIANTS[index % 4 : index % 4 + 1]:
            if not vector[variant]:
                continue
            signed = raw(vector[variant])
            unsigned = ethers_transaction(vector["transaction"], variant)
            assert unsigned.sign(key).encode() == signed, (vector["name"], variant)
            decoded = decode(signed)
            assert decoded.encode() == signed
            assert decoded.sender() == signatures.address_of(key)


@pytest.mark.shared
def test_ethers_derives_the_same_contract_addresses(shared: Path) -> None:
    with gzip.open(shared / "data/conformance/ethers-testcases/create.json.gz") as file:
        vectors = json.load(file)
    for vector in vectors:
        for made in vector["creates"]:
            assert contract_address(raw(vector["sender"]), made["nonce"]) == raw(made["address"])


def transaction_tests(shared: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with tarfile.open(shared / "data/conformance/ethereum-tests-basic.tar.xz") as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if "TransactionTests/" in member.name else None
            if file is not None and member.name.endswith(".json"):
                for name, test in json.load(file).items():
                    yield f"{member.name}::{name}", test


def accepted(envelope: bytes) -> Transaction:
    """Decode and apply the rules the suite covers; raises for a transaction no chain takes."""
    transaction = decode(envelope)
    transaction.sender()
    if transaction.chain_id not in (None, 1):
        raise InvalidTransactionError("chain-id", "not the suite's chain")
    needed = intrinsic_gas(transaction.data, transaction.access_list, creates=transaction.to is None)
    if transaction.gas_limit < needed or transaction.nonce == NONCE_MAX:
        raise InvalidTransactionError("intrinsic-gas", "gas or nonce")
    if transaction.to is None and len(transaction.data) > INITCODE_SIZE_MAX_BYTES:
        raise InvalidTransactionError("initcode-size", "init code")
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise InvalidTransactionError("tip-above-fee-cap", "tip")
    if transaction.gas_limit * transaction.max_fee_per_gas > AMOUNT_MAX:
        raise InvalidTransactionError("overflow", "cost")
    return transaction


# Valid on paper, yet their fees are wider than 128 bits: more wei than can exist.
FEES_BEYOND_128_BITS = {
    "GasLimitPriceProductOverflowtMinusOne",
    "TransactionWithHighGasPrice",
    "V_equals38",
}


@pytest.mark.shared
def test_ethereums_transaction_tests(shared: Path) -> None:
    judged, beyond = 0, set()
    for name, test in transaction_tests(shared):
        results = test["result"]
        newest = next(fork for fork in ("Cancun", "Shanghai", "London") if fork in results)
        envelope, expected = raw(test["txbytes"]), results[newest]
        judged += 1
        try:
            transaction = accepted(envelope)
        except InvalidTransactionError as error:
            if "exception" not in expected:
                assert "128 bits" in str(error), (name, error)  # noqa: PT017  # many vectors, one test
                beyond.add(name.rpartition("::")[2])
            continue
        assert "exception" not in expected, name
        assert transaction.sender() == raw(expected["sender"]), name
        assert transaction_hash(envelope) == raw(expected["hash"]), name
        assert transaction.encode() == envelope, name
        gas = intrinsic_gas(transaction.data, transaction.access_list, creates=transaction.to is None)
        assert gas == number(expected["intrinsicGas"]), name
    assert judged == 210
    assert beyond == FEES_BEYOND_128_BITS


addresses = st.binary(min_size=20, max_size=20)
words = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
u128 = st.integers(0, 2**128 - 1)
u256 = st.integers(0, 2**256 - 1)
authorizations = st.builds(
    Authorization,
    chain_id=u256,
    address=addresses,
    nonce=u64,
    y_parity=st.integers(0, 255),
    r=u256,
    s=u256,
)


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    kind = draw(st.sampled_from((LEGACY, ACCESS_LIST, DYNAMIC_FEE, SET_CODE)))
    price = draw(u128)
    chain_id = draw(st.one_of(st.none(), st.integers(0, 2**62))) if kind == LEGACY else draw(u64)
    return Transaction(
        type=kind,
        chain_id=chain_id,
        nonce=draw(u64),
        max_priority_fee_per_gas=draw(u128) if kind in (DYNAMIC_FEE, SET_CODE) else price,
        max_fee_per_gas=price,
        gas_limit=draw(u64),
        to=draw(addresses if kind == SET_CODE else st.none() | addresses),
        value=draw(u256),
        data=draw(st.binary(max_size=100)),
        access_list=()
        if kind == LEGACY
        else draw(
            st.lists(st.tuples(addresses, st.lists(words, max_size=3).map(tuple)), max_size=3).map(tuple)
        ),
        authorization_list=draw(st.lists(authorizations, max_size=2).map(tuple)) if kind == SET_CODE else (),
    )


@given(transactions())
def test_what_is_signed_decodes_to_itself(unsigned: Transaction) -> None:
    signed = unsigned.sign(KEY)
    decoded = decode(signed.encode())
    assert decoded == signed
    assert decoded.sender() == signatures.address_of(KEY)


@given(st.binary(max_size=300))
def test_bytes_of_strangers_decode_to_themselves_or_are_refused(envelope: bytes) -> None:
    try:
        decoded = decode(envelope)
    except InvalidTransactionError as error:
        code = error.code
    else:
        code = ""
        assert decoded.encode() == envelope
    assert code in ("", "undecodable", "type-not-supported", "blob-not-supported")


@given(transactions(), st.data())
def test_a_flipped_bit_never_passes_for_the_original(unsigned: Transaction, data: st.DataObject) -> None:
    envelope = bytearray(unsigned.sign(KEY).encode())
    bit = data.draw(st.integers(0, 8 * len(envelope) - 1))
    envelope[bit // 8] ^= 1 << (bit % 8)
    try:
        other = decode(bytes(envelope))
        sender = other.sender()
    except InvalidTransactionError:
        return
    assert other.encode() == bytes(envelope)
    assert (sender, attrs.evolve(other, y_parity=0, r=0, s=0)) != (signatures.address_of(KEY), unsigned)


def test_an_authorization_recovers_its_authority() -> None:
    signed = Authorization(chain_id=5, address=b"\x01" * 20, nonce=9).sign(KEY)
    assert signed.authority() == signatures.address_of(KEY)
    with pytest.raises(ValueError, match="EIP-2"):
        attrs.evolve(signed, s=signatures.ORDER - signed.s).authority()
    with pytest.raises(ValueError, match="invalid"):
        attrs.evolve(signed, y_parity=2).authority()


def test_v_as_clients_show_it() -> None:
    fields: dict[str, Any] = {"nonce": 0, "max_priority_fee_per_gas": 1, "max_fee_per_gas": 1}
    fields |= {"gas_limit": 1, "to": None, "value": 0, "data": b"", "y_parity": 1}
    assert Transaction(type=LEGACY, chain_id=None, **fields).v == 28
    assert Transaction(type=LEGACY, chain_id=1, **fields).v == 38
    assert Transaction(type=DYNAMIC_FEE, chain_id=1, **fields).v == 1
