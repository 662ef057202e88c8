"""Rules for what a block may hold, from the setting ``sawtooth.validator.block_validation_rules``.

``NofX:2,intkey`` (at most two transactions of a family), ``XatY:intkey,0`` (one at a position) and
``local:0`` (signed by whom signs blocks), separated by semicolons. What does not parse is no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from coco_core.errors import RejectedError
from coco_sawtooth.batches import Transaction
from coco_sawtooth.settings_family import read_setting

RULES: Final = "sawtooth.validator.block_validation_rules"


def check_rules(
    transactions: Sequence[Transaction], block_signer: str, read: Callable[[bytes], bytes]
) -> None:
    """Check the transactions of a block, in their order, against every rule. Raises RejectedError."""
    text = read_setting(read, RULES)
    if not text:
        return
    for rule in text.split(";"):
        kind, _, arguments = rule.partition(":")
        check = _CHECKS.get(kind.strip())
        if check is not None and not check(transactions, block_signer, arguments.split(",")):
            raise RejectedError(f"the block would break the rule {rule.strip()!r} of {RULES}")


def _at_most(transactions: Sequence[Transaction], block_signer: str, arguments: list[str]) -> bool:
    del block_signer
    if len(arguments) != 2 or (limit := _number(arguments[0])) is None:
        return True
    return sum(each.header.family_name == arguments[1].strip() for each in transactions) <= limit


def _at_position(transactions: Sequence[Transaction], block_signer: str, arguments: list[str]) -> bool:
    del block_signer
    if len(arguments) != 2 or (position := _number(arguments[1])) is None:
        return True
    return (
        abs(position) < len(transactions)
        and transactions[position].header.family_name == arguments[0].strip()
    )


def _local(transactions: Sequence[Transaction], block_signer: str, arguments: list[str]) -> bool:
    positions = [_number(each) for each in arguments]
    # Up to the first that is no number: the rule ends there.
    for position in positions:
        if position is None:
            return True
        if abs(position) >= len(transactions):
            continue
        if transactions[position].header.signer_public_key != block_signer:
            return False
    return True


def _number(text: str) -> int | None:
    try:
        return int(text) if len(text) < 12 else None
    except ValueError:
        return None


_CHECKS: Final = {"NofX": _at_most, "XatY": _at_position, "local": _local}
