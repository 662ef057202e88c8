"""Programs for tests: a list of words and numbers to EVM bytecode.

``assemble(5, 0, "SSTORE")`` pushes 5, then 0, and stores 5 in slot 0. Strings are mnemonics (several
in one string are fine), integers the shortest PUSH, bytes a PUSH of exactly these bytes. Knows opcodes
(yellow paper, appendix H, and later EIPs); it must not know engines.
"""

from __future__ import annotations

from typing import Final

_ROWS: Final = {
    0x00: "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND",
    0x10: "LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR",
    0x20: "KECCAK256",
    0x30: "ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY "
    "GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH",
    0x40: "BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE BLOBHASH "
    "BLOBBASEFEE",
    0x50: "POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE MCOPY PUSH0",
    0x80: " ".join(f"DUP{n}" for n in range(1, 17)),
    0x90: " ".join(f"SWAP{n}" for n in range(1, 17)),
    0xA0: "LOG0 LOG1 LOG2 LOG3 LOG4",
    0xF0: "CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2",
    0xFA: "STATICCALL",
    0xFD: "REVERT INVALID SELFDESTRUCT",
}

OPCODES: Final = {
    word: first + offset for first, row in _ROWS.items() for offset, word in enumerate(row.split())
}
"""Byte of every mnemonic but PUSH1 to PUSH32, which ``assemble`` chooses."""

_PUSH0: Final = 0x5F


def push(value: int | bytes) -> bytes:
    """Return the instruction that pushes a number (shortest form) or exactly some bytes (at most 32)."""
    digits = value if isinstance(value, bytes) else value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([_PUSH0 + len(digits)]) + digits


def assemble(*program: str | int | bytes) -> bytes:
    """Return the bytecode of a program; raises KeyError for an unknown mnemonic."""
    code = b""
    for item in program:
        code += bytes(OPCODES[word] for word in item.split()) if isinstance(item, str) else push(item)
    return code


def return_word(*program: str | int | bytes) -> bytes:
    """Return a program that runs another and returns the word it leaves on the stack."""
    return assemble(*program, 0, "MSTORE", 32, 0, "RETURN")


def initcode(runtime: bytes) -> bytes:
    """Return init code that deploys ``runtime`` (fewer than 65536 bytes)."""
    size = len(runtime).to_bytes(2, "big")
    # The code to copy begins after the 10 bytes of this program, whatever its length.
    return assemble(size, "DUP1", 10, 0, "CODECOPY", 0, "RETURN") + runtime
