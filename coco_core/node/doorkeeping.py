"""The door of a node of the service: it gives out challenges, shows who it is, and judges who comes back.

The same while a service forms and while it runs; what becomes of who passed is ``admission``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
import structlog
import trio

from coco_core.adapter import HTTPResponse, PendingResponse
from coco_core.attestation import Platform, Policy, Verifier
from coco_core.base import NodeID, limits
from coco_core.crypto import read_certificate, service_id
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import (
    AdmissionRecord,
    Challenge,
    Challenges,
    JoinRequest,
    encode_challenge,
    find_verifier,
    judge_joiner,
    read_challenge_request,
    read_join_request,
)
from coco_core.node.clock import unix_ms
from coco_core.node.entropy import random_bytes
from coco_core.node.refusals import Refusals

_log = structlog.get_logger("coco.joining")


@attrs.frozen(kw_only=True)
class Judged:
    """A joiner that passed."""

    request: JoinRequest
    record: AdmissionRecord


class Shown(Protocol):
    """What the node shows at the moment (``shown.ShownCertificates``)."""

    @property
    def certificate(self) -> str:
        """Its certificate, as PEM."""
        ...

    @property
    def service_certificate(self) -> str:
        """Its service's, as PEM."""
        ...


class Doorkeeper:
    """Challenges and judges joiners on behalf of one node."""

    def __init__(
        self,
        shown: Shown,
        platform: Platform,
        verifiers: Mapping[str, Verifier],
        policy: Callable[[], Policy],
        refusals: Refusals,
        *,
        now_ms: Callable[[], int] = unix_ms,
        entropy: Callable[[int], bytes] = random_bytes,
    ) -> None:
        """Speak for the node that shows ``shown``; judge by what ``policy`` returns at that time."""
        self._shown = shown
        self._node_id: NodeID = read_certificate(shown.certificate).public_key.node_id()
        self._service_id = service_id(shown.service_certificate)
        self._platform = platform
        self._verifiers = verifiers
        self._policy = policy
        self._refusals = refusals
        self._now_ms = now_ms
        self._entropy = entropy
        self._challenges = Challenges()
        self._making_evidence = trio.CapacityLimiter(limits.EVIDENCE_AT_ONCE_MAX)

    @property
    def node_id(self) -> NodeID:
        """The node it speaks for."""
        return self._node_id

    def challenge(self, body: bytes) -> HTTPResponse | PendingResponse:
        """Answer who asks for a challenge: a nonce for its key, and this node's evidence for its nonce."""
        try:
            request = read_challenge_request(body)
        except AttestationError as error:
            return self.refuse(error.code, str(error), None)
        transcript = request.transcript(self._service_id, self._node_id)

        async def answer() -> HTTPResponse:
            try:
                evidence = await trio.to_thread.run_sync(
                    self._platform.attest, transcript.report_data, limiter=self._making_evidence
                )
            except OperatorError as error:
                # A device that is busy, or collateral that is just being replaced: who asks may ask again.
                _log.warning("no evidence could be made", reason=str(error))
                text = "this node cannot make evidence at the moment: ask again, or another\n"
                return HTTPResponse(status=503, body=text.encode(), content_type="text/plain")
            nonce = self._entropy(limits.NONCE_SIZE_BYTES)
            self._challenges.issue(nonce, request.public_key.node_id(), self._now_ms())
            challenge = Challenge(
                nonce=nonce,
                evidence=evidence,
                certificate=self._shown.certificate,
                service_certificate=self._shown.service_certificate,
                policy=self._policy(),
            )
            return HTTPResponse(body=encode_challenge(challenge))

        return answer

    def judge(self, body: bytes) -> Judged | HTTPResponse:
        """Judge one request to join; return the refusal if it does not pass.

        In this order, cheap things first: size and form, possession of the key, formats, nonce, what the
        evidence is bound to, the evidence itself, policy.
        """
        request = None
        try:
            request = read_join_request(body)
            for evidence in (request.evidence, request.standing):
                find_verifier(evidence, self._verifiers)
            now_ms = self._now_ms()
            self._challenges.redeem(request.nonce, request.node_id, now_ms)
            proof = request.proof(self._service_id, self._node_id)
            record = judge_joiner(
                request.public_key,
                request.encryption_key,
                proof,
                request.standing,
                self._verifiers,
                self._policy(),
                now_ms,
            )
        except AttestationError as error:
            return self.refuse(error.code, str(error), request)
        return Judged(request=request, record=record)

    def refuse(self, code: str, message: str, request: JoinRequest | None) -> HTTPResponse:
        """Return a refusal, kept for operators to see."""
        self._refusals.note(code, message, request)
        body = json.dumps({"error": f"not admitted: {message}", "code": code}).encode()
        return HTTPResponse(status=403, body=body)
