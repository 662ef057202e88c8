"""A genesis to develop against: keys that everybody knows, one of which may change settings and roles.

The keys come from a seed that is published here, so they are INSECURE by design. The validator's is among
them, so that every development network has the same first block.
"""

from __future__ import annotations

import hashlib
from typing import Final

from coco_core.adapter import DevelopmentLedger
from coco_sawtooth.identity_family import ALLOWED_KEYS
from coco_sawtooth.signing import Signer

KEYS: Final = 5
NODES: Final = 9
"""How many nodes a development network has at most."""
SEED: Final = b"coco sawtooth development key, public and insecure"


PROCESSORS_PORT: Final = 4004
"""Where Sawtooth's validators listen, and every processor looks unless told otherwise."""
PROCESSORS_ENDPOINT: Final = f"tcp://127.0.0.1:{PROCESSORS_PORT}"


def processors_endpoint(index: int, first_port: int = PROCESSORS_PORT) -> str:
    """Return where node ``index`` of a development network listens for processors."""
    return f"tcp://127.0.0.1:{first_port + index}"


def development_key(index: int) -> bytes:
    """Return private key ``index`` of development; public, and so INSECURE. The first may change settings."""
    return hashlib.sha256(SEED + index.to_bytes(4)).digest()


def development_ledger(first_port: int = PROCESSORS_PORT) -> DevelopmentLedger:
    """Return the development genesis and what a person needs to use it.

    Processors connect to ``first_port`` at the first node, to the next at the second, and so on.
    """
    signers = [(development_key(index), Signer(development_key(index))) for index in range(KEYS)]
    keys = [{"publicKey": signer.public_key, "privateKey": key.hex()} for key, signer in signers]
    admin = signers[0][1].public_key
    notes = [
        "Sawtooth; the first key may change settings and identities",
        f"{KEYS} keys, as they are written in ~/.sawtooth/keys; everybody knows them: INSECURE",
        *(f"{each['publicKey']}  key {each['privateKey']}" for each in keys),
    ]
    return DevelopmentLedger(
        config={
            "authorized_keys": [admin],
            "settings": {ALLOWED_KEYS: admin},
            "validator_private_key": hashlib.sha256(SEED + b"validator").hexdigest(),
        },
        notes=tuple(notes),
        details={"keys": keys},
        node_settings=lambda index: {"processors": processors_endpoint(index, first_port)},
    )
