"""The native engine: revm, reached through the optional distribution ``coco-framework-ethereum-revm``.

Knows how the contract's values look to the native module and back; every rule of execution is on the other
side. The native module is imported when the engine is made, so an installation without it can still import
this file. The GIL is held while ordinary transactions execute (they read the caller's dictionaries) and
released while senders are recovered, while a call or a transaction with much gas runs, and now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from coco_core.errors import IntegrityError, OperatorError
from coco_ethereum.engine import (
    BlockContext,
    BlockResult,
    Call,
    CallResult,
    Executed,
    Invalid,
    Log,
    NoRoom,
    State,
)
from coco_ethereum.limits import CALL_GAS_MAX

_NO_HASH = bytes(32)
_NO_ROOM = NoRoom()


def _block_hashes(context: BlockContext) -> Callable[[int], bytes]:
    hashes = context.block_hashes
    if isinstance(hashes, Mapping):
        return lambda number: hashes.get(number, _NO_HASH)
    return hashes


class RevmEngine:
    """revm behind the ``EvmEngine`` contract.

    Raises OperatorError when made where ``coco-framework-ethereum-revm`` is not installed.
    """

    def __init__(self) -> None:
        try:
            import coco_ethereum_revm as native
        except ImportError as error:
            raise OperatorError(
                "the revm engine is not installed: pip install 'coco-framework-ethereum[revm]'"
            ) from error
        self._native = native

    @property
    def name(self) -> str:
        """``revm``."""
        return "revm"

    @property
    def version(self) -> str:
        """Version of the revm crate."""
        return self._native.REVM_VERSION

    @property
    def forks(self) -> tuple[str, ...]:
        """Supported forks, oldest first."""
        return self._native.FORKS

    @property
    def call_gas_max(self) -> int:
        """What geth allows a call: about a second."""
        return CALL_GAS_MAX

    def execute(self, context: BlockContext, transactions: Sequence[bytes], state: State) -> BlockResult:
        """Execute raw transactions in order (see ``EvmEngine.execute``).

        One native call does the whole block. Raises ValueError for an unknown fork or an address or hash of
        the wrong length, OverflowError for an environment beyond 64-bit numbers, IntegrityError for state it
        cannot read.
        """
        native = self._native
        try:
            rows, gas_used, transactions_root, receipts_root, logs_bloom = native.execute(
                context, transactions, state, _block_hashes(context)
            )
        except native.StateError as error:
            raise IntegrityError(str(error)) from error
        results: list[Executed | Invalid | NoRoom] = []
        for row in rows:
            if row is None:
                results.append(_NO_ROOM)
            elif len(row) == 3:
                results.append(Invalid(*row))
            else:
                results.append(Executed(*row))
        return BlockResult(results, gas_used, transactions_root, receipts_root, logs_bloom)

    def call(self, context: BlockContext, call: Call, state: State) -> CallResult:
        """Execute a call that leaves no trace (see ``EvmEngine.call``).

        Other threads run meanwhile. Raises as ``execute`` does, and ValueError for a call that cannot begin.
        """
        native = self._native
        try:
            status, gas_used, output, error, logs = native.call(context, call, state, _block_hashes(context))
        except native.StateError as fault:
            raise IntegrityError(str(fault)) from fault
        return CallResult(status, gas_used, output, error, tuple(Log(*log) for log in logs))

    def keccak256(self, data: bytes) -> bytes:
        """Return the Keccak-256 digest."""
        return self._native.keccak256(data)

    def ordered_trie_root(self, items: Sequence[bytes]) -> bytes:
        """Return the Merkle-Patricia root of ``rlp(index) -> item`` (yellow paper §4.3.2)."""
        return self._native.ordered_trie_root(items)

    def state_root(self, state: State) -> bytes:
        """Return the Merkle-Patricia state root; hashes every row.

        Raises IntegrityError for state it cannot read.
        """
        try:
            return self._native.state_root(state)
        except self._native.StateError as error:
            raise IntegrityError(str(error)) from error
