"""The door of one node of a consortium on paper, and those who knock at it.

Nodes are named by their numbers in the consortium. The clock stands still until it is set.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import attrs

from coco_core.adapter import HTTPResponse, PendingResponse
from coco_core.attestation import Evidence, Policy, VirtualPlatform
from coco_core.base import NodeID
from coco_core.crypto import sha256
from coco_core.governance import (
    ChallengeRequest,
    JoinRequest,
    Transcript,
    encode_challenge_request,
    encode_join_request,
    standing_report_data,
)
from coco_core.node.doorkeeping import Doorkeeper
from coco_core.node.refusals import Refusals
from coco_core.testing.consortium import ADMISSION, MEASUREMENT, POLICY, Consortium
from coco_core.wire.values import from_base64


@attrs.frozen
class Showing:
    """What a node shows that nobody renews."""

    certificate: str
    service_certificate: str


@attrs.define
class Door:
    """The door of node ``number``, which judges by ``policy``."""

    consortium: Consortium
    number: int = 0
    policy: Policy = POLICY
    now_ms: int = 1_700_000_000_000
    refusals: Refusals = attrs.field(init=False)
    keeper: Doorkeeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open the door."""
        numbers = itertools.count(1)
        self.refusals = Refusals(lambda: self.now_ms)
        self.keeper = Doorkeeper(
            Showing(self.consortium.identities[self.number].certificate, self.consortium.service.certificate),
            VirtualPlatform(MEASUREMENT),
            ADMISSION.verifiers,
            lambda: self.policy,
            self.refusals,
            now_ms=lambda: self.now_ms,
            entropy=lambda size: sha256(next(numbers).to_bytes(4, "big"))[:size],
        )

    @property
    def name(self) -> NodeID:
        """The name of the node whose door it is."""
        return self.consortium.identities[self.number].node_id

    async def nonce(self, joiner: int) -> bytes:
        """Return the nonce this door gives to node ``joiner``."""
        answer = await settled(self.keeper.challenge(encode_challenge_request(self.question(joiner))))
        return from_base64(json.loads(answer.body)["nonce"])

    def question(self, joiner: int) -> ChallengeRequest:
        """Return how node ``joiner`` asks for a challenge."""
        identity = self.consortium.identities[joiner]
        return ChallengeRequest(
            public_key=identity.key.public,
            encryption_key=identity.encryption_key.public,
            nonce=sha256(b"joiner's"),
        )

    def transcript(self, joiner: int, nonce: bytes) -> Transcript:
        """Return what the evidence of node ``joiner`` must be bound to."""
        transcript = self.consortium.proof(joiner, self.number).transcript
        return attrs.evolve(transcript, nonce=nonce)

    def request(
        self,
        joiner: int,
        nonce: bytes,
        *,
        measurement: str = MEASUREMENT,
        evidence: Evidence | None = None,
        bound_to: Transcript | None = None,
        **changes: Any,
    ) -> bytes:
        """Return how node ``joiner`` asks to join, all as it should be but for what is given."""
        identity, platform = self.consortium.identities[joiner], VirtualPlatform(measurement)
        transcript = bound_to or self.transcript(joiner, nonce)
        record = self.consortium.nodes[identity.node_id]
        standing = record.evidence if measurement == MEASUREMENT else self.standing(joiner, measurement)
        request = JoinRequest(
            public_key=identity.key.public,
            encryption_key=identity.encryption_key.public,
            nonce=nonce,
            evidence=evidence or platform.attest(transcript.report_data),
            standing=standing,
            peer_address=record.peer_address,
        )
        return encode_join_request(attrs.evolve(request, **changes), identity.key)

    async def knock(self, joiner: int, **changes: Any) -> bytes:
        """Return a request of node ``joiner`` with a nonce it was given."""
        return self.request(joiner, await self.nonce(joiner), **changes)

    def standing(self, joiner: int, measurement: str) -> Evidence:
        """Return standing evidence of node ``joiner`` that runs other code."""
        identity = self.consortium.identities[joiner]
        expected = standing_report_data(identity.key.public, identity.encryption_key.public)
        return VirtualPlatform(measurement).attest(expected)


async def settled(answer: HTTPResponse | PendingResponse) -> HTTPResponse:
    """Return an answer that may have to be waited for."""
    return answer if isinstance(answer, HTTPResponse) else await answer()
