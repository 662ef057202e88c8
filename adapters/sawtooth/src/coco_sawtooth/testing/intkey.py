"""The integer key family in this process: what its processor does, without a socket.

Written from the family's specification. For tests: networks use a real processor.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from coco_sawtooth import messages
from coco_sawtooth.batches import Transaction
from coco_sawtooth.contexts import Context, UnauthorizedError
from coco_sawtooth.execution import Done, GiveUp, Invalid, Processed, Valid
from coco_sawtooth.testing.signed import Client
from coco_sawtooth.workloads import FAMILY, intkey_address, intkey_payload

VALUE_MAX: Final = 2**32 - 1


def intkey_transaction(
    client: Client, verb: str, name: str, value: int, **fields: Any
) -> messages.Transaction:
    """Return a transaction that sets, increases or decreases a name's value."""
    address = intkey_address(name)
    payload = intkey_payload(verb, name, value)
    defaults: dict[str, Any] = {
        "inputs": [address],
        "outputs": [address],
        "family": FAMILY,
        "payload": payload,
    }
    return client.transaction(**(defaults | fields))


class Intkey:
    """Processors of one family, which never die."""

    def start(self, transaction: Transaction, context: Context, done: Done) -> Processed | GiveUp:
        """Execute a transaction at once (see ``execution.Processors``)."""
        del done
        return self.process(transaction, context)

    def process(self, transaction: Transaction, context: Context) -> Processed:
        """Execute an integer key transaction; any other family is nobody's."""
        if transaction.family != FAMILY:
            return Invalid(f"no transaction processor for family {transaction.family[0]}")
        asked = cbor2.loads(transaction.payload)
        if not isinstance(asked, dict):
            return Invalid("the payload is no table")
        address = intkey_address(asked["Name"])
        try:
            [stored] = context.get([address])
            table = cbor2.loads(stored) if stored else {}
            value = _applied(asked["Verb"], table.get(asked["Name"]), asked["Value"])
            if isinstance(value, Invalid):
                return value
            table[asked["Name"]] = value
            context.set([(address, cbor2.dumps(table, canonical=True))])
        except UnauthorizedError as error:
            return Invalid(f"Authorization error: {error}")
        context.add_event(
            messages.Event(
                event_type="intkey/changed",
                attributes=[messages.Event.Attribute(key="name", value=asked["Name"])],
            )
        )
        return Valid()


def _applied(verb: str, old: int | None, amount: int) -> int | Invalid:
    if verb not in ("set", "inc", "dec"):
        return Invalid(f"{verb!r} is no verb of integer keys")
    if verb == "set":
        return Invalid("Verb is set, but already exists") if old is not None else amount
    if old is None:
        return Invalid(f'Verb is "{verb}" but name is not in state')
    new = old + amount if verb == "inc" else old - amount
    if not 0 <= new <= VALUE_MAX:
        return Invalid(f'Verb is "{verb}", but result would be out of range')
    return new
