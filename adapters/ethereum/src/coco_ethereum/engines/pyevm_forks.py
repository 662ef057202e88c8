"""py-evm's forks bound to our state: which rules run, and what of them we replace.

What differs from stock py-evm: validity is decided before (``coco_ethereum.validity``), system contracts
are the adapter's business, authorizations are recovered by our own code, init code is paid for once,
failures have names, and two precompiles are ours. This room knows py-evm's class hierarchy; it must not
know blocks or receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import attrs
from eth.abc import ComputationAPI, MessageAPI, OpcodeAPI, SignedTransactionAPI, TransactionContextAPI
from eth.exceptions import InsufficientFunds, InvalidInstruction, OutOfGas, ReservedBytesInCode
from eth.vm.forks.cancun.computation import CancunComputation
from eth.vm.forks.cancun.state import CancunState, CancunTransactionExecutor
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.forks.shanghai.computation import ShanghaiComputation
from eth.vm.forks.shanghai.state import ShanghaiState, ShanghaiTransactionExecutor
from eth.vm.forks.spurious_dragon.constants import EIP170_CODE_SIZE_LIMIT
from eth.vm.logic.invalid import InvalidOpcode
from eth_typing import Address

from coco_ethereum.engines import pyevm_precompiles
from coco_ethereum.engines.pyevm_state import MapState
from coco_ethereum.gas import INITCODE_SIZE_MAX_BYTES
from coco_ethereum.transactions import Authorization
from coco_ethereum.validity import AMOUNT_MAX, DELEGATION_PREFIX, NONCE_MAX, is_delegation

AUTHORIZATION_REFUND: Final = 12_500
"""PER_EMPTY_ACCOUNT_COST less PER_AUTH_BASE_COST (EIP-7702)."""

_INVALID: Final = 0xFE
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


class CodeSizeError(OutOfGas):
    """A creation returned more code than EIP-170 allows; stock py-evm does not tell it from missing gas."""


class InitcodeSizeError(OutOfGas):
    """CREATE was given more init code than EIP-3860 allows."""


class DesignatedInvalidError(InvalidInstruction):
    """The instruction that EIP-141 keeps invalid was met, rather than one without a meaning."""


class _Computation:
    """Computation part: failures by their names, and no balance beyond 256 bits.

    A creation's init code is paid for with the intrinsic gas (EIP-3860). Stock py-evm charges it on
    entering the outermost message, which it tells by its sender; since EIP-7702 a delegated sender may
    create from within, and would pay twice.
    """

    @classmethod
    def consume_initcode_gas_cost(cls, computation: ComputationAPI) -> None:
        """Do nothing: ``Runnable.intrinsic_gas`` includes it, and CREATE charges its own."""

    @classmethod
    def validate_create_message(cls, message: MessageAPI) -> None:
        """Judge init code (EIP-3860)."""
        if len(message.code) > INITCODE_SIZE_MAX_BYTES:
            raise InitcodeSizeError(f"{len(message.code)} bytes of init code")

    @classmethod
    def validate_contract_code(cls, contract_code: bytes) -> None:
        """Judge what a creation returned (EIP-170, EIP-3541)."""
        if len(contract_code) > EIP170_CODE_SIZE_LIMIT:
            raise CodeSizeError(f"{len(contract_code)} bytes of code exceed {EIP170_CODE_SIZE_LIMIT}")
        if contract_code.startswith(b"\xef"):
            raise ReservedBytesInCode("code begins with 0xef")

    @classmethod
    def apply_message(
        cls,
        state: Any,
        message: MessageAPI,
        transaction_context: TransactionContextAPI,
        parent_computation: ComputationAPI | None = None,
    ) -> ComputationAPI:
        """Run a message; one that would bring more wei than 256 bits hold fails instead."""
        moves = message.should_transfer_value and message.sender != message.storage_address
        if moves and state.get_balance(message.storage_address) + message.value > AMOUNT_MAX:
            failed = cast("type[ComputationAPI]", cls)(state, message, transaction_context)
            with failed:
                _overflow()
            return failed
        stock: Any = super()
        return cast(
            "ComputationAPI",
            stock.apply_message(state, message, transaction_context, parent_computation=parent_computation),
        )


def _overflow() -> None:
    raise InsufficientFunds("more wei than 256 bits hold")


class _DesignatedInvalid(InvalidOpcode):
    """Instruction 0xfe (EIP-141)."""

    def __call__(self, computation: ComputationAPI) -> None:
        raise DesignatedInvalidError("INVALID")


def _instructions(opcodes: dict[int, OpcodeAPI]) -> dict[int, OpcodeAPI]:
    """Return a table with INVALID, whose SELFDESTRUCT does not warn Python of its end (EIP-6049)."""
    destroy = opcodes[_SELFDESTRUCT]
    own = {_SELFDESTRUCT: getattr(destroy, "__wrapped__", destroy), _INVALID: _DesignatedInvalid(_INVALID)}
    return opcodes | own


class _ShanghaiComputation(_Computation, ShanghaiComputation):
    opcodes = _instructions(ShanghaiComputation.opcodes)
    _precompiles: Any = ShanghaiComputation.get_precompiles() | _MODEXP


class _CancunComputation(_Computation, CancunComputation):
    opcodes = _instructions(CancunComputation.opcodes)
    _precompiles = CancunComputation.get_precompiles() | _FROM_CANCUN


class _PragueComputation(_Computation, PragueComputation):
    opcodes = _instructions(PragueComputation.opcodes)
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
