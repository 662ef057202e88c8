"""A processor on the unmodified Python SDK that does what the payload says: ``misbehaving.py URL``."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from sawtooth_sdk.processor.core import TransactionProcessor
from sawtooth_sdk.processor.exceptions import InternalError, InvalidTransaction
from sawtooth_sdk.processor.handler import TransactionHandler

HERE = "aa" * 35
NOT_HERE = "bb" * 35


class Misbehaving(TransactionHandler):
    """Obeys its payloads."""

    family_name = "misbehave"
    family_versions = ["1.0", "2.0"]  # noqa: RUF012 - the SDK asks for a list
    namespaces = ["aa"]  # noqa: RUF012

    def apply(self, transaction: Any, context: Any) -> None:
        what, _, rest = transaction.payload.decode().partition(" ")
        getattr(self, what)(rest, context)

    def succeed(self, rest: str, context: Any) -> None:
        context.set_state({HERE: rest.encode()})

    def refuse(self, rest: str, context: Any) -> None:
        context.set_state({HERE: b"half"})
        raise InvalidTransaction(rest, extended_data=b"why")

    def err(self, rest: str, context: Any) -> None:
        raise InternalError(rest)

    def become_a_zombie(self, rest: str, context: Any) -> None:
        raise ValueError(rest)  # the SDK's main thread ends, its socket stays

    def end(self, rest: str, context: Any) -> None:
        context.set_state({HERE: b"half"})
        os._exit(1)

    def hang(self, rest: str, context: Any) -> None:
        threading.Event().wait(float(rest))

    def trespass(self, rest: str, context: Any) -> None:
        if rest == "get":
            context.get_state([HERE, NOT_HERE])
        elif rest == "set":
            context.set_state({HERE: b"1", NOT_HERE: b"2"})
        else:
            context.delete_state([NOT_HERE])

    def everything(self, rest: str, context: Any) -> None:
        context.set_state({HERE: b"1"})
        context.add_event("misbehave/one", [("k", "v")], b"data")
        context.add_event("misbehave/two")
        context.add_receipt_data(b"r1")
        context.add_receipt_data(b"r2")
        assert list(context.delete_state([HERE])) == [HERE]
        assert context.get_state([HERE]) == []
        context.set_state({HERE: b"end"})


if __name__ == "__main__":
    processor = TransactionProcessor(url=sys.argv[1])
    processor.add_handler(Misbehaving())
    # Not stopped when it raises: the SDK's other thread then keeps the connection, and answers nothing.
    processor.start()
    processor.stop()
