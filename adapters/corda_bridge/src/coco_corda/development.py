"""A genesis to develop against: a notary whose key everybody knows, R3's finance contracts, parameters.

The seed is published here, so the key is INSECURE by design; with it every development network has the same
notary, and transactions made for one are good for another.

    python -m coco_corda.development my-cordapp.jar > genesis.json

writes it with jars that are trusted beside R3's: for ``coco up --ledger corda --genesis genesis.json``.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import orjson

from coco_corda.notary_key import NotaryKey
from coco_corda.refs import hash_text, sha256
from coco_corda.shell import finance_contracts
from coco_core.adapter import DevelopmentLedger

DEVELOPMENT_NAME: Final = "O=Coco Notary, L=Zurich, C=CH"
_SEED: Final = b"coco corda development notary, public and insecure"
_PARAMETERS: Final = "development_parameters.bin"


def development_seed() -> bytes:
    """Return the seed of the development notary's key; public, and so INSECURE."""
    return hashlib.sha256(_SEED).digest()


def main(jars: Sequence[str]) -> None:
    """Print the development genesis with jars that are trusted, too."""
    config = dict(development_ledger().config)
    try:
        own = [base64.b64encode(Path(each).read_bytes()).decode() for each in jars]
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    config["attachments"] = [*config["attachments"], *own]
    sys.stdout.write(orjson.dumps(config).decode() + "\n")


def development_ledger() -> DevelopmentLedger:
    """Return the development genesis and what a person needs to use it."""
    parameters = resources.files("coco_corda").joinpath("data", _PARAMETERS).read_bytes()
    key = NotaryKey(development_seed()).public_key
    contracts = finance_contracts()
    config: dict[str, Any] = {
        "notary_name": DEVELOPMENT_NAME,
        "notary_seed": development_seed().hex(),
        "network_parameters": [base64.b64encode(parameters).decode()],
        "attachments": [] if contracts is None else [base64.b64encode(contracts).decode()],
    }
    notes = [
        f"Corda; the notary is {DEVELOPMENT_NAME}; everybody knows its key: INSECURE",
        f"network parameters {hash_text(sha256(parameters))}",
        "no CorDapp is trusted: make jvm brings R3's finance contracts"
        if contracts is None
        else f"trusted CorDapp {hash_text(sha256(contracts))}, R3's finance contracts",
    ]
    details = {
        "notary": {"name": DEVELOPMENT_NAME, "key": base64.b64encode(key).decode()},
        "networkParameters": hash_text(sha256(parameters)),
        "attachments": [] if contracts is None else [hash_text(sha256(contracts))],
    }
    return DevelopmentLedger(config=config, notes=tuple(notes), details=details)


if __name__ == "__main__":
    main(sys.argv[1:])
