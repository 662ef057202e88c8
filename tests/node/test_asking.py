"""Asking a founder: the wrong service is told at once, a founder that is not there yet is waited for."""

from __future__ import annotations

import pytest
import trio

from coco_core.adapter import HTTPRequest, HTTPResponse
from coco_core.attestation import VirtualPlatform
from coco_core.errors import AttestationError, OperatorError
from coco_core.governance import JoinRequest, report_data
from coco_core.node import Address, Joining
from coco_core.node.admission import ask_to_join
from coco_core.node.http import HTTPServer
from coco_core.node.tls import frontend_context
from coco_core.testing import MEASUREMENT, Consortium


class Founder:
    """Answers with a status and a text."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked = 0

    def accept(self, request: HTTPRequest) -> HTTPResponse:
        self.asked += 1
        return HTTPResponse(status=self.status, body=b"the welcome", content_type="text/plain")


async def ask(consortium: Consortium, founder: Founder, certificate: str, host: str = "127.0.0.1") -> bytes:
    identity = consortium.identities[0]
    key = consortium.identities[1].key
    request = JoinRequest(
        public_key=key.public,
        encryption_key=consortium.identities[1].encryption_key.public,
        evidence=VirtualPlatform(MEASUREMENT).attest(report_data(key.public)),
        peer_address="127.0.0.1:7001",
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    target = Address(host, listeners[0].socket.getsockname()[1])
    server = HTTPServer(handler=founder, tls=frontend_context(identity.certificate, identity.key))
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.serve, listeners)
                try:
                    joining = Joining(targets=(target,), service_certificate=certificate)
                    return await ask_to_join(joining, request, key, lambda: None)
                finally:
                    nursery.cancel_scope.cancel()
    except* (AttestationError, OperatorError) as group:
        raise group.exceptions[0] from None
    raise AssertionError


async def test_the_service_itself(consortium: Consortium) -> None:
    assert await ask(consortium, Founder(200), consortium.service.certificate) == b"the welcome"


async def test_a_founder_that_refuses(consortium: Consortium) -> None:
    founder = Founder(403)
    with pytest.raises(AttestationError, match="answered 403: the welcome"):
        await ask(consortium, founder, consortium.service.certificate)
    assert founder.asked == 1


async def test_another_service_is_told_at_once(consortium: Consortium) -> None:
    founder, other = Founder(200), Consortium.of(1, first_key=5000)
    with pytest.raises(AttestationError, match="is not the service to join"):
        await ask(consortium, founder, other.service.certificate)
    assert founder.asked == 0


async def test_a_certificate_that_is_none(consortium: Consortium) -> None:
    with pytest.raises(OperatorError, match="service certificate cannot be used"):
        await ask(consortium, Founder(200), "certificate")
