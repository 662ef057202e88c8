"""Errors as JSON-RPC clients read them: every code, and every mapping onto a code, in one place.

Codes are JSON-RPC 2.0's, EIP-1474's and geth's; messages follow geth, since clients match on them.
"""

from __future__ import annotations

from typing import Final

from coco_core.adapter import NotCommitted, Rejected
from coco_ethereum.engine import CallResult

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000
"""Geth's code for everything the ledger itself refuses: nonce, funds, unknown state."""
LIMIT_EXCEEDED: Final = -32005
"""Not now: the same request may succeed later, or on another node (EIP-1474: limit exceeded)."""
TIMED_OUT: Final = -32002
RESPONSE_TOO_LARGE: Final = -32003
"""Geth's codes for what is left of a body that took too long or has answered too much."""
EXECUTION_REVERTED: Final = 3
"""Geth's code for a revert; ``data`` is what the contract returned."""

_PANICS: Final = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}
"""Solidity's panic codes (its documentation, "Panic via assert and Error via require")."""
_ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")
_PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")


class RPCError(Exception):
    """What a call is answered with instead of a result."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        """Carry the ``error`` member of the response."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, object]:
        """Return the ``error`` member."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error


def invalid_params(message: str) -> RPCError:
    """Return the error for arguments that do not parse or contradict each other."""
    return RPCError(INVALID_PARAMS, message)


def server_error(message: str) -> RPCError:
    """Return the error for what the ledger refuses."""
    return RPCError(SERVER_ERROR, message)


def not_now(message: str) -> RPCError:
    """Return the error for what may be asked again as it is."""
    return RPCError(LIMIT_EXCEEDED, message)


def rejected(outcome: Rejected) -> RPCError:
    """Return the error for a transaction the ledger's rules refuse, undecodable ones too, as geth does."""
    return RPCError(SERVER_ERROR, outcome.message)


def not_committed(outcome: NotCommitted) -> RPCError:
    """Return the error for a transaction that lost its primary before commit."""
    return not_now(f"transaction was not committed, send it again: {outcome.reason}")


def execution_failed(result: CallResult) -> RPCError:
    """Return the error for a call that reverted or halted."""
    if result.status != "revert":
        return server_error(result.error)
    reason = revert_reason(result.output)
    message = f"execution reverted: {reason}" if reason else "execution reverted"
    return RPCError(EXECUTION_REVERTED, message, "0x" + result.output.hex())


def revert_reason(output: bytes) -> str:
    """Return the text of ``Error(string)`` or the meaning of ``Panic(uint256)``, else nothing."""
    selector, arguments = output[:4], output[4:]
    if selector == _PANIC_SELECTOR and len(arguments) >= 32:
        code = int.from_bytes(arguments[:32])
        return _PANICS.get(code, f"unknown panic code: {code:#x}")
    if selector == _ERROR_SELECTOR and len(arguments) >= 64:
        offset = int.from_bytes(arguments[:32])
        size = int.from_bytes(arguments[offset : offset + 32]) if offset + 32 <= len(arguments) else -1
        text = arguments[offset + 32 : offset + 32 + size] if size >= 0 else b""
        if len(text) == size:
            return text.decode(errors="replace")
    return ""
