"""Bundles as a client sends them, and the proof that one is committed whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from coco_core.adapter import (
    BundlePart,
    CommittedBundle,
    bundle_claims,
    encode_bundle,
    read_bundle,
    read_committed_bundle,
)
from coco_core.base import limits
from coco_core.client.http import AnswerError, Connection, read_answer
from coco_core.errors import BusyError, IntegrityError, MalformedError, RejectedError
from coco_core.ledger import VerifiedReceipt, verify_receipt

_TARGET = "/bundles"


class BundleClient:
    """Sends bundles to one node."""

    def __init__(self, connection: Connection) -> None:
        """Ask over ``connection``, made to the node's front end for bundles."""
        self._connection = connection

    async def submit(self, parts: Sequence[BundlePart]) -> CommittedBundle:
        """Submit transactions that belong together; return once all of them are committed.

        Raises RejectedError when a ledger refuses one of them, MalformedError when they are no bundle,
        BusyError when it was not taken, or is not known to be committed (send it again, for ledgers refuse
        what they have), AnswerError for any other refusal, MalformedAnswerError for what is no JSON and
        IntegrityError for JSON that tells of no committed bundle.
        """
        _check_bounds(parts)
        rows = [{"ledger": part.ledger, "payload": base64.b64encode(part.payload).decode()} for part in parts]
        await self._connection.send("POST", _TARGET, json.dumps({"transactions": rows}).encode())
        answer = await self._connection.receive()
        if answer.status == 200:
            return read_committed_bundle(read_answer(_TARGET, answer.body))
        told = _refusal(answer.status, answer.body)
        if told is None:
            body = answer.body[:500].decode(errors="replace").strip()
            raise AnswerError(
                f"{_TARGET} answered {answer.status}, as no front end for bundles does "
                f"(is it a ledger's, or the operators'?): {body}"
            )
        match answer.status:
            case 400:
                raise MalformedError(told)
            case 422:
                raise RejectedError(told)
            case 503:
                raise BusyError(told)
        raise AnswerError(f"{_TARGET} answered {answer.status}: {told}")


def _check_bounds(parts: Sequence[BundlePart]) -> None:
    """Raise MalformedError for what no node takes: one that is sent it may not even read it."""
    payload = encode_bundle(parts)
    read_bundle(payload)
    most = limits.PAYLOAD_SIZE_MAX_BYTES
    if len(payload) > most:
        raise MalformedError(f"a bundle of {len(payload)} bytes: there may be {most} in all")


def _refusal(status: int, body: bytes) -> str | None:
    """Return why the front end for bundles refuses, in one line; None for what it does not say so.

    Of the bundle itself it says ``CODE: why``; of who may not use a ledger, or not now, why alone.
    """
    try:
        error = json.loads(body)["error"]
        if isinstance(error, str) and status not in (400, 404, 405, 422):
            return error
        code, message = error["code"], error["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return f"{code}: {message}" if isinstance(code, str) and isinstance(message, str) else None


def verify_bundle(
    bundle: CommittedBundle, receipt: bytes, service_certificate: str, endorsements: Sequence[str] = ()
) -> VerifiedReceipt:
    """Check that ``receipt``, of the bundle's own entry, proves the bundle under the service.

    Raises what ``verify_receipt`` does, and IntegrityError when it proves something else.
    """
    verified = verify_receipt(receipt, service_certificate, endorsements)
    if verified.txid != bundle.txid:
        raise IntegrityError(f"the receipt is of transaction {verified.txid}, the bundle is {bundle.txid}")
    if verified.claims != bundle_claims(bundle.receipt.record):
        raise IntegrityError("the receipt claims another record than this bundle's")
    return verified
