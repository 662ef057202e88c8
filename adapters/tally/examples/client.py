"""A client of the tally: it adds on one node, reads on another, and proves what it was told.

Usage: python examples/client.py network.json ID, with the file that ``coco up --json`` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import trio
from coco_core.client import Connection, NodeClient, pinned_context, verify_receipt
from coco_core.errors import IntegrityError

from coco_tally.adapter import claims
from coco_tally.transactions import add


async def main(network: dict[str, Any], name: str) -> None:
    """Add 5 to ``apples`` under the ID ``name``."""
    node, other = network["nodes"][:2]
    payload = add(name, "apples", 5)
    async with await Connection.open(node["front_ends"]["tally"], None) as connection:
        answer = json.loads((await connection.request("POST", "/", payload)).body)
    print(f"{answer['transaction_id']}: {answer['total']} apples")

    certificate = network["service_certificate"]
    address = other["admin"].removeprefix("https://")
    async with await Connection.open(address, pinned_context(certificate)) as connection:
        receipt = await NodeClient(connection).receipt(answer["transaction_id"])
    if verify_receipt(receipt, certificate).claims != claims(payload, str(answer["total"]).encode()):
        raise IntegrityError("the receipt is of something else")
    print("proven: this addition gave this total")


if __name__ == "__main__":
    trio.run(main, json.loads(Path(sys.argv[1]).read_bytes()), sys.argv[2])
