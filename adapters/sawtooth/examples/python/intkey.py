"""The integer-key family as a processor on the unmodified Python SDK: ``intkey.py URL``.

A payload is the CBOR map ``{Verb: set|inc|dec, Name: text, Value: number}``; state keeps, under
``1cf126`` and the last 64 hex digits of the name's SHA-512, the CBOR map of name to number.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import cbor2
from sawtooth_sdk.processor.core import TransactionProcessor
from sawtooth_sdk.processor.exceptions import InternalError, InvalidTransaction
from sawtooth_sdk.processor.handler import TransactionHandler

VALUE_MAX = 2**32 - 1
NAME_MAX_CHARS = 20


def address(name: str) -> str:
    """Return where the number called ``name`` is kept."""
    return "1cf126" + hashlib.sha512(name.encode()).hexdigest()[-64:]


class IntegerKey(TransactionHandler):
    """Sets numbers once, then adds and takes away, between 0 and 2^32 - 1.

    Of anything but a map it raises TypeError, on purpose: that ends a processor on this SDK, as it
    ends the family's first implementation, and a validator has to live with it.
    """

    family_name = "intkey"
    family_versions = ["1.0"]  # noqa: RUF012 - the SDK asks for a list
    namespaces = ["1cf126"]  # noqa: RUF012

    def apply(self, transaction: Any, context: Any) -> None:
        """Execute one transaction; raises InvalidTransaction with the reason it is refused."""
        try:
            content = cbor2.loads(transaction.payload)
        except cbor2.CBORError as error:
            raise InvalidTransaction("Invalid payload serialization") from error
        verb, name, value = content["Verb"], content["Name"], content["Value"]
        if verb not in {"set", "inc", "dec"}:
            raise InvalidTransaction('Verb must be "set", "inc", or "dec"')
        if not isinstance(name, str) or len(name) > NAME_MAX_CHARS:
            raise InvalidTransaction(f"Name must be a string of no more than {NAME_MAX_CHARS} characters")
        if not isinstance(value, int) or not 0 <= value <= VALUE_MAX:
            raise InvalidTransaction(f"Value must be an integer from 0 to {VALUE_MAX}")
        entries = context.get_state([address(name)])
        numbers = cbor2.loads(entries[0].data) if entries else {}
        if (verb == "set") == (name in numbers):
            raise InvalidTransaction(f'Verb is "{verb}", and "{name}" is {numbers.get(name, "not set")}')
        before = numbers.get(name, 0)
        result = {"set": value, "inc": before + value, "dec": before - value}[verb]
        if not 0 <= result <= VALUE_MAX:
            raise InvalidTransaction(f'Verb is "{verb}", and the result would not be from 0 to {VALUE_MAX}')
        if not context.set_state({address(name): cbor2.dumps({**numbers, name: result})}):
            raise InternalError("State error")


def main() -> None:
    """Serve a validator until interrupted."""
    processor = TransactionProcessor(url=sys.argv[1])
    processor.add_handler(IntegerKey())
    try:
        processor.start()
    finally:
        processor.stop()


if __name__ == "__main__":
    main()
