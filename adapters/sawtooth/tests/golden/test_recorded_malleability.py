"""Altered batches: what a real validator did with each of them, several of which it executed twice.

Who batches another's transaction can write its identifier in another way; ours takes one form only.
"""

from __future__ import annotations

import json
from typing import Any

import cbor2
import coincurve
import pytest

from coco_sawtooth import messages
from coco_sawtooth.authoring import signed_batch, signed_transaction
from coco_sawtooth.signing import Signer
from coco_sawtooth.testing import intkey_address, intkey_transaction

pytestmark = pytest.mark.shared

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

DIFFERENCES = {
    "inc/same-txn-UPPERCASE-id": "400 with code 30: no upper case; a validator executes it again",
    "inc/same-txn-spaced-id": "400 with code 30: no spaces; a validator executes it again",
    "batch/upper": "400 with code 30: no upper case",
}


def high_s(signature: str) -> str:
    return signature[:64] + (ORDER - int(signature[64:], 16)).to_bytes(32).hex()


def spaced(signature: str) -> str:
    return " ".join(signature[i : i + 2] for i in range(0, len(signature), 2))


class KeyAs:
    """A signer that writes its public key in another way."""

    def __init__(self, signer: Signer, public_key: str) -> None:
        self._signer = signer
        self.public_key = public_key

    def sign(self, message: bytes) -> str:
        return self._signer.sign(message)


def uncompressed(public_key: str) -> str:
    return coincurve.PublicKey(bytes.fromhex(public_key)).format(compressed=False).hex()


class Altered:
    """Batches by the name of the exchange that sent them."""

    def __init__(self, alice) -> None:
        self.alice = alice
        self.transaction = intkey_transaction(alice, "inc", "m", 1)

    def made(self, name: str) -> messages.Batch:
        """Return the batch of an exchange."""
        alice, forms = self.alice, {"UPPERCASE": str.upper, "spaced": spaced, "high-S": high_s}
        if name == "base/set":
            return alice.batch(intkey_transaction(alice, "set", "m", 1))
        if name == "inc/first":
            return alice.batch(self.transaction)
        if name.startswith("inc/"):
            again = messages.Transaction()
            again.CopyFrom(self.transaction)
            form = forms[name.removeprefix("inc/same-txn-").removesuffix("-id")]
            again.header_signature = form(again.header_signature)
            return alice.batch(again)
        if name.startswith("batch/"):
            batch = alice.batch(intkey_transaction(alice, "set", name, 1))
            form = high_s if name.endswith("high-S") else str.upper
            batch.header_signature = form(batch.header_signature)
            return batch
        written = uncompressed(alice.public_key) if "uncompressed" in name else alice.public_key.upper()
        signer: Any = KeyAs(alice.signer, written)
        address = intkey_address(name)
        payload = cbor2.dumps({"Verb": "set", "Name": name, "Value": 1})
        transaction = signed_transaction(
            signer,
            family=("intkey", "1.0"),
            payload=payload,
            inputs=[address],
            outputs=[address],
            batcher_public_key=written,
        )
        return signed_batch(signer, [transaction])


async def test_altered_batches(shared, world, masked, content) -> None:
    text = (shared / "data" / "sawtooth" / "malleability.jsonl").read_text(encoding="utf-8")
    async with world() as here:
        altered, ids, found = Altered(here.alice), {}, {}
        for exchange in map(json.loads, text.splitlines()):
            name, path, body = exchange["name"], exchange["path"], b""
            if exchange["method"] == "POST":
                batch = altered.made(name)
                ids[name] = batch.header_signature
                body = messages.BatchList(batches=[batch]).SerializeToString()
            elif name.removesuffix("/status") in DIFFERENCES:
                continue
            else:
                old = path.split("id=")[1].split("&")[0]
                path = path.replace(old, ids[name.removesuffix("/status")])
            answer = await here.ask(exchange["method"], path, body, "application/octet-stream")
            if answer.status == 400 and exchange["status"] == 400:
                assert content(answer)["error"]["code"] == exchange["body"]["error"]["code"]
            elif (answer.status, masked(content(answer))) != (exchange["status"], masked(exchange["body"])):
                found[name] = (answer.status, content(answer)["error"]["code"])
        assert found == dict.fromkeys(DIFFERENCES, (400, 30))
        value = content(await here.ask("GET", f"/state/{intkey_address('m')}"))["data"]
        assert value == "oWFtAg==", "it was increased once"
