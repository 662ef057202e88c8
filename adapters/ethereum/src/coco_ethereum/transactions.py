"""Transactions as Ethereum signs them: bytes to values and back (EIP-2718 and the types behind it).

This room knows encodings and signatures. It must not know state, forks or fees: whether a decoded
transaction may run is ``coco_ethereum.validity``'s business. Decoding is strict: whatever it accepts
it would itself encode to the same bytes, so a hash names exactly one transaction.

============ ======================== ======================================================
type         source                   shape
============ ======================== ======================================================
0 (legacy)   yellow paper, EIP-155    ``rlp([nonce, price, gas, to, value, data, v, r, s])``
1            EIP-2930                 ``0x01 ‖ rlp([chain, nonce, price, …, accessList, y, r, s])``
2            EIP-1559                 ``0x02 ‖ rlp([chain, nonce, tip, cap, …, accessList, y, r, s])``
4            EIP-7702                 ``0x04 ‖ rlp([…, accessList, authorizationList, y, r, s])``
============ ======================== ======================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import rlp
from eth_hash.auto import keccak

from coco_core.errors import RejectedError
from coco_ethereum import rlp_strict, signatures

LEGACY: Final = 0
ACCESS_LIST: Final = 1
DYNAMIC_FEE: Final = 2
BLOB: Final = 3
SET_CODE: Final = 4

AccessList = tuple[tuple[bytes, tuple[bytes, ...]], ...]
"""Addresses (20 bytes) with their slots (32 bytes each), as EIP-2930 lists them."""

# Widths of the integer fields. Fees are 128 bits wide as in alloy and reth: more wei cannot exist.
_U64: Final = 8
_U128: Final = 16
_U256: Final = 32

_FIELD_COUNT: Final = {LEGACY: 9, ACCESS_LIST: 11, DYNAMIC_FEE: 12, SET_CODE: 13}

_TYPED_FROM: Final = 0x80
"""A first byte below this is an envelope type, from 0xc0 on it starts a legacy list (EIP-2718)."""
_LIST_FROM: Final = 0xC0


class InvalidTransactionError(RejectedError):
    """A transaction breaks a rule; ``code`` is one of ``engine.INVALID_CODES``."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code for machines and the wording Ethereum clients match on."""
        super().__init__(message)
        self.code = code
        self.message = message


@attrs.frozen(slots=True, kw_only=True)
class Authorization:
    """An account's signed wish to run another address's code (EIP-7702)."""

    chain_id: int
    address: bytes
    nonce: int
    y_parity: int = 0
    r: int = 0
    s: int = 0

    def signing_hash(self) -> bytes:
        """Return what the authority signs: ``keccak(0x05 ‖ rlp([chain_id, address, nonce]))``."""
        return keccak(b"\x05" + _encode_list([_uint(self.chain_id), self.address, _uint(self.nonce)]))

    def authority(self) -> bytes:
        """Return the address that signed; raises ValueError if nobody did (EIP-2 applies)."""
        return signatures.recover(self.signing_hash(), self.y_parity, self.r, self.s)

    def sign(self, private_key: bytes) -> Authorization:
        """Return a signed copy."""
        y_parity, r, s = signatures.sign(self.signing_hash(), private_key)
        return attrs.evolve(self, y_parity=y_parity, r=r, s=s)

    def fields(self) -> list[bytes]:
        """Return the RLP fields in order."""
        numbers = (self.y_parity, self.r, self.s)
        return [_uint(self.chain_id), self.address, _uint(self.nonce), *map(_uint, numbers)]


@attrs.frozen(slots=True, kw_only=True)
class Transaction:
    """One decoded transaction; types 0 and 1 carry their gas price as both fee fields.

    ``chain_id`` is None for a legacy transaction from before EIP-155, which is valid on any chain.
    """

    type: int
    chain_id: int | None
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas_limit: int
    to: bytes | None
    value: int
    data: bytes
    access_list: AccessList = ()
    authorization_list: tuple[Authorization, ...] = ()
    y_parity: int = 0
    r: int = 0
    s: int = 0

    @property
    def v(self) -> int:
        """The signature's third number as RPC shows it: EIP-155's ``v`` for legacy, else the parity."""
        if self.type != LEGACY:
            return self.y_parity
        if self.chain_id is None:
            return 27 + self.y_parity
        return 35 + 2 * self.chain_id + self.y_parity

    def encode(self) -> bytes:
        """Return the EIP-2718 envelope."""
        tail = [_uint(self.v), _uint(self.r), _uint(self.s)]
        return self._envelope([*self._unsigned_fields(), *tail])

    def signing_hash(self) -> bytes:
        """Return what the sender signs (EIP-155 appends the chain id to a legacy transaction)."""
        fields = self._unsigned_fields()
        if self.type == LEGACY and self.chain_id is not None:
            fields += [_uint(self.chain_id), b"", b""]
        return keccak(self._envelope(fields))

    def sender(self) -> bytes:
        """Return the address that signed; raises InvalidTransactionError("signature") if nobody did."""
        try:
            return signatures.recover(self.signing_hash(), self.y_parity, self.r, self.s)
        except ValueError as error:
            raise InvalidTransactionError("signature", f"invalid sender: {error}") from error

    def sign(self, private_key: bytes) -> Transaction:
        """Return a copy signed with a 32-byte key; deterministic (RFC 6979), for tests and workloads."""
        y_parity, r, s = signatures.sign(self.signing_hash(), private_key)
        return attrs.evolve(self, y_parity=y_parity, r=r, s=s)

    def _envelope(self, fields: Sequence[object]) -> bytes:
        prefix = b"" if self.type == LEGACY else bytes([self.type])
        return prefix + _encode_list(fields)

    def _unsigned_fields(self) -> list[object]:
        fields: list[object] = []
        if self.type != LEGACY:
            fields.append(_uint(self.chain_id or 0))
        fields.append(_uint(self.nonce))
        if self.type in (DYNAMIC_FEE, SET_CODE):
            fields.append(_uint(self.max_priority_fee_per_gas))
        fields += [_uint(self.max_fee_per_gas), _uint(self.gas_limit), self.to or b""]
        fields += [_uint(self.value), self.data]
        if self.type != LEGACY:
            fields.append([[address, list(slots)] for address, slots in self.access_list])
        if self.type == SET_CODE:
            fields.append([authorization.fields() for authorization in self.authorization_list])
        return fields


def transaction_hash(raw: bytes) -> bytes:
    """Return the hash that names an envelope everywhere (EIP-2718)."""
    return keccak(raw)


def contract_address(creator: bytes, nonce: int) -> bytes:
    """Return the address a creation by ``creator`` with this nonce makes (yellow paper §7)."""
    return keccak(_encode_list([creator, _uint(nonce)]))[12:]


def envelope_type(raw: bytes) -> int:
    """Return the type an envelope's first byte announces, without looking further (EIP-2718).

    Raises InvalidTransactionError with ``undecodable``, ``type-not-supported`` (no such type) or
    ``blob-not-supported`` (EIP-4844: this ledger has no blob space).
    """
    if not raw:
        raise _undecodable("empty transaction")
    first = raw[0]
    if first >= _LIST_FROM:
        return LEGACY
    if first >= _TYPED_FROM:
        raise _undecodable("expected a list or a transaction type")
    if first == BLOB:
        raise InvalidTransactionError("blob-not-supported", "blob transaction not supported")
    if first == LEGACY or first not in _FIELD_COUNT:
        raise InvalidTransactionError("type-not-supported", f"transaction type not supported: {first}")
    return first


def decode(raw: bytes) -> Transaction:
    """Read an EIP-2718 envelope, refusing any but its canonical encoding.

    Raises InvalidTransactionError with the codes of ``envelope_type``.
    """
    kind = envelope_type(raw)
    fields = _decode_list(raw if kind == LEGACY else raw[1:])
    if len(fields) != _FIELD_COUNT[kind]:
        raise _undecodable(f"expected {_FIELD_COUNT[kind]} fields, got {len(fields)}")
    return _decode_legacy(fields) if kind == LEGACY else _decode_typed(kind, fields)


def _decode_legacy(fields: list[object]) -> Transaction:
    nonce, price, gas, to, value, data, v_field, r, s = fields
    v = _number(v_field, _U64, "v")
    if v in (27, 28):
        chain_id, y_parity = None, v - 27
    elif v >= 35:
        chain_id, y_parity = divmod(v - 35, 2)
    else:
        raise _undecodable("invalid signature v")
    gas_price = _number(price, _U128, "gas price")
    return Transaction(
        type=LEGACY,
        chain_id=chain_id,
        nonce=_number(nonce, _U64, "nonce"),
        max_priority_fee_per_gas=gas_price,
        max_fee_per_gas=gas_price,
        gas_limit=_number(gas, _U64, "gas limit"),
        to=_recipient(to),
        value=_number(value, _U256, "value"),
        data=_string(data, "data"),
        y_parity=y_parity,
        r=_number(r, _U256, "r"),
        s=_number(s, _U256, "s"),
    )


def _decode_typed(kind: int, fields: list[object]) -> Transaction:
    chain_id, nonce, *rest = fields
    tip = rest.pop(0) if kind != ACCESS_LIST else rest[0]
    cap, gas, to, value, data, access_list, *rest = rest
    authorizations = rest.pop(0) if kind == SET_CODE else []
    y_parity, r, s = rest
    recipient = _recipient(to)
    if kind == SET_CODE and recipient is None:
        raise _undecodable("a type 4 transaction names its recipient (EIP-7702)")
    return Transaction(
        type=kind,
        chain_id=_number(chain_id, _U64, "chain id"),
        nonce=_number(nonce, _U64, "nonce"),
        max_priority_fee_per_gas=_number(tip, _U128, "max priority fee per gas"),
        max_fee_per_gas=_number(cap, _U128, "max fee per gas"),
        gas_limit=_number(gas, _U64, "gas limit"),
        to=recipient,
        value=_number(value, _U256, "value"),
        data=_string(data, "data"),
        access_list=tuple(_access(entry) for entry in _list(access_list, "access list")),
        authorization_list=tuple(_authorization(entry) for entry in _list(authorizations, "authorizations")),
        y_parity=_parity(y_parity),
        r=_number(r, _U256, "r"),
        s=_number(s, _U256, "s"),
    )


def _access(entry: object) -> tuple[bytes, tuple[bytes, ...]]:
    match entry:
        case [bytes(address), list(slots)]:
            keys = tuple(_fixed(slot, 32, "storage key") for slot in slots)
            return _fixed(address, 20, "access list address"), keys
    raise _undecodable("malformed access list entry")


def _authorization(entry: object) -> Authorization:
    match entry:
        case [chain_id, address, nonce, y_parity, r, s]:
            return Authorization(
                chain_id=_number(chain_id, _U256, "authorization chain id"),
                address=_fixed(address, 20, "authorization address"),
                nonce=_number(nonce, _U64, "authorization nonce"),
                # One byte wide, not one bit: a parity of 2 makes the authorization void, not the
                # transaction malformed (EIP-7702, "y_parity < 2**8").
                y_parity=_number(y_parity, 1, "authorization parity"),
                r=_number(r, _U256, "authorization r"),
                s=_number(s, _U256, "authorization s"),
            )
    raise _undecodable("malformed authorization")


# ── fields ───────────────────────────────────────────────────────────────────────────────────────


def _undecodable(reason: str) -> InvalidTransactionError:
    return InvalidTransactionError("undecodable", f"rlp: {reason}")


def _uint(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _encode_list(fields: Sequence[object]) -> bytes:
    encoded: bytes = rlp.encode(fields, infer_serializer=False)
    return encoded


def _decode_list(encoded: bytes) -> list[object]:
    try:
        decoded = rlp_strict.decode(encoded)
    except ValueError as error:
        raise _undecodable(str(error)) from None
    return _list(decoded, "transaction")


def _list(field: object, name: str) -> list[object]:
    if not isinstance(field, list):
        raise _undecodable(f"expected a list for {name}")
    return field


def _string(field: object, name: str) -> bytes:
    if not isinstance(field, bytes):
        raise _undecodable(f"expected a string for {name}")
    return field


def _number(field: object, width: int, name: str) -> int:
    digits = _string(field, name)
    if len(digits) > width:
        raise _undecodable(f"{name} exceeds {8 * width} bits")
    if digits[:1] == b"\x00":
        raise _undecodable(f"{name} has leading zero bytes")
    return int.from_bytes(digits, "big")


def _parity(field: object) -> int:
    value = _number(field, 1, "signature parity")
    if value > 1:
        raise _undecodable("signature parity is not a bit")
    return value


def _fixed(field: object, size: int, name: str) -> bytes:
    value = _string(field, name)
    if len(value) != size:
        raise _undecodable(f"{name} is not {size} bytes")
    return value


def _recipient(field: object) -> bytes | None:
    return _fixed(field, 20, "recipient") if field != b"" else None
