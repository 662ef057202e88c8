"""What the framework's conformance kit needs to know of Sawtooth: settings, which need no processor."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError

from coco_core.adapter import HTTPRequest, ReadView
from coco_core.testing.conformance import LedgerHarness, get, post
from coco_sawtooth import messages, records
from coco_sawtooth.authoring import proposed_setting, signed_batch
from coco_sawtooth.development import development_key
from coco_sawtooth.identity import NAME
from coco_sawtooth.settings_family import setting_address
from coco_sawtooth.shell.sockets import Sockets
from coco_sawtooth.signing import Signer

_STRANGER: Final = 4
_OCTETS: Final = "application/octet-stream"


@functools.cache
def _signer(index: int) -> Signer:
    return Signer(development_key(index))


@functools.cache
def _proposal(name: str, value: str, index: int = 0) -> messages.Transaction:
    return proposed_setting(
        _signer(index),
        f"conformance.{name}",
        value,
        nonce=name,
        batcher_public_key=_signer(0).public_key,
    )


def _batch(*transactions: messages.Transaction) -> bytes:
    return signed_batch(_signer(0), transactions).SerializeToString()


class SawtoothHarness(LedgerHarness):
    """Batches that change settings, as the administrator of a development network signs them."""

    name = NAME

    def __init__(self) -> None:
        """Have processors connect to sockets in a folder that goes with this object."""
        self._sockets = Sockets()

    def settings(self) -> Mapping[str, Any]:
        """Listen on a socket of its own."""
        return {"processors": self._sockets.another()}

    def bad_genesis(self) -> Mapping[str, Mapping[str, Any]]:
        """Return a genesis with a key that is none, and other faults."""
        good = self.genesis()
        return {
            "authorized_keys": {**good, "authorized_keys": ["nonsense"]},
            "settings": {**good, "settings": ["nonsense"]},
            "validator_private_key": {**good, "validator_private_key": "00" * 32},
            "batches": {"batches": ["nonsense"]},
        }

    def valid(self, number: int) -> bytes:
        """Set a setting of its own."""
        return _batch(_proposal(f"valid{number}", "set"))

    def rejected(self, number: int) -> bytes:
        """Set one, and then another one as somebody who may not."""
        name = f"rejected{number}"
        return _batch(_proposal(name, "set"), _proposal(f"{name}.late", "set", _STRANGER))

    def conflict(self, number: int) -> tuple[bytes, bytes]:
        """Return two batches with one transaction in common, which is committed once at most."""
        shared = _proposal(f"conflict{number}", "set")
        return _batch(shared), _batch(shared, _proposal(f"conflict{number}.more", "set"))

    def malformed(self) -> Sequence[bytes]:
        """Return what does not decode, an empty batch, one cut off, and one under another's signature."""
        good, other = self.valid(0), messages.Batch.FromString(self.valid(1))
        other.header_signature = messages.Batch.FromString(good).header_signature
        return [b"nonsense", b"\xff", _batch(), good[:-1], other.SerializeToString()]

    def observe(self, view: ReadView) -> Any:
        """Return all of Sawtooth's own state."""
        return dict(view.items(records.STATE))

    def questions(self) -> Sequence[HTTPRequest]:
        """Ask for a setting, and for all blocks and batches."""
        return [get(f"/state/{setting_address('conformance.valid0')}"), get("/blocks"), get("/batches")]

    def read(self, status: int, body: bytes) -> Any:
        """Return an answer without links, which begin with the node's address."""
        answer = orjson.loads(body)
        return status, {key: value for key, value in answer.items() if key != "link"}

    def submission(self, payload: bytes) -> HTTPRequest:
        """Post a list of one batch, as clients do."""
        try:
            batches = messages.BatchList(batches=[messages.Batch.FromString(payload)])
        except DecodeError:
            return post("/batches", payload, _OCTETS)
        return post("/batches", batches.SerializeToString(), _OCTETS)
