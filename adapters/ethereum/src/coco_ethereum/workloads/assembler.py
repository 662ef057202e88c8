"""A small assembler, so that the workload's contracts are readable text and not hex.

Words are separated by blanks; ``;`` begins a comment. A mnemonic stands for its byte, a number
(decimal or ``0x``) for the shortest PUSH of it, ``name:`` for a JUMPDEST, and ``@name`` pushes where
that is. Knows the opcodes the contracts use (yellow paper, appendix H; PUSH0 is EIP-3855).
"""

from __future__ import annotations

from typing import Final

_OPCODES: Final = {
    "ADD": 0x01, "MUL": 0x02, "SUB": 0x03, "DIV": 0x04, "LT": 0x10, "GT": 0x11, "EQ": 0x14, "ISZERO": 0x15,
    "AND": 0x16, "SHL": 0x1B, "SHR": 0x1C, "KECCAK256": 0x20, "ADDRESS": 0x30, "CALLER": 0x33,
    "CALLDATALOAD": 0x35, "POP": 0x50, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56,
    "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B, "LOG2": 0xA2, "LOG3": 0xA3, "CALL": 0xF1, "RETURN": 0xF3,
    "REVERT": 0xFD,
    **{f"DUP{n}": 0x7F + n for n in range(1, 17)},
    **{f"SWAP{n}": 0x8F + n for n in range(1, 17)},
}  # fmt: skip
_PUSH0: Final = 0x5F
_PUSH2: Final = 0x61


def assemble(source: str) -> bytes:
    """Return the bytecode of ``source``; raises ValueError naming the word that is wrong."""
    code = bytearray()
    labels: dict[str, int] = {}
    uses: list[tuple[int, str]] = []
    for word in _words(source):
        if word.endswith(":"):
            labels[word[:-1]] = len(code)
            code.append(_OPCODES["JUMPDEST"])
        elif word.startswith("@"):
            uses.append((len(code) + 1, word[1:]))
            code += bytes((_PUSH2, 0, 0))
        elif word in _OPCODES:
            code.append(_OPCODES[word])
        else:
            code += _push(word)
    for at, label in uses:
        if label not in labels:
            raise ValueError(f"no label is called {label!r}")
        code[at : at + 2] = labels[label].to_bytes(2)
    return bytes(code)


def _words(source: str) -> list[str]:
    return [word for line in source.splitlines() for word in line.partition(";")[0].split()]


def _push(word: str) -> bytes:
    try:
        value = int(word, 0)
        digits = value.to_bytes((value.bit_length() + 7) // 8)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"neither a mnemonic nor a number: {word!r}") from error
    if len(digits) > 32:
        raise ValueError(f"more than 32 bytes: {word!r}")
    return bytes((_PUSH0 + len(digits),)) + digits
