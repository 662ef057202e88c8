"""eth_call and eth_estimateGas: executing a message that leaves no trace.

Checks a caller's funds as geth does, because engines run calls without; the estimate is geth's own
search (eth/gasestimator), so that clients get the limits they are used to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import attrs

from coco_ethereum.engine import BlockContext, Call, CallResult, EvmEngine, State
from coco_ethereum.gas import TRANSACTION_GAS, TRANSACTION_GAS_MAX, fork_at_least
from coco_ethereum.limits import (
    ACCESS_LIST_ENTRIES_MAX,
    AUTHORIZATIONS_MAX,
    ESTIMATE_ROUNDS_MAX,
)
from coco_ethereum.rpc import values
from coco_ethereum.rpc.errors import execution_failed, invalid_params, server_error
from coco_ethereum.rpc.params import Params
from coco_ethereum.rpc.reading import NEWEST, Reading, Slow, StateAt, read_selector
from coco_ethereum.transactions import AccessList, Authorization

T = TypeVar("T")

_REFUSED: Final = ("blobVersionedHashes", "blobs", "commitments", "proofs", "maxFeePerBlobGas")
"""Fields that would change what a call does, and cannot. Unknown names are ignored, as in geth."""
_WANTS_GAS: Final = ("out of gas", "intrinsic gas too low", "insufficient gas for floor data gas cost")
"""How errors begin that a higher limit would cure (both engines' words, which are geth's)."""
_CALL_STIPEND: Final = 2_300
_ERROR_RATIO: Final = 0.015
"""An estimate may be this much above the least gas that works (geth: estimateGasErrorRatio)."""


@attrs.frozen(kw_only=True)
class CallRequest:
    """A call's arguments as given; None where the node chooses."""

    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    gas: int | None
    gas_price: int | None
    fee_cap: int | None
    tip: int | None
    access_list: AccessList
    authorization_list: tuple[Authorization, ...]
    chain_id: int | None

    def message(self, gas: int, base_fee: int) -> Call:
        """Return the call with a gas limit and the price it pays over ``base_fee`` (EIP-1559)."""
        price = self.gas_price or 0
        if self.gas_price is None and self.fee_cap is not None:
            price = min(self.fee_cap, base_fee + (self.tip or 0))
        return Call(
            sender=self.sender,
            to=self.to,
            data=self.data,
            value=self.value,
            gas=gas,
            gas_price=price,
            access_list=self.access_list,
            authorization_list=self.authorization_list,
        )

    @property
    def highest_price(self) -> int:
        """The most wei per gas the sender would pay: what its funds must cover."""
        return self.gas_price or self.fee_cap or 0


def read_call(value: object) -> CallRequest:
    """Read a call table; raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError("json: cannot unmarshal non-object into call arguments")
    if refused := [name for name in _REFUSED if value.get(name) is not None]:
        raise ValueError(f"field not supported in calls: {refused[0]}")
    gas_price = _optional(value, "gasPrice", _read_fee)
    fee_cap = _optional(value, "maxFeePerGas", _read_fee)
    tip = _optional(value, "maxPriorityFeePerGas", _read_fee)
    if gas_price is not None and (fee_cap is not None or tip is not None):
        raise ValueError("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    if fee_cap is not None and tip is not None and tip > fee_cap:
        raise ValueError(f"maxFeePerGas ({fee_cap:#x}) < maxPriorityFeePerGas ({tip:#x})")
    return CallRequest(
        sender=_optional(value, "from", values.read_address) or bytes(20),
        to=_optional(value, "to", values.read_address),
        data=_read_input(value),
        value=_optional(value, "value", _read_wei) or 0,
        gas=_optional(value, "gas", values.read_number),
        gas_price=gas_price,
        fee_cap=fee_cap,
        tip=tip,
        access_list=_optional(value, "accessList", _read_access_list) or (),
        authorization_list=_optional(value, "authorizationList", _read_authorizations) or (),
        chain_id=_optional(value, "chainId", _read_wei),
    )


def _optional(value: Mapping[str, object], name: str, read: Callable[[object], T]) -> T | None:
    found = value.get(name)
    return None if found is None else read(found)


def _read_wei(value: object) -> int:
    return values.read_number(value, 256)


def _read_fee(value: object) -> int:
    # As wide as in an envelope; engines hold no wider ones.
    return values.read_number(value, 128)


def _read_input(value: Mapping[str, object]) -> bytes:
    data, named_input = (
        _optional(value, "data", values.read_data),
        _optional(value, "input", values.read_data),
    )
    if data is not None and named_input is not None and data != named_input:
        raise ValueError(
            'both "data" and "input" are set and not equal. Please use "input" to pass transaction call data'
        )
    return named_input if named_input is not None else data or b""


def _read_access_list(value: object) -> AccessList:
    if not isinstance(value, list) or len(value) > ACCESS_LIST_ENTRIES_MAX:
        raise ValueError(f"accessList must be a list of at most {ACCESS_LIST_ENTRIES_MAX} entries")
    entries = []
    for entry in value:
        if not isinstance(entry, Mapping):
            raise ValueError("json: cannot unmarshal non-object into an access list entry")
        slots = entry.get("storageKeys")
        if not isinstance(slots, list) or len(slots) > ACCESS_LIST_ENTRIES_MAX:
            raise ValueError(f"storageKeys must be a list of at most {ACCESS_LIST_ENTRIES_MAX} hashes")
        entries.append((values.read_address(entry.get("address")), tuple(map(values.read_hash, slots))))
    return tuple(entries)


def _read_authorizations(value: object) -> tuple[Authorization, ...]:
    if not isinstance(value, list) or len(value) > AUTHORIZATIONS_MAX:
        raise ValueError(f"authorizationList must be a list of at most {AUTHORIZATIONS_MAX} authorizations")
    return tuple(map(_read_authorization, value))


def _read_authorization(value: object) -> Authorization:
    if not isinstance(value, Mapping):
        raise ValueError("json: cannot unmarshal non-object into an authorization")
    return Authorization(
        chain_id=_read_wei(value.get("chainId")),
        address=values.read_address(value.get("address")),
        nonce=values.read_number(value.get("nonce")),
        y_parity=values.read_number(value.get("yParity"), 8),
        r=_read_wei(value.get("r")),
        s=_read_wei(value.get("s")),
    )


def call(reading: Reading, params: Params) -> object:
    """eth_call: what a message would return."""
    request, prepared = _prepare(reading, params)
    most = reading.engine.call_gas_max
    gas = min(request.gas or most, most)
    prepared.check_funds(gas, "insufficient funds for gas * price + value")

    def work() -> object:
        result = prepared.run(gas)
        if result.status != "success":
            raise execution_failed(result)
        return values.data(result.output)

    return Slow(work)


def estimate_gas(reading: Reading, params: Params) -> object:
    """eth_estimateGas: a gas limit with which a message succeeds."""
    request, prepared = _prepare(reading, params)
    highest = request.gas if request.gas and request.gas >= TRANSACTION_GAS else prepared.context.gas_limit
    if fork_at_least(prepared.context.fork, "osaka"):
        highest = min(highest, TRANSACTION_GAS_MAX)
    prepared.check_funds(0, "insufficient funds for transfer")
    if request.highest_price:
        highest = min(highest, (prepared.balance - request.value) // request.highest_price)
    highest = min(highest, reading.engine.call_gas_max)
    bare = not request.data and not request.authorization_list
    plain = bare and request.to is not None and not prepared.at.code(request.to)
    return Slow(lambda: values.quantity(_estimate(prepared.run, highest, plain=plain)))


def _prepare(reading: Reading, params: Params) -> tuple[CallRequest, Prepared]:
    params.bounds(1, 4)
    request = params.at(0, read_call)
    selector = params.optional(1, read_selector, NEWEST)
    for position, name in ((2, "state overrides"), (3, "block overrides")):
        if not params.absent(position):
            raise invalid_params(f"invalid argument {position}: {name} are not supported")
    if request.chain_id is not None and request.chain_id != reading.chain.chain_id:
        raise invalid_params(
            f"chainId does not match node's (have={request.chain_id}, want={reading.chain.chain_id})"
        )
    at = reading.state(selector)
    context = reading.context(at.number)
    if not request.highest_price:
        # Without a price a call pays no base fee either, so contracts must not see one (geth: NoBaseFee).
        context = attrs.evolve(context, base_fee=0)
    return request, Prepared(reading.engine, context, request, at, at.for_engine())


@attrs.frozen
class Prepared:
    """A call ready to run with any gas limit."""

    engine: EvmEngine
    context: BlockContext
    request: CallRequest
    at: StateAt
    state: State

    @property
    def balance(self) -> int:
        """Wei of the sender."""
        return self.at.account(self.request.sender).balance

    def check_funds(self, gas: int, message: str) -> None:
        """Raise RPCError unless the sender can pay ``gas`` and the value."""
        needed = gas * self.request.highest_price + self.request.value
        if self.balance < needed:
            sender = values.data(self.request.sender)
            raise server_error(f"{message}: address {sender} have {self.balance} want {needed}")

    def run(self, gas: int) -> CallResult:
        """Execute with a gas limit; too little to begin with counts as a halt."""
        try:
            return self.engine.call(
                self.context, self.request.message(gas, self.context.base_fee), self.state
            )
        except ValueError as error:
            return CallResult("halt", gas, b"", f"{error} (supplied gas {gas})")


def _estimate(run: Callable[[int], CallResult], highest: int, *, plain: bool) -> int:
    """Search the least gas limit that works, to within _ERROR_RATIO (geth: gasestimator.Estimate)."""
    if plain and highest >= TRANSACTION_GAS and run(TRANSACTION_GAS).status == "success":
        return TRANSACTION_GAS
    result = run(highest)
    if result.status == "revert":
        raise execution_failed(result)
    if result.status != "success":
        if result.error.startswith(_WANTS_GAS):
            raise server_error(f"gas required exceeds allowance ({highest})")
        raise execution_failed(result)
    lowest = result.gas_used - 1
    # EIP-150 holds back one 64th at every call, and a value transfer lends a stipend.
    optimistic = (result.gas_used + _CALL_STIPEND) * 64 // 63
    if optimistic < highest:
        if run(optimistic).status == "success":
            highest = optimistic
        else:
            lowest = optimistic
    for _ in range(ESTIMATE_ROUNDS_MAX):
        if lowest + 1 >= highest or (highest - lowest) / highest < _ERROR_RATIO:
            break
        middle = min((lowest + highest) // 2, max(lowest, 1) * 2)
        if run(middle).status == "success":
            highest = middle
        else:
            lowest = middle
    return highest


METHODS: Final = {"eth_call": call, "eth_estimateGas": estimate_gas}
