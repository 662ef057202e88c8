"""py-evm's forks bound to our state: which rules run, and what of them we replace.

What differs from stock py-evm: validity is decided before (``coco_ethereum.validity``), system contracts
are the adapter's business, authorizations are recovered by our own code, init code is paid for once, and
two precompiles are ours. This room knows py-evm's class hierarchy; it must not know blocks or receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs
from eth.abc import ComputationAPI, OpcodeAPI, SignedTransactionAPI
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.state import CancunState, CancunTransactionExecutor
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.forks.shanghai.computation import ShanghaiComputation
from eth.vm.forks.shanghai.state import ShanghaiState, ShanghaiTransactionExecutor
from eth_typing import Address

from coco_ethereum.engines import pyevm_precompiles
from coco_ethereum.engines.pyevm_state import MapState
from coco_ethereum.transactions import Authorization
from coco_ethereum.validity import DELEGATION_PREFIX, NONCE_MAX, is_delegation

AUTHORIZATION_REFUND: Final = 12_500
"""PER_EMPTY_ACCOUNT_COST less PER_AUTH_BASE_COST (EIP-7702)."""

_SELFDESTRUCT: Final = 0xFF
_MODEXP: Final = {Address(pyevm_precompiles.MODEXP_ADDRESS): pyevm_precompiles.modexp}
_FROM_CANCUN: Final = _MODEXP | {
    Address(pyevm_precompiles.POINT_EVALUATION_ADDRESS): pyevm_precompiles.point_evaluation
}


@attrs.frozen(slots=True, kw_only=True, repr=False)
class Runnable:
    """A valid transaction with the attributes py-evm's executors read, their types and names."""

    type_id: int
    sender: bytes
    to: bytes
    """Empty for a creation."""
    nonce: int
    gas: int
    intrinsic_gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    value: int
    data: bytes
    access_list: Sequence[tuple[bytes, Sequence[int]]]
    authorization_list: Sequence[Authorization] = ()


class _Valid:
    """Executor part: the transaction was judged before it came here."""

    def validate_transaction(self, transaction: SignedTransactionAPI) -> None:
        """Do nothing."""


class _Prepaid:
    """Computation part: a creation's init code is paid for with the intrinsic gas (EIP-3860).

    Stock py-evm charges it on entering the outermost message, which it tells by its sender; since
    EIP-7702 a delegated sender may create from within, and would pay twice.
    """

    @classmethod
    def consume_initcode_gas_cost(cls, computation: ComputationAPI) -> None:
        """Do nothing: ``Runnable.intrinsic_gas`` includes it, and CREATE charges its own."""


def _without_warnings(opcodes: dict[int, OpcodeAPI]) -> dict[int, OpcodeAPI]:
    """Return a table whose SELFDESTRUCT does not warn Python that Ethereum deprecated it (EIP-6049)."""
    destroy = opcodes[_SELFDESTRUCT]
    return opcodes | {_SELFDESTRUCT: getattr(destroy, "__wrapped__", destroy)}


class _ShanghaiComputation(_Prepaid, ShanghaiComputation):
    opcodes = _without_warnings(ShanghaiComputation.opcodes)
    _precompiles: Any = ShanghaiComputation.get_precompiles() | _MODEXP


class _CancunComputation(_Prepaid, CancunComputation):
    opcodes = _without_warnings(CancunComputation.opcodes)
    _precompiles = CancunComputation.get_precompiles() | _FROM_CANCUN


class _PragueComputation(_Prepaid, PragueComputation):
    opcodes = _without_warnings(PragueComputation.opcodes)
    _precompiles = PragueComputation.get_precompiles() | _FROM_CANCUN


class _ShanghaiExecutor(_Valid, ShanghaiTransactionExecutor):
    pass


class _CancunExecutor(_Valid, CancunTransactionExecutor):
    pass


class _PragueExecutor(_Valid, PragueTransactionExecutor):
    pass


class _Shanghai(MapState, ShanghaiState):
    computation_class = _ShanghaiComputation
    transaction_executor_class = _ShanghaiExecutor


class _Cancun(MapState, CancunState):
    computation_class = _CancunComputation
    transaction_executor_class = _CancunExecutor


class _Prague(MapState, PragueState):
    computation_class = _PragueComputation
    transaction_executor_class = _PragueExecutor

    def process_set_code_authorizations(self, transaction: SignedTransactionAPI) -> int:
        """Apply a transaction's authorizations; returns the gas to refund (EIP-7702, "Behavior")."""
        ours = cast("Sequence[Authorization]", transaction.authorization_list)
        return sum([self._authorize(authorization) for authorization in ours])

    def _authorize(self, authorization: Authorization) -> int:
        if authorization.chain_id not in (0, self.execution_context.chain_id):
            return 0
        if authorization.nonce == NONCE_MAX:
            return 0
        try:
            authority = Address(authorization.authority())
        except ValueError:
            return 0
        self.mark_address_warm(authority)
        code = self.get_code(authority)
        if code and not is_delegation(code):
            return 0
        account = self.current_account(authority)
        if account.nonce != authorization.nonce:
            return 0
        if any(authorization.address):
            self.set_code(authority, DELEGATION_PREFIX + authorization.address)
        else:
            self.delete_code(authority)
        self.increment_nonce(authority)
        return 0 if account.is_empty else AUTHORIZATION_REFUND


STATES: Final[dict[str, type[MapState]]] = {"shanghai": _Shanghai, "cancun": _Cancun, "prague": _Prague}
"""State class by fork."""
