"""A client of the integer-key family on the unmodified Python SDK: it signs with the SDK and speaks REST.

::

    intkey_client.py KEYFILE batch FILE VERB:NAME:VALUE...     writes one signed batch to FILE
    intkey_client.py KEYFILE submit URL FILE                   submits it; prints how it ended
    intkey_client.py KEYFILE show URL NAME                     prints the number, or "absent"

KEYFILE holds a private key in hexadecimal, as in ``~/.sawtooth/keys``.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cbor2
from intkey import address
from sawtooth_sdk.protobuf.batch_pb2 import Batch, BatchHeader, BatchList
from sawtooth_sdk.protobuf.transaction_pb2 import Transaction, TransactionHeader
from sawtooth_signing import CryptoFactory, create_context
from sawtooth_signing.secp256k1 import Secp256k1PrivateKey

WAIT_S = 30


def signer_of(key: Path) -> Any:
    """Return the SDK's signer for a private key in a file."""
    private = Secp256k1PrivateKey.from_hex(key.read_text().strip())
    return CryptoFactory(create_context("secp256k1")).new_signer(private)


def transaction(signer: Any, verb: str, name: str, value: int) -> Any:
    """Return one signed transaction, another one each time."""
    payload = cbor2.dumps({"Verb": verb, "Name": name, "Value": value})
    public = signer.get_public_key().as_hex()
    header = TransactionHeader(
        signer_public_key=public,
        batcher_public_key=public,
        family_name="intkey",
        family_version="1.0",
        inputs=[address(name)],
        outputs=[address(name)],
        payload_sha512=hashlib.sha512(payload).hexdigest(),
        nonce=secrets.token_hex(16),
    ).SerializeToString()
    return Transaction(header=header, payload=payload, header_signature=signer.sign(header))


def batch_of(signer: Any, orders: list[str]) -> Any:
    """Return one signed batch of ``VERB:NAME:VALUE`` orders: all of them take effect, or none."""
    transactions = []
    for order in orders:
        verb, name, value = order.split(":")
        transactions.append(transaction(signer, verb, name, int(value)))
    header = BatchHeader(
        signer_public_key=signer.get_public_key().as_hex(),
        transaction_ids=[one.header_signature for one in transactions],
    ).SerializeToString()
    return Batch(header=header, transactions=transactions, header_signature=signer.sign(header))


def exchange(url: str, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
    """Return status and JSON of what a REST API answers."""
    place = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(place.hostname or "", place.port)) as connection:
        connection.request(method, target, body, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def submit(url: str, batch: Any) -> str:
    """Post a batch and wait for its status; return it with the reason, if there is one."""
    status, answer = exchange(url, "POST", "/batches", BatchList(batches=[batch]).SerializeToString())
    if status != 202:
        return f"{status} {answer['error']['message']}"
    target = f"/batch_statuses?id={batch.header_signature}&wait={WAIT_S}"
    _, answer = exchange(url, "GET", target)
    (ended,) = answer["data"]
    reasons = [one.get("message", "") for one in ended["invalid_transactions"]]
    return " ".join([ended["status"], *reasons])


def show(url: str, name: str) -> str:
    """Return the number called ``name``, read over REST."""
    status, answer = exchange(url, "GET", f"/state/{address(name)}")
    if status == 404:
        return "absent"
    return str(cbor2.loads(base64.b64decode(answer["data"])).get(name, "absent"))


def main() -> None:
    """Do what the command line says."""
    key, command, where, *rest = sys.argv[1:]
    signer = signer_of(Path(key))
    if command == "submit":
        sys.stdout.write(submit(where, Batch.FromString(Path(rest[0]).read_bytes())) + "\n")
    elif command == "batch":
        Path(where).write_bytes(batch_of(signer, rest).SerializeToString())
    else:
        sys.stdout.write(show(where, rest[0]) + "\n")


if __name__ == "__main__":
    main()
