"""Asking to join: a joiner asks the nodes it was told of, in turn, until one welcomes it.

Each time it asks for a challenge first and judges who answers, then makes evidence bound to the answer, both
on one connection. Transport only; the rules are governance's.
"""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Callable, Mapping

import attrs
import trio

from coco_core.attestation import Evidence, Platform, Verifier
from coco_core.base import limits
from coco_core.crypto import PrivateKey, PublicKey, read_certificate_der
from coco_core.errors import AttestationError, MalformedError, OperatorError
from coco_core.governance import (
    LOST,
    ChallengeRequest,
    JoinRequest,
    Transcript,
    Voucher,
    check_challenge,
    encode_challenge_request,
    encode_join_request,
    read_challenge,
)
from coco_core.node.address import Address
from coco_core.node.admission import CHALLENGE_TARGET, JOIN_TARGET
from coco_core.node.clock import unix_ms
from coco_core.node.entropy import random_bytes
from coco_core.node.settings import Joining
from coco_core.node.tls import service_client_context
from coco_core.wire.http import MessageReader, render_request


@attrs.frozen(kw_only=True)
class Applicant:
    """A node that wants to join."""

    key: PrivateKey = attrs.field(repr=False)
    encryption_key: PrivateKey = attrs.field(repr=False)
    platform: Platform
    standing: Evidence
    verifiers: Mapping[str, Verifier]
    peer_address: str
    hosts: tuple[str, ...] = ()
    voucher: Voucher | None = None


@attrs.frozen
class Answer:
    """What a node answered, and the request it answered."""

    status: int
    body: bytes = attrs.field(repr=False)
    transcript: Transcript | None = None
    """None when it was not asked to let the joiner in, because it gave no challenge."""

    @property
    def code(self) -> str:
        """The code of a refusal, empty when there is none."""
        try:
            return str(json.loads(self.body)["code"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""


@attrs.frozen
class Welcomed:
    """The welcome, as it came, and the transcript of the request it answers."""

    welcome: bytes = attrs.field(repr=False)
    transcript: Transcript


async def ask_to_join(joining: Joining, applicant: Applicant, waiting: Callable[[], None]) -> Welcomed:
    """Return the service's welcome, asking its nodes in turn; ``waiting`` is called once, if it takes a word.

    Raises AttestationError at once when a node refuses, does not show that it may be believed, is not of the
    expected service or not known by the host it is asked at; OperatorError when none can be reached for
    JOIN_TIMEOUT_MS.
    """
    try:
        context = service_client_context(joining.service_certificate)
    except ssl.SSLError as error:
        raise OperatorError(f"the service certificate cannot be used: {error}") from error
    reason = "no attempt was made"
    answered = trio.current_time()
    told = False
    for target in itertools.cycle(joining.targets):
        left_s = answered + limits.JOIN_TIMEOUT_MS / 1000 - trio.current_time()
        if left_s <= 0:
            break
        pause_ms = limits.JOIN_RETRY_MS
        try:
            # Each in its turn: one that hangs must not use up the time of all.
            with trio.fail_after(min(left_s, limits.JOIN_TIMEOUT_MS / 1000 / len(joining.targets))):
                answer = await _ask(target, context, joining, applicant)
        except trio.TooSlowError:
            reason = "no answer in time"
            continue
        except (OSError, trio.BrokenResourceError, MalformedError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, ssl.SSLCertVerificationError):
                # No later attempt would find another service there.
                raise AttestationError(
                    f"{target} is not the service to join: {cause.verify_message}", code="peer_service"
                ) from error
            reason = str(cause)
        else:
            if answer.status == 200 and answer.transcript is not None:
                return Welcomed(answer.body, answer.transcript)
            told_so = answer.body[:500].decode(errors="replace").strip()
            reason = f"{target} answered {answer.status}: {told_so}"
            if answer.status not in (202, 503) and answer.code not in LOST:
                raise AttestationError(reason, code=answer.code or "refused")
            if answer.status == 202:
                answered = trio.current_time()
                pause_ms = limits.JOIN_WAITING_RETRY_MS
                if not told:
                    waiting()
                    told = True
        await trio.sleep(pause_ms / 1000)
    raise OperatorError(f"cannot join at {', '.join(map(str, joining.targets))}: {reason}")


async def _ask(target: Address, context: ssl.SSLContext, joining: Joining, applicant: Applicant) -> Answer:
    """Ask one node for a challenge, judge it, and ask it to be let in."""
    stream = await trio.open_ssl_over_tcp_stream(
        target.host, target.port, ssl_context=context, https_compatible=True
    )
    async with stream:
        await stream.do_handshake()
        peer = _peer_key(stream)
        channel = _Channel(stream, str(target))
        question = ChallengeRequest(
            public_key=applicant.key.public,
            encryption_key=applicant.encryption_key.public,
            nonce=random_bytes(limits.NONCE_SIZE_BYTES),
        )
        status, body = await channel.post(CHALLENGE_TARGET, encode_challenge_request(question))
        if status != 200:
            return Answer(status, body)
        challenge = read_challenge(body)
        transcript = check_challenge(
            challenge,
            question,
            peer,
            joining.service_certificate,
            applicant.verifiers,
            # Without its operator's word a node on the virtual platform, which alone may be, believes theirs.
            joining.policy or challenge.policy,
            unix_ms() // 1000,
        )
        request = JoinRequest(
            public_key=applicant.key.public,
            encryption_key=applicant.encryption_key.public,
            nonce=challenge.nonce,
            evidence=await trio.to_thread.run_sync(applicant.platform.attest, transcript.report_data),
            standing=applicant.standing,
            peer_address=applicant.peer_address,
            hosts=applicant.hosts,
            voucher=applicant.voucher,
        )
        status, body = await channel.post(JOIN_TARGET, encode_join_request(request, applicant.key))
        return Answer(status, body, transcript)


def _peer_key(stream: trio.SSLStream[trio.SocketStream]) -> PublicKey:
    certificate = stream.getpeercert(binary_form=True)
    return read_certificate_der(certificate or b"").public_key


class _Channel:
    """One connection, one question at a time."""

    def __init__(self, stream: trio.abc.Stream, host: str) -> None:
        self._stream = stream
        self._host = host
        self._reader = MessageReader(requests=False, body_max_bytes=limits.WELCOME_SIZE_MAX_BYTES)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        await self._stream.send_all(render_request("POST", path, self._host, body, "application/json"))
        while data := await self._stream.receive_some():
            for message in self._reader.feed(bytes(data)):
                return message.status, message.body
        raise OSError("the node closed the connection without an answer")
