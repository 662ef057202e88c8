"""The recorded answers of a real validator's REST interface, asked of ours over the same sequence of batches.

What a validator was sent was not recorded, only what it answered, so batches are made here by the name of the
exchange. Every difference that is meant is in DIFFERENCES, and in the table of the adapter's README.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from coco_sawtooth import messages, records
from coco_sawtooth.authoring import signed_batch
from coco_sawtooth.testing import Client, intkey_address, intkey_transaction

pytestmark = pytest.mark.shared

REST = "rest_1.2.6_on_validator_1.0.5.jsonl"
BINARY, JSON = "application/octet-stream", "application/json"
REJECTED = "The submitted BatchList was rejected by the validator."

DIFFERENCES = {
    "exec/same-txn-other-batch/status": "INVALID with the reason, where a validator says PENDING for ever",
    "exec/bad-address-in-inputs/status": "INVALID with the reason, where a validator says PENDING for ever",
    "exec/odd-length-prefix/status": "INVALID with the reason, where a validator says PENDING for ever",
    "state/list-odd": "400 with code 62, where the REST interface fails with 500",
    "state/malformed-head": "400 with code 60, where the REST interface fails with 500",
}
"""Exchanges that are answered otherwise, and how."""


class Scenario:
    """Batches by the name of the exchange that sent them."""

    def __init__(self, alice: Client, bob: Client) -> None:
        self.alice = alice
        self.bob = bob
        self.sent: dict[str, list[messages.Batch]] = {}

    def transaction(self, verb: str, name: str, client: Client | None = None, **fields: Any):
        return intkey_transaction(client or self.alice, verb, name, 1, **fields)

    def body(self, name: str) -> tuple[bytes, str]:
        """Return what to post for an exchange."""
        name = name.removeprefix("submit/").removeprefix("exec/")
        if name == "wrong-ctype":
            return b"{}", JSON
        if name in ("empty", "garbage"):
            return b"" if name == "empty" else b"garbage", BINARY
        made = getattr(self, name.replace("-", "_"))()
        self.sent[name] = made if isinstance(made, list) else [made]
        return messages.BatchList(batches=self.sent[name]).SerializeToString(), BINARY

    # --- what is refused when it is submitted

    def bad_batch_sig(self):
        batch = self.alice.batch(self.transaction("set", "bad1"))
        batch.header_signature = self.alice.signer.sign(b"something else")
        return batch

    def bad_txn_sig(self):
        transaction = self.transaction("set", "bad2")
        transaction.header_signature = self.alice.signer.sign(b"something else")
        return self.alice.batch(transaction)

    def bad_payload_sha(self):
        return self.alice.batch(self.transaction("set", "bad3", payload_sha512="0" * 128))

    def payload_tampered(self):
        batch = self.alice.batch(self.transaction("set", "bad4"))
        batch.transactions[0].payload += b"x"
        return batch

    def batcher_mismatch(self):
        return self.bob.batch(self.transaction("set", "bad5"))

    def dup_txn_in_batch(self):
        return self.alice.batch(*[self.transaction("set", "bad6")] * 2)

    def order_mismatch(self):
        batch = self.alice.batch(self.transaction("set", "bad7"), self.transaction("set", "bad8"))
        batch.transactions.reverse()
        return batch

    def extra_txn(self):
        batch = self.alice.batch(self.transaction("set", "bad9"))
        batch.transactions.append(self.transaction("set", "bad10"))
        return batch

    def lacks_txn(self):
        batch = self.alice.batch(self.transaction("set", "bad11"), self.transaction("set", "bad12"))
        del batch.transactions[1]
        return batch

    def one_good_one_bad(self):
        return [self.alice.batch(self.transaction("set", "good")), self.payload_tampered()]

    # --- what is executed

    def delegated_batcher_ok(self):
        return self.bob.batch(self.transaction("set", "d", batcher=self.bob.public_key))

    def ok(self):
        return self.alice.batch(self.transaction("set", "x"))

    def resubmit_committed_batch(self):
        return self.sent["ok"]

    def same_txn_other_batch(self):
        # Other bytes, so another batch: an own field of the header is kept as it is.
        again = self.sent["ok"][0].transactions
        return signed_batch(self.alice.signer, [*again, self.transaction("set", "y")])

    def invalid_txn(self):
        return self.alice.batch(self.transaction("inc", "nope"))

    def atomic_batch(self):
        return self.alice.batch(self.transaction("set", "p"), self.transaction("inc", "nope"))

    def two_batches_one_invalid(self):
        return [
            self.alice.batch(self.transaction("set", "q")),
            self.alice.batch(self.transaction("inc", "nope")),
        ]

    def dep_first(self):
        self.parent = self.alice.batch(self.transaction("set", "r"))
        first = self.parent.transactions[0].header_signature
        return self.alice.batch(self.transaction("set", "s", dependencies=[first]))

    def dep_then_parent(self):
        return self.parent

    def unauth_output(self):
        return self.alice.batch(self.transaction("set", "u", outputs=["1cf126" + "0" * 64]))

    def bad_address_in_inputs(self):
        return self.alice.batch(self.transaction("set", "v", inputs=["not an address"]))

    def odd_length_prefix(self):
        return self.alice.batch(self.transaction("set", "w", inputs=["1cf1261"]))

    def prefix_namespace_ok(self):
        return self.alice.batch(self.transaction("set", "z", inputs=["1cf126"], outputs=["1cf126"]))

    def empty_string_io_ok(self):
        return self.alice.batch(self.transaction("set", "n5", inputs=[""], outputs=[""]))

    def bad_verb(self):
        return self.alice.batch(self.transaction("bad", "x"))

    def trace_flag(self):
        batch = self.alice.batch(self.transaction("set", "t"))
        batch.trace = True
        return batch


def recorded(shared, name: str) -> list[dict[str, Any]]:
    text = (shared / "data" / "sawtooth" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def target(exchange: dict[str, Any], scenario: Scenario, head: str) -> str:
    """Return where to send a recorded request here: what it names is called otherwise."""
    name, path = exchange["name"], exchange["path"]
    sender = name.removeprefix("submit/").removeprefix("exec/").removesuffix("/status")
    sender = "dep-first" if sender == "dep-child-after" else sender
    if path.startswith("/batch_statuses?id=") and sender in scenario.sent:
        ids = path.split("id=")[1].split("&")[0]
        mine = ("%2C" if "%2C" in ids else ",").join(each.header_signature for each in scenario.sent[sender])
        return path.replace(ids, mine)
    (ok,) = scenario.sent.get("ok", [messages.Batch()])
    ids = [ok.header_signature, *(each.header_signature for each in ok.transactions)]
    mine = {
        "batches/one": f"/batches/{ids[0]}",
        "transactions/one": f"/transactions/{ids[-1]}",
        "receipts/one": f"/receipts?id={ids[-1]}",
        "statuses/two": f"/batch_statuses?id={ids[0]},{'1' * 128}",
        "statuses/wait-blank": f"/batch_statuses?id={ids[0]}&wait",
        "state/one": f"/state/{intkey_address('x')}",
        "state/after-one-good-one-bad": f"/state/{intkey_address('good')}",
        "state/atomic-p": f"/state/{intkey_address('p')}",
        "blocks/one": f"/blocks/{head}",
    }
    return mine.get(name, path)


STATUS_BODIES = {
    "statuses/post-empty": (b"[]", JSON),
    "statuses/post-notlist": (b'{"a": 1}', JSON),
    "statuses/post-ctype": (b"[]", "text/plain"),
}


def differs(mine: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Tell whether an answer is another one; ours may say more of why a list of batches is refused."""
    for each in (mine, theirs):
        error = each["body"].get("error", {}) if isinstance(each["body"], dict) else {}
        if error.get("message", "").startswith(REJECTED):
            error["message"] = REJECTED
    return mine != theirs


async def test_every_recorded_answer(shared, world, masked, content) -> None:
    async with world() as here:
        scenario = Scenario(here.alice, here.bob)
        found: dict[str, Any] = {}
        for exchange in recorded(shared, REST):
            name = exchange["name"]
            body, content_type = STATUS_BODIES.get(name, (b"", ""))
            if exchange["method"] == "POST" and exchange["path"] == "/batches":
                body, content_type = scenario.body(name)
            elif name == "statuses/post-ok":
                ids = [each.header_signature for each in scenario.sent["ok"]]
                body, content_type = json.dumps(ids).encode(), JSON
            head = records.head(here.service.view())
            where = target(exchange, scenario, head.id)
            answer = await here.ask(exchange["method"], where, body, content_type)
            mine = {"status": answer.status, "ctype": answer.content_type, "body": masked(content(answer))}
            theirs = {key: exchange[key] for key in ("status", "ctype")}
            theirs["body"] = masked(exchange["body"])
            if differs(mine, theirs):
                found[name] = (mine, theirs)
        unmeant = {name: pair for name, pair in found.items() if name not in DIFFERENCES}
        shown = [f"{name}\n  ours   {mine}\n  theirs {theirs}" for name, (mine, theirs) in unmeant.items()]
        assert not shown, "\n".join(shown)
        assert found.keys() == DIFFERENCES.keys(), "what no longer differs is no difference"
