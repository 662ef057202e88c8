"""For tests of this adapter and of what uses it: signed batches, and a processor in this process."""

from coco_sawtooth.testing.intkey import Intkey, intkey_address, intkey_transaction
from coco_sawtooth.testing.signed import Client

__all__ = [
    "Client",
    "Intkey",
    "intkey_address",
    "intkey_transaction",
]
