"""The one precompile of py-evm we replace: point evaluation (EIP-4844).

Stock py-evm loads the trusted setup, seconds of work, in every call that costs a client 50000 gas.
Here it is loaded once a process. Knows EIP-4844 and ``ckzg``; it must not know state.
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

ADDRESS: Final = bytes(POINT_EVALUATION_PRECOMPILE_ADDRESS).rjust(20, b"\x00")
_INPUT_SIZE: Final = 192
_VERSION: Final = b"\x01"
_OUTPUT: Final = FIELD_ELEMENTS_PER_BLOB.to_bytes(32, "big") + BLS_MODULUS.to_bytes(32, "big")


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
