"""The two precompiles of py-evm we replace.

* Modular exponentiation (EIP-198): stock py-evm takes an empty base for a zero result, but the zeroth
  power of anything is one.
* Point evaluation (EIP-4844): stock py-evm loads the trusted setup, seconds of work, in every call that
  costs a client 50000 gas. Here it is loaded once a process.

This room knows their mathematics and py-evm's computations; it must not know state.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

import ckzg  # type: ignore[import-not-found]  # an extension module published without types
from eth.abc import ComputationAPI
from eth.exceptions import VMError
from eth.precompiles.point_evaluation import TRUSTED_SETUP_PATH
from eth.vm.forks.cancun.constants import (
    BLS_MODULUS,
    FIELD_ELEMENTS_PER_BLOB,
    POINT_EVALUATION_PRECOMPILE_ADDRESS,
    POINT_EVALUATION_PRECOMPILE_GAS,
)

MODEXP_ADDRESS: Final = (5).to_bytes(20, "big")
POINT_EVALUATION_ADDRESS: Final = bytes(POINT_EVALUATION_PRECOMPILE_ADDRESS).rjust(20, b"\x00")

MODEXP_GAS_MIN: Final = 200
_HEAD_SIZE: Final = 32
_INPUT_SIZE: Final = 192
_VERSION: Final = b"\x01"
_OUTPUT: Final = FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + BLS_MODULUS.to_bytes(32, "big")


def modexp_gas(base_size: int, exponent_size: int, modulus_size: int, exponent_head: int) -> int:
    """Return the price by the operands' sizes and the exponent's first 32 bytes (EIP-2565)."""
    words = (max(base_size, modulus_size) + 7) // 8
    iterations = max(exponent_head.bit_length() - 1, 0) + 8 * max(exponent_size - _HEAD_SIZE, 0)
    return max(MODEXP_GAS_MIN, words**2 * max(iterations, 1) // 3)


def modexp(computation: ComputationAPI) -> ComputationAPI:
    """Compute ``base ** exponent % modulus`` over operands of any size (EIP-198, EIP-2565)."""
    given = computation.msg.data_as_bytes
    base_size, exponent_size, modulus_size = (_number(given, at, 32) for at in (0, 32, 64))
    exponent_at = 96 + base_size
    head = _number(given, exponent_at, min(exponent_size, _HEAD_SIZE))
    computation.consume_gas(modexp_gas(base_size, exponent_size, modulus_size, head), reason="modexp")
    if modulus_size == 0:
        # Before anything of the other sizes is touched: they cost nothing here, however large.
        computation.output = b""
        return computation
    base = _number(given, 96, base_size)
    exponent = _number(given, exponent_at, exponent_size)
    modulus = _number(given, exponent_at + exponent_size, modulus_size)
    result = pow(base, exponent, modulus) if modulus else 0
    computation.output = result.to_bytes(modulus_size, "big")
    return computation


def _number(given: bytes, at: int, size: int) -> int:
    """Return a big-endian number; the input continues with zeros behind its end."""
    digits = given[at : at + size]
    return int.from_bytes(digits, "big") << 8 * (size - len(digits)) if any(digits) else 0


@cache
def trusted_setup() -> Any:
    """Return the ceremony's points, loaded on first use."""
    return ckzg.load_trusted_setup(TRUSTED_SETUP_PATH, 0)


def point_evaluation(computation: ComputationAPI) -> ComputationAPI:
    """Verify that a committed polynomial has a value at a point (EIP-4844, "Point evaluation precompile")."""
    computation.consume_gas(POINT_EVALUATION_PRECOMPILE_GAS, reason="point evaluation")
    given = computation.msg.data_as_bytes
    if len(given) != _INPUT_SIZE:
        raise VMError("point evaluation: the input is not 192 bytes")
    versioned_hash, z, y, commitment, proof = (
        given[:32],
        given[32:64],
        given[64:96],
        given[96:144],
        given[144:],
    )
    if versioned_hash != _VERSION + hashlib.sha256(commitment).digest()[1:]:
        raise VMError("point evaluation: another commitment")
    try:
        holds = ckzg.verify_kzg_proof(commitment, z, y, proof, trusted_setup())
    except RuntimeError as error:
        # The library raises it for points and field elements that are not canonical.
        raise VMError("point evaluation: malformed proof") from error
    if not holds:
        raise VMError("point evaluation: the proof does not hold")
    computation.output = _OUTPUT
    return computation
