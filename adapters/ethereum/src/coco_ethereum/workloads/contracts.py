"""The workload's contracts: an ERC-20 token and a constant-product exchange, as readable assembly.

They are written for load, not for use: correct and ABI-compatible, without the safety features of
audited libraries. Storage follows Solidity's layout, so that genesis can place balances directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from coco_ethereum.workloads.assembler import assemble

Keccak = Callable[[bytes], bytes]

TRANSFER: Final = bytes.fromhex("a9059cbb")
SWAP: Final = bytes.fromhex("d96073cf")
"""``swap(uint256 amountIn, uint256 direction)``; direction 0 sells token 0, 1 sells token 1."""

SUPPLY_SLOT: Final = 0
BALANCES_SLOT: Final = 1
ALLOWANCES_SLOT: Final = 2

ERC20_SOURCE: Final = """
    0 CALLDATALOAD 224 SHR                      ; selector, stays at the bottom of the stack
    DUP1 0xa9059cbb EQ @transfer JUMPI
    DUP1 0x70a08231 EQ @balanceOf JUMPI
    DUP1 0x23b872dd EQ @transferFrom JUMPI
    DUP1 0x095ea7b3 EQ @approve JUMPI
    DUP1 0xdd62ed3e EQ @allowance JUMPI
    DUP1 0x18160ddd EQ @totalSupply JUMPI
    DUP1 0x313ce567 EQ @decimals JUMPI
fail:
    0 0 REVERT

decimals:       18 @answer JUMP
totalSupply:    0 SLOAD @answer JUMP
balanceOf:                                      ; balances[owner]: slot keccak(owner, 1)
    4 CALLDATALOAD 0 MSTORE  1 32 MSTORE  64 0 KECCAK256 SLOAD @answer JUMP
allowance:                                      ; allowances[owner][spender]: nested, from slot 2
    4 CALLDATALOAD 0 MSTORE  2 32 MSTORE  64 0 KECCAK256 32 MSTORE
    36 CALLDATALOAD 0 MSTORE  64 0 KECCAK256 SLOAD @answer JUMP

approve:                                        ; (spender, amount)
    CALLER 0 MSTORE  2 32 MSTORE  64 0 KECCAK256 32 MSTORE
    4 CALLDATALOAD 0 MSTORE
    36 CALLDATALOAD  64 0 KECCAK256 SSTORE
    36 CALLDATALOAD 0 MSTORE
    4 CALLDATALOAD CALLER                       ; event Approval(owner, spender, amount)
    0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925 32 0 LOG3
    1 @answer JUMP

transfer:                                       ; (to, amount)
    36 CALLDATALOAD 4 CALLDATALOAD CALLER @move JUMP

transferFrom:                                   ; (from, to, amount)
    4 CALLDATALOAD 0 MSTORE  2 32 MSTORE  64 0 KECCAK256 32 MSTORE
    CALLER 0 MSTORE  64 0 KECCAK256             ; slot of the allowance
    68 CALLDATALOAD DUP2 SLOAD                  ; allowed, amount, slot
    DUP2 DUP2 LT @fail JUMPI                    ; allowed < amount
    SUB SWAP1 SSTORE
    68 CALLDATALOAD 36 CALLDATALOAD 4 CALLDATALOAD

move:                                           ; from, to, amount
    DUP1 0 MSTORE  1 32 MSTORE  64 0 KECCAK256
    DUP1 SLOAD                                  ; balance, slot, from, to, amount
    DUP5 DUP2 LT @fail JUMPI                    ; balance < amount
    DUP5 SWAP1 SUB SWAP1 SSTORE                 ; from, to, amount
    DUP2 0 MSTORE  64 0 KECCAK256               ; slot, from, to, amount
    DUP1 SLOAD DUP5 ADD SWAP1 SSTORE
    SWAP2 0 MSTORE SWAP1                        ; event Transfer(from, to, amount)
    0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef 32 0 LOG3
    1
answer:                                         ; value
    0 MSTORE 32 0 RETURN
"""

EXCHANGE_SOURCE: Final = """
    ; slots 0 and 1: reserves of token 0 and 1; slots 2 and 3: the tokens' addresses
    0 CALLDATALOAD 224 SHR 0xd96073cf EQ @swap JUMPI
fail:
    0 0 REVERT

swap:                                           ; (amountIn, direction)
    36 CALLDATALOAD 1 AND                       ; d
    4 CALLDATALOAD                              ; a d
    997 DUP2 MUL                                ; f a d           amount after a fee of 0.3 %
    DUP3 SLOAD                                  ; in f a d        reserve of the token sold
    DUP4 1 SUB SLOAD                            ; out in f a d    reserve of the token bought
    DUP3 DUP2 MUL                               ; f*out out in f a d
    DUP4 DUP4 1000 MUL ADD                      ; f+1000*in f*out out in f a d
    SWAP1 DIV                                   ; y out in f a d  amount bought
    DUP1 ISZERO @fail JUMPI
    DUP1 DUP3 SUB  DUP7 1 SUB SSTORE            ; reserve bought: out - y
    DUP5 DUP4 ADD  DUP7 SSTORE                  ; reserve sold: in + a
    0x23b872dd 224 SHL 0 MSTORE                 ; sold.transferFrom(caller, this, a)
    CALLER 4 MSTORE  ADDRESS 36 MSTORE  DUP5 68 MSTORE
    32 0 100 0 0  DUP11 2 ADD SLOAD  GAS CALL ISZERO @fail JUMPI
    0xa9059cbb 224 SHL 0 MSTORE                 ; bought.transfer(caller, y)
    CALLER 4 MSTORE  DUP1 36 MSTORE
    32 0 68 0 0  DUP11 3 SUB SLOAD  GAS CALL ISZERO @fail JUMPI
    DUP6 0 MSTORE  DUP5 32 MSTORE  DUP1 64 MSTORE
    CALLER                                      ; event Swap(trader, direction, sold, bought)
    0x5620e542b9ce6a03dbe5af2c6483e766af6c96439562b26a0dcd2edd7099524b 96 0 LOG2
    0 MSTORE 32 0 RETURN
"""

TOKEN: Final = assemble(ERC20_SOURCE)
EXCHANGE: Final = assemble(EXCHANGE_SOURCE)


def balance_slot(owner: bytes, keccak: Keccak) -> bytes:
    """Return the token's storage slot of ``balances[owner]`` (Solidity's mapping layout)."""
    return keccak(owner.rjust(32, b"\0") + BALANCES_SLOT.to_bytes(32))


def allowance_slot(owner: bytes, spender: bytes, keccak: Keccak) -> bytes:
    """Return the token's storage slot of ``allowances[owner][spender]``."""
    outer = keccak(owner.rjust(32, b"\0") + ALLOWANCES_SLOT.to_bytes(32))
    return keccak(spender.rjust(32, b"\0") + outer)


def abi_call(selector: bytes, *arguments: int | bytes) -> bytes:
    """Return call data: selector and 32-byte words (Solidity's contract ABI)."""
    words = (
        argument.rjust(32, b"\0") if isinstance(argument, bytes) else argument.to_bytes(32)
        for argument in arguments
    )
    return selector + b"".join(words)
