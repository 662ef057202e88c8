"""For tests of this adapter: clients that sign, a processor and a ledger in this process."""

from coco_sawtooth.testing.intkey import Intkey, intkey_transaction
from coco_sawtooth.testing.ledger import Ledger
from coco_sawtooth.testing.rest import ask_rest
from coco_sawtooth.testing.signed import Client
from coco_sawtooth.workloads import intkey_address

__all__ = [
    "Client",
    "Intkey",
    "Ledger",
    "ask_rest",
    "intkey_address",
    "intkey_transaction",
]
