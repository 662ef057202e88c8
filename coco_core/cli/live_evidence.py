"""The evidence of a node that answers: what it shows of itself, bound to the key it answers with.

A certificate holds the evidence alone. What it is judged by, the node hands out too where operators ask.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import attrs
import orjson
import trio

from coco_core.attestation import Evidence, read_evidence, report_data
from coco_core.base import split_address
from coco_core.cli.asking import service_context
from coco_core.client import AnswerError, Connection, any_context
from coco_core.crypto import Certificate, read_certificate_der
from coco_core.errors import OperatorError
from coco_core.governance import check_standing_claims
from coco_core.governance.json_values import MALFORMED, evidence_from_json
from coco_core.wire.values import from_base64

TARGET: Final = "/node/evidence"


@attrs.frozen(kw_only=True)
class LiveEvidence:
    """What a node shows; nothing of it is judged but that it is of the node that answered."""

    certificate: Certificate
    evidence: Evidence
    report_data: bytes
    """The 64 bytes it must be bound to."""


def fetch_evidence(address: str, service: Path | None) -> LiveEvidence:
    """Return the evidence of the node at ``host:port``, which may have to be of a service (a PEM file).

    Raises OperatorError, ConnectionLostError, and AttestationError when it shows none, or another's.
    """
    try:
        split_address(address)
    except ValueError as error:
        raise OperatorError(f"{address[:80]}: {error}") from error
    tls = service_context(service) if service is not None else any_context()

    async def ask() -> LiveEvidence:
        async with await Connection.open(address, tls) as connection:
            certificate = read_certificate_der(connection.peer_certificate)
            answer = b""
            # Only operators' interfaces answer it; a ledger's front end has whatever it likes there.
            with contextlib.suppress(AnswerError):
                answer = (await connection.request("GET", TARGET)).body
        evidence, claims = _read(answer, certificate)
        check_standing_claims(claims, certificate.public_key)
        return LiveEvidence(certificate=certificate, evidence=evidence, report_data=report_data(claims))

    return trio.run(ask)


def _read(answer: bytes, certificate: Certificate) -> tuple[Evidence, bytes]:
    with contextlib.suppress(*MALFORMED):
        value = orjson.loads(answer)
        return evidence_from_json(value["evidence"]), from_base64(value["claims"])
    found = read_evidence(certificate)
    return found.evidence, found.claims
